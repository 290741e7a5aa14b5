"""Sessions and streams (protocol 2025-11-25 and older), shared fairly among callers."""

from typing import Any

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext, authorization_context
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.net.responses import create_error_response
from gitbook_integrations_mcp.shares import choose_eviction

Owner = tuple[str | None, ...]
Streams = dict["Stream", Owner]
"""Streams that are open, the oldest first."""


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


class StreamLimit:
    """Serves at most `limit` streams, on which clients wait for messages, of the applications that share `streams`.

    A stream takes a connection for as long as its client wants. A caller with many loses the oldest one when another
    needs it.
    """

    def __init__(self, app: ASGIApp, streams: Streams, limit: int) -> None:
        self._app = app
        self._streams = streams
        self._limit = limit
        self._own: set[Stream] = set()

    def end(self) -> None:
        """End all streams of the application, because the server stops."""
        for stream in self._own:
            stream.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. A stream is answered 503 if there are too many."""
        if scope["method"] != "GET":
            return await self._app(scope, receive, send)
        user = scope.get("user")
        owner = _identify(authorization_context(user) if isinstance(user, AuthenticatedUser) else None)
        if len(self._streams) >= self._limit:
            evicted = choose_eviction(self._streams, owner)
            if evicted is None:
                text = (
                    "This server has too many streams. Try again later. Its operator can raise http.connections and "
                    "http.sessions."
                )
                response = create_error_response(503, ErrorCode.TEMPORARILY_UNAVAILABLE, text, {"Retry-After": "10"})
                return await response(scope, receive, send)
            del self._streams[evicted]
            evicted.end()
        stream = Stream(receive, send)
        self._streams[stream] = owner
        self._own.add(stream)
        try:
            await self._app(scope, stream.receive, stream.send)
        finally:
            self._streams.pop(stream, None)
            self._own.discard(stream)
        if stream.is_open:
            await send({"type": "http.response.body"})  # uvicorn would report a response without an end as an error
        return None


class Stream:
    """The request and the response of one stream, which can end as if its client had disconnected."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._receiving = anyio.CancelScope()
        self._is_ended = False
        self.is_open = False
        """Whether the response has begun, and its end was not sent."""

    def end(self) -> None:
        """End this stream."""
        self._is_ended = True
        self._receiving.cancel()

    async def receive(self) -> Message:
        """Return the next message of the client."""
        if not self._is_ended:
            with anyio.CancelScope() as self._receiving:
                return await self._receive()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the response."""
        self.is_open = message["type"] == "http.response.start" or message.get("more_body", False)
        await self._send(message)


def _identify(context: AuthorizationContext | None) -> Owner:
    return (context["client_id"], context["issuer"], context["subject"]) if context else ()
