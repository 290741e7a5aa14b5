"""The stage that runs plans: calls that are confirmed as a whole, and then run one by one in order.

Each call is checked like a call of its own before anybody is asked, and again before it is sent. Each is recorded. The
plan has a record of its own, by whose ID all of them are undone at once, unless that of its only call says more.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Composite, Endpoint, Risk, Tool
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.arguments import build_request, check_arguments
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.plan import Plan, PlannedCall, Planner, Step, count_calls, digest_target
from gitbook_integrations_mcp.calls.response import get_path, read_response
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.results import TARGET_CHANGED, Approval
from gitbook_integrations_mcp.errors import (
    CallError,
    CredentialError,
    DefectError,
    DisabledToolError,
    ErrorCode,
    StoreError,
    TargetError,
    UnreachableError,
)
from gitbook_integrations_mcp.pipeline.change_log import ChangeLog, list_lost
from gitbook_integrations_mcp.pipeline.execution import Executor, Recorded
from gitbook_integrations_mcp.pipeline.receipt import describe_changed, describe_undo, name_revocable
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.store.change import Change, number_part

logger = logging.getLogger(__name__)

_PLACES = ("space", "spaceId", "siteId")


class PlanRunner:
    """Makes the plans of calls with `planners`, by tool name, and runs them through `executor`."""

    def __init__(
        self,
        executor: Executor,
        log: ChangeLog,
        snapshots: SnapshotReader,
        previewer: Previewer,
        planners: Mapping[str, Planner],
    ) -> None:
        self._previewer = previewer
        self._executor = executor
        self._log = log
        self._snapshots = snapshots
        self._planners = planners

    async def plan(self, call: Call) -> Call | Output:
        """Return `call` with its plan, if its tool has one, or the result of a call that changes nothing.

        Raises:
            CallError: there is no plan, or this caller may not make one of its calls. A reason that follows from what
                only an approved call may show is not given.
        """
        planner = self._planners.get(call.tool.name)
        if planner is None:
            return call
        hidden = find_hidden_reader(call.tool, call.caller.policy)
        try:
            plan = await planner(call)
        except CallError as error:
            if hidden is None or isinstance(error, CredentialError | DisabledToolError | StoreError | UnreachableError):
                raise
            plan = Plan(())
        if hidden and not plan.steps:
            raise TargetError(
                f"{call.tool.name} has no plan: an argument is wrong, or nothing would change. The reason is not "
                f"shown, because {hidden} requires approval on this server (confirmation.extra_tools). Nothing was "
                f"sent. Call {hidden} first, and compare the arguments with its result."
            )
        if not plan.steps:
            return Output({"status": "unchanged", "message": plan.unchanged, "calls": []})
        planned = PlannedCall.create(call, plan)
        for step in planned.plan.steps:
            if not step.created:
                prepare_step(planned, step)
        return planned

    async def show(self, call: PlannedCall) -> Output:
        """Return what a human would be asked to approve.

        Raises:
            CallError: GitBook could not be read.
        """
        preview, _ = await self._previewer.preview(call)
        return Output(
            {
                "status": "dry_run",
                "message": "Nothing was sent. This is what the human would be asked to approve.",
                "consequence": preview.consequence,
                "facts": [asdict(one) for one in (*preview.facts, *preview.details)],
                **call.plan.report,
                "notes": [*preview.notes, *call.plan.report.get("notes", ())],
            }
        )

    async def run(self, call: PlannedCall, approval: Approval | None) -> Output:
        """Run the calls of a confirmed plan in order, until one fails, and report what each did.

        Raises:
            CallError: the first call failed, or nobody approved the plan.
        """
        if approval is None:
            raise DefectError(f"{call.tool.name} was not approved. Nothing was sent.")
        again = await self._planners[call.tool.name](call)  # another call can have undone the same change meanwhile
        if again.digest != call.plan.digest:
            return Output(TARGET_CHANGED.content)
        plan = await self._log.begin_plan(call, approval) if _has_record(call) else None
        done: list[tuple[Step, Recorded, dict[str, Any]]] = []
        created: dict[int, Mapping[str, Any]] = {}
        for number, step in enumerate(call.plan.steps, start=1):
            try:
                one = prepare_step(call, step, created.get(step.group, {}))
                one = replace(one, change_id=number_part(plan.id, number) if plan else None)
                recorded = await self._executor.change(one, await self._read_before(one, step, approval))
                content = read_response(one.tool, recorded.response, one.arguments, one.request.body)
            except CallError as error:
                await self._complete(call, plan)
                if not done:
                    raise
                return Output(_report(call, plan, done, error, step))
            created.setdefault(step.group, content)
            status = {} if call.plan.undoes else _name_status(content)  # a later call of an undo can change it
            named = {**_name_created(step, content), **status}
            done.append((step, recorded, {**named, **describe_changed(one, recorded, content)}))
        await self._complete(call, plan)
        returned = {path.rpartition(".")[2]: get_path(content, path) for path in call.plan.returned}
        return Output({**_report(call, plan, done), **call.plan.report, **returned})

    async def _read_before(self, call: EndpointCall, step: Step, approval: Approval) -> Approval:
        """Return `approval` with the current target of a call, if its undo needs it.

        Raises:
            TargetError: the target is no longer as the planner read it.
            CallError: it cannot be read although the planner could read it.
        """
        if step.before is None and not (call.tool.undo and call.tool.undo.needs_target):
            return replace(approval, before=None)
        try:
            before = await self._snapshots.read_target(call, call.tool.name, call.arguments)
        except CallError:
            if step.before is not None:
                raise
            return replace(approval, before=None)  # the call itself will fail with the reason
        if step.before is not None and digest_target(before) != digest_target(step.before):
            raise TargetError(
                f"{call.tool.name} was not sent, because its target changed after the approval.",
                ErrorCode.TARGET_CHANGED,
            )
        return replace(approval, before=before)

    async def _complete(self, call: PlannedCall, plan: Change | None) -> None:
        if plan is None:
            return
        try:
            await self._log.complete_plan(plan, len(call.plan.steps))
        except StoreError as error:
            # Its calls were sent and have their own rows, so the plan can still be undone.
            logger.error("the outcome of %s (%s) was not recorded: %s", plan.tool, plan.id, error.reason)  # noqa: TRY400


def find_hidden_reader(tool: Tool, policy: Policy) -> str | None:
    """Return a reading tool that the planner of a tool uses, and whose result only an approved call may show."""
    names = tool.uses if isinstance(tool, Composite) else ()
    reading = (TOOLS[name] for name in names if TOOLS[name].risk is Risk.READ)
    return next((one.name for one in reading if policy.may_need_confirmation(one)), None)


def prepare_step(call: Call, step: Step, created: Mapping[str, Any] | None = None) -> EndpointCall:
    """Return a call of a plan, checked like any other. `created` is the response of the first call of its group.

    Raises:
        CallError: the caller may not make the call, or its arguments are invalid.
    """
    tool = call.caller.policy.admit(step.tool.name)
    assert isinstance(tool, Endpoint)
    arguments = {**step.arguments, **{name: get_path(created, path) for name, path in step.created.items()}}
    options = check_arguments(tool, arguments)  # first: the ID that GitBook returned can be of any type
    return EndpointCall(
        tool=tool,
        arguments=arguments,
        request=build_request(tool, arguments),
        token=call.caller.credentials.select(tool),
        caller=call.caller,
        params=call.params,
        context=call.context,
        options=options,
        undoes=step.undoes,
    )


def _has_record(call: PlannedCall) -> bool:
    """Whether a plan is recorded besides its calls.

    The record of a single call is enough if it says what it undoes, or if it shows a publication, which has no undo.
    """
    plan, first = call.plan, call.plan.steps[0]
    is_enough = plan.undoes == first.undoes if plan.undoes else first.tool.undo is None
    return len(plan.steps) > 1 or not is_enough


def _report(
    call: PlannedCall,
    plan: Change | None,
    done: list[tuple[Step, Recorded, dict[str, Any]]],
    error: CallError | None = None,
    failed: Step | None = None,
) -> dict[str, Any]:
    """Return the result of a plan: its receipt, and those of its calls."""
    steps, changes = call.plan.steps, [recorded.change for _, recorded, _ in done]
    change_id = plan.id if plan else changes[0].id
    undo = describe_undo(call.caller, change_id, done[-1][0].tool, possible=any(one.undo for one in changes))
    calls: list[dict[str, Any]] = [
        {
            "tool": step.tool.name,
            **_name_place(step),
            **({"restored": step.restored} if step.restored and call.plan.undoes else {}),
            **changed,
        }
        for step, _, changed in done
    ]
    status, message = "done", f"Done: all {len(steps)} calls." if len(steps) > 1 else "Done."
    if error is not None and failed is not None:
        left = count_calls(steps[len(done) + 1 :])
        rest = f" Not sent: {left}." if left else ""
        again = f"{call.tool.name} with the same arguments"
        restarts = any(one.created for one in steps)  # its first call would install the integration twice
        onward = "" if restarts else f" When the cause is fixed, {again} does the rest."
        back = f"; then {again} starts from the beginning" if restarts else ""
        offer = f" To take back what is done, undo {change_id}{back}." if isinstance(undo, dict) else ""
        counted = f"{len(done)} of {len(steps)} calls are done"
        status = "incomplete"
        message = f"Incomplete: {counted}. {failed.tool.name} failed: {error}{rest}{onward}{offer}"
        calls.append({"tool": failed.tool.name, **_name_place(failed), "code": str(error.code)})
    return {
        "status": status,
        "message": message,
        "changeId": change_id,
        "undo": undo,
        "calls": calls,
        "lost": [*call.plan.lost, *(() if call.plan.undoes else list_lost(changes))],
        **name_revocable(recorded for _, recorded, _ in done),
    }


def _name_created(step: Step, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the IDs of what a call created, by the names that they have as arguments of the call that deletes it."""
    undoing = step.tool.undo.steps if step.tool.undo else ()
    sources = {name: source for one in undoing for name, source in one.arguments if source.startswith("result.")}
    return {name: get_path({"result": content}, source) for name, source in sources.items()}


def _name_status(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of an installation that does not work yet, or no more."""
    return {"status": status} if (status := content.get("status")) in ("pending", "paused") else {}


def _name_place(step: Step) -> dict[str, Any]:
    """Return the space or site that a call is about, by the name of its argument."""
    return {name: step.arguments[name] for name in _PLACES if name in step.arguments}
