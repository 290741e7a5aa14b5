"""Serves the GitBook sandbox over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gitbook_integrations_mcp.net.http_server import build_options
from gitbook_integrations_mcp.net.listener import open_listener
from gitbook_integrations_mcp.sandbox.application import Sandbox
from gitbook_integrations_mcp.sandbox.credentials import INTEGRATION_TOKEN, USER_TOKEN
from gitbook_integrations_mcp.sandbox.templates import ORGANIZATION_ID


def serve_sandbox(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve `sandbox` until the process is interrupted; port 0 selects a free one.

    Prints the environment variables for clients to standard output. GitBook's command line and this server read them.
    """
    listener, address = open_listener(host, port)
    with listener:
        print(*(f"{name}={value}" for name, value in describe_environment(address).items()), sep="\n", flush=True)
        _create_server(sandbox).run(sockets=[listener])


@contextmanager
def serve_in_background(sandbox: Sandbox) -> Iterator[str]:
    """Serve `sandbox` in a thread, on a free port of loopback, and yield its address.

    Raises:
        OSError: no port can be used.
    """
    listener, address = open_listener("127.0.0.1", 0)
    server = _create_server(sandbox)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    with listener:
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


def _create_server(sandbox: Sandbox) -> uvicorn.Server:
    # The sandbox sends the Date of its own clock.
    return uvicorn.Server(uvicorn.Config(sandbox, **build_options(lifespan="off", date_header=False)))


def describe_environment(address: str) -> dict[str, str]:
    """Return the environment variables for clients of a sandbox at `address`."""
    return {
        "GITBOOK_ENDPOINT": address,
        "GITBOOK_TOKEN": USER_TOKEN,
        "GITBOOK_INTEGRATION_TOKEN": INTEGRATION_TOKEN,
        "GITBOOK_ORGANIZATION": ORGANIZATION_ID,
    }
