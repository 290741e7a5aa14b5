"""The way of one call: policy → arguments → gate → client → answer.

Each stage is a module of its own; this one only puts them in order and turns what they raise into what the model reads.
"""

import logging
import traceback
from typing import Any

from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    TextContent,
)
from pydantic_core import from_json

from gitbook_integrations_mcp.answer import read_reply, render_text, tell_fate
from gitbook_integrations_mcp.arguments import complete_arguments, prepare_request
from gitbook_integrations_mcp.client import GitBook
from gitbook_integrations_mcp.credentials import Credentials
from gitbook_integrations_mcp.errors import CallError, UnreachableError
from gitbook_integrations_mcp.gate import Call, Gate
from gitbook_integrations_mcp.policy import Policy

logger = logging.getLogger(__name__)


class Pipeline:
    """Runs calls; holds what they share and nothing of any one of them."""

    def __init__(
        self, policy: Policy, gate: Gate, gitbook: GitBook, credentials: Credentials, organization: str | None
    ) -> None:
        self.policy = policy
        self._gate = gate
        self._gitbook = gitbook
        self._credentials = credentials
        self._organization = organization

    async def run(self, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        """Return the result of a call, a question to a human, or an error result; nothing is raised."""
        try:
            outcome = await self._run_stages(params)
        except CallError as error:
            logger.info("%s failed: %s", params.name, type(error).__name__)
            return self._refuse(str(error))
        except Exception as error:  # noqa: BLE001
            # A defect. Neither the model nor the log gets the exception's text, which can hold anything.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error(  # noqa: TRY400
                "%s raised %s\n%s", params.name, type(error).__name__, frames
            )
            return self._refuse(
                f"{params.name} failed inside this server ({type(error).__name__}). This is a defect of the server, "
                "not of the call. If the call changes something, read the current state before repeating it."
            )
        return outcome if isinstance(outcome, InputRequiredResult) else self._present(outcome)

    async def _run_stages(self, params: CallToolRequestParams) -> dict[str, Any] | InputRequiredResult:
        endpoint = self.policy.admit(params.name)
        arguments = complete_arguments(endpoint, params.arguments or {}, self._organization)
        call = Call(
            endpoint=endpoint,
            arguments=arguments,
            request=prepare_request(endpoint, arguments),
            token=self._credentials.select(endpoint),
            params=params,
        )
        if endpoint.is_gated(arguments) and (question := await self._gate.confirm(call)):
            return question
        try:
            reply = await self._gitbook.send(call.request, call.token)
        except UnreachableError as error:
            raise UnreachableError(
                f"{error} {tell_fate(endpoint)}" if error.sent else str(error), sent=error.sent
            ) from None
        return read_reply(endpoint, reply)

    def _present(self, data: dict[str, Any]) -> CallToolResult:
        text = render_text(data)
        scrubbed = self._credentials.scrub(text)
        if scrubbed != text:
            text, data = scrubbed, from_json(scrubbed)
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=data)

    def _refuse(self, message: str) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=self._credentials.scrub(message))], is_error=True)
