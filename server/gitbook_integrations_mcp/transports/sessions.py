"""Sessions of streamable HTTP (protocol 2025-11-25 and older), shared fairly among callers."""

from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthorizationContext
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from gitbook_integrations_mcp.shares import choose_eviction


class SessionManager(StreamableHTTPSessionManager):
    """The SDK's manager, except that a caller with many sessions loses the oldest one when another needs it.

    It overrides `_admit_session`, and reads `_server_instances` and `_session_owners`, of mcp 2.3.
    """

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        if self.max_sessions is not None and len(self._server_instances) >= self.max_sessions:
            owners = {session: _identify(self._session_owners.get(session)) for session in self._server_instances}
            if (session := choose_eviction(owners, _identify(requestor))) is not None:
                transport = self._server_instances.pop(session)
                tasks: Any = self._task_group  # whose type the SDK does not declare
                tasks.start_soon(self._discard_session, session, transport)
        return super()._admit_session(requestor)


def _identify(context: AuthorizationContext | None) -> tuple[str | None, ...]:
    return (context["client_id"], context["issuer"], context["subject"]) if context else ()
