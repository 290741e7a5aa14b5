"""The tool `undo_change`: makes the plan that undoes a recorded change."""

from collections.abc import Mapping, Sequence
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.plan import Plan, Step
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.undo import GONE, SETTINGS, compare_states, describe_state
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.errors import ErrorCode, RefusedError, StatusError
from gitbook_integrations_mcp.pipeline.change_log import mask_for_record
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text

_MAX_LATER = 100
_RUNNING_SECONDS = 600
"""Time after which a call with an unknown outcome no longer runs."""


class UndoError(RefusedError):
    """A change that cannot be undone."""

    code = ErrorCode.CHANGE_NOT_UNDOABLE


class UndoPlanner:
    """Plans undos of the changes in `store`."""

    def __init__(self, store: Store, previewer: Previewer) -> None:
        self._store = store
        self._previewer = previewer

    async def plan(self, call: Call) -> Plan:
        """Return the calls that undo a change of the caller.

        Raises:
            UndoError: the change does not exist or cannot be undone; the message says why, and what to do instead.
            StoreError: the store fails, or the kept values cannot be decrypted.
            DisabledToolError: the server does not offer a tool that the undo needs.
            CredentialError: a token that the undo needs is missing.
            CallError: the target could not be read.
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
        undoing = await self._find_undo(change)
        if undoing is not None and not self._is_abandoned(undoing):
            raise UndoError(
                f"{change.id} already has an undo: {undoing.id} ({undoing.moment}, outcome {undoing.outcome}). "
                f"To repeat it, first undo {undoing.id}. Nothing was sent."
            )
        kept = await self._open(change)
        steps, omitted = _read_steps(kept["steps"])
        for step in steps:
            call.caller.policy.admit(step.tool.name)
            call.caller.credentials.select(step.tool)
        facts = [
            ("Change", f"{change.tool} at {change.moment}, outcome {change.outcome}"),
            *((f"Call {number}", _describe_step(step)) for number, step in enumerate(steps, start=1)),
        ]
        if undoing is not None:
            facts.append(("Earlier undo", f"{undoing.id} at {undoing.moment}; it is unknown whether it took effect"))
        if difference := await self._find_difference(call, change, steps, kept["after"]):
            facts.append(("Changed since", difference))
        if later := await self._count_later(change):
            facts.append(("Later changes", f"{later} of the same target through this server"))
        lost = (*(change.lost or ()), *omitted)
        facts += [("Stays lost", text) for text in lost]
        return Plan(tuple(steps), tuple(facts), lost, change.id)

    async def _open(self, change: Change) -> Mapping[str, Any]:
        """Return the steps of an undo and what the change left behind: the kept values, or else the masked ones."""
        if change.sealed is None:
            return {"steps": change.undo, "after": change.after}
        opened: Mapping[str, Any] = await self._store.sealer.open(change.sealed, change.id)
        return opened

    async def _find_undo(self, change: Change) -> Change | None:
        """Return the first call of the latest undo of a change, unless it had no effect or was undone itself."""
        assert change.undo is not None
        for one in await self._store.changes.list_undoing(change.id):
            if one.tool == change.undo[0]["tool"]:
                undone = await self._store.changes.list_undoing(one.id)
                return None if any(other.outcome == "done" for other in undone) else one
        return None

    def _is_abandoned(self, undoing: Change) -> bool:
        """Whether nobody will learn the outcome of an undo, for example because its server was killed."""
        return undoing.outcome == "unknown" and self._store.database.clock() - undoing.time > _RUNNING_SECONDS

    async def _find_difference(
        self, call: Call, change: Change, steps: Sequence[Step], left: Mapping[str, Any] | None
    ) -> str | None:
        """Return a sentence about how the target differs from what the change left behind.

        Raises:
            UndoError: what was to be deleted is still there.
            CallError: the target could not be read.
        """
        found = _find_target_call(change, steps)
        if found is None:
            return None
        tool, arguments = found
        one = Call(tool=tool, arguments=arguments, caller=call.caller, params=call.params, context=call.context)
        try:
            target = await self._previewer.read_target(one)
            if target is None:
                return "This is unknown, because the token may not read the target."
            current: Mapping[str, Any] = describe_state(target)
        except StatusError as error:
            if error.status != 404:
                raise
            current = GONE
        if left is not None:
            masked = change.sealed is None  # so is what it left behind
            return compare_states(left, mask_for_record(call.caller, current) if masked else current)
        if change.outcome == "unknown" and tool.method == "DELETE" and tool.name == change.tool and current["exists"]:
            raise UndoError(f"{change.id} had no effect: its target is still there. Nothing was sent.")
        return None

    async def _count_later(self, change: Change) -> int:
        """Return how many later changes of the same owner have the same target."""
        later = await self._store.changes.search(change.owner, after=change.id, limit=_MAX_LATER)
        target = _find_target(change)
        return sum(_find_target(one) == target for one in later)


def _find_target_call(change: Change, steps: Sequence[Step]) -> tuple[Endpoint, Mapping[str, Any]] | None:
    """Return a call whose path is that of the target of a change: the change itself, or the call that undoes it."""
    calls = [(ENDPOINTS[change.tool], change.arguments), (steps[0].tool, steps[0].arguments)]
    return next(
        ((tool, arguments) for tool, arguments in calls if (reader := find_target(tool)) and reader.path == tool.path),
        None,
    )


def _find_target(change: Change) -> Mapping[str, Any]:
    """Return the arguments that identify what a change is about."""
    names = ENDPOINTS[change.tool].path_names if change.tool in ENDPOINTS else ()
    return {name: change.arguments.get(name) for name in names}


def _read_steps(kept: Sequence[Mapping[str, Any]]) -> tuple[list[Step], list[str]]:
    """Return the steps without the arguments whose values were not kept, and a sentence for each of these."""
    steps, omitted = [], []
    for one in kept:
        endpoint, masked = ENDPOINTS[one["tool"]], one.get("masked", ())
        omitted += [
            f"{name} is not restored by {endpoint.name}, because its credentials were not kept (store.keep_values)."
            for name in masked
        ]
        arguments = {name: value for name, value in one["arguments"].items() if name not in masked}
        if endpoint.method != "PATCH" or endpoint.body_names & arguments.keys():
            steps.append(Step(endpoint, arguments, one["created"]))
    if not steps:
        raise UndoError(f"Nothing of this change can be restored. {' '.join(omitted)} Nothing was sent.")
    return steps, omitted


def _describe_step(step: Step) -> str:
    """Return a call in one line: its tool, its IDs, and the names of the settings that it restores."""
    named = [f"{name} {value}" for name, value in step.arguments.items() if name not in SETTINGS]
    named += [f"{name} of the new installation" for name in step.created]
    restored = [f"{name} ({_describe_value(step.arguments[name])})" for name in step.restored]
    settings = f"; restores {', '.join(restored)}" if restored else ""
    return f"{step.tool.name}: {', '.join(named)}{settings}"


def _describe_value(value: Any) -> str:
    return value if isinstance(value, str) else f"{len(value)} value{'' if len(value) == 1 else 's'}"
