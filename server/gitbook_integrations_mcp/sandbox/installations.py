"""Operations on the installations of organizations."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call, FailureError
from gitbook_integrations_mcp.sandbox.credentials import issue_token
from gitbook_integrations_mcp.sandbox.marketplace import matches
from gitbook_integrations_mcp.sandbox.objects import API, locate, show_installation, show_integration
from gitbook_integrations_mcp.sandbox.paging import paginate
from gitbook_integrations_mcp.sandbox.state import Installation, Integration, Setup


def list_organization_installations(call: Call) -> ApiResponse:
    def show(installation: Installation) -> dict[str, Any]:
        integration = state.integrations[installation.integration]
        return {"installation": show_installation(installation), "integration": show_integration(state, integration)}

    state = call.state
    return paginate(call, _find_in_organization(call), show)


def list_organization_integrations_status(call: Call) -> ApiResponse:
    """List the installations of one level; `site` and `space` are filters that are valid for their own level only."""
    level = call["target"]
    for other in LEVELS:
        if call.get(other) is not None and other != level:
            raise FailureError(400, f"{other}: is only valid when target is {other}")
    found: list[tuple[Integration, Setup, dict[str, str]]] = []
    for installation in _find_in_organization(call):
        integration = call.state.integrations[installation.integration]
        if level == "organization":
            found.append((integration, installation, {"organizationId": installation.organization}))
        else:
            for place_id, setup in installation.enabled[level].items():
                if call.get(level) in {None, place_id}:
                    found.append((integration, setup, {f"{level}Id": place_id}))

    def show(item: tuple[Integration, Setup, dict[str, str]]) -> dict[str, Any]:
        integration, setup, place = item
        return {
            "status": setup.status,
            "integration": show_integration(call.state, integration),
            "target": {"type": level, **place},
        }

    return paginate(call, found, show)


def get_organization_integration_status(call: Call) -> ApiResponse:
    organization = call.find_organization()
    integration = call.find_integration()
    for installation in call.state.get_installations(integration=integration.name, organization=organization.id):
        return call.respond({"status": installation.status})
    raise FailureError(404, "The integration is not installed in the organization")


def list_integration_installations(call: Call) -> ApiResponse:
    integration = call.find_own_integration()
    found = [
        installation
        for installation in call.state.get_installations(integration=integration.name)
        if call.sees(installation) and call.get("externalId") in {None, *installation.external_ids}
    ]
    return paginate(call, found, show_installation)


def get_integration_installation_by_id(call: Call) -> ApiResponse:
    return call.respond(show_installation(call.find_installation()))


def install_integration(call: Call) -> ApiResponse:
    state = call.state
    integration = call.find_integration()
    organization = state.organizations.get(call["organization"])
    if organization is None:
        raise FailureError(404, "Organization not found")
    if not organization.member:
        raise FailureError(403, "This token gives no access to the organization")
    if state.get_installations(integration=integration.name, organization=organization.id):
        raise FailureError(409, "The integration is already installed in the organization")
    installation = Installation(
        id=state.create_id("installation"),
        integration=integration.name,
        organization=organization.id,
        status=integration.compute_status("account", {}),
        created_at=call.now,
        updated_at=call.now,
    )
    state.installations[installation.id] = installation
    state.record(integration.name, installation.id, "installation_setup", call.now, {"status": installation.status})
    return call.respond(show_installation(installation), location=API + locate(installation))


def update_integration_installation(call: Call) -> ApiResponse:
    installation = call.find_installation()
    integration = call.state.integrations[installation.integration]
    before = {"status": installation.status, "configuration": installation.configuration}
    change(installation, call.arguments)
    for level in LEVELS:
        installation.selection[level] = call.get(f"{level}_selection") or installation.selection[level]
    if installation.status == "pending":
        installation.status = integration.compute_status("account", installation.configuration)
    installation.updated_at = call.now
    call.state.enable_everywhere(installation)
    news = {"status": installation.status, "previous": before}
    call.state.record(integration.name, installation.id, "installation_setup", call.now, news)
    return call.respond(show_installation(installation))


def uninstall_integration(call: Call) -> ApiResponse:
    """Remove an installation and its data; its temporary tokens become invalid."""
    installation = find_if_any(call)
    if installation is None:
        return ApiResponse(204)
    del call.state.installations[installation.id]
    news = {"previous": {"configuration": installation.configuration}}
    call.state.record(installation.integration, installation.id, "installation_deleted", call.now, news)
    return call.respond()


def create_integration_installation_token(call: Call) -> ApiResponse:
    return call.respond({"token": issue_token(call.state, call.find_installation().id, call.now)})


# Shared with installations on spaces and sites


def find_if_any(call: Call) -> Installation | None:
    """Return the installation in the path, or None if it does not exist."""
    try:
        return call.find_installation()
    except FailureError as failure:
        if failure.status == 404:
            return None
        raise


def change(setup: Setup, arguments: Mapping[str, Any]) -> None:
    """Replace the values that the arguments contain, and keep the others."""
    setup.configuration = arguments.get("configuration", setup.configuration)
    setup.external_ids = arguments.get("externalIds", setup.external_ids)


def _find_in_organization(call: Call) -> list[Installation]:
    organization = call.find_organization()
    search = partial(matches, call.get("search"))
    return [
        installation
        for installation in call.state.get_installations(organization=organization.id)
        if call.sees(installation) and search(call.state.integrations[installation.integration])
    ]
