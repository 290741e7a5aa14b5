"""Runs the stages of a call in order, and turns the outcome into a result for the model.

The order is: arguments and credentials (`_prepare`), the operator's policy, masked values, configuration, confirmation,
execution, response, view and budget. Each stage is a module of its own; lists are read by `paging`, plans are run by
`plan_run`, and composite tools that only read have their own handlers.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import anyio
from mcp.server.context import ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    InputRequiredResult,
    ResourceLink,
    TextContent,
)
from pydantic_core import from_json

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Endpoint, Risk, Tool
from gitbook_integrations_api.options import CONFIRMATION_ARGUMENT, name_options
from gitbook_integrations_api.summary import shorten
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.calls.arguments import (
    ORGANIZATION,
    ORGANIZATION_NAMES,
    build_request,
    check_arguments,
    normalize_arguments,
    split_options,
)
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.checks import complete_arguments
from gitbook_integrations_mcp.calls.output import Handler, Output
from gitbook_integrations_mcp.calls.plan import PlannedCall
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import read_response, render_text
from gitbook_integrations_mcp.calls.view import choose_view, mark_foreign
from gitbook_integrations_mcp.confirmation.results import Approval, Confirm, NotConfirmed
from gitbook_integrations_mcp.confirmation.step_up import KEY, read_consent
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.errors import (
    CallError,
    CredentialError,
    DefectError,
    DisabledToolError,
    ErrorCode,
    ResultError,
)
from gitbook_integrations_mcp.pipeline.budget import UNLIMITED, Budget
from gitbook_integrations_mcp.pipeline.configuration import check_configuration, explain_pending
from gitbook_integrations_mcp.pipeline.development_mode import DevelopmentModes
from gitbook_integrations_mcp.pipeline.execution import Executor
from gitbook_integrations_mcp.pipeline.masked_values import (
    changes_nothing,
    is_written_back,
    restore_from,
    restore_masked_values,
)
from gitbook_integrations_mcp.pipeline.paging import PageReader, is_empty, list_filters
from gitbook_integrations_mcp.pipeline.plan_run import PlanRunner
from gitbook_integrations_mcp.pipeline.policy_check import PolicyCheck
from gitbook_integrations_mcp.pipeline.receipt import RECEIPT, build_receipt
from gitbook_integrations_mcp.pipeline.suggestion import Suggester
from gitbook_integrations_mcp.pipeline.widening import widens_power

logger = logging.getLogger(__name__)

_GRANTED_BY_HUMANS = frozenset({ErrorCode.MISSING_SCOPE, ErrorCode.ACCOUNT_NOT_LINKED})

_UNCHANGED = {
    "status": "unchanged",
    "message": "Nothing to do: the installation already has these values. Nothing was changed.",
}


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
        targets: TargetReader,
        handlers: Mapping[str, Handler],
        plans: PlanRunner,
        policy: PolicyCheck,
        development: DevelopmentModes,
        identify: Callable[[ServerRequestContext[Any, Any]], Caller],
        *,
        budget: Budget,
        organization: str | None = None,
        two_step: bool = False,
        reveal: bool = False,
        private_tunnels: bool = False,
        suggester: Suggester | None = None,
        step_up: AsksForScopes | None = None,
    ) -> None:
        self._development = development
        self._identify = identify
        self._step_up = step_up
        self._suggester = suggester
        self._policy = policy
        self._confirm = confirm
        self._executor = executor
        self._targets = targets
        self._page_reader = PageReader(executor)
        self._budget = budget
        self._reveal = reveal
        self._private_tunnels = private_tunnels
        self._handlers = handlers
        self._plans = plans
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

    async def read_document(
        self, name: str, arguments: Mapping[str, Any], context: ServerRequestContext[Any, Any], caller: Caller
    ) -> tuple[str, str]:
        """Return the text and the MIME type of the document to which the reading tool `name` links.

        Raises:
            CallError: as for `read`.
        """
        caller.policy.admit_read(name)
        params = CallToolRequestParams(name=name, arguments={**arguments})
        outcome = await self._run_logged(params, context, caller, UNLIMITED)
        assert isinstance(outcome, Output)
        assert outcome.document is not None
        text = await anyio.to_thread.run_sync(outcome.document.render)
        return caller.credentials.scrub(text), outcome.document.mime_type

    async def _run_logged(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller, budget: Budget
    ) -> Output | InputRequiredResult:
        try:
            return await self._run_stages(params, context, caller, budget)
        except CallError as error:
            logger.info("%s failed: %s", _name_tool(params), type(error).__name__)
            raise
        except Exception as error:  # noqa: BLE001
            # The text of the exception can contain secrets, so neither the model nor the log gets it.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error(  # noqa: TRY400
                "%s raised %s\n%s", _name_tool(params), type(error).__name__, frames
            )
            raise DefectError(
                f"{params.name} failed because of a defect in this server ({type(error).__name__}). If the call "
                "changes something, read the current state before you repeat it."
            ) from None

    async def _run_stages(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller, budget: Budget
    ) -> Output | InputRequiredResult:
        prepared = await self._prepare_or_ask(params, context, caller)
        if isinstance(prepared, InputRequiredResult):
            return prepared
        call = await self._plans.plan(prepared)
        if isinstance(call, Output):
            return call
        await self._policy.check(call)
        if isinstance(call, PlannedCall) and call.plan.dry_run:
            return await self._plans.show(call)
        hidden = isinstance(call, EndpointCall) and _is_hidden(call)
        if isinstance(call, EndpointCall) and not hidden:
            call = await restore_masked_values(call, self._targets, reveal=self._reveal)
            if changes_nothing(call):
                return Output(dict(_UNCHANGED))
            await check_configuration(call, call.before, self._targets)
        approval: Approval | None = None
        if caller.policy.needs_confirmation(call.tool, call.arguments) or await widens_power(call, self._targets):
            confirmed = await self._confirm(call)
            if isinstance(confirmed, NotConfirmed):
                return Output(confirmed.content)
            if not isinstance(confirmed, Approval):
                return confirmed
            approval = confirmed
            await self._policy.check(call)  # its facts can have changed while a human decided
        if isinstance(call, PlannedCall):
            return await self._plans.run(call, approval)
        if isinstance(call, EndpointCall):
            output = await self._run_endpoint(call, approval, budget, hidden=hidden)
            default = _name_default(call)
            return replace(output, content={**default, **output.content}) if default else output
        return await self._run_handler(call, approval, budget)

    async def _run_endpoint(
        self, call: EndpointCall, approval: Approval | None, budget: Budget, *, hidden: bool
    ) -> Output:
        """Send a call, and return its response as the model gets it; a change has a receipt, too."""
        if approval:
            # The approval is for the state that was shown.
            call = restore_from(call, approval.before, reveal=self._reveal)
            if hidden:
                await check_configuration(call, approval.before, self._targets)
        view = choose_view(call.tool, call.options, reveal=self._reveal)
        if call.tool.is_list:
            content = await self._page_reader.read(call, view, budget)
            if is_empty(call, content) and (note := await self._explain_empty(call)):
                content["note"] = note
            return Output(mark_foreign(call.tool, content))
        recorded = None
        if call.tool.risk is Risk.READ:
            response = await self._executor.read(call)
        else:
            recorded = await self._executor.change(call, approval)
            response = recorded.response
        content = read_response(call.tool, response, call.arguments, call.request.body)
        content = shorten(call.tool.result.model, content)
        content |= await self._development.describe(call)
        shown = budget.fit(content, view)
        if recorded:
            shown = {**shown, RECEIPT: build_receipt(call, recorded, content)}
            if reason := await explain_pending(call, content, self._targets):
                shown["note"] = f"{shown['note']} {reason}" if "note" in shown else reason
        return Output(mark_foreign(call.tool, shown))

    async def _explain_empty(self, call: EndpointCall) -> str:
        """Return what a list without items can mislead about: wrong filters, and what it leaves out."""
        if not (filters := list_filters(call)):
            return call.tool.omits
        meant = await self._suggester.suggest_filters(call, filters) if self._suggester else ""
        return (
            f"Nothing matches {' and '.join(filters)}. Check the spelling, and that an ID is no title: GitBook does "
            f"not report unknown values. Without these arguments, the list can have items.{meant} {call.tool.omits}"
        ).rstrip()

    async def _run_handler(self, call: Call, approval: Approval | None, budget: Budget) -> Output:
        """Run the handler of a composite tool. Without approval, it may only read."""
        if approval is None and call.tool.risk is not Risk.READ:
            raise DefectError(f"{call.tool.name} was not approved. Nothing was changed.")
        output = await self._handlers[call.tool.name](call)
        if output.whole and not budget.holds(output.content):
            raise ResultError(f"The result is longer than {budget.tokens:,} tokens. {output.whole}")
        return output

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
        return self._prepare(granted, context, self._identify(context))

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
            if tool.ended_by:
                caller.policy.admit(tool.ended_by)
                options = self._development.complete_options(options)
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
        if tool.credentials:
            caller.credentials.select(tool)  # a missing token is reported before a human is asked to confirm
        return Call(
            tool=tool,
            arguments=arguments,
            caller=caller,
            params=params,
            context=context,
            options=options,
        )


def _name_tool(params: CallToolRequestParams) -> str:
    """Return the name of a tool for the log. Any other name is the client's text."""
    return params.name if params.name in TOOLS else "An unknown tool"


