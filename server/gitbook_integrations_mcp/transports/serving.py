"""Serving MCP to clients, over the transports that the settings name."""

import signal
import sys

import anyio

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.features.server import IntegrationsServer
from gitbook_integrations_mcp.net.http_server import build_options
from gitbook_integrations_mcp.net.listener import open_listener
from gitbook_integrations_mcp.process import reduce_garbage_collection
from gitbook_integrations_mcp.transports.stdio import open_stdio


def serve(settings: Settings) -> None:
    """Serve until the client closes standard input, or, over HTTP, until the process is told to stop.

    Raises:
        SettingsError: the settings name tools that do not exist, mix transports that cannot be mixed, want workers
            that would share nothing, or would expose the server.
        SystemExit: the workers cannot start.
    """
    alone = settings.server.transport == ("stdio",)
    if "stdio" in settings.server.transport and not alone:
        raise SettingsError("server.transport: stdio serves one client alone; it cannot be mixed with the others.")
    server = create_server(settings)
    reduce_garbage_collection()
    if alone:
        _run_stdio(server)
    else:
        _serve_http(settings, server)


def _run_stdio(server: IntegrationsServer) -> None:
    if signum := anyio.run(_serve_stdio, server):
        # All is closed. Whoever sent the signal learns from the exit status that it, and nothing else, was the end;
        # and a thread that waits for a terminal's next line holds nothing up.
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)


async def _serve_stdio(server: IntegrationsServer) -> int | None:
    """Return the signal that ended it, or None where the client did."""
    received: int | None = None

    async def await_signal() -> None:
        nonlocal received
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            received = await anext(aiter(signals))
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        if sys.platform == "win32":
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own answer would wait for the thread that reads
        else:
            group.start_soon(await_signal)
        async with open_stdio() as (connection, outgoing):
            await server.run(connection, outgoing, server.create_initialization_options())
        group.cancel_scope.cancel()
    return received


def _serve_http(settings: Settings, server: IntegrationsServer) -> None:
    import uvicorn

    from gitbook_integrations_mcp.transports.web import create_application

    http = settings.http
    application = create_application(settings, server)
    try:
        listener, address = open_listener(http.host, http.port)
    except OSError as error:
        raise SettingsError(f"http.host {http.host}, http.port {http.port}: {error.strerror}.") from None
    with listener:
        for transport in settings.server.transport:
            path = http.sse_path if transport == "sse" else http.streamable_path
            print(f"Serving {transport} at {address}{path}", file=sys.stderr, flush=True)
        if http.workers > 1:
            from gitbook_integrations_mcp.transports.workers import run_workers

            run_workers(settings, listener)
        else:
            uvicorn.Server(uvicorn.Config(application, **build_options(http))).run(sockets=[listener])
