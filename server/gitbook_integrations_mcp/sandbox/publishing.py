"""Operations that publish and unpublish integrations."""

from gitbook_integrations_api.checks import INTERNAL_SCOPES
from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call, FailureError
from gitbook_integrations_mcp.sandbox.objects import show_integration
from gitbook_integrations_mcp.sandbox.state import Integration, Organization, State

HIDDEN = {"integrationName", "organization", "script", "secrets", "icon", "previewImages", "runtime"}
"""Fields of a publication that GitBook does not return, or returns in another form."""


def publish_integration(call: Call) -> ApiResponse:
    state = call.state
    owner = _find_publisher(state, call["organization"])
    previous = state.integrations.get(call["integrationName"])
    if previous and not state.organizations[previous.owner].member:
        raise FailureError(403, "An integration of this name belongs to another organization")
    for scope in INTERNAL_SCOPES:
        if scope in call["scopes"]:
            raise FailureError(400, f"Publishing integrations with {scope} scope is not allowed")
    manifest = {name: value for name, value in call.arguments.items() if name not in HIDDEN}
    manifest.setdefault("visibility", previous.visibility if previous else "private")
    integration = Integration(
        name=call["integrationName"],
        owner=owner.id,
        manifest=manifest,
        version=previous.version + 1 if previous else 1,
        verified=previous.verified if previous else False,
        has_icon=call.get("icon") is not None,
        previews=len(call.get("previewImages") or []),
        secrets=call.get("secrets") or {},
        development=previous.development if previous else None,
    )
    state.integrations[integration.name] = integration
    return call.respond(show_integration(state, integration))


def unpublish_integration(call: Call) -> ApiResponse:
    """Remove the integration with its installations and events."""
    state = call.state
    if call["integrationName"] not in state.integrations:
        return ApiResponse(204)
    integration = call.find_managed_integration()
    for installation in state.get_installations(integration=integration.name):
        del state.installations[installation.id]
    state.events = [event for event in state.events if event.integration != integration.name]
    del state.integrations[integration.name]
    return call.respond()


def _find_publisher(state: State, name: str) -> Organization:
    """Return the organization with this ID or subdomain; the user must belong to it."""
    for organization in state.organizations.values():
        if name in {organization.id, organization.hostname}:
            if not organization.member:
                raise FailureError(403, "This token gives no access to the organization")
            return organization
    raise FailureError(404, "Organization could not be found for the given hostname")
