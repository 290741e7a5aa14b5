"""Who may come in over HTTP: Host and Origin keep other people's web pages out, bearer tokens other people.

The SDK's middleware for bearer tokens does not say why it refuses one, calls a request without any an invalid token
(RFC 6750, section 3.1, has no error for it), and names neither the scopes nor all of them; so `BearerGuard` is ours.
What it leaves in the scope is the SDK's, for sessions and sealed state to be bound to.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations.catalog import TOOLSETS
from gitbook_integrations_mcp.caller import READ_ONLY_HEADER, TOOLSETS_HEADER, read_toolsets
from gitbook_integrations_mcp.configuration.sections import CallerToken, HttpSection
from gitbook_integrations_mcp.gitbook.credentials import INTEGRATION_HEADER, USER_HEADER
from gitbook_integrations_mcp.server import NAME

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


_SAID_ONCE = (
    "Origin",
    "Authorization",
    "Mcp-Session-Id",
    USER_HEADER,
    INTEGRATION_HEADER,
    READ_ONLY_HEADER,
    TOOLSETS_HEADER,
)
"""Who somebody is and what they may. Of two, a proxy would have meant its own, and we read the other."""


class HostGuard:
    """Lets in only requests that were meant for this server, whatever the route.

    A web page somewhere can make its visitor's browser send requests to loopback addresses; their Host or their Origin
    gives them away (DNS rebinding, MCP specification: transports, security warning).
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 400, 421 or 403."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if any(len(headers.getlist(name)) > 1 for name in _SAID_ONCE):
                text = f"One of these headers came twice, which says nothing: {', '.join(_SAID_ONCE)}."
                return await JSONResponse({"error": text}, 400)(scope, receive, send)
            if not self._knows(headers.get("host", "")):
                text = "This server does not answer to that Host; its operator can add it to http.allowed_hosts."
                return await JSONResponse({"error": text}, 421)(scope, receive, send)
            origin = headers.get("origin")
            if origin is not None and not self._knows(urlsplit(origin).netloc):
                text = "Requests from that Origin are not let in."
                return await JSONResponse({"error": text}, 403)(scope, receive, send)
            # Left without any tool and told nothing, a client would look for the reason elsewhere.
            if any(name not in TOOLSETS for name in read_toolsets(headers) or ()):
                text = f"{TOOLSETS_HEADER} names a toolset that there is not. There are: {', '.join(TOOLSETS)}."
                return await JSONResponse({"error": text}, 400)(scope, receive, send)
        return await self._app(scope, receive, send)

    def _knows(self, address: str) -> bool:
        """Whether an address is one of ours: with exactly the port that is listed, or any where none is."""
        address = address.lower()
        if address in self._hosts:
            return True
        name, separator, port = address.rpartition(":")
        return bool(separator) and port.isdecimal() and name in self._hosts


def list_hosts(settings: HttpSection) -> list[str]:
    """Return the hosts that a server with these settings answers to."""
    public = [urlsplit(settings.public_url).netloc] if settings.public_url else []
    return [*LOOPBACK, *public, *settings.allowed_hosts]


class StaticTokens:
    """Verifies bearer tokens against the digests in the settings (a `TokenVerifier` of the SDK)."""

    def __init__(self, tokens: Iterable[CallerToken]) -> None:
        self._tokens = tuple(tokens)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whose token it is. All digests are compared, each in constant time."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        names = [known.name for known in self._tokens if hmac.compare_digest(known.sha256, digest)]
        return AccessToken(token="", client_id=names[0], scopes=[]) if names else None


class BearerError(Exception):
    """A bearer who is not let in: status, code (RFC 6750, section 3.1) if there is one, and why."""

    def __init__(self, status: int, code: str | None, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.description = description
        self.retry_after = retry_after


class BearerGuard:
    """Lets in only requests with a bearer token that one of the verifiers knows, and takes it off them.

    Nothing behind this door sees the token, so nothing can send it anywhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifiers: Sequence[TokenVerifier],
        *,
        scopes: Sequence[str] = (),
        metadata_url: str | None = None,
    ) -> None:
        """Tell who is refused which `scopes` are needed, and where the metadata of this resource is (RFC 9728)."""
        self._app = AuthContextMiddleware(app)
        self._verifiers = verifiers
        self._scopes = " ".join(scopes)
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its bearer's name, or answer 401, 403 or 503."""
        try:
            access = await self._verify(Headers(scope=scope).get("authorization", ""))
        except BearerError as error:
            await self._answer(error)(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        user, credentials = AuthenticatedUser(access), AuthCredentials(access.scopes)
        await self._app({**scope, "headers": headers, "user": user, "auth": credentials}, receive, send)

    async def _verify(self, authorization: str) -> AccessToken:
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise BearerError(401, None, "Callers of this server show a bearer token (Authorization: Bearer <token>).")
        for verifier in self._verifiers:
            if access := await verifier.verify_token(token.strip()):
                return access
        raise BearerError(401, "invalid_token", "This server does not know the bearer token.")

    def _answer(self, error: BearerError) -> JSONResponse:
        told = {"error": error.code, "error_description": error.description if error.code else None}
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        if error.status in {401, 403}:
            challenge = {"realm": NAME, **told, "scope": self._scopes, "resource_metadata": self._metadata_url}
            parts = ", ".join(f'{name}="{value}"' for name, value in challenge.items() if value)
            headers["WWW-Authenticate"] = f"Bearer {parts}"
        content = {"error": error.code or "unauthorized", "error_description": error.description}
        return JSONResponse(content, error.status, headers)
