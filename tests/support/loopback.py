"""An application served on loopback as the command serves it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.net.http_server import build_options

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP. It trusts no certificate, so it does not read a hundred of them for each client."""


def open_client(**options: Any) -> httpx.AsyncClient:
    """Return a client of plain HTTP that ignores the proxies of this machine."""
    return httpx.AsyncClient(trust_env=False, verify=NO_TLS, **options)


class Quiet(uvicorn.Server):
    """One that leaves signals to the tests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.contextmanager
def open_listener() -> Iterator[tuple[socket.socket, str]]:
    """Yield a socket to serve at, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # What a client does not read must not vanish in the kernel.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def listen(application: ASGIApp, settings: HttpSection, listener: socket.socket) -> AsyncIterator[None]:
    """Serve `application` at `listener` meanwhile."""
    server = Quiet(uvicorn.Config(application, **build_options(settings)))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
