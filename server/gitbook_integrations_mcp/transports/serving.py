"""Serving MCP over the configured transports."""

import logging
import signal
import sys
from importlib.util import find_spec

import anyio
import anyio.to_thread
import uvicorn
from mcp.server.runner import serve_loop

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import SettingsError, StoreError
from gitbook_integrations_mcp.features.server import IntegrationsServer
from gitbook_integrations_mcp.net.http_server import build_options
from gitbook_integrations_mcp.net.listener import describe_failure, open_listener
from gitbook_integrations_mcp.process import reduce_garbage_collection
from gitbook_integrations_mcp.store.location import SQLITE, locate_store
from gitbook_integrations_mcp.transports.saved_answers import LISTS_CHANGE
from gitbook_integrations_mcp.transports.stdio import Connection, Outgoing, open_stdio

IDLE_SECONDS = 0.1
"""Time after the start of a server on stdio until it imports what its first call needs, if no call has done that."""

_logger = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until the client closes standard input, or, over HTTP, until a signal stops the process.

    Raises:
        SettingsError: the settings contain unknown tools, would expose the server, or workers could not share its
            state.
        SystemExit: the workers cannot start.
    """
    server = create_server(settings)
    _log_store(settings)
    reduce_garbage_collection()
    if "stdio" in settings.server.transport:
        _run_stdio(server, settings)
    else:
        _serve_http(settings, server)


def _log_store(settings: Settings) -> None:
    try:
        location = locate_store(settings)
    except StoreError as error:
        _logger.warning("%s", error)
    else:
        # Only a text that is logged may import SQLAlchemy.
        _logger.info("The store (store.url) is %s", f"{SQLITE}{location}" if location.path else location)


def _run_stdio(server: IntegrationsServer, settings: Settings) -> None:
    fast_loop = find_spec("uvloop") is not None  # uvicorn does the same
    if signum := anyio.run(_serve_stdio, server, settings, backend_options={"use_uvloop": fast_loop}):
        # Everything is closed. The signal ends the process, so that the exit status shows it, and so that a thread that
        # still reads from a terminal cannot delay the end.
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)


async def _serve_stdio(server: IntegrationsServer, settings: Settings) -> int | None:
    """Return the signal that stopped the server, or None if the client ended the connection."""
    received: int | None = None

    async def await_signal() -> None:
        nonlocal received
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            received = await anext(aiter(signals))
        group.cancel_scope.cancel()

    async def prepare_calls() -> None:
        await anyio.sleep(IDLE_SECONDS)
        await anyio.to_thread.run_sync(server.gitbook.prepare, abandon_on_cancel=True)

    async with server.development.run(), anyio.create_task_group() as group:
        if sys.platform == "win32":
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would wait for the reading thread
        else:
            group.start_soon(await_signal)
        async with open_stdio(save_answers=settings.server.save_answers) as (connection, outgoing):
            group.start_soon(prepare_calls)
            await _serve_connection(server, connection, outgoing)
        group.cancel_scope.cancel()
    return received


async def _serve_connection(server: IntegrationsServer, connection: Connection, outgoing: Outgoing) -> None:
    """Serve a connection in the protocol that its client speaks.

    `Server.run` can tell the protocols apart, too. But it relays each message through a further stream, which takes a
    sixth of the CPU time of a call.
    """
    options = server.create_initialization_options(LISTS_CHANGE)
    if await connection.starts_handshake():
        async with server.lifespan(server) as state:
            await serve_loop(server, connection, outgoing, lifespan_state=state, init_options=options)
    else:
        await server.run(connection, outgoing, options)


def _serve_http(settings: Settings, server: IntegrationsServer) -> None:
    from gitbook_integrations_mcp.transports.web import create_application

    http = settings.http
    application = create_application(settings, server)
    try:
        listener, address = open_listener(http.host, http.port)
    except OSError as error:
        text = f"http.host {http.host}, http.port {http.port}: {describe_failure(error, http.port)}"
        raise SettingsError(text) from None
    with listener:
        for transport in settings.server.transport:
            path = http.sse_path if transport == "sse" else http.streamable_path
            print(f"Serving {transport} at {address}{path}", file=sys.stderr, flush=True)
        if http.workers > 1:
            from gitbook_integrations_mcp.transports.workers import run_workers

            run_workers(settings, listener)
        else:
            uvicorn.Server(uvicorn.Config(application, **build_options(http))).run(sockets=[listener])
