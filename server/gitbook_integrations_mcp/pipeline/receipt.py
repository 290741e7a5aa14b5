"""Receipts: what a call changed, under which ID the change is recorded, and how to undo it. Made here only."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Endpoint, Risk
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.masking import MASK, list_revocable
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import ABSENT, read_list, read_object
from gitbook_integrations_mcp.calls.undo import SETTINGS
from gitbook_integrations_mcp.calls.view import View
from gitbook_integrations_mcp.pipeline.execution import Recorded
from gitbook_integrations_mcp.text import extend_path

RECEIPT = "receipt"
"""Name of the receipt in the result of a call."""

UNDO_TOOL = "undo_change"
_MOST = 20
"""Number of changed values that a receipt has; the others are counted."""
_CHARACTERS = 80
_NO_UNDO = "Nothing undoes this call."
_UNSENT = object()


def build_receipt(call: EndpointCall, recorded: Recorded, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the receipt of a call. `content` is GitBook's response."""
    change = recorded.change
    if content.get("status") == ABSENT and call.tool.method == "DELETE":
        return {"changeId": change.id, "undo": "Nothing was changed."}
    changed = describe_changed(call, recorded, content)
    undo = describe_undo(call.caller, change.id, call.tool, possible=change.undo is not None)
    lost = {"lost": change.lost} if change.lost else {}
    return {"changeId": change.id, **changed, "undo": undo, **lost, **name_revocable([recorded])}


def name_revocable(recorded: Iterable[Recorded]) -> dict[str, list[str]]:
    """Return the settings whose credentials the makers of integrations have after installations were deleted."""
    deleted = (one.before for one in recorded if one.before and TOOLS[one.change.tool].risk is Risk.DESTROY)
    found = dict.fromkeys(path for target in deleted for path in list_revocable(target))
    return {"credentialsToRevoke": [*found]} if found else {}


def describe_undo(caller: Caller, change_id: str, tool: Endpoint, *, possible: bool) -> dict[str, str] | str:
    """Return the call that undoes a change, or what there is instead. `tool` made the change, or its last part."""
    if not possible:
        offered = tool.reverted_by in caller.policy.tools
        return f"{UNDO_TOOL} cannot undo it. Use {tool.other_way}." if offered else _NO_UNDO
    return name_undo(caller, UNDO_TOOL, changeId=change_id)


def name_undo(caller: Caller, tool: str, **arguments: str) -> dict[str, str] | str:
    """Return the call of `tool` that undoes something, or that the server does not offer it."""
    return {"tool": tool, **arguments} if tool in caller.policy.tools else f"{tool} is disabled on this server."


def describe_changed(call: EndpointCall, recorded: Recorded, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a call changed, without credentials: `changed` has `from` and `to` by the name of each setting.

    It is empty if the target before the call is unknown, or if reading the target requires approval.
    """
    reader, before = find_target(call.tool), recorded.before
    if reader is None or before is None or call.caller.policy.may_need_confirmation(reader):
        return {}
    deletes = call.tool.method == "DELETE"
    if not deletes and reader.path != call.tool.path:
        return {}
    view = View(_CHARACTERS, "list_changes")
    after = {} if deletes else view.show(dict(content))
    changed = dict(_compare(view.show(dict(before)), after, {} if deletes else call.arguments, deletes=deletes))
    if not changed:
        return {}
    more = {"more": len(changed) - _MOST} if len(changed) > _MOST else {}
    return {"changed": dict(list(changed.items())[:_MOST]), **more}


def _compare(
    before: Mapping[str, Any], after: Mapping[str, Any], sent: Mapping[str, Any], *, deletes: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in SETTINGS:
        old, new = before.get(name), after.get(name)
        if not deletes and (name not in sent or name not in before):
            continue
        if name == "configuration":
            yield from _compare_configurations(*map(read_object, (old, new, sent.get(name))))
        elif old != new and (old or new):
            yield name, {"from": old, "to": new}
    if "status" in before and "status" in after and before["status"] != after["status"]:
        yield "status", {"from": before["status"], "to": after["status"]}
    for level in ("spaces", "sites"):
        if deletes and (places := read_list(before.get(level))):
            yield level, {"from": len(places), "to": 0}


def _compare_configurations(
    old: Mapping[str, Any], new: Mapping[str, Any], sent: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the settings that differ.

    A masked one counts as changed if the call sent another text: whether it is the same text stays hidden.
    """
    for key in dict.fromkeys([*old, *new]):
        one, other = old.get(key), new.get(key)
        hidden = one == other == MASK and sent.get(key, _UNSENT) not in (MASK, _UNSENT)
        if one != other or hidden:
            yield extend_path("configuration", key), {"from": one, "to": other}
