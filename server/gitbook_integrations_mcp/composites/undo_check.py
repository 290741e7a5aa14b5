"""Whether a recorded change can be undone, and by which calls: for `undo_change` and for `list_changes`."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.plan import Plan, PlannedCall, Step
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import find_id, get_path
from gitbook_integrations_mcp.calls.undo import GONE, compare_states, describe_state, omit_values
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.errors import CallError, ErrorCode, RefusedError, StatusError
from gitbook_integrations_mcp.pipeline.change_log import mask_for_record
from gitbook_integrations_mcp.pipeline.plan_run import find_hidden_reader, prepare_step
from gitbook_integrations_mcp.pipeline.policy_check import PolicyCheck
from gitbook_integrations_mcp.pipeline.receipt import UNDO_TOOL
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text

_INSTALL = "install_integration"
_INSTALLED = "list_organization_installations"
_MAX_LATER = 100
_WHERE = ("integrationName", "organization", "installationId", "space", "siteId")
"""Arguments that say what a call installs, and where."""

_UNINSTALLED = " The installation was removed."
_RUNNING_SECONDS = 600
"""Time after which a call with an unknown outcome no longer runs."""


class UnknownChangeError(RefusedError):
    """The caller has no change with this ID."""

    code = ErrorCode.UNKNOWN_CHANGE

    def __init__(self, change_id: str) -> None:
        super().__init__(
            f"{clean_text(change_id, 100)}: you have no change with this ID. list_changes without changeId returns the "
            "IDs. Nothing was sent."
        )


class UndoError(RefusedError):
    """A change that cannot be undone. `reason` says why, and what to do, also where other calls are sent."""

    code = ErrorCode.CHANGE_NOT_UNDOABLE

    def __init__(self, why: str, remedy: str = "") -> None:
        self.reason = f"{why} {remedy}".rstrip()
        super().__init__(f"{why} Nothing was sent. {remedy}".rstrip())


@dataclass(frozen=True, slots=True)
class Undo:
    """The undo of one change: its calls, labelled texts about it, and what the calls do not restore."""

    change: Change
    steps: Sequence[Step]
    facts: Sequence[tuple[str, str]]
    lost: Sequence[str]


class UndoCheck:
    """Checks changes in `store`. `policy` judges the calls that would undo them."""

    def __init__(self, store: Store, targets: TargetReader, snapshots: SnapshotReader, policy: PolicyCheck) -> None:
        self._store = store
        self._targets = targets
        self._snapshots = snapshots
        self._policy = policy

    async def find_obstacles(
        self, call: Call, changes: Iterable[Change], recorded: Sequence[Change] | None
    ) -> dict[str, str]:
        """Return why `undo_change` would refuse to undo changes, by their IDs, as far as this is known.

        With `recorded`, later changes of the caller, they say what became of the targets, and these are not read.
        """
        hidden = find_hidden_reader(TOOLS[UNDO_TOOL], call.caller.policy)
        facts = self._policy.create_reader()
        obstacles: dict[str, str] = {}
        for one in changes:
            if recorded is None and hidden:
                recorded = await self._store.changes.search(one.owner, after=one.id, limit=_MAX_LATER)
            try:
                call.caller.policy.admit(UNDO_TOOL)
                undos, _ = await self.list_undos(call, one, recorded)
                plan = Plan(tuple(join_steps(undos)))
                planned = PlannedCall.create(call, plan)
                for step in plan.steps:
                    if not step.created:
                        prepare_step(planned, step)
                await self._policy.check(planned, facts)
            except CallError as error:
                if isinstance(error, RefusedError) or (isinstance(error, StatusError) and error.status == 404):
                    obstacles[one.id] = error.reason if isinstance(error, UndoError) else str(error)
        return obstacles

    async def list_undos(
        self, call: Call, change: Change, recorded: Sequence[Change] | None = None
    ) -> tuple[list[Undo], list[str]]:
        """Return the undos of a change, the last call of a plan first, and why calls of a plan are not undone.

        Raises:
            UndoError: it cannot be undone.
            StoreError: the store fails, or the kept values cannot be decrypted.
            DisabledToolError: the server does not offer a tool that the undo needs.
            CredentialError: a token that the undo needs is missing.
            CallError: a target could not be read.
        """
        if change.tool in ENDPOINTS:
            return [await self._undo_call(call, change, change.id, 0, set(), recorded)], []
        for undoing in await self._store.changes.list_undoing(change.id):
            await self._check_undoing(change, undoing)
        undos: list[Undo] = []
        reasons: dict[str, str] = {}
        changed_later: set[str] = set()
        for group, part in enumerate(await self._store.changes.list_parts(change.id, call.caller.owner)):
            try:
                undos.append(await self._undo_call(call, part, change.id, group, changed_later, recorded))
            except UndoError as error:
                reasons[part.id] = f"{part.tool} is not undone. {error.reason}"
                if earlier := await self._find_whole_undo(part):
                    undos.append(Undo(part, (), (("Undone before", f"{part.id} ({part.tool}), by {earlier}"),), ()))
        if not any(one.steps for one in undos):
            raise UndoError(f"{change.id}: none of its calls can be undone.", " ".join(reasons.values()))
        undone = {one.change.id for one in undos}
        return undos, [reason for part_id, reason in reasons.items() if part_id not in undone]

    async def _undo_call(
        self,
        call: Call,
        change: Change,
        whole: str,
        group: int,
        changed_later: set[str],
        recorded: Sequence[Change] | None,
    ) -> Undo:
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
            unknown = "a value that this needs is unknown"
            why = unknown if endpoint.undo else "GitBook's API does not return what it changed"
            raise UndoError(f"{change.tool} cannot be undone: {why}.", f"{other}.")
        if missing := next((one["tool"] for one in change.undo if one["tool"] not in ENDPOINTS), None):
            raise UndoError(f"{change.id} cannot be undone: this version has no tool {missing}.")
        undoing = await self._find_undo(change)
        if undoing is not None:
            await self._check_undoing(change, undoing)
        kept = await self._open(change)
        steps, omitted = _read_steps(kept["steps"], change.id, group)
        for step in steps:
            call.caller.policy.admit(step.tool.name)
            call.caller.credentials.select(step.tool)
        if recorded is not None:
            _check_records(change, steps[0], recorded)
            return Undo(change, steps, (), ())
        facts = []
        if undoing is not None:
            facts.append(("Earlier undo", f"{undoing.id} at {undoing.moment}; it is unknown whether it took effect"))
        if difference := await self._find_difference(call, change, steps, kept["after"], changed_later):
            facts.append(("Changed since", difference))
        if later := await self._count_later(change, whole):
            facts.append(("Later changes", f"{later} of the same target through this server"))
        return Undo(change, steps, facts, (*(change.lost or ()), *omitted))

    async def _check_undoing(self, change: Change, undoing: Change) -> None:
        """Check that an earlier undo of a change does not stand in the way.

        Raises:
            UndoError: it was made and not undone itself, or it may still run.
        """
        if not self._is_abandoned(undoing) and not await self._is_undone(undoing):
            raise UndoError(
                f"{change.id} already has an undo: {undoing.id} ({undoing.moment}, outcome {undoing.outcome}).",
                f"To repeat it, first undo {undoing.plan or undoing.id}.",
            )

    async def _find_whole_undo(self, part: Change) -> str | None:
        """Return the ID of an undo that undid a call of a plan wholly and was not undone itself, if there is one."""
        done = [one for one in await self._store.changes.list_undoing(part.id) if one.outcome == "done"]
        standing = [one.plan or one.id for one in done if not await self._is_undone(one)]
        needed = len(part.undo or ())
        return next((one for one in standing if standing.count(one) >= needed), None)

    async def _is_undone(self, change: Change) -> bool:
        return any(one.outcome == "done" for one in await self._store.changes.list_undoing(change.id))

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
        found = _find_target_call(change)
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
            raise _describe_gone(change)
        path = tool.build_request(arguments).path
        if path in changed_later:
            return None  # the undo of the later call compares it
        changed_later.add(path)
        await self._check_presence(call, change, steps[0].tool, left, exists=current["exists"])
        await self._check_installation(call, change, steps[0], changed_later)
        if left is not None:
            masked = change.sealed is None  # so is what it left behind
            return compare_states(left, mask_for_record(call.caller, current) if masked else current)
        if change.outcome == "unknown" and tool.method == "DELETE" and tool.name == change.tool and current["exists"]:
            raise UndoError(f"{change.id} had no effect: its target is still there.")
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
            raise _describe_gone(change, again)
        found = await self._find_installed(call, change) if first.name == _INSTALL and not exists else None
        if found or (first.method == "POST" and left == GONE and exists):
            raise _describe_installed(change, f" with the ID {found}" if found else "")

    async def _check_installation(self, call: Call, change: Change, first: Step, checked: set[str]) -> None:
        """Check that there is the installation that the first call of an undo enables on a space or site.

        It is read once for all calls of a plan: `checked` are the paths of calls for which it was.

        Raises:
            UndoError: it was removed.
            CallError: it could not be read.
        """
        path = first.tool.build_request(first.arguments).path
        if first.tool.method != "POST" or "installationId" not in first.arguments or path in checked:
            return
        try:
            await self._targets.read_target(call.derive(first.tool, first.arguments))
        except StatusError as error:
            raise (_describe_gone(change, _UNINSTALLED) if error.status == 404 else error) from None
        checked.add(path)

    async def _find_installed(self, call: Call, change: Change) -> str | None:
        """Return the ID of an installation of a change's integration, other than that of the change, if it is known.

        Without approval, nothing is read that only an approved call may show.
        """
        if change.organization is None or call.caller.policy.may_need_confirmation(ENDPOINTS[_INSTALLED]):
            return None
        where = {"organizationId": change.organization}
        with suppress(CallError):
            for item in await self._snapshots.read_list(call, _INSTALLED, where):
                same = get_path(item, "integration.name") == change.arguments["integrationName"]
                if same and (found := find_id(item["installation"])) != change.arguments["installationId"]:
                    return clean_text(str(found), 100)
        return None

    async def _count_later(self, change: Change, whole: str) -> int:
        """Return how many later changes of the owner have the same target, outside the plan with the ID `whole`."""
        later = await self._store.changes.search(change.owner, after=change.id, limit=_MAX_LATER)
        made = (one for one in later if one.outcome in {"done", "unknown"} and not one.id.startswith(whole))
        path = _find_path(change)
        return sum(_find_path(one) == path for one in made if one.tool in ENDPOINTS)


def _find_target_call(change: Change) -> tuple[Endpoint, Mapping[str, Any]] | None:
    """Return a call whose path is that of the target of a change: the change itself, or the call that undoes it."""
    calls = [(ENDPOINTS[change.tool], change.arguments)]
    calls += [(ENDPOINTS[one["tool"]], one["arguments"]) for one in (change.undo or ())[:1] if one["tool"] in ENDPOINTS]
    return next(
        ((tool, arguments) for tool, arguments in calls if (reader := find_target(tool)) and reader.path == tool.path),
        None,
    )


def _find_path(change: Change) -> str:
    """Return the path of the target of a change, or else its own."""
    tool, arguments = _find_target_call(change) or (ENDPOINTS[change.tool], change.arguments)
    return tool.build_request(arguments).path


def _check_records(change: Change, first: Step, later: Iterable[Change]) -> None:
    """Check by the records of later changes that there is what `first` changes, and not yet what it installs.

    Raises:
        UndoError: the target was removed, or installed again.
    """
    found = _find_target_call(change)
    if found is None:
        return
    path, needed = found[0].build_request(found[1]).path, first.tool.build_request(first.arguments).path
    installs = first.tool.method == "POST"
    exists = not installs
    for one in sorted(later, key=lambda one: one.id):
        if one.id <= change.id or one.outcome != "done" or not (tool := ENDPOINTS.get(one.tool)):
            continue
        removing = ENDPOINTS.get(one.undo[0]["tool"]) if one.undo else None
        removed = f"{tool.build_request(one.arguments).path}/" if tool.method == "DELETE" else None
        if removed and installs and "installationId" in first.arguments and f"{needed}/".startswith(removed):
            raise _describe_gone(change, _UNINSTALLED)
        if removed and f"{path}/".startswith(removed):
            exists = False
        elif one.undo and removing and removing.method == "DELETE":
            created = removing.build_request(one.undo[0]["arguments"]).path
            same = tool == first.tool and all(one.arguments.get(name) == first.arguments.get(name) for name in _WHERE)
            if created == path or same:
                path, exists = created, True
    if exists is installs:
        raise _describe_installed(change) if installs else _describe_gone(change)


def _describe_gone(change: Change, more: str = "") -> UndoError:
    return UndoError(f"{change.id} cannot be undone: its target no longer exists.{more}")


def _describe_installed(change: Change, named: str = "") -> UndoError:
    for level in LEVELS:
        if place := change.arguments.get(f"{level}Id"):
            named = f" on the {level} {clean_text(str(place), 100)}"
    return UndoError(
        f"{change.id} cannot be undone: the integration was installed again{named}.",
        f"To restore what it was, call {change.tool} first, then undo_change again.",
    )


def join_steps(undos: Sequence[Undo]) -> list[Step]:
    """Return the calls of undos without those whose target a later call deletes anyway."""
    steps = [step for undo in undos for step in undo.steps]
    deleted: list[str] = []
    kept: list[Step] = []
    for step in reversed(steps):
        path = None if step.created else step.tool.build_request(step.arguments).path
        if path is None or not any(f"{path}/".startswith(f"{one}/") for one in deleted):
            kept.append(step)
        if path is not None and step.tool.method == "DELETE":
            deleted.append(path)
    return kept[::-1]


def _read_steps(kept: Sequence[Mapping[str, Any]], undoes: str, group: int) -> tuple[list[Step], list[str]]:
    """Return the steps without the arguments whose values were not kept, and a sentence for each of these."""
    rest, omitted = omit_values(kept)
    steps = [Step(ENDPOINTS[one["tool"]], one["arguments"], one["created"], group, undoes=undoes) for one in rest]
    if not steps:
        raise UndoError(f"Nothing of this change can be restored. {' '.join(omitted)}")
    return steps, omitted
