"""SSE, the HTTP transport of protocol 2024-11-05, with a bound on the requests that a session has open.

The SDK answers each POST with 202 at once and runs its request; responses wait in memory until the client reads its
stream. A client that posts and does not read would take all memory, so a session with too many requests whose responses
it has not read is answered 429.
"""

from collections import Counter
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from pydantic_core import from_json
from starlette.types import Message, Receive, Scope, Send

from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.net.responses import create_error_response
from gitbook_integrations_mcp.transports.sessions import Stream

MAX_OPEN_REQUESTS = 64
"""Requests of one session whose responses the client has not read."""

_ENDPOINT, _MESSAGE = b"event: endpoint", b"event: message"


class Sse:
    """Serves `server` to SSE clients: an ASGI application for their streams, with `post` for their messages."""

    def __init__(self, server: Server[Any], message_path: str, body_bytes: int) -> None:
        self._server = server
        self._transport = SseServerTransport(message_path, max_request_body_size=body_bytes)
        self._open: Counter[str] = Counter()
        self._streams: dict[str, Stream] = {}
        self._is_ending = False

    def end(self) -> None:
        """End each stream once the session has no open request, because the server stops."""
        self._is_ending = True
        for session, stream in self._streams.items():
            if session not in self._open:
                stream.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream of one client until it disconnects."""
        session = ""

        async def send_counted(message: Message) -> None:
            nonlocal session
            body: bytes = message.get("body", b"")
            if body.startswith(_ENDPOINT):
                session = _read_session(body.rpartition(b"?")[2].strip())
                self._streams[session] = stream
            await send(message)
            if body.startswith(_MESSAGE):
                self._release(session)  # the client has taken it

        stream = Stream(receive, send_counted)
        try:
            async with self._transport.connect_sse(scope, stream.receive, stream.send) as (read_stream, write_stream):
                options = self._server.create_initialization_options()
                await self._server.run(read_stream, write_stream, options)
        finally:
            del self._open[session]
            self._streams.pop(session, None)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message of a client, or answer 429 where it does not read its responses."""
        session = _read_session(scope["query_string"])
        if self._open[session] >= MAX_OPEN_REQUESTS:
            text = f"This session has {MAX_OPEN_REQUESTS} requests whose responses were not read. Read them first."
            response = create_error_response(429, ErrorCode.TOO_MANY_REQUESTS, text, {"Retry-After": "1"})
            return await response(scope, receive, send)
        self._open[session] += 1  # before anything is awaited, so that requests that come together are all counted
        body = bytearray()

        async def receive_copied() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start" and not (message["status"] == 202 and _is_request(body)):
                self._release(session)
            await send(message)

        await self._transport.handle_post_message(scope, receive_copied, send_noted)
        return None

    def _release(self, session: str) -> None:
        """Count one request less; notifications release some, too, but never more than there are."""
        self._open[session] -= 1
        if self._open[session] <= 0:
            del self._open[session]
            if self._is_ending and session in self._streams:
                self._streams[session].end()


def _read_session(query: bytes) -> str:
    return parse_qs(query.decode("ascii", "replace")).get("session_id", [""])[0]


def _is_request(body: bytearray) -> bool:
    """Whether a message gets a response: it has a method and an ID."""
    with suppress(ValueError):
        data = from_json(bytes(body))
        return isinstance(data, dict) and "method" in data and "id" in data
    return False
