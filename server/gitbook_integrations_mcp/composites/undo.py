"""The tool `undo_change`: makes the plan that undoes a recorded change."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.plan import Plan, Step
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import find_id, get_path
from gitbook_integrations_mcp.calls.undo import GONE, SETTINGS, compare_states, describe_state
from gitbook_integrations_mcp.confirmation.facts import describe_effect, format_name
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.errors import CallError, ErrorCode, RefusedError, StatusError
from gitbook_integrations_mcp.pipeline.change_log import mask_for_record
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text, format_count

_INSTALL = "install_integration"
_MAX_LATER = 100
_RUNNING_SECONDS = 600
"""Time after which a call with an unknown outcome no longer runs."""


class UndoError(RefusedError):
    """A change that cannot be undone."""

    code = ErrorCode.CHANGE_NOT_UNDOABLE


@dataclass(frozen=True, slots=True)
class _Undo:
    """The undo of one change: its calls, labelled texts about it, and what the calls do not restore."""

    change: Change
    steps: Sequence[Step]
    facts: Sequence[tuple[str, str]]
    lost: Sequence[str]


class UndoPlanner:
    """Plans undos of the changes in `store`, of one call or of all calls of a plan."""

    def __init__(self, store: Store, targets: TargetReader, snapshots: SnapshotReader) -> None:
        self._store = store
        self._targets = targets
        self._snapshots = snapshots

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
        if change.tool in ENDPOINTS:
            undos, lost = [await self._undo_call(call, change, change.id, 0, set())], list[str]()
        else:
            undos, lost = await self._undo_plan(call, change)
        steps = _leave_out_deleted([step for undo in undos for step in undo.steps])
        undone = {step.undoes for step in steps}  # a sentence about a call that was left out would be false
        lost = list(dict.fromkeys([*lost, *(text for undo in undos if undo.change.id in undone for text in undo.lost)]))
        titles = await self._read_titles(call, change.organization, [undo.change for undo in undos], steps)
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        shown = [replace(step, arguments=scrub_json(step.arguments)) for step in steps]
        facts = [
            *describe_effect([("Change", f"{change.id}: {change.tool} at {change.moment}, outcome {change.outcome}")]),
            *(Fact(f"Call {number}", _describe_step(step, titles)) for number, step in enumerate(shown, start=1)),
            *describe_effect([fact for undo in undos for fact in undo.facts]),
            *describe_effect([("Not restored", text) for text in scrub_json(lost)]),
        ]
        return Plan(tuple(steps), tuple(facts), tuple(lost), change.id, organization=change.organization)

    async def _undo_plan(self, call: Call, plan: Change) -> tuple[list[_Undo], list[str]]:
        """Return the undos of the calls of a plan, the last call first, and why others are not undone.

        Raises:
            UndoError: none of them can be undone.
            CallError: a target could not be read.
        """
        for undoing in await self._store.changes.list_undoing(plan.id):
            await self._check_undoing(plan, undoing)
        undos: list[_Undo] = []
        reasons: list[str] = []
        changed_later: set[str] = set()
        for group, part in enumerate(await self._store.changes.list_parts(plan.id, call.caller.owner)):
            try:
                undos.append(await self._undo_call(call, part, plan.id, group, changed_later))
            except UndoError as error:
                reasons.append(f"{part.tool} is not undone. {error}")
        if not undos:
            raise UndoError(f"{plan.id}: none of its calls can be undone. {' '.join(reasons)}".rstrip())
        return undos, reasons

    async def _undo_call(self, call: Call, change: Change, whole: str, group: int, changed_later: set[str]) -> _Undo:
        """Return the undo of one call. `whole` is the ID of its plan, or its own.

        `changed_later` are the paths of the targets that later calls of the plan changed; that of this call is added.

        Raises:
            UndoError: it cannot be undone.
            CallError: its target could not be read.
        """
        if change.outcome in {"failed", "not sent"}:
            raise UndoError(f"{change.id} had no effect (outcome: {change.outcome}), so there is nothing to undo.")
        if change.undo is None:
            endpoint = ENDPOINTS[change.tool]
            offered = endpoint.reverted_by in call.caller.policy.tools
            other = f"Use {endpoint.other_way}" if offered else "Read the current state, and make the opposite change"
            raise UndoError(
                f"{change.tool} cannot be undone: GitBook's API does not return what it changed. Nothing was sent. "
                f"{other}."
            )
        undoing = await self._find_undo(change)
        if undoing is not None:
            await self._check_undoing(change, undoing)
        kept = await self._open(change)
        steps, omitted = _read_steps(kept["steps"], change.id, group)
        for step in steps:
            call.caller.policy.admit(step.tool.name)
            call.caller.credentials.select(step.tool)
        facts = []
        if undoing is not None:
            facts.append(("Earlier undo", f"{undoing.id} at {undoing.moment}; it is unknown whether it took effect"))
        if difference := await self._find_difference(call, change, steps, kept["after"], changed_later):
            facts.append(("Changed since", difference))
        if later := await self._count_later(change, whole):
            facts.append(("Later changes", f"{later} of the same target through this server"))
        return _Undo(change, steps, facts, (*(change.lost or ()), *omitted))

    async def _check_undoing(self, change: Change, undoing: Change) -> None:
        """Check that an earlier undo of a change does not stand in the way.

        Raises:
            UndoError: it was made and not undone itself, or it may still run.
        """
        if not self._is_abandoned(undoing) and not await self._is_undone(undoing):
            raise UndoError(
                f"{change.id} already has an undo: {undoing.id} ({undoing.moment}, outcome {undoing.outcome}). "
                f"To repeat it, first undo {undoing.plan or undoing.id}. Nothing was sent."
            )

    async def _is_undone(self, change: Change) -> bool:
        return any(one.outcome == "done" for one in await self._store.changes.list_undoing(change.id))

    async def _read_titles(
        self, call: Call, organization: str | None, changes: Iterable[Change], steps: Iterable[Step]
    ) -> dict[str, str]:
        """Return the titles of spaces and sites by ID, as they were recorded or else from GitBook."""
        titles: dict[str, str] = {}
        for change in changes:
            titles |= dict(_find_titles(change.before))
        for level in ("space", "site"):
            names = (level, f"{level}Id")
            named = {str(step.arguments[name]) for step in steps for name in names if name in step.arguments}
            if organization and named - titles.keys():
                with suppress(CallError):
                    places = await self._snapshots.read_places(call, level, organization)
                    titles |= {one: str(places[one].get("title") or "") for one in named & places.keys()}
        return call.caller.credentials.scrub_json(titles)

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
                return None if await self._is_undone(one) else one
        return None

    def _is_abandoned(self, undoing: Change) -> bool:
        """Whether nobody will learn the outcome of an undo, for example because its server was killed."""
        return undoing.outcome == "unknown" and self._store.database.clock() - undoing.time > _RUNNING_SECONDS

    async def _find_difference(
        self,
        call: Call,
        change: Change,
        steps: Sequence[Step],
        left: Mapping[str, Any] | None,
        changed_later: set[str],
    ) -> str | None:
        """Return a sentence about how the target differs from what the change left behind.

        Raises:
            UndoError: what was to be deleted is still there, or what the undo would delete or update is not, or it was
                installed again.
            CallError: the target could not be read.
        """
        found = _find_target_call(change, steps)
        if found is None:
            return None
        tool, arguments = found
        try:
            target = await self._targets.read_target(call.derive(tool, arguments))
            if target is None:
                return "This is unknown, because the token may not read the target."
            current: Mapping[str, Any] = describe_state(target)
        except StatusError as error:
            if error.status != 404:
                raise
            current = GONE
        if steps[0].tool.method == "DELETE" and not current["exists"]:
            raise UndoError(f"{change.id} has nothing left to undo: its target no longer exists. Nothing was sent.")
        path = tool.build_request(arguments).path
        if path in changed_later:
            return None  # the undo of the later call compares it
        changed_later.add(path)
        await self._check_presence(call, change, steps[0].tool, left, exists=current["exists"])
        if left is not None:
            masked = change.sealed is None  # so is what it left behind
            return compare_states(left, mask_for_record(call.caller, current) if masked else current)
        if change.outcome == "unknown" and tool.method == "DELETE" and tool.name == change.tool and current["exists"]:
            raise UndoError(f"{change.id} had no effect: its target is still there. Nothing was sent.")
        return None

    async def _check_presence(
        self, call: Call, change: Change, first: Endpoint, left: Mapping[str, Any] | None, *, exists: bool
    ) -> None:
        """Check that there is what the first call of an undo updates, and not yet what it installs.

        Raises:
            UndoError: the target was removed, or installed again.
        """
        if first.method == "PATCH" and not exists:
            found = await self._find_installed(call, change)
            again = f" The integration was installed again with the ID {found}. Set its values there." if found else ""
            raise UndoError(f"{change.id} cannot be undone: its target no longer exists.{again} Nothing was sent.")
        found = await self._find_installed(call, change) if first.name == _INSTALL and not exists else None
        named = f" with the ID {found}" if found else ""
        if found or (first.method == "POST" and left == GONE and exists):
            raise UndoError(
                f"{change.id} cannot be undone: the integration was installed again{named}. Nothing was sent. "
                f"To restore what it was, call {change.tool} first, then undo_change again."
            )

    async def _find_installed(self, call: Call, change: Change) -> str | None:
        """Return the ID of an installation of a change's integration, other than that of the change, if it is known."""
        if change.organization is None:
            return None
        where = {"organizationId": change.organization}
        with suppress(CallError):
            for item in await self._snapshots.read_list(call, "list_organization_installations", where):
                same = get_path(item, "integration.name") == change.arguments["integrationName"]
                if same and (found := find_id(item["installation"])) != change.arguments["installationId"]:
                    return clean_text(str(found), 100)
        return None

    async def _count_later(self, change: Change, whole: str) -> int:
        """Return how many later changes of the owner have the same target, outside the plan with the ID `whole`."""
        later = await self._store.changes.search(change.owner, after=change.id, limit=_MAX_LATER)
        target = _find_target(change)
        return sum(_find_target(one) == target and not one.id.startswith(whole) for one in later)


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


