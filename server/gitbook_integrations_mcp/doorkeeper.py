"""Who may come in over HTTP: Host and Origin keep other people's web pages out, bearer tokens other people."""

import hashlib
import hmac
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_mcp.settings import CallerToken, HttpSection

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class HostGuard:
    """Lets in only requests that were meant for this server, whatever the route.

    A web page somewhere can make its visitor's browser send requests to loopback addresses; their Host or their Origin
    gives them away (DNS rebinding, MCP specification: transports, security warning).
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 421 or 403."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if not self._knows(headers.get("host", "")):
                text = "This server does not answer to that Host; its operator can add it to http.allowed_hosts."
                return await JSONResponse({"error": text}, 421)(scope, receive, send)
            origin = headers.get("origin")
            if origin is not None and not self._knows(urlsplit(origin).netloc):
                text = "Requests from that Origin are not let in."
                return await JSONResponse({"error": text}, 403)(scope, receive, send)
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


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class StaticTokens:
    """Verifies bearer tokens against the digests in the settings (a `TokenVerifier` of the SDK)."""

    def __init__(self, tokens: Iterable[CallerToken]) -> None:
        self._tokens = tuple(tokens)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whose token it is. All digests are compared, each in constant time."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        names = [known.name for known in self._tokens if hmac.compare_digest(known.sha256, digest)]
        return AccessToken(token="", client_id=names[0], scopes=[]) if names else None
