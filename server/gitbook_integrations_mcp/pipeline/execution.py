"""The request stage: sends a permitted call to GitBook, and records it if it changes something."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_api.endpoint import Risk
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.response import describe_uncertainty
from gitbook_integrations_mcp.confirmation.results import Approval
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.errors import CallError, StoreError, UnreachableError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.pipeline.change_log import ChangeLog, is_certain_failure
from gitbook_integrations_mcp.pipeline.development_mode import DevelopmentModes
from gitbook_integrations_mcp.pipeline.masked_values import is_written_back
from gitbook_integrations_mcp.store.change import Change

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """GitBook's response to a call that changes something, its change, and the target `before` it, if it was read."""

    response: GitBookResponse
    change: Change
    before: Mapping[str, Any] | None = field(repr=False)


class Executor:
    """Sends calls to GitBook. A change that cannot be recorded in `log` is not sent.

    `on_change` is awaited with every call that may have changed something, the response if there is one, and the ID
    of the change. `development` keeps what the server must end later.
    """

    def __init__(
        self,
        gitbook: GitBook,
        targets: TargetReader,
        log: ChangeLog,
        on_change: Callable[[EndpointCall, GitBookResponse | None, str], Awaitable[None]],
        development: DevelopmentModes,
    ) -> None:
        self._development = development
        self._gitbook = gitbook
        self._targets = targets
        self._log = log
        self._on_change = on_change

    async def read(self, call: EndpointCall) -> GitBookResponse:
        """Return GitBook's response to a call that only reads, without the caller's tokens, in case it echoes one.

        Raises:
            UnreachableError: no response arrived.
        """
        assert call.tool.risk is Risk.READ
        return call.caller.credentials.scrub_response(await self._send(call))

    async def change(self, call: EndpointCall, approval: Approval | None) -> Recorded:
        """Return the same for a call that changes something, with its change.

        Raises:
            UnreachableError: no response arrived; the message says whether the call may have taken effect.
            StoreError: the call cannot be recorded and was not sent.
        """
        before = approval.before if approval else call.before or await self._read_before(call)
        change = await self._log.begin(call, approval, before)
        ended = await self._development.list_ended(call)
        development = self._development if call.tool.ended_by else None
        try:
            if development:
                await development.begin(call, approval, change.id)
            response = await self._send(call)
        except StoreError:
            await self._complete(change, call, UnreachableError("", sent=False, attempts=0), before)
            raise
        except UnreachableError as error:
            await self._complete(change, call, error, before)
            if error.sent:
                await self._on_change(call, None, change.id)
            elif development:
                await development.forget([change.id])
            raise
        change = await self._complete(change, call, response, before)
        if development and is_certain_failure(response):
            await development.forget([change.id])
        if change.outcome == "done":
            await self._development.forget(ended)
        if not is_certain_failure(response):
            await self._on_change(call, response, change.id)
        return Recorded(call.caller.credentials.scrub_response(response), change, before)

    async def _send(self, call: EndpointCall) -> GitBookResponse:
        try:
            return await self._gitbook.send(call.request, call.token)
        except UnreachableError as error:
            if not error.sent:
                raise
            raise UnreachableError(
                f"{error} {describe_uncertainty(call.tool)}", sent=True, attempts=error.attempts
            ) from None

    async def _read_before(self, call: EndpointCall) -> Mapping[str, Any] | None:
        """Return the target if an undo of the call needs it."""
        if call.tool.undo is None or not call.tool.undo.needs_target:
            return None
        if is_written_back(call.tool):
            return None  # an update that sets something has already tried
        try:
            return await self._targets.read_target(call)
        except CallError:
            return None  # the call itself will fail with the reason

    async def _complete(
        self,
        change: Change,
        call: EndpointCall,
        outcome: GitBookResponse | UnreachableError,
        before: Mapping[str, Any] | None,
    ) -> Change:
        try:
            return await self._log.complete(change, call, outcome, before)
        except StoreError as error:
            # The call was sent, so it must return its result; its row stays, with the outcome unknown.
            logger.error("the outcome of %s (%s) was not recorded: %s", call.tool.name, change.id, error.reason)  # noqa: TRY400
            return change