def _leave_out_deleted(steps: Sequence[Step]) -> list[Step]:
    """Return the calls without those whose target a later call deletes anyway."""
    deleted: list[str] = []
    kept: list[Step] = []
    for step in reversed(steps):
        path = None if step.created else step.tool.build_request(step.arguments).path
        if path is None or not any(f"{path}/".startswith(f"{one}/") for one in deleted):
            kept.append(step)
        if path is not None and step.tool.method == "DELETE":
            deleted.append(path)
    return kept[::-1]


def _find_titles(value: Any) -> Iterator[tuple[str, str]]:
    """Yield ID and title of each object in a recorded state."""
    if isinstance(value, Mapping):
        identifier, title = value.get("id"), value.get("title")
        if isinstance(identifier, str) and isinstance(title, str):
            yield identifier, title
        for child in value.values():
            yield from _find_titles(child)
    elif isinstance(value, list):
        for child in value:
            yield from _find_titles(child)


def _read_steps(kept: Sequence[Mapping[str, Any]], undoes: str, group: int) -> tuple[list[Step], list[str]]:
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
            steps.append(Step(endpoint, arguments, one["created"], group, undoes=undoes))
    if not steps:
        raise UndoError(f"Nothing of this change can be restored. {' '.join(omitted)} Nothing was sent.")
    return steps, omitted


def _describe_step(step: Step, titles: Mapping[str, str]) -> str:
    """Return a call in one line: its tool, its IDs with titles, and the names of the settings that it restores."""
    named = [
        f"{name} {format_name({'id': value, 'title': titles.get(value)})}"
        for name, value in step.arguments.items()
        if name not in SETTINGS
    ]
    named += [f"{name} of the new installation" for name in step.created]
    restored = [f"{name} ({_describe_value(step.arguments[name])})" for name in step.restored]
    settings = f"; restores {', '.join(restored)}" if restored else ""
    return f"{step.tool.name}: {', '.join(named)}{settings}"


def _describe_value(value: Any) -> str:
    return format_name(value) if isinstance(value, str) else format_count(len(value), "value")
