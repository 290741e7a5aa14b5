"""Calls that need confirmation, and the steps of confirming them."""

from dataclasses import dataclass
from typing import Any

import pytest
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from tests.support.elicitation_client import GitBookSpy, read_status
from tests.support.fake_gitbook import ERAS

each_era = pytest.mark.parametrize("era", ERAS)

DESTRUCTIVE = [
    "unpublish_integration",
    "uninstall_integration",
    "uninstall_integration_from_space",
    "uninstall_integration_from_site",
    "disable_integration_development_mode",
    "set_integration_development_mode",
    "create_integration_installation_token",
]
"""The tools whose calls remove something, send events elsewhere or return a credential."""

WIDENING = [
    "publish_integration",
    "install_integration",
    "install_integration_on_space",
    "install_integration_on_site",
    "update_integration_installation",
]
"""The other tools whose calls give power."""

DIRECTING = [
    "update_integration_space_installation",
    "update_integration_site_installation",
    "queue_integration_task",
    "render_integration_ui_with_post",
]
"""The tools whose calls direct an integration, by its settings or by a payload for its code."""

GATED = DESTRUCTIVE + WIDENING + DIRECTING
"""The endpoints with calls that need confirmation: all that change something."""

UNTRUSTED = "heatlens"
"""An integration of the sandbox that is unverified and unlisted, and writes content and injects scripts."""


PUBLICATION = {
    "organization": ORGANIZATION_ID,
    "title": "Release Notes Bot",
    "description": "Writes release notes",
    "script": "export default {}",
    "scopes": ["space:content:read", "space:git:sync"],
}
"""A publication of the sandbox's own integration."""


@dataclass(frozen=True)
class Target:
    """A call that needs confirmation, with a target that exists in the sandbox."""

    name: str
    arguments: dict[str, Any]


def find_target(spy: GitBookSpy, name: str) -> Target:
    """Return an effective call of the tool `name`."""
    own = {"integrationName": OWN_INTEGRATION}
    state = spy.sandbox.state
    installation = next(one for one in state.installations.values() if one.integration == OWN_INTEGRATION)
    arguments: dict[str, Any] = {**own, "installationId": installation.id}
    level: Any
    match name:
        case "publish_integration":
            arguments = {**own, **PUBLICATION}
        case "install_integration":
            arguments = {"integrationName": "ticket-importer", "organization": ORGANIZATION_ID}
        case "install_integration_on_space" | "install_integration_on_site":
            level = name.rpartition("_")[2]
            installation = next(one for one in state.installations.values() if one.integration == UNTRUSTED)
            places: Any = {"space": state.spaces, "site": state.sites}[level]
            free = next(one for one in places if one not in installation.enabled[level])
            arguments = {"integrationName": UNTRUSTED, "installationId": installation.id}
            arguments |= {"space" if level == "space" else "siteId": free}
        case "update_integration_installation":
            arguments["space_selection"] = "all"
        case "update_integration_space_installation":
            installation = next(one for one in state.installations.values() if one.integration == "github")
            arguments = {"integrationName": "github", "installationId": installation.id}
            arguments |= {"spaceId": next(iter(installation.enabled["space"])), "configuration": {"repository": 1}}
        case "update_integration_site_installation":
            installation = next(one for one in state.installations.values() if one.integration == "googleanalytics")
            arguments = {"integrationName": "googleanalytics", "installationId": installation.id}
            arguments |= {"siteId": next(iter(installation.enabled["site"])), "configuration": {"tracking_id": "G-1"}}
        case "queue_integration_task":
            arguments = {**own, "task": {"type": "import"}}
        case "render_integration_ui_with_post":
            arguments = {**own, "componentId": "release-notes", "props": {}, "context": {"type": "document"}}
            arguments["action"] = {"action": "import"}
        case "unpublish_integration" | "disable_integration_development_mode":
            arguments = own
        case "set_integration_development_mode":
            arguments = {**own, "tunnelUrl": "https://tunnel.example", "all": True}
        case "uninstall_integration_from_space" | "uninstall_integration_from_site":
            level = name.rpartition("_")[2]
            installation = next(one for one in state.installations.values() if len(one.enabled[level]) > 1)
            arguments = {
                "integrationName": installation.integration,
                "installationId": installation.id,
                f"{level}Id": next(iter(installation.enabled[level])),
            }
    return Target(name, arguments)


async def request_confirmation_id(client: Any, target: Target) -> str:
    """Make the first of two calls and return the confirmation's ID for the second."""
    result = await client.call_tool(target.name, target.arguments)
    assert read_status(result) == "confirmation_required"
    confirmation_id = result.structured_content["confirmationId"]
    assert isinstance(confirmation_id, str)
    return confirmation_id


async def call_once(
    client: Any, target: Target, state: str | None = None, answer: Any = None
) -> CallToolResult | InputRequiredResult:
    """Make one round of a call, without the loop of the client."""
    result: CallToolResult | InputRequiredResult = await client.session.call_tool(
        target.name,
        target.arguments,
        request_state=state,
        input_responses={"confirmation": answer} if answer else None,
        allow_input_required=True,
    )
    return result


APPROVAL = ElicitResult(action="accept", content={"confirm": True})


async def start_call(client: Any, target: Target) -> str:
    """Make the first round and return the sealed state."""
    request = await call_once(client, target)
    assert isinstance(request, InputRequiredResult)
    assert request.request_state is not None
    return request.request_state
