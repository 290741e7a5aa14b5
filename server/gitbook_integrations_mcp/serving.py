"""Serving MCP to clients, over the transports that the settings name."""

import signal
import socket
import sys
from typing import TYPE_CHECKING

import anyio
from mcp.server.stdio import stdio_server

from gitbook_integrations_mcp.server import IntegrationsServer, create_server
from gitbook_integrations_mcp.settings import HttpSection, Settings, SettingsError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp


def serve(settings: Settings) -> None:
    """Serve until the client closes standard input, or, over HTTP, until the process is told to stop.

    Raises:
        SettingsError: the settings name tools that do not exist, mix transports that cannot be mixed, or would expose
            the server.
    """
    if settings.server.transport == ("stdio",):
        _run_stdio(create_server(settings))
    elif "stdio" in settings.server.transport:
        raise SettingsError("server.transport: stdio serves one client alone; it cannot be mixed with the others.")
    else:
        _serve_http(settings)


def _run_stdio(server: IntegrationsServer) -> None:
    # Python's own answer to Ctrl-C would wait for the thread that reads standard input, until a client closes it.
    previous = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(_serve_stdio, server)
    finally:
        signal.signal(signal.SIGINT, previous)


async def _serve_stdio(server: IntegrationsServer) -> None:
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


def _serve_http(settings: Settings) -> None:
    import uvicorn

    from gitbook_integrations_mcp.web import create_application

    http = settings.http
    application = create_application(settings, create_server(settings))
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    try:
        listener = socket.create_server((http.host, http.port), family=family)
    except OSError as error:
        raise SettingsError(f"http.host {http.host}, http.port {http.port}: {error.strerror}.") from None
    with listener:
        address = f"[{http.host}]" if family == socket.AF_INET6 else http.host
        for transport in settings.server.transport:
            path = http.sse_path if transport == "sse" else http.streamable_path
            url = f"http://{address}:{listener.getsockname()[1]}{path}"
            print(f"Serving {transport} at {url}", file=sys.stderr, flush=True)
        uvicorn.Server(configure_uvicorn(application, http)).run(sockets=[listener])


def configure_uvicorn(application: "ASGIApp", settings: HttpSection) -> "uvicorn.Config":
    """Return how uvicorn serves the application: quietly, with bounds on its clients."""
    import uvicorn

    from gitbook_integrations_mcp.patience import limit_clients

    return uvicorn.Config(
        application,
        http=limit_clients(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
