"""The stage that runs plans: calls that are confirmed as a whole, and then run one by one in order."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.arguments import build_request, check_arguments
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.plan import PlannedCall, Planner, Step
from gitbook_integrations_mcp.calls.response import get_path, read_response
from gitbook_integrations_mcp.confirmation.results import TARGET_CHANGED, Approval
from gitbook_integrations_mcp.errors import CallError, DefectError
from gitbook_integrations_mcp.pipeline.execution import Executor


class PlanRunner:
    """Makes the plans of calls with `planners`, by tool name, and runs them through `executor`."""

    def __init__(self, executor: Executor, planners: Mapping[str, Planner]) -> None:
        self._executor = executor
        self._planners = planners

    async def plan(self, call: Call) -> Call:
        """Return `call` with its plan, if its tool has one.

        Raises:
            CallError: there is no plan.
        """
        planner = self._planners.get(call.tool.name)
        if planner is None:
            return call
        return PlannedCall(**{one.name: getattr(call, one.name) for one in fields(call)}, plan=await planner(call))

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
        if len(call.plan.steps) > 1:
            approval = replace(approval, before=None)  # it is for several targets
        done: list[dict[str, Any]] = []
        first: Mapping[str, Any] = {}
        for step in call.plan.steps:
            try:
                one = _prepare_step(call, step, first)
                response, change_id = await self._executor.execute_recorded(one, approval)
                content = read_response(one.tool, response, one.arguments)
            except CallError as error:
                if not done:
                    raise
                return Output(_report_plan(call, done, error, step))
            first = first or content
            report = {"tool": step.tool.name, "status": response.status, "changeId": change_id}
            done.append(report | ({"restored": step.restored} if step.restored else {}))
        return Output(_report_plan(call, done))


def _prepare_step(call: PlannedCall, step: Step, first: Mapping[str, Any]) -> EndpointCall:
    """Return a call of a plan, checked like any other. `first` is the response of the plan's first call."""
    tool = call.caller.policy.admit(step.tool.name)
    assert isinstance(tool, Endpoint)
    arguments = {**step.arguments, **{name: get_path(first, path) for name, path in step.created.items()}}
    return EndpointCall(
        tool=tool,
        arguments=arguments,
        request=build_request(tool, arguments),
        token=call.caller.credentials.select(tool),
        caller=call.caller,
        params=call.params,
        context=call.context,
        options=check_arguments(tool, arguments),
        undoes=call.plan.undoes,
    )


def _report_plan(
    call: PlannedCall, done: list[dict[str, Any]], error: CallError | None = None, failed: Step | None = None
) -> dict[str, Any]:
    steps = call.plan.steps
    if error is None or failed is None:
        message = f"Done: all {len(steps)} calls." if len(steps) > 1 else "Done."
        return {"status": "done", "message": message, "calls": done, "lost": list(call.plan.lost)}
    left = [step.tool.name for step in steps[len(done) + 1 :]]
    message = (
        f"Incomplete: {len(done)} of {len(steps)} calls are done. {failed.tool.name} failed: {error} "
        f"{'Not sent: ' + ', '.join(left) + '. ' if left else ''}To start again, undo {done[0]['changeId']} first."
    )
    calls = [*done, {"tool": failed.tool.name, "code": str(error.code)}]
    return {"status": "incomplete", "message": message, "calls": calls, "lost": list(call.plan.lost)}
