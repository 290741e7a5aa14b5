"""Standard input and output as streams of bytes.

The event loop waits for pipes and sockets, which costs half as much as threads. Files, terminals and pipes on Windows
need threads, because the event loop cannot wait for them.
"""

import os
import stat
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

LINE_BYTES = 16 * 1024 * 1024
"""Maximum length of a line, the same as that of an HTTP body by default. No more of a line is held in memory."""

HEAD_BYTES = 4096
"""Length of the beginning of a longer line that is kept. It usually contains the ID."""

CHUNK_BYTES = 64 * 1024
"""Bytes in one read: the capacity of a pipe on Linux."""


@contextmanager
def claim_standard_streams() -> Iterator[tuple[int, int]]:
    """Yield private duplicates of standard input and output, which child processes do not inherit.

    Meanwhile, standard input is empty, and standard output goes to standard error, for the rest of the process and for
    child processes.
    """
    reader, target = os.dup(0), os.dup(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    try:
        yield reader, target
    finally:
        sys.stdout.flush()  # buffered text must not reach the client
        for private, fd in ((reader, 0), (target, 1)):
            os.dup2(private, fd)
            os.close(private)


def _can_poll(fd: int) -> bool:
    """Whether the event loop can wait for `fd`: a pipe or a socket, but not on Windows."""
    mode = os.fstat(fd).st_mode
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


class StdinReader:
    """Reads the bytes that the client sends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._polled = _can_poll(fd)

    async def read(self) -> bytes:
        """Return the next bytes, or none at the end of the input or after an error."""
        try:
            if not self._polled:
                return await anyio.to_thread.run_sync(os.read, self._fd, CHUNK_BYTES, abandon_on_cancel=True)
            await anyio.wait_readable(self._fd)
            return os.read(self._fd, CHUNK_BYTES)
        except OSError:
            return b""


class StdoutWriter:
    """Writes bytes to the client."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._polled = _can_poll(fd)
        self._blocked = os.get_blocking(fd) if self._polled else True

    def __enter__(self) -> Self:
        if self._polled:
            os.set_blocking(self._fd, False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._polled:
            os.set_blocking(self._fd, self._blocked)  # other processes can share the descriptor

    async def write(self, data: bytes) -> None:
        """Write all of `data`, as fast as the client reads.

        Raises:
            OSError: the client has closed its end.
        """
        rest = memoryview(data)
        while rest:
            if not self._polled:
                rest = rest[await anyio.to_thread.run_sync(os.write, self._fd, rest, abandon_on_cancel=True) :]
                continue
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._fd)


class CutLine(bytes):
    """The beginning of a line that was too long."""


class LineBuffer:
    """Splits a stream of bytes into lines."""

    def __init__(self) -> None:
        self.ready: deque[bytes] = deque()
        """Complete lines, the oldest first."""
        self._line = bytearray()
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Add the next bytes."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._add(end)
            self.finish()
        self._add(rest)

    def finish(self) -> None:
        """Complete the current line."""
        self.ready.append(bytes(self._line) if self._size <= LINE_BYTES else CutLine(self._line))
        self._line.clear()
        self._size = 0

    def _add(self, part: bytes) -> None:
        self._line += part
        self._size += len(part)
        if self._size > LINE_BYTES:
            del self._line[HEAD_BYTES:]
