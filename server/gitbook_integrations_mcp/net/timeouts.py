"""Bounds on slow clients and on the number of connections; uvicorn alone waits for ever and accepts any number.

A request must arrive within a time, head and body. A client must read a pending response. A stream without anything to
send stays open, because nobody waits for the client then.

`TimeoutProtocol` extends uvicorn's `H11Protocol`, which is no public interface. Of uvicorn it uses: the attributes
`app` (read again for each request), `app_state`, `connections`, `conn`, `cycle`, `loop` and `transport` of the
protocol, `disconnected`, `message_event` and `response_started` of its `RequestResponseCycle`, and the methods
`handle_events`, `shutdown` and `_unset_keepalive_if_required`. Any minor version of uvicorn can change these, so
`pyproject.toml` allows only versions that passed the tests.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.net.responses import create_error_response

HEALTH_PATH, READY_PATH = "/health", "/ready"
HEALTH_PATHS = frozenset({HEALTH_PATH, READY_PATH})

END_STREAMS = "end_streams"
"""Key in the application's state of the function that ends its streams when the server stops."""

_RESERVE = 50
"""Connections beyond the limit that are accepted, so that health checks are still answered."""

_REPORT_SECONDS = 60
"""Minimum time between two log entries about rejected clients."""

_logger = logging.getLogger(__name__)


def build_protocol(settings: HttpSection) -> type[H11Protocol]:
    """Return the protocol class for uvicorn that enforces the bounds in `settings`."""

    class BoundedProtocol(TimeoutProtocol):
        request_seconds = settings.request_seconds
        send_seconds = settings.send_seconds
        limit = settings.connections

    return BoundedProtocol


class TimeoutProtocol(H11Protocol):
    """The connection of one client, with time-outs."""

    request_seconds: ClassVar[float]
    send_seconds: ClassVar[float]
    limit: ClassVar[int]
    _reported: ClassVar[float] = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._application, self.app = self.app, self._respond
        self._arrival, self._progress = _Timer(self.loop), _Timer(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time-out of the first request."""
        super().connection_made(transport)
        if len(self.connections) > self.limit + _RESERVE:
            transport.abort()
            return
        # With a higher limit, fewer bytes than that could stay unread for ever, without a call of `pause_writing`.
        transport.set_write_buffer_limits(high=0)
        self._arrival.start(self.request_seconds, self._reject_late_request)

    def shutdown(self) -> None:
        """End the streams that the application keeps open, instead of waiting for them."""
        self.app_state.get(END_STREAMS, lambda: None)()
        super().shutdown()

    def handle_events(self) -> None:
        """Start the time-out of a request at its first byte, and stop it at the last."""
        super().handle_events()
        state = self.conn.their_state
        if state is h11.SEND_BODY or (state is h11.IDLE and self.conn.trailing_data[0]):
            self._arrival.start(self.request_seconds, self._reject_late_request)
        else:
            self._arrival.stop()

    def pause_writing(self) -> None:
        """Start the time-out within which the client must read something."""
        super().pause_writing()
        self._expect_progress()

    def resume_writing(self) -> None:
        """Stop that time-out: the client has read everything."""
        super().resume_writing()
        self._progress.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all time-outs. After a reset, uvicorn would keep its own, and with it the connection's memory."""
        self._arrival.stop()
        self._progress.stop()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def _reject_late_request(self) -> None:
        text = f"The request did not arrive completely within {self.request_seconds:g} s (http.request_seconds)."
        response = create_error_response(408, ErrorCode.REQUEST_TIMEOUT, text, {"Connection": "close"})
        # h11 raises where a response was started before the request was complete.
        with contextlib.suppress(h11.LocalProtocolError):
            head = h11.Response(status_code=response.status_code, headers=response.raw_headers)
            for event in (head, h11.Data(bytes(response.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:
            self.cycle.disconnected = True  # ends a pending read of the body
            self.cycle.message_event.set()
        self.transport.close()

    def _expect_progress(self) -> None:
        self._progress.start(self.send_seconds, self._check_progress, self.transport.get_write_buffer_size())

    def _check_progress(self, before: int) -> None:
        self._progress.stop()
        if self.transport.get_write_buffer_size() < before:
            self._expect_progress()
        else:
            self.transport.abort()

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = self.cycle
        if len(self.connections) <= self.limit or scope["path"] in HEALTH_PATHS:
            try:
                await self._application(scope, receive, send)
            except asyncio.CancelledError:  # by uvicorn, which would answer 500, at the end of http.shutdown_seconds
                if cycle.response_started:
                    cycle.disconnected = True  # uvicorn would report a response without an end as an error
                    self.transport.close()
                    return
            else:
                return
            text = (
                "This server stopped before the request had a response. Try again later; after a change, read the "
                "current state first."
            )
        else:
            if time.monotonic() - type(self)._reported > _REPORT_SECONDS:
                type(self)._reported = time.monotonic()
                _logger.warning("Connection limit reached (http.connections=%d); rejecting new clients", self.limit)
            text = "This server has too many connections. Try again later. Its operator can raise http.connections."
        headers = {"Retry-After": "10", "Connection": "close"}
        response = create_error_response(503, ErrorCode.TEMPORARILY_UNAVAILABLE, text, headers)
        await response(scope, receive, send)


class _Timer:
    """A delayed call, at most one at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        """Start the timer, unless it runs already."""
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, call, *arguments)

    def stop(self) -> None:
        """Stop the timer, if it runs."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
