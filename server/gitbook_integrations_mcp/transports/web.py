"""The HTTP application: streamable HTTP and SSE behind authentication, the confirmation page, and health checks."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_mcp.accounts.links import PATH as ACCOUNTS_PATH
from gitbook_integrations_mcp.auth.authentication import Authentication
from gitbook_integrations_mcp.auth.hosts import HostGuard, list_hosts
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.validation import check_accounts, check_exposure, check_keys, check_workers
from gitbook_integrations_mcp.confirmation.page import PATH
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.features.server import IntegrationsServer
from gitbook_integrations_mcp.net.responses import create_error_response
from gitbook_integrations_mcp.net.timeouts import END_STREAMS, HEALTH_PATH, READY_PATH
from gitbook_integrations_mcp.transports.cors import Cors
from gitbook_integrations_mcp.transports.health import Readiness, report_health
from gitbook_integrations_mcp.transports.message_filter import MessageFilter
from gitbook_integrations_mcp.transports.sessions import SessionManager, StreamLimit, Streams
from gitbook_integrations_mcp.transports.sse import Sse


def create_application(settings: Settings, server: IntegrationsServer) -> Starlette:
    """Return the ASGI application that serves `server` over the HTTP transports in `settings`.

    Raises:
        SettingsError: the settings would expose the server, or processes could not share its state.
    """
    check_exposure(settings)
    check_keys(settings)
    check_workers(settings)
    check_accounts(settings)
    http, authentication = settings.http, Authentication(settings)
    routes: list[Route | Mount] = [
        Route(HEALTH_PATH, report_health, methods=["GET"]),
        Route(READY_PATH, Readiness(server).report, methods=["GET"]),
    ]
    lifespan = None
    AppStatus.enable_automatic_graceful_drain = False  # it would also end the responses of running calls
    ends: list[Callable[[], None]] = [server.subscriptions.close]
    streams: Streams = {}
    max_streams = max(1, min(http.sessions, http.connections * 3 // 4))  # the others are for calls
    if "streamable-http" in settings.server.transport:
        manager = SessionManager(
            server,
            stateless=not http.has_sessions,
            max_request_body_size=http.body_bytes,
            max_sessions=http.sessions,
            session_idle_timeout=http.session_idle_seconds,
        )
        application = StreamLimit(_EventIdFilter(StreamableHTTPASGIApp(manager)), streams, max_streams)
        endpoint = MessageFilter(application, http.body_bytes)
        routes.append(Route(http.streamable_path, authentication.guard(endpoint, http.streamable_path)))
        ends.append(application.end)
        lifespan = manager.run
    if "sse" in settings.server.transport:
        sse = Sse(server, http.message_path, http.body_bytes)
        ends.append(sse.end)
        routes.append(
            Route(
                http.sse_path,
                authentication.guard(StreamLimit(sse, streams, max_streams), http.sse_path),
                methods=["GET"],
            )
        )
        endpoint = MessageFilter(sse.post, http.body_bytes)
        routes.append(Route(http.message_path, authentication.guard(endpoint, http.sse_path)))
    routes += authentication.list_routes()
    if http.public_url is not None:
        routes.append(Mount(PATH.rstrip("/"), server.page.application))
    if server.account_page is not None:
        routes += [Route(ACCOUNTS_PATH, server.account_page), Mount(ACCOUNTS_PATH, server.account_page)]
    # Starlette would redirect from the other spelling, behind a proxy with TLS to plain http.
    routes += [_respell(route) for route in routes if isinstance(route, Route)]
    middleware = [Middleware(HostGuard, hosts=list_hosts(http))]
    if http.allowed_hosts:
        middleware.append(Middleware(Cors, hosts=http.allowed_hosts))

    def end_streams() -> None:
        for end in ends:
            end()

    @contextlib.asynccontextmanager
    async def run_lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with server.development.run(), lifespan() if lifespan else contextlib.nullcontext():
            yield {END_STREAMS: end_streams}

    paths = {"sse": http.sse_path, "streamable-http": http.streamable_path}
    served = ", ".join(paths[transport] for transport in settings.server.transport if transport in paths)

    async def report_unknown_path(_request: Request, _error: Exception) -> Response:
        text = f"This server has nothing at this path. MCP is at {served}."
        return create_error_response(404, ErrorCode.UNKNOWN_PATH, text)

    starlette = Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={404: report_unknown_path},
        lifespan=run_lifespan,
    )
    starlette.router.redirect_slashes = False
    return starlette


def _respell(route: Route) -> Route:
    """Return a route for the other spelling of a path: with a slash at the end, or without one."""
    path = route.path[:-1] if route.path.endswith("/") else f"{route.path}/"
    return Route(path or "/", route.endpoint, methods=route.methods)


class _EventIdFilter:
    """Removes Last-Event-ID. This server keeps no events to repeat, so a client that resumes gets a new stream.

    Without a store of events, the SDK (mcp 2.3) would not respond to this header at all.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"last-event-id"]
        await self._app({**scope, "headers": headers}, receive, send)
