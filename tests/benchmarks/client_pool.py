"""Many clients of one server over streamable HTTP, on raw sockets: a request is bytes made beforehand.

The SDK's client costs more than a server and would limit the speed. Of an answer, only its end and its success are
read.
"""

import asyncio
import json
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

Era = Literal["2025-11-25", "2026-07-28"]
ERAS: tuple[Era, ...] = ("2025-11-25", "2026-07-28")
MANY = 64
"""Clients, hence calls in flight."""
PATIENCE = 120.0
"""Seconds after which calls count as hung."""

TOOL = "get_integration_by_name"
CLIENT = {"name": "benchmark", "version": "0"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
SESSION = re.compile(rb"\r\nmcp-session-id: *(\S+)", re.IGNORECASE)


class AnswerError(RuntimeError):
    """A server answered with something else than success."""


class Client(asyncio.Protocol):
    """One connection that sends one request after another."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._buffer = b""
        self._requests: Iterator[bytes] = iter(())
        self._sent = 0.0
        self._finished: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport
        self.latencies: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = CONTENT_LENGTH.search(self._buffer, 0, head + 2)
        if len(self._buffer) < head + 4 + int(length[1]) if length else not self._buffer.endswith(b"\r\n0\r\n\r\n"):
            return
        answer, self._buffer = self._buffer, b""
        if self._answer is not None:
            self._answer.set_result(answer)
            self._answer = None
            return
        self.latencies.append(time.perf_counter() - self._sent)
        if not answer.startswith(b"HTTP/1.1 200") or b'"content"' not in answer or b'"isError":true' in answer:
            self._fail(AnswerError(answer[-2000:].decode(errors="replace")))
        else:
            self._send_next()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or AnswerError("the server closed the connection"))

    def close(self) -> None:
        self._transport.close()

    async def exchange(self, request: bytes) -> bytes:
        """Send one request and return the whole answer, head and body."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await asyncio.wait_for(self._answer, PATIENCE)

    async def call(self, requests: Sequence[bytes]) -> None:
        """Send `requests` one after another, each when the one before is answered; keep their `latencies`, seconds."""
        self._requests, self._finished, self.latencies = iter(requests), asyncio.get_running_loop().create_future(), []
        self._send_next()
        await asyncio.wait_for(self._finished, PATIENCE)

    def _send_next(self) -> None:
        request = next(self._requests, None)
        if request is not None:
            self._sent = time.perf_counter()
            self._transport.write(request)
        elif self._finished and not self._finished.done():
            self._finished.set_result(None)

    def _fail(self, error: Exception) -> None:
        for waiting in (self._answer, self._finished):
            if waiting and not waiting.done():
                waiting.set_exception(error)


class ClientPool:
    """Clients of the server at `port`, each with its own connection and, up to protocol 2025-11-25, its own session."""

    def __init__(self, port: int, path: str, era: Era, tool: str = TOOL) -> None:
        self._tool = tool
        self._port = port
        self._path = path
        self._era = era
        self._clients: list[Client] = []
        self._sessions: list[str | None] = []

    async def connect(self, many: int = MANY) -> None:
        """Connect and, up to protocol 2025-11-25, open the sessions."""
        for _ in range(many):
            _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", self._port)
            self._clients.append(client)
            self._sessions.append(await self._open_session(client) if self._era == "2025-11-25" else None)

    async def disconnect(self) -> None:
        """End the sessions and the connections."""
        for client, session in zip(self._clients, self._sessions, strict=True):
            if session:
                await client.exchange(self._encode("DELETE", session))
        self.close()

    def close(self) -> None:
        """End the connections, and leave the sessions to the server."""
        for client in self._clients:
            client.close()
        self._clients, self._sessions = [], []

    async def call(self, calls: int) -> list[float]:
        """Make `calls` small calls in all, as many at a time as there are clients; return their latencies, seconds."""
        share = calls // len(self._clients)
        requests = [
            [self._encode_call(session, place * share + number) for number in range(share)]
            for place, session in enumerate(self._sessions)
        ]
        await asyncio.gather(*(client.call(own) for client, own in zip(self._clients, requests, strict=True)))
        return [latency for client in self._clients for latency in client.latencies]

    async def _open_session(self, client: Client) -> str:
        params = {"protocolVersion": self._era, "capabilities": {}, "clientInfo": CLIENT}
        found = SESSION.search(await client.exchange(self._encode_message(None, "initialize", params, 0)))
        if found is None:
            raise AnswerError("the server opened no session")
        session = found[1].decode()
        await client.exchange(self._encode_message(session, "notifications/initialized", {}))
        return session

    def _encode_call(self, session: str | None, number: int) -> bytes:
        """Every call asks for something else, so that no cache could answer."""
        params: dict[str, Any] = {"name": self._tool, "arguments": {"integrationName": f"slack-{number}"}}
        if self._era == "2026-07-28":
            params["_meta"] = META
        return self._encode_message(session, "tools/call", params, number + 1)

    def _encode_message(
        self, session: str | None, method: str, params: dict[str, Any], number: int | None = None
    ) -> bytes:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        body = json.dumps(message if number is None else {**message, "id": number}, separators=(",", ":")).encode()
        routing = {"Mcp-Method": method, "Mcp-Name": self._tool} if self._era == "2026-07-28" else {}
        return self._encode("POST", session, body, **routing)

    def _encode(self, verb: str, session: str | None, body: bytes = b"", **more: str) -> bytes:
        headers = {
            "Host": f"127.0.0.1:{self._port}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "MCP-Protocol-Version": self._era,
            **({"Mcp-Session-Id": session} if session else {}),
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        lines = [f"{verb} {self._path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + body
