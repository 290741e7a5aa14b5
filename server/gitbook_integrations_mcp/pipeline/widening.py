"""Judges whether a call gives an integration power, or loses a value for good, so that a human must approve it.

The table of tools declares how a call can do so (`Tool.widens`, `Endpoint.configures`). A fact that cannot be
read counts against the call.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gitbook_integrations_api.endpoint import Endpoint, Widening
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.masking import MaskingScope, find_credentials
from gitbook_integrations_mcp.calls.plan import PlannedCall, isolate_step
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.widening import find_doubts, list_widened
from gitbook_integrations_mcp.errors import CallError


async def widens_power(call: Call, previewer: Previewer) -> bool:
    """Whether a call, or a step of its plan, gives power or loses a credential or a required value.

    With the setting `confirmation.widening: off`, none does.
    """
    if not call.caller.policy.asks_to_widen:
        return False
    if isinstance(call, PlannedCall):
        for step in call.plan.steps:
            if await widens_power(isolate_step(call, step), previewer):
                return True
        return False
    if not isinstance(call.tool, Endpoint):
        return False
    if call.tool.widens is not None and call.tool.widens.always_asks:
        return True
    before = await _read_before(call, previewer)
    if _gives_access(call, before) and find_doubts(await _read_integration(call, previewer)):
        return True
    return await _loses_values(call, before, previewer)


def _gives_access(call: Call, before: Mapping[str, Any] | None) -> bool:
    match call.tool.widens:
        case Widening.ACCESS:
            return True
        case Widening.SELECTION:
            return bool(list_widened(call.arguments, before))
        case _:
            return False


async def _loses_values(call: Call, before: Mapping[str, Any] | None, previewer: Previewer) -> bool:
    """Whether an update deletes or replaces a credential, or deletes a value that the integration requires."""
    assert isinstance(call.tool, Endpoint)
    sent = _read_body(call).get("configuration")
    if call.tool.configures is None or sent is None:
        return False
    if before is None:
        return True
    current = before.get("configuration")
    kept = list(_list_values(sent))
    scope = MaskingScope.OPEN.enter("configuration", before)
    if any(value not in kept for _, value in find_credentials(current, scope=scope)):
        return True
    dropped = {key for key, value in _as_mapping(current).items() if value and not _as_mapping(sent).get(key)}
    if not dropped:
        return False
    integration = await _read_integration(call, previewer)
    configurations = _as_mapping(integration).get("configurations")
    required = _as_mapping(_as_mapping(configurations).get(call.tool.configures)).get("required")
    return integration is None or not dropped.isdisjoint(required if isinstance(required, list) else ())


async def _read_before(call: Call, previewer: Previewer) -> Mapping[str, Any] | None:
    """Return the target of an update before the call, or None if the call is no update or nothing could be read."""
    if isinstance(call, EndpointCall):
        return call.before
    try:
        return await previewer.read_target(call)
    except (CallError, KeyError):  # an earlier call of the plan creates it
        return None


async def _read_integration(call: Call, previewer: Previewer) -> Mapping[str, Any] | None:
    try:
        return await previewer.read_integration(call)
    except CallError:
        return None


def _read_body(call: Call) -> Mapping[str, Any]:
    """Return what a call sends. The arguments of the step of a plan are sent as they are."""
    return call.request.body or {} if isinstance(call, EndpointCall) else call.arguments


def _list_values(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for child in value.values():
            yield from _list_values(child)
    elif isinstance(value, list):
        for child in value:
            yield from _list_values(child)
    else:
        yield value


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
