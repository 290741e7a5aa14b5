"""Asks a caller over HTTP to link a GitBook account, or to grant a missing scope, on a page of this server.

The address of the page gives nobody access: a person who opens it must first prove to be the caller.
"""

import time

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
from gitbook_integrations_mcp.auth.principal import find_principal
from gitbook_integrations_mcp.confirmation.elicitation import accepts_urls
from gitbook_integrations_mcp.confirmation.step_up import KEY, renew_call
from gitbook_integrations_mcp.errors import CredentialError
from gitbook_integrations_mcp.gitbook.accounts import Accounts
from gitbook_integrations_mcp.store.links import SECONDS
from gitbook_integrations_mcp.store.logins import Login
from gitbook_integrations_mcp.store.store import Store

PATH = "/accounts"
"""Path of the page."""

_WAIT_SECONDS = 45.0
"""A call waits this long for the page. Most clients time out after 60 seconds."""

_PAUSE_SECONDS = 0.25


class AccountLinks:
    """Asks for accounts and scopes. `scopes` are those of all offered tools, for a first link."""

    def __init__(self, store: Store, accounts: Accounts, scopes: frozenset[str], public_url: str) -> None:
        self._store = store
        self._accounts = accounts
        self._scopes = scopes
        self._public_url = public_url

    async def ask(
        self,
        tool: Tool,
        error: CredentialError,
        params: CallToolRequestParams,
        context: ServerRequestContext[None, None],
    ) -> InputRequiredResult | CallToolRequestParams:
        """Return the parameters with which the call goes on, or a request to the client to open the page.

        Raises:
            CredentialError: `error`, with the address of the page if the client cannot open it; or the caller did not
                open it, or did not link an account in time.
            StoreError: the store fails.
        """
        principal = find_principal()
        if principal is None:
            raise error
        answer = (params.input_responses or {}).get(KEY)
        if answer is not None:  # its sealed state belongs to this principal, tool and arguments
            return await self._finish(principal, tool, error, params, answer)
        login = self._accounts.find(principal).login
        link = await self._store.links.open(principal, login.scopes.union(tool.scopes) if login else self._scopes)
        address = f"{self._public_url}{PATH}/{link.id}"
        if not accepts_urls(context.session.client_capabilities):
            raise _add_address(error, address)
        request = _build_request(tool, address, link.id, is_linked=login is not None)
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return InputRequiredResult(input_requests={KEY: request}, request_state=link.id)
        try:
            metadata = ServerMessageMetadata(related_request_id=context.request_id)
            response = await context.session.send_request(request, ElicitResult, metadata=metadata)
        except (MCPError, ValidationError):
            raise _add_address(error, address) from None
        return await self._finish(principal, tool, error, params, response)

    async def _finish(
        self, principal: str, tool: Tool, error: CredentialError, params: CallToolRequestParams, response: object
    ) -> CallToolRequestParams:
        """Wait for the account if the caller agreed to open the page."""
        if not isinstance(response, ElicitResult) or response.action != "accept":
            raise error
        before = self._accounts.find(principal).login
        end = time.monotonic() + _WAIT_SECONDS
        while True:
            await self._accounts.load(principal)
            login = self._accounts.find(principal).login
            if login is not None and login.scopes.issuperset(tool.scopes):
                return renew_call(params)
            if _is_new(login, before):
                raise error  # without the scope
            if time.monotonic() >= end:
                raise CredentialError(f"{error} Call again when you have linked your account.", error.code)
            await anyio.sleep(_PAUSE_SECONDS)


def _is_new(login: Login | None, before: Login | None) -> bool:
    return login is not None and (before is None or login.id != before.id)


def _add_address(error: CredentialError, address: str) -> CredentialError:
    return CredentialError(
        f"{error} Show the user this address: {address} They sign in there within {SECONDS / 60:.0f} minutes, and "
        "approve. Then call again.",
        error.code,
    )


def _build_request(tool: Tool, address: str, identifier: str, *, is_linked: bool) -> ElicitRequest:
    reason = "more rights than your linked GitBook account grants" if is_linked else "your GitBook account"
    message = f"{tool.title} requires {reason}. Open this server's page, sign in there, and approve it."
    return ElicitRequest(params=ElicitRequestURLParams(message=message, url=address, elicitation_id=identifier))
