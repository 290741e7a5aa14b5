"""An application served on loopback as the command serves it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from gitbook_integrations_mcp.serving import configure_uvicorn
from gitbook_integrations_mcp.settings import HttpSection


class Quiet(uvicorn.Server):
    """One that leaves signals to the tests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.asynccontextmanager
async def listen(application: ASGIApp, settings: HttpSection) -> AsyncIterator[str]:
    """Yield the address at which `application` is served."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # What a client does not read must not vanish in the kernel.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        server = Quiet(configure_uvicorn(application, settings))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
