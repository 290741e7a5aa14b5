"""The HTTP side: streamable HTTP and SSE in one application, behind one door, with health and readiness."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
from mcp.server.auth.handlers.metadata import ProtectedResourceMetadataHandler
from mcp.server.auth.provider import TokenVerifier
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.shared.auth import ProtectedResourceMetadata
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.configuration.host import is_loopback
from gitbook_integrations_mcp.configuration.settings import Settings, SettingsError
from gitbook_integrations_mcp.errors import UpstreamError
from gitbook_integrations_mcp.server import TITLE, IntegrationsServer
from gitbook_integrations_mcp.transport.access import AccessTokens
from gitbook_integrations_mcp.transport.doorkeeper import BearerGuard, HostGuard, StaticTokens, list_hosts
from gitbook_integrations_mcp.transport.issuer import Issuer
from gitbook_integrations_mcp.transport.patience import END_STREAMS, HEALTH_PATH, READY_PATH

_READY_SECONDS = 10
"""How long an answer of GitBook to the readiness check is good for."""


def check_exposure(settings: Settings) -> None:
    """Refuse settings that would let strangers in, or promise a page that nobody can reach.

    Raises:
        SettingsError: what is missing, and where to set it.
    """
    http = settings.http
    if settings.oauth.issuer and http.public_url is None:
        raise SettingsError(
            "oauth.issuer: access tokens are issued for an address, and clients are told it: set http.public_url to "
            "the one under which they reach this server."
        )
    if is_loopback(http.host):
        return
    if not (http.tokens or settings.oauth.issuer):
        raise SettingsError(
            f"http.host {http.host} can be reached by others, so callers must show who they are: set http.tokens "
            "(`gitbook-integrations-mcp token NAME` makes one) or oauth.issuer, or listen on 127.0.0.1."
        )
    if settings.confirmation.fallback == "browser" and http.public_url is None:
        raise SettingsError(
            f"With http.host {http.host}, the page on which people confirm needs an address: set http.public_url, or "
            "confirmation.fallback to refuse or two-step."
        )


def check_workers(settings: Settings) -> None:
    """Refuse workers that would not act as one server.

    Raises:
        SettingsError: what they would need, and where to set it.
    """
    workers = f"http.workers {settings.http.workers}"
    if settings.http.workers == 1:
        return
    if settings.confirmation.store == "memory":
        raise SettingsError(
            f"{workers}: what a human is asked by one worker must be known to all: set confirmation.store to a Redis "
            "(redis://…), or http.workers to 1."
        )
    if "sse" in settings.server.transport:
        raise SettingsError(f"{workers}: an SSE client's stream lives in one process; serve streamable-http alone.")
    if settings.server.sandbox:
        raise SettingsError(f"{workers}: each would have an embedded GitBook of its own; use one with server.sandbox.")


def create_application(settings: Settings, server: IntegrationsServer) -> Starlette:
    """Return the ASGI application that serves `server` over the HTTP transports that `settings` name.

    Raises:
        SettingsError: the settings would expose the server, or want workers that would share nothing.
    """
    check_exposure(settings)
    check_workers(settings)
    http, door = settings.http, Door(settings)
    routes: list[Route | Mount] = [
        Route(HEALTH_PATH, _report_health, methods=["GET"]),
        Route(READY_PATH, Readiness(server).report, methods=["GET"]),
    ]
    lifespan = None
    if "streamable-http" in settings.server.transport:
        manager = StreamableHTTPSessionManager(
            server,
            stateless=not http.has_sessions,
            max_request_body_size=http.body_bytes,
            max_sessions=http.sessions,
            session_idle_timeout=http.session_idle_seconds,
        )
        routes.append(Route(http.streamable_path, door.guard(StreamableHTTPASGIApp(manager), http.streamable_path)))
        lifespan = manager.run
    if "sse" in settings.server.transport:
        sse = SseServerTransport(http.message_path, max_request_body_size=http.body_bytes)
        routes.append(Route(http.sse_path, door.guard(SseEndpoint(sse, server), http.sse_path), methods=["GET"]))
        routes.append(Mount(http.message_path, door.guard(sse.handle_post_message, http.sse_path)))
    routes += door.list_routes()
    if http.public_url is not None:
        routes.append(Mount("/", server.page.application))
    middleware = [Middleware(HostGuard, hosts=list_hosts(http))]

    @contextlib.asynccontextmanager
    async def live(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with lifespan() if lifespan else contextlib.nullcontext():
            yield {END_STREAMS: server.subscriptions.close}

    return Starlette(routes=routes, middleware=middleware, lifespan=live)


class Door:
    """What lets callers in, as the settings say; everybody, where they name neither tokens nor an issuer."""

    def __init__(self, settings: Settings) -> None:
        http, oauth = settings.http, settings.oauth
        paths = {"sse": http.sse_path, "streamable-http": http.streamable_path}
        self._oauth = oauth
        self._resources: dict[str, str] = {}
        self._verifiers: list[TokenVerifier] = [StaticTokens(http.tokens)] if http.tokens else []
        if oauth.issuer:
            served = [paths[transport] for transport in settings.server.transport]
            self._resources = {path: f"{http.public_url}{path}" for path in served}
            audience = oauth.audience or tuple(self._resources.values())
            self._verifiers.append(AccessTokens(oauth, audience, Issuer(oauth)))
        self._public_url = http.public_url

    def guard(self, app: ASGIApp, path: str) -> ASGIApp:
        """Return `app`, behind the door where there is one; `path` is that of the resource which it belongs to."""
        if not self._verifiers:
            return app
        url = f"{self._public_url}{_place_metadata(path)}" if path in self._resources else None
        return BearerGuard(app, self._verifiers, scopes=self._oauth.scopes, metadata_url=url)

    def list_routes(self) -> list[Route]:
        """Return the routes that tell clients who issues tokens for each resource (RFC 9728)."""
        return [Route(_place_metadata(path), self._describe(url).handle) for path, url in self._resources.items()]

    def _describe(self, resource: str) -> ProtectedResourceMetadataHandler:
        # Validated from plain strings, an issuer keeps its spelling, which clients compare.
        metadata = {
            "resource": resource,
            "authorization_servers": [self._oauth.issuer],
            "scopes_supported": self._oauth.scopes or None,
            "resource_name": TITLE,
        }
        return ProtectedResourceMetadataHandler(ProtectedResourceMetadata.model_validate(metadata))


def _place_metadata(path: str) -> str:
    return "/.well-known/oauth-protected-resource" + path.removesuffix("/")


class SseEndpoint:
    """The stream of an SSE client (the transport of the 2024-11-05 protocol)."""

    def __init__(self, transport: SseServerTransport, server: IntegrationsServer) -> None:
        self._transport = transport
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it goes."""
        async with self._transport.connect_sse(scope, receive, send) as (read_stream, write_stream):
            await self._server.run(read_stream, write_stream, self._server.create_initialization_options())


async def _report_health(_request: Request) -> Response:
    return JSONResponse({"status": "ok", "version": __version__})


class Readiness:
    """Whether calls could succeed: GitBook answers. Asked at most once in a while, however often others ask."""

    def __init__(self, server: IntegrationsServer) -> None:
        self._server = server
        self._known: tuple[float, dict[str, Any]] | None = None
        self._asking = anyio.Lock()

    async def report(self, _request: Request) -> Response:
        """Answer 200 where GitBook does, else 503 with the reason."""
        async with self._asking:
            if self._known is None or time.monotonic() - self._known[0] > _READY_SECONDS:
                self._known = (time.monotonic(), await self._ask())
            status = self._known[1]
        return JSONResponse(status, 200 if status["status"] == "ready" else 503)

    async def _ask(self) -> dict[str, Any]:
        try:
            reply = await self._server.gitbook.probe()
        except UpstreamError as error:
            return {"status": "unavailable", "reason": str(error)}
        if reply.status >= 500:
            return {"status": "unavailable", "reason": f"GitBook answers with {reply.status}"}
        return {"status": "ready"}
