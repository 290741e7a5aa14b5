"""Settings of the process: exit codes, logging, garbage collection."""

import gc
import logging
import sys

SUCCESS, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: success; a tool or check failed; invalid command line or settings; interrupted, as shells report it."""


def configure_logging(level: str) -> None:
    """Log to standard error; standard output is for the protocol or the result."""
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="%(levelname)s %(name)s: %(message)s")
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


def reduce_garbage_collection() -> None:
    """Collect garbage less often from now on, and exclude the objects created at start-up."""
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
    gc.enable()
