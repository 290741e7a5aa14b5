"""The sandbox on a socket that fails often and in many ways, with a record of what it received."""

import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from gitbook_integrations_mcp.sandbox import create_sandbox
from tests.support.loopback import open_listener

Fault = Literal["none", "429", "500", "503", "dropped", "lost", "slow", "broken", "page"]
"""`dropped` ends the connection instead of running the request, `lost` instead of sending the response."""

FAULTS: dict[Fault, int] = {
    "none": 82, "429": 1, "500": 3, "503": 3, "dropped": 2, "lost": 2, "slow": 3, "broken": 3, "page": 1
}  # fmt: skip
"""How often each occurs, in percent."""

MARK = re.compile(rb"mark-(\d+)")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class FaultyGitBook:
    """A sandbox that fails by a seeded chance. `writes` are the faults of the requests of each marked change."""

    seed: int = 1
    sandbox: Any = field(default_factory=lambda: create_sandbox(rate_limit=1_000_000))
    faults: Counter[Fault] = field(default_factory=Counter)
    writes: dict[int, list[tuple[str, Fault]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.sandbox), base_url="http://gitbook")

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Yield the address while this is served."""
        with open_listener() as (listener, address):
            server = await asyncio.start_server(self._converse, sock=listener)
            try:
                yield address
            finally:
                server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                if not await self._respond(head, body, writer):
                    break
        writer.transport.abort()

    async def _respond(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Respond to a request, and return whether the connection stays open."""
        line, *lines = head.decode().split("\r\n")[:-2]
        method, target, _ = line.split()
        (fault,) = self._random.choices(list(FAULTS), list(FAULTS.values()))
        self.faults[fault] += 1
        if (mark := MARK.search(body)) is not None:
            self.writes.setdefault(int(mark[1]), []).append((method, fault))
        if fault == "dropped":
            return False
        if fault in {"429", "500", "503"}:
            error = json.dumps({"error": {"code": int(fault), "message": "Not today"}}).encode()
            writer.write(_encode(int(fault), error, "Retry-After: 1\r\n" if fault == "429" else ""))
            return True
        headers = dict(each.split(": ", 1) for each in lines)
        response = await self._client.request(method, target, headers=headers, content=body)
        limits = "".join(f"{name}: {text}\r\n" for name, text in response.headers.items() if "ratelimit" in name)
        if fault == "lost":
            return False
        if fault == "page":
            writer.write(_encode(200, b"<html>Sign in</html>", kind="text/html"))
        elif fault == "broken":
            writer.write(_encode(response.status_code, response.content[: len(response.content) // 2], limits))
        elif fault == "slow":
            content = _encode(response.status_code, response.content, limits)
            for start in range(0, len(content), len(content) // 4 + 1):
                writer.write(content[start : start + len(content) // 4 + 1])
                await writer.drain()
                await asyncio.sleep(0.05)
        else:
            writer.write(_encode(response.status_code, response.content, limits))
        return True


def _encode(status: int, content: bytes, more: str = "", kind: str = "application/json") -> bytes:
    if status in {204, 205}:
        return f"HTTP/1.1 {status} X\r\n{more}\r\n".encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{more}\r\n"
    return head.encode() + content
