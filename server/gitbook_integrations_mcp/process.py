"""Settings of the process: exit codes, logging, garbage collection."""

import gc
import io
import logging
import os
import queue
import re
import sys
import threading

SUCCESS, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: success; a tool or check failed; invalid command line or settings; interrupted, as shells report it."""


_MAX_WAIT_SECONDS = 0.1
"""Time for a line of the log to be written before the program goes on."""


class LossyHandler(logging.Handler):
    """Writes log lines to a file descriptor, and drops them while nobody reads them.

    A client may open standard error as a pipe and never read it. Once the pipe is full, a write lasts for ever; here it
    is the write of a thread for which nothing waits.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it as lost."""
        if not self._idle.is_set():
            self._lost += 1
            return
        try:
            text = f"{self.format(record)}\n"
        except Exception:  # noqa: BLE001
            self.handleError(record)
            return
        if self._lost:
            text = f"({self._lost} lines of the log were dropped, because nobody read standard error.)\n{text}"
            self._lost = 0
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="log", daemon=True)
            self._thread.start()
        self._idle.clear()
        self._lines.put(text.encode(errors="replace"))
        self._idle.wait(_MAX_WAIT_SECONDS)

    def _write(self) -> None:
        while True:
            rest = memoryview(self._lines.get())
            try:
                # Not through `sys.stderr`, whose lock would stop the program at its end.
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                pass  # the reader has gone
            self._idle.set()


def _create_handler() -> logging.Handler:
    try:
        return LossyHandler(sys.stderr.fileno())
    except (AttributeError, io.UnsupportedOperation):
        return logging.StreamHandler(sys.stderr)  # replaced by another object, or none


_SESSION_ID = re.compile("[0-9a-fA-F-]{16,}")
"""The SDK logs a request with another caller's session. Without authentication, an ID is enough to use a session."""


def _leave_out_values(record: logging.LogRecord) -> bool:
    """Leave out session IDs, and the text of validation errors, which quotes what a client sent: both are secret."""
    error = record.exc_info[1] if record.exc_info else None
    if type(error).__name__ == "ValidationError":
        record.exc_info = record.exc_text = None
        record.msg, record.args = f"{record.getMessage()} (ValidationError)", None
    if record.name.startswith("mcp."):
        record.msg, record.args = _SESSION_ID.sub("[masked]", record.getMessage()), None
    return True


def configure_logging(level: str) -> None:
    """Log to standard error; standard output is for the protocol or the result."""
    handler = _create_handler()
    handler.addFilter(_leave_out_values)
    logging.basicConfig(handlers=[handler], level=level.upper(), format="%(levelname)s %(name)s: %(message)s")
    # At debug level these log messages, which can contain secrets; at info level the SDK logs session IDs, which are
    # secrets too.
    for name in ("mcp", "sse_starlette"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    if level != "debug":
        # At info level these log every request and URL.
        for name in ("httpx", "httpcore", "aiohttp", "asyncio", "uvicorn"):
            logging.getLogger(name).setLevel(logging.WARNING)


_ALLOCATIONS = 10_000
"""New objects between garbage collections: those of a few calls. Python's default would collect in every call."""

_YOUNG_COLLECTIONS = 50
"""Collections of new objects before one of those that survived them. Python's default is 10.

A large audit creates 100,000 objects that it needs until its end. To search them twice would take 50 ms.
"""


def reduce_garbage_collection() -> None:
    """Collect garbage less often from now on, and exclude the objects created at start-up."""
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, _YOUNG_COLLECTIONS)
    gc.enable()
