"""A GitBook on a real socket that responds to each request as a test sets."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

Stream = asyncio.StreamWriter


Act = Callable[[Stream], Awaitable[None]]


class Socket:
    """A server on loopback that deals with each request as `acts` say, one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.acts: list[Act] = [fine]
        self.heads: list[bytes] = []
        self.connections = 0
        self._open: set[Stream] = set()

    async def converse(self, reader: asyncio.StreamReader, stream: Stream) -> None:
        """Read requests, and deal with them."""
        self._open.add(stream)
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                if self.acts[0] is hang_up_unread:
                    await hang_up_unread(stream)
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                if (length := head.lower().partition(b"content-length: ")[2]) and not length.startswith(b"0\r"):
                    await reader.readexactly(int(length.partition(b"\r\n")[0]))
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                await act(stream)
        stream.close()
        self._open.discard(stream)

    def leave(self) -> None:
        """Close every connection."""
        for stream in list(self._open):
            stream.transport.abort()


def answer(status: int, body: bytes = b"", *headers: str) -> Act:
    """Answer properly."""

    async def act(stream: Stream) -> None:
        lines = [f"HTTP/1.1 {status} X", *headers, *([] if status in {204, 205} else [f"Content-Length: {len(body)}"])]
        stream.write("\r\n".join([*lines, "", ""]).encode() + body)

    return act


def say(raw: bytes, *, then: Callable[[Stream], None] | None = None) -> Act:
    """Write bytes, and do something to the connection."""

    async def act(stream: Stream) -> None:
        stream.write(raw)
        await stream.drain()
        if then:
            then(stream)
            raise ConnectionError

    return act


def hang_up(stream: Stream) -> None:
    """Close the connection in order."""
    stream.close()


def reset(stream: Stream) -> None:
    """Break the connection."""
    stream.transport.abort()


async def hang_up_unread(stream: Stream) -> None:
    """Break the connection before a request is read."""
    stream.transport.abort()
    raise ConnectionError


JSON = "Content-Type: application/json"


fine = answer(200, b"{}", JSON)
