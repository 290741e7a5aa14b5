"""The way of one call: policy → arguments → masks → gate → sender or pages → answer → view.

Each stage is a module of its own; this one only puts them in order and turns what they raise into what the model reads.
"""

import logging
import traceback
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams, CallToolResult, InputRequiredResult, TextContent
from pydantic_core import from_json

from gitbook_integrations.endpoint import Endpoint
from gitbook_integrations.options import TOKEN_ARGUMENT, name_options
from gitbook_integrations_mcp.caller import Caller
from gitbook_integrations_mcp.confirmation.verdict import Consent, Gate, Outcome
from gitbook_integrations_mcp.errors import CallError, DefectError
from gitbook_integrations_mcp.pipeline.answer import read_reply, render_text
from gitbook_integrations_mcp.pipeline.arguments import check_arguments, complete_arguments, split_options
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.call import Call, EndpointCall
from gitbook_integrations_mcp.pipeline.masks import Masks, restore_from
from gitbook_integrations_mcp.pipeline.output import Handler, Output
from gitbook_integrations_mcp.pipeline.pages import Pages
from gitbook_integrations_mcp.pipeline.sender import Sender
from gitbook_integrations_mcp.pipeline.view import choose_view
from gitbook_integrations_mcp.text import clean_text

logger = logging.getLogger(__name__)


class Pipeline:
    """Runs calls; holds what they share and nothing of any one of them."""

    def __init__(
        self,
        gate: Gate,
        sender: Sender,
        handlers: Mapping[str, Handler],
        masks: Masks,
        *,
        budget: Budget,
        organization: str | None = None,
        two_step: bool = False,
        reveal: bool = False,
    ) -> None:
        self._gate = gate
        self._sender = sender
        self._pages = Pages(sender)
        self._budget = budget
        self._reveal = reveal
        self._handlers = handlers
        self._masks = masks
        self._organization = organization
        self._two_step = two_step

    async def run(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller
    ) -> CallToolResult | InputRequiredResult:
        """Return the result of a call, a question to a human, or an error result; nothing is raised."""
        try:
            outcome = await self._run_contained(params, context, caller, self._budget)
        except CallError as error:
            return _refuse(caller, str(error))
        return outcome if isinstance(outcome, InputRequiredResult) else _present(caller, outcome)

    async def read(
        self,
        name: str,
        arguments: Mapping[str, Any],
        context: ServerRequestContext[Any, Any],
        caller: Caller,
        budget: Budget | None = None,
    ) -> CallToolResult:
        """Return what the tool `name` reads, for what is no tool call: a resource, a completion.

        `budget` is for what no model reads.

        Raises:
            CallError: the tool is not on offer, is no read or waits for a human, or its call failed.
        """
        caller.policy.admit_read(name)
        params = CallToolRequestParams(name=name, arguments={**arguments})
        outcome = await self._run_contained(params, context, caller, budget or self._budget)
        assert not isinstance(outcome, InputRequiredResult)
        return _present(caller, outcome)

    async def _run_contained(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller, budget: Budget
    ) -> Output | InputRequiredResult:
        try:
            return await self._run_stages(params, context, caller, budget)
        except CallError as error:
            logger.info("%s failed: %s", clean_text(params.name, 64), type(error).__name__)
            raise
        except Exception as error:  # noqa: BLE001
            # Neither the model nor the log gets the exception's text, which can hold anything.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error(  # noqa: TRY400
                "%s raised %s\n%s", clean_text(params.name, 64), type(error).__name__, frames
            )
            raise DefectError(
                f"{params.name} failed inside this server ({type(error).__name__}). This is a defect of the server, "
                "not of the call. If the call changes something, read the current state before repeating it."
            ) from None

    async def _run_stages(
        self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller, budget: Budget
    ) -> Output | InputRequiredResult:
        call = self._prepare(params, context, caller)
        if isinstance(call, EndpointCall):
            call = await self._masks.restore(call)
        consent: Consent | None = None
        if caller.policy.is_gated(call.tool, call.arguments):
            verdict = await self._gate.confirm(call)
            if isinstance(verdict, Outcome):
                return Output(verdict.content)
            if not isinstance(verdict, Consent):
                return verdict
            consent = verdict
        if isinstance(call, EndpointCall):
            if consent:
                call = restore_from(call, consent.before)  # the yes is to the state that was shown
            view = choose_view(call.tool, call.options, reveal=self._reveal)
            if call.tool.is_list:
                return Output(await self._pages.read(call, consent, view, budget))
            return Output(budget.fit(read_reply(call.tool, await self._sender.send(call, consent)), view))
        return await self._handlers[call.tool.name](call)

    def _prepare(self, params: CallToolRequestParams, context: ServerRequestContext[Any, Any], caller: Caller) -> Call:
        tool = caller.policy.admit(params.name)
        names = name_options(tool)
        if self._two_step and caller.policy.may_be_gated(tool):
            names = (*names, TOKEN_ARGUMENT)
        given = complete_arguments(tool, params.arguments or {}, self._organization)
        arguments, wishes = split_options(given, names)
        options = check_arguments(tool, arguments, wishes)
        if isinstance(tool, Endpoint):
            return EndpointCall(
                tool=tool,
                arguments=arguments,
                request=tool.build_request(arguments),
                token=caller.credentials.select(tool),
                caller=caller,
                params=params,
                context=context,
                options=options,
            )
        caller.credentials.select(tool)  # a missing token is told before anybody is asked
        return Call(
            tool=tool,
            arguments=arguments,
            caller=caller,
            params=params,
            context=context,
            options=options,
        )


def _present(caller: Caller, output: Output) -> CallToolResult:
    data, text = output.content, render_text(output.content)
    scrubbed = caller.credentials.scrub(text)
    if scrubbed != text:
        text, data = scrubbed, from_json(scrubbed)
    words = text if output.text is None else caller.credentials.scrub(output.text)
    return CallToolResult(content=[TextContent(type="text", text=words)], structured_content=data)


def _refuse(caller: Caller, message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=caller.credentials.scrub(message))], is_error=True)
