"""Operations for developers: development mode, events and traces, tasks, and rendering of components."""

from typing import Any

from gitbook_integrations_api.endpoint import CredentialKind
from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call, FailureError
from gitbook_integrations_mcp.sandbox.objects import show_event, show_trace
from gitbook_integrations_mcp.sandbox.paging import paginate
from gitbook_integrations_mcp.sandbox.state import Development, Event


def set_integration_development_mode(call: Call) -> ApiResponse:
    call.find_managed_integration().development = Development(call["tunnelUrl"], call["all"])
    return call.respond()


def disable_integration_development_mode(call: Call) -> ApiResponse:
    integration = call.find_managed_integration()
    if integration.development is None:
        return ApiResponse(204)
    integration.development = None
    return call.respond()


def list_integration_events(call: Call) -> ApiResponse:
    return paginate(call, sorted(_find_events(call), key=lambda event: -event.created_at), show_event)


def get_integration_event(call: Call) -> ApiResponse:
    for event in _find_events(call):
        if event.id == call["eventId"]:
            return call.respond({"event": show_event(event), "trace": show_trace(event)})
    raise FailureError(404, "Event not found")


def _find_events(call: Call) -> list[Event]:
    """Return the past events of the integration or, with an installation's token, of the installation."""
    integration = call.find_managed_integration()
    return [
        event
        for event in call.state.events
        if event.integration == integration.name
        and event.created_at <= call.now
        and (call.caller.kind is not CredentialKind.INSTALLATION or event.installation == call.caller.installation)
    ]


def queue_integration_task(call: Call) -> ApiResponse:
    """Queue a task. Its event appears at the scheduled time."""
    integration = call.find_own_integration()
    call.state.record(integration.name, None, "task", call.now + (call.get("schedule") or 0), {"task": call["task"]})
    return call.respond()


def render_integration_ui_with_post(call: Call) -> ApiResponse:
    """Render a component as a line of text with its name; closing a modal completes with its return value."""
    integration = call.find_own_integration()
    manifest = integration.manifest
    blocks = {block["id"]: block["title"] for block in manifest.get("blocks", [])}
    settings = {
        part["componentId"]
        for part in (
            *manifest.get("configurations", {}).values(),
            *(source["configuration"] for source in manifest.get("contentSources", [])),
        )
        if "componentId" in part
    }
    component = call["componentId"]
    if component not in {*blocks, *settings}:
        raise FailureError(404, "Component not found")
    action: dict[str, Any] = call.get("action") or {}
    if action.get("action") == "@ui.modal.close":
        return call.respond({"type": "complete", "returnValue": action.get("returnValue", {})})
    text = blocks.get(component, f"Settings of {manifest['title']}")
    children = [{"type": "markdown", "content": f"**{text}**"}]
    state = call.get("state") or {}
    return call.respond(
        {
            "type": "element",
            "element": {"type": "block" if component in blocks else "configuration", "children": children},
            "props": call["props"],
            "state": state | ({"action": action["action"]} if "action" in action else {}),
        }
    )
