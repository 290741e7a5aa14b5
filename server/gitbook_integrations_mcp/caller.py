"""Who is calling, and what is theirs: identity, GitBook credentials, and the tools they may use."""

from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.request_state import authenticated_principal

from gitbook_integrations_mcp.credentials import Credentials
from gitbook_integrations_mcp.policy import Policy


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of one request. A yes given to one `id` is none for another."""

    id: str
    credentials: Credentials
    policy: Policy


class Callers:
    """Tells whose a request is. On stdio there is but one caller, who acts with the operator's credentials."""

    def __init__(self, policy: Policy, credentials: Credentials) -> None:
        self._policy = policy
        self._credentials = credentials

    def identify(self, context: ServerRequestContext[Any, Any]) -> Caller:
        """Return the caller of a request."""
        session = context.request.headers.get("mcp-session-id", "") if context.request else ""
        principal = authenticated_principal(context) or ""
        return Caller(" ".join(filter(None, [principal, session])), self._credentials, self._policy)
