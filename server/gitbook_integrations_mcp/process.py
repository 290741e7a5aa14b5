"""What a process of this program tells whoever started it: its log, and its exit code."""

import gc
import logging
import sys

SUCCESS, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: success; a tool or check failed; wrong usage or settings; interrupted, as shells report it."""


def configure_logging(level: str) -> None:
    """Log to standard error; standard output belongs to the protocol, or to the result."""
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="%(levelname)s %(name)s: %(message)s")
    # At debug, these log messages and whatever secrets they carry; at info, the SDK names sessions, which are as good.
    for name in ("mcp", "sse_starlette"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    if level != "debug":
        # At info, these tell every request and URL.
        for name in ("httpx", "httpcore", "aiohttp", "asyncio", "uvicorn"):
            logging.getLogger(name).setLevel(logging.WARNING)


_GARBAGE = 10_000
"""New objects after which Python looks for garbage: those of a few calls. By default it would look in every call."""


def reduce_garbage_collection() -> None:
    """Collect garbage at a server's pace from now on, and never among what the start has left behind."""
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    gc.enable()
