"""Serves the GitBook sandbox over HTTP."""

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
        # The sandbox sends the Date of its own clock.
        config = uvicorn.Config(sandbox, **build_options(lifespan="off", date_header=False))
        uvicorn.Server(config).run(sockets=[listener])


def describe_environment(address: str) -> dict[str, str]:
    """Return the environment variables for clients of a sandbox at `address`."""
    return {
        "GITBOOK_ENDPOINT": address,
        "GITBOOK_TOKEN": USER_TOKEN,
        "GITBOOK_INTEGRATION_TOKEN": INTEGRATION_TOKEN,
        "GITBOOK_ORGANIZATION": ORGANIZATION_ID,
    }
