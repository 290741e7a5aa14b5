"""Judges whether a call gives an integration power, or loses a value for good, so that a human must approve it.

The table of tools declares how a call can do so (`Tool.widens`, `Endpoint.configures`). A fact that cannot be
read counts against the call.

Settings say what an integration does with its power: which repository replaces a space, which server signs visitors in,
where content and credentials are sent. Which settings do so is known only to the integration. So every change of its
settings counts unless GitBook vouches for the integration, and every change beside a credential.
"""

from collections.abc import Mapping
from typing import Any

from gitbook_integrations_api.endpoint import Endpoint, Widening
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.masking import MaskingScope, find_credentials
from gitbook_integrations_mcp.calls.plan import PlannedCall, isolate_step
from gitbook_integrations_mcp.calls.response import get_path, read_list, read_object
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.confirmation.widening import find_doubts, list_widened
from gitbook_integrations_mcp.errors import CallError


async def widens_power(call: Call, targets: TargetReader) -> bool:
    """Whether a call, or a step of its plan, gives or redirects power, or loses a credential or a required value.

    With the setting `confirmation.widening: off`, none does.
    """
    if not call.caller.policy.asks_to_widen:
        return False
    if isinstance(call, PlannedCall):
        for step in call.plan.steps:
            if await widens_power(isolate_step(call, step), targets):
                return True
        return False
    if not isinstance(call.tool, Endpoint):
        return False
    if call.tool.widens is not None and call.tool.widens.always_asks:
        return True
    before = await _read_before(call, targets)
    settings = _find_settings(call)
    if "externalIds" in settings or ("configuration" in settings and _has_credential(before)):
        return True
    if not settings and not _gives_access(call, before):
        return False
    integration = await _read_integration(call, targets)
    return bool(find_doubts(integration)) or _loses_required(call, before, integration)


def _find_settings(call: Call) -> frozenset[str]:
    """Return which parts of the settings of an integration a call replaces."""
    configures = isinstance(call.tool, Endpoint) and call.tool.configures is not None
    return frozenset({"configuration", "externalIds"}.intersection(call.arguments) if configures else ())


def _gives_access(call: Call, before: Mapping[str, Any] | None) -> bool:
    match call.tool.widens:
        case Widening.ACCESS:
            return True
        case Widening.SELECTION:
            return bool(list_widened(call.arguments, before))
        case _:
            return False


def _has_credential(before: Mapping[str, Any] | None) -> bool:
    """Whether the configuration of a target has a credential, or cannot be read.

    Whether an update changes the credential is not judged: the question, or its absence, would show whether a guess is
    right.
    """
    if before is None:
        return True
    scope = MaskingScope.OPEN.enter("configuration", before)
    return any(find_credentials(before.get("configuration"), scope=scope))


def _loses_required(call: Call, before: Mapping[str, Any] | None, integration: Mapping[str, Any] | None) -> bool:
    """Whether an update deletes a value that the integration requires."""
    if not isinstance(call.tool, Endpoint) or call.tool.configures is None or "configuration" not in call.arguments:
        return False
    current, sent = (read_object(one.get("configuration")) for one in (before or {}, call.arguments))
    dropped = {key for key, value in current.items() if value and not sent.get(key)}
    required = get_path(integration, f"configurations.{call.tool.configures}.required")
    return not dropped.isdisjoint(read_list(required))


async def _read_before(call: Call, targets: TargetReader) -> Mapping[str, Any] | None:
    """Return the target of an update before the call, or None if the call is no update or nothing could be read."""
    if isinstance(call, EndpointCall):
        return call.before
    try:
        return await targets.read_target(call)
    except (CallError, KeyError):  # an earlier call of the plan creates it
        return None


async def _read_integration(call: Call, targets: TargetReader) -> Mapping[str, Any] | None:
    try:
        return await targets.read_integration(call)
    except CallError:
        return None
