"""The stdio transport: messages of JSON-RPC, one a line, as the streams that the SDK's server runs on.

What a client writes, however broken, is answered as JSON-RPC says and ends nothing. When it stops writing or reading,
running calls get a while to finish, as it would not be known what became of one that is cut off.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
from anyio.abc import ObjectReceiveStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import from_json

from gitbook_integrations_mcp.transports.stdio_streams import (
    LINE_BYTES,
    LineBuffer,
    StdinReader,
    StdoutWriter,
    claim_standard_streams,
)

GRACE_SECONDS = 10.0
"""How long running calls may go on when the client has gone."""

FLUSH_SECONDS = 1.0
"""How long a client may take to read the last answers."""

_ENDLESS = "subscriptions/listen"
"""A request that runs for as long as somebody listens."""

Outgoing = MemoryObjectSendStream[SessionMessage]


@asynccontextmanager
async def open_stdio() -> AsyncIterator[tuple["Connection", Outgoing]]:
    """Yield the streams that the SDK's server runs on.

    Meanwhile nothing else in this process, nor what it starts, reads or writes the protocol: their standard input is
    empty, and what they print goes to standard error.
    """
    with claim_standard_streams() as (reader, target), StdoutWriter(target) as writer:
        outgoing, answers = anyio.create_memory_object_stream[SessionMessage]()
        connection = Connection(StdinReader(reader), outgoing.clone())
        async with anyio.create_task_group() as group:
            group.start_soon(connection.write, answers, writer)
            try:
                async with outgoing, connection:
                    yield connection, outgoing
            finally:
                connection.writing.deadline = anyio.current_time() + FLUSH_SECONDS


class Connection(ObjectReceiveStream[SessionMessage]):
    """The client's messages, as a stream that ends when the client has gone and all its calls are answered.

    The SDK cancels what still runs when it ends.
    """

    def __init__(self, reader: StdinReader, outgoing: Outgoing) -> None:
        self._reader = reader
        self._outgoing = outgoing
        self._lines = LineBuffer()
        self._reading = anyio.CancelScope()
        self.writing = anyio.CancelScope(shield=True)
        """The scope of `write`, which outlasts the server, as that answers what it cancels."""
        self._deadline: float | None = None
        self._running: set[RequestId] = set()
        self._questions: set[RequestId] = set()
        self._changed = anyio.Event()

    async def receive(self) -> SessionMessage:
        """Return the next message; what is none is answered on the way."""
        while self._lines.ready or self._deadline is None:
            if not self._lines.ready:
                await self._read()
            elif message := await self._parse(self._lines.ready.popleft()):
                return self._admit(message)
        with anyio.CancelScope(deadline=self._deadline):
            while self._running:
                if self._questions:
                    return SessionMessage(_fail(self._questions.pop(), CONNECTION_CLOSED, "The client has gone."))
                self._changed = anyio.Event()
                await self._changed.wait()
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        await self._outgoing.aclose()

    async def write(self, answers: MemoryObjectReceiveStream[SessionMessage], writer: StdoutWriter) -> None:
        """Write what the server sends, until that ends; drop it where nobody reads any more."""
        readable = True
        with self.writing, answers:
            async for answer in answers:
                message = answer.message
                if readable:
                    line = jsonrpc_message_adapter.dump_json(message, by_alias=True, exclude_unset=True) + b"\n"
                    try:
                        await writer.write(line)
                    except OSError:
                        readable = False
                        self._lines.ready.clear()
                        self._leave()
                if isinstance(message, JSONRPCRequest):
                    self._questions.add(message.id)
                    self._changed.set()
                elif not isinstance(message, JSONRPCNotification):
                    await self._settle(message.id)

    async def _read(self) -> None:
        with anyio.CancelScope() as self._reading:
            if chunk := await self._reader.read():
                self._lines.feed(chunk)
            else:
                self._lines.finish()
                self._leave()

    def _leave(self) -> None:
        """Read no more: the client has closed one of the streams."""
        self._deadline = self._deadline or anyio.current_time() + GRACE_SECONDS
        self._reading.cancel()

    async def _parse(self, line: bytes | None) -> JSONRPCMessage | None:
        """Return the message of a line, or None where it is blank or had to be refused."""
        if line is not None:
            if not line or line.isspace():
                return None
            with suppress(ValidationError):
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                # A request whose ID is none passes for a notification, and would leave its sender without an answer.
                if not isinstance(message, JSONRPCNotification) or "id" not in from_json(line):
                    return message
        await self._outgoing.send(SessionMessage(_refuse(line)))
        return None

    def _admit(self, message: JSONRPCMessage) -> SessionMessage:
        if isinstance(message, JSONRPCRequest) and message.method != _ENDLESS:
            self._running.add(message.id)
            return SessionMessage(
                message, ServerMessageMetadata(on_request_unanswered=partial(self._settle, message.id))
            )
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
            self._questions.discard(message.id)
        return SessionMessage(message)

    async def _settle(self, request: RequestId | None) -> None:
        """Note that a request has been answered, or, cancelled by the client, never will be."""
        if request in self._running:
            self._running.remove(request)
            self._changed.set()


def _refuse(line: bytes | None) -> JSONRPCError:
    """Return the answer to a line that is no message. It repeats nothing but a request's ID."""
    if line is None:
        return _fail(None, INVALID_REQUEST, f"The line is longer than {LINE_BYTES} bytes; it was skipped.")
    try:
        data = from_json(line)
    except ValueError:
        return _fail(None, PARSE_ERROR, "The line is not JSON in UTF-8. Each message is JSON on a line of its own.")
    if isinstance(data, list):
        return _fail(None, INVALID_REQUEST, "Batches are not part of MCP. Each message goes on a line of its own.")
    given = data.get("id") if isinstance(data, dict) and not {"result", "error"} & data.keys() else None
    known = given if isinstance(given, int | str) and not isinstance(given, bool) else None
    return _fail(known, INVALID_REQUEST, "The line is not a JSON-RPC 2.0 message.")


def _fail(request: RequestId | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request, error=ErrorData(code=code, message=message))
