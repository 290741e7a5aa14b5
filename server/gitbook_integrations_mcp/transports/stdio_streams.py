"""Standard input and output as bytes: waited for on the event loop, which threads would make twice as dear.

A file, a terminal and Windows' pipes, which the loop cannot wait for, are used from threads nevertheless.
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
"""Longest line that is read: as much as HTTP takes by default. Of a longer one no more than this is ever held."""

CHUNK_BYTES = 64 * 1024
"""As much as a pipe holds."""


@contextmanager
def claim_standard_streams() -> Iterator[tuple[int, int]]:
    """Yield private duplicates of standard input and output, which children do not inherit.

    Meanwhile the originals lead elsewhere: what else reads finds nothing, and what else prints goes to standard error.
    """
    reader, target = os.dup(0), os.dup(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    try:
        yield reader, target
    finally:
        sys.stdout.flush()  # what was printed meanwhile is not the protocol's
        for private, fd in ((reader, 0), (target, 1)):
            os.dup2(private, fd)
            os.close(private)


def _can_poll(fd: int) -> bool:
    """Whether the event loop can wait for `fd`: for no file and no device, and on Windows for neither pipe."""
    mode = os.fstat(fd).st_mode
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


class StdinReader:
    """Where the client's bytes come from."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._polled = _can_poll(fd)

    async def read(self) -> bytes:
        """Return some bytes, or none at the end, however it came."""
        try:
            if not self._polled:
                return await anyio.to_thread.run_sync(os.read, self._fd, CHUNK_BYTES, abandon_on_cancel=True)
            await anyio.wait_readable(self._fd)
            return os.read(self._fd, CHUNK_BYTES)
        except OSError:
            return b""


class StdoutWriter:
    """Where the client reads."""

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
            os.set_blocking(self._fd, self._blocked)  # other processes may share it

    async def write(self, data: bytes) -> None:
        """Write all of `data`, no faster than the client reads.

        Raises:
            OSError: the client reads no more.
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


class LineBuffer:
    """Puts lines together."""

    def __init__(self) -> None:
        self.ready: deque[bytes | None] = deque()
        """LineBuffer to be taken from the left, None in place of one that was too long."""
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._add(end)
            self.finish()
        self._add(rest)

    def finish(self) -> None:
        """Count what came since the last line as one."""
        self.ready.append(b"".join(self._parts) if self._size <= LINE_BYTES else None)
        self._parts.clear()
        self._size = 0

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LINE_BYTES:
            self._parts.clear()
        else:
            self._parts.append(part)
