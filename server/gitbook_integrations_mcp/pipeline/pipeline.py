"""Runs the stages of a call in order, and turns the outcome into a result for the model.

The order is: policy, arguments and credentials (`_prepare`), masked values, configuration, confirmation, execution,
response, view and budget. Each stage is a module of its own; lists are read by `paging`, and composite tools by their
own handlers.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Protocol

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams, CallToolResult, InputRequiredResult, TextContent
from pydantic_core import from_json

from gitbook_integrations_api.endpoint import Endpoint, Risk, Tool
from gitbook_integrations_api.options import CONFIRMATION_ARGUMENT, name_options
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.calls.arguments import build_request, check_arguments, normalize_arguments, split_options
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.checks import complete_arguments
from gitbook_integrations_mcp.calls.output import Handler, Output
from gitbook_integrations_mcp.calls.plan import PlannedCall, Planner, Step
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import get_path, read_response, render_text
from gitbook_integrations_mcp.calls.view import choose_view
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.results import TARGET_CHANGED, Approval, Confirm, NotConfirmed
from gitbook_integrations_mcp.confirmation.step_up import KEY, read_consent
from gitbook_integrations_mcp.errors import CallError, CredentialError, DefectError, ErrorCode, ResultError
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.configuration import check_configuration
from gitbook_integrations_mcp.pipeline.execution import Executor
from gitbook_integrations_mcp.pipeline.masked_values import is_written_back, restore_from, restore_masked_values
from gitbook_integrations_mcp.pipeline.paging import PageReader
from gitbook_integrations_mcp.pipeline.suggestion import Suggester
from gitbook_integrations_mcp.text import clean_text

logger = logging.getLogger(__name__)

_GRANTED_BY_HUMANS = frozenset({ErrorCode.MISSING_SCOPE, ErrorCode.ACCOUNT_NOT_LINKED})


class AsksForScopes(Protocol):
    """Asks a human for what a call lacks: `StepUp` on stdio, `AccountLinks` over HTTP."""

    async def ask(
        self, tool: Tool, error: CredentialError, params: CallToolRequestParams, context: ServerRequestContext[Any, Any]
    ) -> InputRequiredResult | CallToolRequestParams:
        """Return the parameters with which the call goes on, or a request to the client.

        Raises:
            CallError: the human did not grant it.
        """


class Pipeline:
    """Runs calls. It keeps no state between them."""

    def __init__(
        self,
        confirm: Confirm,
        executor: Executor,
        previewer: Previewer,
        handlers: Mapping[str, Handler],
        planners: Mapping[str, Planner],
        *,
        budget: Budget,
        organization: str | None = None,
        two_step: bool = False,
        reveal: bool = False,
        private_tunnels: bool = False,
        suggester: Suggester | None = None,
        step_up: AsksForScopes | None = None,
        identify: Callable[[ServerRequestContext[Any, Any]], Caller] | None = None,
    ) -> None:
        self._identify = identify
        self._step_up = step_up
        self._suggester = suggester
        self._confirm = confirm
        self._executor = executor
        self._previewer = previewer
        self._page_reader = PageReader(executor)
        self._budget = budget
        self._reveal = reveal
        self._private_tunnels = private_tunnels
        self._handlers = handlers
        self._planners = planners
        self._organization = organization
        self._two_step = two_step

    async def run(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller
    ) -> CallToolResult | InputRequiredResult:
        """Return the result of a call, a confirmation to be answered by a human, or an error result; never raises."""
        try:
            outcome = await self._run_logged(params, context, caller, self._budget)
        except CallError as error:
            return _build_error_result(caller, error, await self._suggest(error, params, caller))
        return outcome if isinstance(outcome, InputRequiredResult) else _build_result(caller, outcome)

    async def _suggest(self, error: CallError, params: CallToolRequestParams, caller: Caller) -> str:
        tool = caller.policy.tools.get(params.name)
        if self._suggester is None or tool is None:
            return ""
        given = normalize_arguments(tool, params.arguments or {}, name_options(tool), self._organization)
        return await self._suggester.suggest(error, tool, given, caller)

    async def read(
        self,
        name: str,
        arguments: Mapping[str, Any],
        context: ServerRequestContext[Any, Any],
        caller: Caller,
        budget: Budget | None = None,
    ) -> CallToolResult:
        """Return the result of the reading tool `name`, for a resource or a completion.

        `budget` replaces the usual one if no model reads the result.

        Raises:
            CallError: the tool is not enabled, changes something or requires confirmation, or the call failed.
        """
        caller.policy.admit_read(name)
        params = CallToolRequestParams(name=name, arguments={**arguments})
        outcome = await self._run_logged(params, context, caller, budget or self._budget)
        assert not isinstance(outcome, InputRequiredResult)
        return _build_result(caller, outcome)

    async def _run_logged(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller, budget: Budget
    ) -> Output | InputRequiredResult:
        try:
            return await self._run_stages(params, context, caller, budget)
        except CallError as error:
            logger.info("%s failed: %s", _name_tool(params, caller), type(error).__name__)
            raise
        except Exception as error:  # noqa: BLE001
            # The text of the exception can contain secrets, so neither the model nor the log gets it.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error(  # noqa: TRY400
                "%s raised %s\n%s", _name_tool(params, caller), type(error).__name__, frames
            )
            raise DefectError(
                f"{params.name} failed because of a defect in this server ({type(error).__name__}). If the call "
                "changes something, read the current state before you repeat it."
            ) from None

    async def _run_stages(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller, budget: Budget
    ) -> Output | InputRequiredResult:
        call = await self._prepare_or_ask(params, context, caller)
        if isinstance(call, InputRequiredResult):
            return call
        if (planner := self._planners.get(call.tool.name)) is not None:
            call = PlannedCall(**_read_fields(call), plan=await planner(call))
        hidden = isinstance(call, EndpointCall) and _is_hidden(call)
        if isinstance(call, EndpointCall) and not hidden:
            call = await restore_masked_values(call, self._previewer, reveal=self._reveal)
            await check_configuration(call, call.before, self._previewer)
        approval: Approval | None = None
        if caller.policy.needs_confirmation(call.tool, call.arguments):
            confirmed = await self._confirm(call)
            if isinstance(confirmed, NotConfirmed):
                return Output(confirmed.content)
            if not isinstance(confirmed, Approval):
                return confirmed
            approval = confirmed
        if isinstance(call, PlannedCall):
            return await self._run_plan(call, approval)
        if isinstance(call, EndpointCall):
            if approval:
                # The approval is for the state that was shown.
                call = restore_from(call, approval.before, reveal=self._reveal)
                if hidden:
                    await check_configuration(call, approval.before, self._previewer)
            view = choose_view(call.tool, call.options, reveal=self._reveal)
            if call.tool.is_list:
                return Output(await self._page_reader.read(call, approval, view, budget))
            response = await self._executor.execute(call, approval)
            return Output(budget.fit(read_response(call.tool, response, call.arguments), view))
        return await self._run_handler(call, approval, budget)

    async def _run_handler(self, call: Call, approval: Approval | None, budget: Budget) -> Output:
        """Run the handler of a composite tool. Without approval, it may only read."""
        if approval is None and call.tool.risk is not Risk.READ:
            raise DefectError(f"{call.tool.name} was not approved. Nothing was changed.")
        output = await self._handlers[call.tool.name](call)
        if output.whole and not budget.holds(output.content):
            raise ResultError(f"The result is longer than {budget.tokens:,} tokens. {output.whole}")
        return output

    async def _run_plan(self, call: PlannedCall, approval: Approval | None) -> Output:
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
                one = self._prepare_step(call, step, first)
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

    def _prepare_step(self, call: PlannedCall, step: Step, first: Mapping[str, Any]) -> EndpointCall:
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

    async def _prepare_or_ask(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller
    ) -> Call | InputRequiredResult:
        """Return the call. If the login lacks a scope, ask the human to grant it first."""
        try:
            call = self._prepare(params, context, caller)
            # Without this, the state of a request for a login would be taken for that of a confirmation.
            return replace(call, params=read_consent(params)) if KEY in (params.input_responses or {}) else call
        except CredentialError as error:
            if error.code not in _GRANTED_BY_HUMANS or self._step_up is None:
                raise
            granted = await self._step_up.ask(caller.policy.admit(params.name), error, params, context)
        if isinstance(granted, InputRequiredResult):
            return granted
        # An approval that is asked for after this is for the new login.
        return self._prepare(granted, context, self._identify(context) if self._identify else caller)

    def _prepare(self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller) -> Call:
        tool = caller.policy.admit(params.name)
        names = name_options(tool)
        if self._two_step and caller.policy.may_need_confirmation(tool):
            names = (*names, CONFIRMATION_ARGUMENT)
        completed = normalize_arguments(tool, params.arguments or {}, names, self._organization)
        arguments, option_values = split_options(completed, names)
        options = check_arguments(tool, arguments, option_values, private_tunnels=self._private_tunnels)
        arguments = complete_arguments(tool, arguments)
        if isinstance(tool, Endpoint):
            return EndpointCall(
                tool=tool,
                arguments=arguments,
                request=build_request(tool, arguments),
                token=caller.credentials.select(tool),
                caller=caller,
                params=params,
                context=context,
                options=options,
            )
        caller.credentials.select(tool)  # a missing token is reported before a human is asked to confirm
        return Call(
            tool=tool,
            arguments=arguments,
            caller=caller,
            params=params,
            context=context,
            options=options,
        )


def _read_fields(call: Call) -> dict[str, Any]:
    return {one.name: getattr(call, one.name) for one in fields(call)}


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


def _name_tool(params: CallToolRequestParams, caller: Caller) -> str:
    """Return the name of a tool, as the client sent it, for the log."""
    return clean_text(caller.credentials.scrub(params.name), 64)


def _is_hidden(call: EndpointCall) -> bool:
    """Whether the object that a call updates may be read only after confirmation, which the update then needs too.

    Without confirmation, even an error about a placeholder would name fields of the object.
    """
    reader = find_target(call.tool)
    return reader is not None and is_written_back(call.tool) and call.caller.policy.may_need_confirmation(reader)


def _build_result(caller: Caller, output: Output) -> CallToolResult:
    content, text = output.content, render_text(output.content)
    scrubbed = caller.credentials.scrub(text)
    if scrubbed != text:
        text, content = scrubbed, from_json(scrubbed)
    shown = text if output.text is None else caller.credentials.scrub(output.text)
    return CallToolResult(content=[TextContent(type="text", text=shown)], structured_content=content)


def _build_error_result(caller: Caller, error: CallError, hint: str = "") -> CallToolResult:
    message = caller.credentials.scrub(f"{error}{hint}")
    content: dict[str, Any] = {"code": str(error.code), "message": message}
    return CallToolResult(content=[TextContent(type="text", text=message)], structured_content=content, is_error=True)
