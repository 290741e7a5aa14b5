"""The stdio transport: JSON-RPC messages, one on each line, as the streams that the SDK's server uses.

It replaces the SDK's `stdio_server`, which lacks three things:

- An invalid line gets an error response, with the request's ID if there is one. It never ends the connection.
- The length of a line is limited, and so is the memory that a line can take.
- At the end of the input, running calls get `GRACE_SECONDS` to finish, because the outcome of an interrupted change is
  unknown.

When the SDK does these three things, this module and `stdio_streams` can be deleted.
"""

import codecs
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)
from pydantic_core import from_json

from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.front import take_over
from gitbook_integrations_mcp.transports.envelope import normalize_ids, parse_message, read_envelope
from gitbook_integrations_mcp.transports.saved_answers import SavedAnswers, write_message
from gitbook_integrations_mcp.transports.stdio_streams import (
    LINE_BYTES,
    CutLine,
    LineBuffer,
    StdinReader,
    StdoutWriter,
    claim_standard_streams,
)

GRACE_SECONDS = 10.0
"""Time for running calls to finish after the client has disconnected."""

FLUSH_SECONDS = 1.0
"""Time for a client to read the last responses."""

_LISTEN = "subscriptions/listen"
"""A request that runs until the client cancels it, so nothing waits for its end."""


class Outgoing(ObjectSendStream[SessionMessage]):
    """The server's messages that wait to be written.

    A sender does not wait for the client to read, because it would hold its message just as long.
    """

    def __init__(self) -> None:
        self._messages: list[JSONRPCMessage] = []
        self._closed = False
        self._changed = anyio.Event()

    async def send(self, item: SessionMessage) -> None:
        """Add a message.

        Raises:
            anyio.ClosedResourceError: the server has ended.
        """
        if self._closed:
            raise anyio.ClosedResourceError
        self._messages.append(item.message)
        self._changed.set()

    async def aclose(self) -> None:
        """Accept no further messages."""
        self._closed = True
        self._changed.set()

    async def take(self) -> list[JSONRPCMessage]:
        """Return all messages, at least one, or none at the end."""
        while not self._messages and not self._closed:
            self._changed = anyio.Event()
            await self._changed.wait()
        taken, self._messages = self._messages, []
        return taken


@asynccontextmanager
async def open_stdio(*, save_answers: bool = False) -> AsyncIterator[tuple["Connection", Outgoing]]:
    """Yield the streams that the SDK's server uses. With `save_answers`, the next start answers sooner.

    Meanwhile nothing else in this process and no child process can read or write protocol messages: standard input is
    empty, and standard output goes to standard error.
    """
    front = take_over()
    saved = SavedAnswers.continue_from(front) if front and (save_answers or front.answered) else None
    with claim_standard_streams() as (reader, target), StdoutWriter(target) as writer:
        outgoing = Outgoing()
        connection = Connection(StdinReader(reader), outgoing, saved)
        if front:
            connection.resume(bytes(front.received), bytes(front.unsent))
        del front
        async with anyio.create_task_group() as group:
            group.start_soon(connection.write, writer)
            try:
                async with outgoing:
                    yield connection, outgoing
            finally:
                connection.writing.deadline = anyio.current_time() + FLUSH_SECONDS


