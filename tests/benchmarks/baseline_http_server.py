"""The stated baseline over HTTP: the bare server of `baseline_server` behind the SDK's session manager and uvicorn."""

import argparse
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.routing import Route

from tests.benchmarks.baseline_server import create_server


def create_application() -> Starlette:
    """Return the least that serves both eras at `/mcp`."""
    manager = StreamableHTTPSessionManager(create_server())

    @contextlib.asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Route("/mcp", StreamableHTTPASGIApp(manager))], lifespan=live)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(create_application(), port=parser.parse_args().port, log_level="error", access_log=False)