def _name_default(call: EndpointCall) -> dict[str, str]:
    """Return the organization of a call that names none, because the token may see others."""
    given = call.params.arguments or {}
    used = next((name for name in ORGANIZATION_NAMES if name in call.arguments), None)
    if used is None or any(given.get(name) is not None for name in ORGANIZATION_NAMES):
        return {}
    return {ORGANIZATION: call.arguments[used]}


def _is_hidden(call: EndpointCall) -> bool:
    """Whether the object that a call updates may be read only after confirmation, which the update then needs too.

    Without confirmation, even an error about a placeholder would name fields of the object.
    """
    reader = find_target(call.tool)
    return reader is not None and is_written_back(call.tool) and call.caller.policy.may_need_confirmation(reader)


def _build_result(caller: Caller, output: Output) -> CallToolResult:
    name_missing, content = caller.policy.name_missing, dict(output.content)
    if isinstance(note := content.get("note"), str):
        content["note"] = note + name_missing(note)
    text = render_text(content)
    scrubbed = caller.credentials.scrub(text)
    if scrubbed != text:
        text, content = scrubbed, from_json(scrubbed)
    shown = text if output.text is None else caller.credentials.scrub(output.text)
    if output.text is not None and (missing := name_missing(shown)):
        shown += f"\n\n{missing.strip()}"
    blocks: list[ContentBlock] = [TextContent(type="text", text=shown)]
    if (document := output.document) is not None:
        blocks.append(
            ResourceLink(
                type="resource_link",
                uri=document.uri,
                name=document.name,
                title=document.title,
                mime_type=document.mime_type,
            )
        )
    return CallToolResult(content=blocks, structured_content=content)


def _build_error_result(caller: Caller, error: CallError, hint: str) -> CallToolResult:
    missing = "" if isinstance(error, DisabledToolError) else caller.policy.name_missing(str(error))
    message = caller.credentials.scrub(f"{error}{hint}{missing}")
    content: dict[str, Any] = {"code": str(error.code), "message": message}
    return CallToolResult(content=[TextContent(type="text", text=message)], structured_content=content, is_error=True)
