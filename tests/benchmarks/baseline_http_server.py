"""The stated baseline over HTTP: the bare server of `baseline_server` behind the SDK's session manager and uvicorn."""

import argparse
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.routing import Route

from tests.benchmarks.baseline_server import create_server


def create_application(operations: Path) -> Starlette:
    """Return the least that serves both eras at `/mcp`."""
    manager = StreamableHTTPSessionManager(create_server(operations))

    @contextlib.asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Route("/mcp", StreamableHTTPASGIApp(manager))], lifespan=live)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("operations", type=Path, help="file of tools")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvicorn.run(create_application(options.operations), port=options.port, log_level="error", access_log=False)
