"""Preconditions of calls: what GitBook would refuse is refused before a human is asked in vain.

No error says what may be read only after approval: then the human is asked.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import Endpoint, Widening
from gitbook_integrations_api.sources import PLACE_ARGUMENTS, PLACE_LISTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.confirmation.facts import format_name
from gitbook_integrations_mcp.confirmation.targets import INTEGRATION
from gitbook_integrations_mcp.errors import ArgumentsError, CallError, StatusError


def check_rights(
    call: Call,
    integration: Mapping[str, Any] | CallError | None,
    organization: Mapping[str, Any] | str | None,
) -> None:
    """Check that the token has the right to make a call.

    Only what was read with the credential that sends the call says what that credential may do.

    Raises:
        StatusError: GitBook says of the integration or of the organization that the token may not do this.
    """
    tool, credentials = call.tool, call.caller.credentials
    target = find_target(tool)
    if not isinstance(tool, Endpoint) or target is None or target.name != INTEGRATION:
        return
    if tool.widens is Widening.ACCESS:
        reader, act = ENDPOINTS["list_organizations_for_authenticated_user"], "install integrations on"
        right, owner = get_path(organization, "permissions.installIntegration"), organization
    elif tool.method == "DELETE" or tool.widens is not None:
        reader, act = target, "manage the integrations of"
        right, owner = get_path(integration, "permissions.admin"), get_path(integration, "owner")
    else:
        return
    if call.caller.policy.may_need_confirmation(reader):
        return
    if right is False and credentials.choose(tool) == credentials.choose(reader):
        raise StatusError(
            403,
            f"The token may not {act} {format_name(owner or 'its owner')}, so GitBook would refuse {tool.name}. Nobody "
            "was asked and nothing was sent. Tell the user to ask an administrator of that organization.",
        )


def check_target(call: Call, levels: Iterable[Level], integration: Mapping[str, Any] | CallError | None) -> None:
    """Check that an integration can be enabled on these levels.

    Raises:
        ArgumentsError: the integration has another target.
    """
    if call.caller.policy.may_need_confirmation(ENDPOINTS[INTEGRATION]):
        return
    target = get_path(integration, "target")
    for level in levels if target in ("space", "site", "organization") else ():
        if level != target:
            fits = (
                f"install_integration_on_{target} enables it on a {target}"
                if target in PLACE_ARGUMENTS
                else "install_integration enables it in the whole organization"
            )
            raise ArgumentsError(
                f"{format_name(integration)} cannot be enabled on a {level}, because its target is {target}. Nobody "
                f"was asked and nothing was sent. {fits}."
            )


def check_places(call: Call, places: Mapping[Level, Mapping[str, Any] | None]) -> None:
    """Check that the organization has the space or site on which a call enables an integration.

    `places` are the first pages of the lists.

    Raises:
        ArgumentsError: the list is complete, and the space or site is not on it.
    """
    for level, page in places.items() if call.tool.widens is Widening.ACCESS else ():
        name, lister = PLACE_ARGUMENTS[level], ENDPOINTS[PLACE_LISTS[level]]
        if not page or not page["items"] or page.get("next") or call.caller.policy.may_need_confirmation(lister):
            continue
        if all(one.get("id") != call.arguments[name] for one in page["items"]):
            raise ArgumentsError(
                f"{name}: the organization has no {level} with this ID, so nobody was asked and nothing was sent. "
                f"{lister.name} returns the IDs."
            )