class Connection(ObjectReceiveStream[SessionMessage]):
    """The client's messages as a stream. It ends after the client has disconnected and its running calls are finished.

    The SDK cancels all requests that still run at the end of the stream.
    """

    def __init__(self, reader: StdinReader, outgoing: Outgoing, saved: SavedAnswers | None = None) -> None:
        self._reader = reader
        self._outgoing = outgoing
        self._saved = saved
        self._unsent = b""
        self._lines = LineBuffer()
        self._first: SessionMessage | None = None
        self._has_handshake = False
        self._reading = anyio.CancelScope()
        self.writing = anyio.CancelScope(shield=True)
        """The scope of `write`. It outlasts the server, because the server responds to the requests that it cancels."""
        self._deadline: float | None = None
        self._running: set[RequestId] = set()
        """The client's requests that have no response yet."""
        self._unanswered: set[RequestId] = set()
        """The server's requests that the client has not answered yet."""
        self._changed = anyio.Event()

    def resume(self, received: bytes, unsent: bytes) -> None:
        """Continue after these bytes of the client were read, and before these answers to them are written."""
        self._lines.feed(received)
        self._unsent = unsent

    async def starts_handshake(self) -> bool:
        """Return whether the first message is `initialize`. Then requests in a later protocol get an error response."""
        with suppress(anyio.EndOfStream):
            self._first = await self.receive()
            message = self._first.message
            self._has_handshake = isinstance(message, JSONRPCRequest) and message.method == "initialize"
        return self._has_handshake

    async def receive(self) -> SessionMessage:
        """Return the next message. Invalid lines before it get an error response."""
        if self._first:
            first, self._first = self._first, None
            return first
        while self._lines.ready or self._deadline is None:
            if not self._lines.ready:
                await self._read()
            elif message := await self._parse(self._lines.ready.popleft()):
                return self._track(message)
        with anyio.CancelScope(deadline=self._deadline):
            while self._running:
                if self._unanswered:
                    error = ErrorData(code=CONNECTION_CLOSED, message="The client has disconnected.")
                    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=self._unanswered.pop(), error=error))
                self._changed = anyio.Event()
                await self._changed.wait()
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        """Do nothing: the server still responds to the requests that it cancels."""

    async def write(self, writer: StdoutWriter) -> None:
        """Write the server's messages until their end; drop them once the client has closed its end.

        Those that are ready at the same time are written together, because each write is costly.
        """
        with self.writing:
            readable = await self._send(writer, self._unsent)
            while ready := await self._outgoing.take():
                for message in ready:  # the client can answer the first before it has read the last
                    if isinstance(message, JSONRPCRequest):
                        self._unanswered.add(message.id)
                        self._changed.set()
                if readable:
                    readable = await self._send(writer, b"".join(map(self._format, ready)))
                for message in ready:
                    if isinstance(message, JSONRPCResponse | JSONRPCError):
                        await self._finish(message.id)

    def _format(self, message: JSONRPCMessage) -> bytes:
        """Return the line of a message, or nothing if it was already answered from saved answers."""
        line = write_message(message)
        if self._saved and isinstance(message, JSONRPCResponse | JSONRPCError):
            line = self._saved.read_answer(message.id, line)
            self._saved = None if self._saved.is_complete else self._saved
        return line

    async def _send(self, writer: StdoutWriter, data: bytes) -> bool:
        """Write `data`, and return whether the client reads; otherwise nothing more is read from it."""
        try:
            await writer.write(data)
        except OSError:
            self._lines.ready.clear()
            self._stop_reading()
            return False
        return True

    async def _read(self) -> None:
        with anyio.CancelScope() as self._reading:
            if chunk := await self._reader.read():
                self._lines.feed(chunk)
            else:
                self._lines.finish()
                self._stop_reading()

    def _stop_reading(self) -> None:
        """Stop reading, because the client has closed one of the streams."""
        self._deadline = self._deadline or anyio.current_time() + GRACE_SECONDS
        self._reading.cancel()

    async def _parse(self, line: bytes) -> JSONRPCMessage | None:
        """Return the message of a line, or None if it is blank or invalid. An invalid line gets an error response."""
        is_cut = isinstance(line, CutLine)
        if self._saved:
            self._saved.read_request(b"" if is_cut else line)
        if not is_cut:
            if not line or line.isspace():
                return None
            line = line.removeprefix(codecs.BOM_UTF8)  # PowerShell writes one before its first line
            with suppress(ValueError):
                data = from_json(line)
                normalize_ids(data)
                if message := parse_message(data):
                    return await self._refuse_protocol(message) if self._has_handshake else message
        envelope = read_envelope(line, is_cut=is_cut)
        if envelope and envelope.is_response and coerce_request_id(envelope.id) in self._unanswered:
            return envelope.replace_response()
        request = envelope.id if envelope and not envelope.is_response else None
        await self._outgoing.send(SessionMessage(_create_error(request, *_describe_error(line))))
        return None

    async def _refuse_protocol(self, message: JSONRPCMessage) -> JSONRPCMessage | None:
        """Return a message of a connection with a handshake, or None if it is a request in a later protocol."""
        if not isinstance(message, JSONRPCRequest) or not message.params:
            return message
        meta = message.params.get("_meta")
        if not isinstance(meta, dict) or PROTOCOL_VERSION_META_KEY not in meta or message.method == "initialize":
            return message
        text = "This connection began with initialize. Use another connection for requests with a protocol version."
        await self._outgoing.send(SessionMessage(_create_error(message.id, INVALID_REQUEST, text)))
        return None

    def _track(self, message: JSONRPCMessage) -> SessionMessage:
        if isinstance(message, JSONRPCRequest) and message.method != _LISTEN:
            self._running.add(message.id)
            return SessionMessage(
                message, ServerMessageMetadata(on_request_unanswered=partial(self._finish, message.id))
            )
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
            self._unanswered.discard(coerce_request_id(message.id))
        return SessionMessage(message)

    async def _finish(self, request: RequestId | None) -> None:
        """Record that a request got its response, or was cancelled by the client and gets none."""
        if self._saved and request is not None:
            self._saved.forget(request)
        if request in self._running:
            self._running.remove(request)
            self._changed.set()


def _create_error(request: RequestId | None, code: int, text: str) -> JSONRPCError:
    """Return the error response to an invalid line. It repeats nothing of the line but a request's ID."""
    data = {"code": ErrorCode.INVALID_MESSAGE}
    return JSONRPCError(jsonrpc="2.0", id=request, error=ErrorData(code=code, message=text, data=data))


def _describe_error(line: bytes) -> tuple[int, str]:
    """Return JSON-RPC code and message of the error in an invalid line."""
    if isinstance(line, CutLine):
        return INVALID_REQUEST, f"The line is longer than {LINE_BYTES} bytes. It was skipped."
    try:
        data = from_json(line)
    except ValueError:
        if _is_json(line):
            return INVALID_PARAMS, "The message contains invalid Unicode, a number that is too long, or deep nesting."
        return PARSE_ERROR, "The line is not JSON in UTF-8. Send each message as JSON on one line."
    if isinstance(data, list):
        return INVALID_REQUEST, "MCP has no batches. Send each message on a line of its own."
    return INVALID_REQUEST, "The line is not a JSON-RPC 2.0 message."


def _is_json(line: bytes) -> bool:
    """Whether a line follows the grammar of JSON, although a strict parser does not accept it."""
    try:
        json.loads(line.decode(), parse_int=len)
    except RecursionError:
        return True  # as far as it was read
    except ValueError:
        return False
    return True
