"""Requests that were meant for this server: Host and Origin keep other people's web pages out."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_api.catalog import TOOLSETS
from gitbook_integrations_mcp.auth.callers import READ_ONLY_HEADER, TOOLSETS_HEADER, read_toolsets
from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.gitbook.credentials import INTEGRATION_HEADER, USER_HEADER

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
