"""How long the server waits for a client, and for how many: uvicorn alone would wait for ever, for any number.

A request has a time to arrive in, head and body; an answer must find somebody who reads it. A stream that has nothing
to say is not waiting for anybody, so it may stay open.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar

import h11
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gitbook_integrations_mcp.config.models import HttpSection

HEALTH_PATH, READY_PATH = "/health", "/ready"

END_STREAMS = "end_streams"
"""Key of the application's state: what ends its streams when the server is told to stop."""

_RESERVE = 50
"""Connections beyond the limit on which somebody can still ask for the server's health."""

_REPORT_SECONDS = 60
"""How often a crowd is reported in the log, however many are turned away."""

_logger = logging.getLogger(__name__)
_TOO_SLOW = b'{"error": "The request did not arrive in time."}'
_CROWDED = "Too many connections to this server; try again later. Its operator can raise http.connections."


def build_protocol(settings: HttpSection) -> type[H11Protocol]:
    """Return the protocol with which uvicorn bounds its clients as `settings` say."""

    class Limited(TimeoutProtocol):
        request_seconds = settings.request_seconds
        send_seconds = settings.send_seconds
        limit = settings.connections

    return Limited


class TimeoutProtocol(H11Protocol):
    """One connection of a client whose slowness is bounded."""

    request_seconds: ClassVar[float]
    send_seconds: ClassVar[float]
    limit: ClassVar[int]
    _reported: ClassVar[float] = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._application, self.app = self.app, self._admit
        self._arrival, self._progress = _Timer(self.loop), _Timer(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time of the first request."""
        super().connection_made(transport)
        if len(self.connections) > self.limit + _RESERVE:
            transport.abort()
            return
        # With any other limit, less than that could lie unread for ever without `pause_writing` being called.
        transport.set_write_buffer_limits(high=0)
        self._arrival.start(self.request_seconds, self._give_up_request)

    def shutdown(self) -> None:
        """End the streams that the application would keep open, instead of waiting for them."""
        self.app_state.get(END_STREAMS, lambda: None)()
        super().shutdown()

    def handle_events(self) -> None:
        """Start the time of a request with its first byte, and stop it with the last."""
        super().handle_events()
        state = self.conn.their_state
        if state is h11.SEND_BODY or (state is h11.IDLE and self.conn.trailing_data[0]):
            self._arrival.start(self.request_seconds, self._give_up_request)
        else:
            self._arrival.stop()

    def pause_writing(self) -> None:
        """Start the time in which the client has to read something."""
        super().pause_writing()
        self._expect_progress()

    def resume_writing(self) -> None:
        """Stop it: the client has read everything."""
        super().resume_writing()
        self._progress.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all times."""
        self._arrival.stop()
        self._progress.stop()
        super().connection_lost(exc)

    def _give_up_request(self) -> None:
        headers = [("content-type", "application/json"), ("connection", "close")]
        with contextlib.suppress(h11.LocalProtocolError):  # it was answered, or is being, before it was complete
            for event in (h11.Response(status_code=408, headers=headers), h11.Data(_TOO_SLOW), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:
            self.cycle.disconnected = True  # whoever reads the body hears that no more of it comes
            self.cycle.message_event.set()
        self.transport.close()

    def _expect_progress(self) -> None:
        self._progress.start(self.send_seconds, self._look_for_progress, self.transport.get_write_buffer_size())

    def _look_for_progress(self, before: int) -> None:
        self._progress.stop()
        if self.transport.get_write_buffer_size() < before:
            self._expect_progress()
        else:
            self.transport.abort()

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self.connections) <= self.limit or scope["path"] in {HEALTH_PATH, READY_PATH}:
            await self._application(scope, receive, send)
            return
        if time.monotonic() - type(self)._reported > _REPORT_SECONDS:
            type(self)._reported = time.monotonic()
            _logger.warning("More than %d connections (http.connections): clients are turned away", self.limit)
        await JSONResponse({"error": _CROWDED}, 503, {"Retry-After": "10", "Connection": "close"})(scope, receive, send)


class _Timer:
    """A call that happens later, at most one at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        """Start, unless it runs already."""
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, call, *arguments)

    def stop(self) -> None:
        """Stop, if it runs."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
