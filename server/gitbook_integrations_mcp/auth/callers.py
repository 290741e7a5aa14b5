"""The caller of a request: identity, GitBook credentials, and tools."""

import getpass
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.auth.principal import find_principal
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.gitbook.accounts import Accounts
from gitbook_integrations_mcp.gitbook.credentials import Credentials

READ_ONLY_HEADER = "X-MCP-Readonly"
TOOLSETS_HEADER = "X-MCP-Toolsets"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of one request.

    An approval for one `id` is not valid for another. The `id` contains session IDs and digests of tokens, so it is
    never shown. `principal` is the authenticated user or client, if authentication is configured, and
    `local_user` the user of the operating system who runs a server on stdio.
    """

    id: str = field(repr=False)
    credentials: Credentials
    policy: Policy
    principal: str | None = None
    local_user: str | None = None

    @property
    def user(self) -> str | None:
        """The person or client who makes the changes of this caller, to be shown, or None if it is unknown.

        A principal is JSON of the client, the issuer and the subject, as far as they are known.
        """
        return ", ".join(filter(None, json.loads(self.principal))) if self.principal else self.local_user

    @property
    def owner(self) -> str:
        """Whose confirmations and changes those of this caller are. A new session or setting makes no other owner."""
        return self.principal or self.credentials.digest


class Callers:
    """Identifies callers. On stdio there is only one caller, who uses the operator's credentials."""

    def __init__(
        self,
        policy: Policy,
        credentials: Credentials,
        *,
        per_request: bool,
        has_sessions: bool,
        accounts: Accounts | None,
    ) -> None:
        """With `accounts`, each principal over HTTP uses only the account that they linked."""
        self._accounts = accounts
        self._policy = policy
        self._credentials = credentials
        self._per_request = per_request
        self._has_sessions = has_sessions

    def identify(self, context: ServerRequestContext[Any, Any]) -> Caller:
        """Return the caller of a request."""
        if context.request is None:
            offered = self._policy.with_folders() if declares_roots(context) else self._policy
            policy = _withhold(offered, self._credentials)
            return Caller(self._credentials.digest, self._credentials, policy, local_user=_find_local_user())
        headers: Mapping[str, str] = context.request.headers
        principal = find_principal()
        credentials = self._credentials
        if self._accounts is not None:
            session = None if principal is None else self._accounts.find(principal)
            credentials = Credentials(None, None, "account", session)
        elif self._per_request:
            credentials = Credentials.from_headers(headers)
        sessions: list[str | None] = []
        if self._has_sessions and context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            # Streamable HTTP sends its session ID in a header, SSE in the query.
            sessions = [headers.get("mcp-session-id"), context.request.query_params.get("session_id")]
        # Without a principal, the GitBook token identifies the caller. Servers with different tokens can share a store;
        # an approval for one of them is not valid for the others.
        identity = json.dumps([principal, *sessions, credentials.digest])
        return Caller(identity, credentials, _withhold(self._narrow(headers), credentials), principal)

    async def load_account(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Run a request after the account of its caller was read. This is a middleware of the SDK's server."""
        principal = None if ctx.request is None else find_principal()
        if self._accounts is not None and principal is not None:
            with suppress(StoreError):  # the call that needs the account reports it
                await self._accounts.load(principal)
        return await call_next(ctx)

    def _narrow(self, headers: Mapping[str, str]) -> Policy:
        """Return the policy without the tools that the request's headers exclude."""
        read_only = headers.get(READ_ONLY_HEADER.lower(), "").strip().lower() not in {"", "false", "0"}
        toolsets = read_toolsets(headers)
        if not read_only and toolsets is None:
            return self._policy
        return self._policy.narrow(read_only=read_only, toolsets=toolsets)


def declares_roots(context: ServerRequestContext[Any, Any]) -> bool:
    """Whether the client is on stdio and can be asked for its roots (protocol 2025-11-25 and older)."""
    capabilities = context.session.client_capabilities
    is_old = context.protocol_version not in MODERN_PROTOCOL_VERSIONS
    return context.request is None and is_old and capabilities is not None and capabilities.roots is not None


def _withhold(policy: Policy, credentials: Credentials) -> Policy:
    """Return the policy without the tools that no credential serves, if there is a login."""
    names = credentials.list_unserved(policy.tools)
    return policy.withhold(names) if names else policy


@cache
def _find_local_user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None  # a container can run as a user without a name


def read_toolsets(headers: Mapping[str, str]) -> list[str] | None:
    """Return the toolsets to which a request limits the tools, or None without the header."""
    value = headers.get(TOOLSETS_HEADER.lower())
    return None if value is None else [name.strip() for name in value.split(",")]
