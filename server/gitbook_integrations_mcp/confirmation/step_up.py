"""Step-up: a call that lacks a scope asks the human to grant just that scope on GitBook's page, and then goes on.

It needs a client that can open a web page, and a server on stdio: the browser returns to loopback on this machine.
"""

import secrets
import time
from collections import OrderedDict
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gitbook_integrations_api.endpoint import Tool
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.confirmation.elicitation import accepts_urls
from gitbook_integrations_mcp.errors import CredentialError, ErrorCode, LoginError
from gitbook_integrations_mcp.gitbook.http import HTTPTransport
from gitbook_integrations_mcp.gitbook.session import Session

if TYPE_CHECKING:
    from gitbook_integrations_mcp.gitbook.login import LoginFlow

KEY = "login"
"""Name of the login among the input requests of a call."""

_MAX_WAIT_SECONDS = 300.0
"""Time to wait for the browser after the client has opened the page."""

_MAX_PENDING = 4
"""Logins that wait at the same time; a further one ends the oldest."""


class _Pending:
    """A login that waits for the browser, for a call of one tool, at most for `seconds`."""

    def __init__(self, tool: str, flow: "LoginFlow", seconds: float) -> None:
        self.tool = tool
        from gitbook_integrations_mcp.net.redirect import RedirectListener

        self.flow = flow
        self.address = ""
        self._ends_at = time.monotonic() + seconds
        self._listener = RedirectListener(0)
        self._stack = ExitStack()
        self._stack.enter_context(self._listener.listen(seconds))

    @property
    def seconds(self) -> float:
        """Seconds that are left for the login."""
        return max(0.0, self._ends_at - time.monotonic())

    async def open(self) -> None:
        """Prepare the login, and accept the browser's return.

        Raises:
            CallError: the authorization server cannot be used.
        """
        self.address = await self.flow.prepare(self._listener.redirect_uri)
        self._listener.accepts = self.flow.accepts

    async def complete(self) -> None:
        """Wait for the browser, and keep the login.

        Raises:
            LoginError: the human declined, or did not complete it in time.
            CallError: the authorization server or GitBook refused, or does not answer.
        """
        seconds = min(self.seconds, _MAX_WAIT_SECONDS)
        response = await anyio.to_thread.run_sync(self._listener.wait, seconds, abandon_on_cancel=True)
        if response is None:
            raise _create_late_error()
        await self.flow.complete(response)

    async def close(self) -> None:
        """Close the port."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._stack.close)


class StepUp:
    """Asks for missing scopes through the client."""

    def __init__(self, settings: Settings, session: Session, transport: HTTPTransport | None) -> None:
        self._settings = settings
        self._session = session
        self._transport = transport
        self._pending: OrderedDict[str, _Pending] = OrderedDict()

    async def ask(
        self,
        tool: Tool,
        error: CredentialError,
        params: CallToolRequestParams,
        context: ServerRequestContext[None, None],
    ) -> InputRequiredResult | CallToolRequestParams:
        """Return the parameters with which the call goes on after consent, or a request to the client.

        Raises:
            CredentialError: `error`, if the client cannot open a page or the human does not open it.
            LoginError: the human declined on the page, or did not complete the login in time.
            CallError: the authorization server or GitBook refused, or does not answer.
        """
        pending = self._pending.pop(params.request_state or "", None)
        if pending is not None:
            return await self._finish(pending, tool, error, params)
        login = self._session.login
        if login is None or not accepts_urls(context.session.client_capabilities):
            raise error
        from gitbook_integrations_mcp.gitbook.login import LoginFlow

        scopes = login.scopes.union(tool.scopes)
        flow = LoginFlow(self._settings, scopes, self._transport)
        pending = _Pending(tool.name, flow, self._settings.confirmation.ttl)
        try:
            await pending.open()
            identifier = secrets.token_urlsafe(24)
            request = _build_request(tool, sorted({*tool.scopes} - login.scopes), pending.address, identifier)
            if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
                if len(self._pending) >= _MAX_PENDING:
                    await self._pending.popitem(last=False)[1].close()
                self._pending[identifier] = pending
                return InputRequiredResult(input_requests={KEY: request}, request_state=identifier)
            metadata = ServerMessageMetadata(related_request_id=context.request_id)
            with anyio.fail_after(pending.seconds):
                response = await context.session.send_request(request, ElicitResult, metadata=metadata)
        except BaseException as failure:
            await pending.close()
            if isinstance(failure, TimeoutError):
                raise _create_late_error() from None
            if isinstance(failure, MCPError | ValidationError):
                raise error from None
            raise
        return await self._finish(pending, tool, error, params, response)

    async def _finish(
        self,
        pending: _Pending,
        tool: Tool,
        error: CredentialError,
        params: CallToolRequestParams,
        response: object = None,
    ) -> CallToolRequestParams:
        """Complete a login if the client opened its page for a call of this tool."""
        response = response or (params.input_responses or {}).get(KEY)
        try:
            opened = isinstance(response, ElicitResult) and response.action == "accept"
            if not opened or pending.tool != tool.name:
                raise error
            await pending.complete()
        finally:
            await pending.close()
        return renew_call(params)


def read_consent(params: CallToolRequestParams) -> CallToolRequestParams:
    """Return the parameters of a new call, if the client opened the page for a login that has come meanwhile.

    Raises:
        LoginError: it did not.
    """
    response = (params.input_responses or {}).get(KEY)
    if not isinstance(response, ElicitResult) or response.action != "accept":
        raise LoginError("The login was declined in the client. Nothing was sent.", ErrorCode.LOGIN_DECLINED)
    return renew_call(params)


def renew_call(params: CallToolRequestParams) -> CallToolRequestParams:
    """Return the parameters of a call as if it were new: an approval is asked for after a login, not before."""
    return params.model_copy(update={"request_state": None, "input_responses": None})


def _create_late_error() -> LoginError:
    return LoginError("The browser did not return in time. Nothing was sent.", ErrorCode.LOGIN_DECLINED)


def _build_request(tool: Tool, missing: list[str], address: str, identifier: str) -> ElicitRequest:
    message = (
        f"{tool.title} requires {', '.join(missing)}, which your login with GitBook does not have. Open GitBook's "
        "page, and approve it there."
    )
    return ElicitRequest(params=ElicitRequestURLParams(message=message, url=address, elicitation_id=identifier))
