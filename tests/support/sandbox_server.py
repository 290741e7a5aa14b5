"""The GitBook sandbox served on loopback by a thread, so that a test can change its state and look into it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.net.http_server import build_options
from gitbook_integrations_mcp.sandbox import Sandbox, create_sandbox
from tests.support.loopback import Quiet, open_listener


@contextmanager
def serve_in_thread(sandbox: Sandbox | None = None) -> Iterator[tuple[Sandbox, str]]:
    """Yield the sandbox and its address, and serve it meanwhile."""
    sandbox = sandbox or create_sandbox()
    with open_listener() as (listener, address):
        options = build_options(HttpSection(shutdown_seconds=0), lifespan="off")
        server = Quiet(uvicorn.Config(sandbox, **options))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            yield sandbox, address
        finally:
            server.should_exit = True
            thread.join()
