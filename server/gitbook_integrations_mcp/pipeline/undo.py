"""The tool `undo_change`: makes the plan that undoes a recorded change, and reports what was done."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.masking import MASK
from gitbook_integrations_mcp.calls.plan import Plan, Step
from gitbook_integrations_mcp.errors import ErrorCode, RefusedError
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text

_MAX_LATER = 100


class UndoError(RefusedError):
    """A change that cannot be undone."""

    code = ErrorCode.CHANGE_NOT_UNDOABLE


class UndoPlanner:
    """Plans undos of the changes in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def plan(self, call: Call) -> Plan:
        """Return the calls that undo a change of the caller.

        Raises:
            UndoError: the change does not exist or cannot be undone; the message says why, and what to do instead.
            StoreError: the store fails, or the kept values cannot be decrypted.
            DisabledToolError: the server does not offer a tool that the undo needs.
            CredentialError: a token that the undo needs is missing.
        """
        change_id, owner = call.arguments["changeId"], call.caller.owner
        change = await self._store.changes.find(change_id, owner)
        if change is None:
            raise UndoError(
                f"{clean_text(change_id, 100)}: you have no change with this ID; see list_changes. Nothing was sent.",
                ErrorCode.UNKNOWN_CHANGE,
            )
        if change.outcome in {"failed", "not sent"}:
            raise UndoError(f"{change.id} had no effect (outcome: {change.outcome}), so there is nothing to undo.")
        if change.undo is None:
            raise UndoError(
                f"{change.tool} cannot be undone: GitBook's API does not return what it changed. Nothing was sent. "
                "Read the current state, and make the opposite change with the tool for it."
            )
        if (undoing := await self._store.changes.find_undoing(change.id)) is not None:
            raise UndoError(
                f"{change.id} already has an undo: {undoing.id} ({undoing.moment}). list_changes shows what it did. "
                "Nothing was sent."
            )
        kept = await self._open_steps(change)
        steps, omitted = _read_steps(kept)
        for step in steps:
            call.caller.policy.admit(step.tool.name)
            call.caller.credentials.select(step.tool)
        later = await self._count_later(change)
        facts = [
            ("Change", f"{change.tool} at {change.moment}, outcome {change.outcome}"),
            *((f"Call {number}", _describe_step(step)) for number, step in enumerate(steps, start=1)),
        ]
        if later:
            facts.append(("Changed since", f"{later} later changes of the same target through this server"))
        lost = (*(change.lost or ()), *omitted)
        facts += [("Stays lost", text) for text in lost]
        return Plan(tuple(steps), tuple(facts), lost, change.id)

    async def _open_steps(self, change: Change) -> Sequence[Mapping[str, Any]]:
        assert change.undo is not None
        if change.sealed is None:
            return change.undo
        opened: Sequence[Mapping[str, Any]] = await self._store.sealer.open(change.sealed, change.id)
        return opened

    async def _count_later(self, change: Change) -> int:
        """Return how many later changes of the same owner have the same target."""
        target = _find_target(change)
        later = await self._store.changes.search(change.owner, tool=None, since=change.time, limit=_MAX_LATER)
        return sum(one.id > change.id and _find_target(one) == target for one in later)


def _find_target(change: Change) -> Mapping[str, Any]:
    """Return the arguments that identify what a change is about."""
    names = ENDPOINTS[change.tool].path_names if change.tool in ENDPOINTS else ()
    return {name: change.arguments.get(name) for name in names}


def _read_steps(kept: Sequence[Mapping[str, Any]]) -> tuple[list[Step], list[str]]:
    """Return the steps without the arguments whose values were not kept, and a sentence for each of these."""
    steps, omitted = [], []
    for one in kept:
        endpoint = ENDPOINTS[one["tool"]]
        missing = [name for name, value in one["arguments"].items() if MASK in json.dumps(value)]
        omitted += [
            f"{name} is not restored by {endpoint.name}, because its credentials were not kept (store.keep_values)."
            for name in missing
        ]
        arguments = {name: value for name, value in one["arguments"].items() if name not in missing}
        if endpoint.method != "PATCH" or endpoint.body_names & arguments.keys():
            steps.append(Step(endpoint, arguments, one.get("created", {})))
    if not steps:
        raise UndoError(f"Nothing of this change can be restored. {' '.join(omitted)} Nothing was sent.")
    return steps, omitted


def _describe_step(step: Step) -> str:
    """Return a call in one line: its tool, its IDs, and the names of the settings that it restores."""
    named = [f"{name} {value}" for name, value in step.arguments.items() if isinstance(value, str)]
    named += [f"{name} of the new installation" for name in step.created]
    restored = [f"{name} ({len(value)})" for name, value in step.arguments.items() if isinstance(value, Mapping | list)]
    settings = f"; restores {', '.join(restored)}" if restored else ""
    return f"{step.tool.name}: {', '.join(named)}{settings}"
