"""Checks of Host, Origin and other headers, which protect against requests from foreign web pages."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_api.catalog import TOOLSETS
from gitbook_integrations_mcp.auth.callers import READ_ONLY_HEADER, TOOLSETS_HEADER, read_toolsets
from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.config.urls import is_wildcard
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.gitbook.credentials import INTEGRATION_HEADER, USER_HEADER
from gitbook_integrations_mcp.net.responses import create_error_response
from gitbook_integrations_mcp.net.timeouts import HEALTH_PATHS

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_SINGLE_HEADERS = (
    "Origin",
    "Authorization",
    "Mcp-Session-Id",
    USER_HEADER,
    INTEGRATION_HEADER,
    READ_ONLY_HEADER,
    TOOLSETS_HEADER,
)
"""Headers that identify or limit the caller. With two values, a proxy and this server could read different ones."""


class HostGuard:
    """Passes on only requests that are meant for this server.

    A web page can make its visitor's browser send requests to loopback addresses (DNS rebinding; see the security
    warning in the MCP specification of transports). The Host or Origin header of these requests reveals them.

    Health checks accept any Host: monitors send the address of a container, and the responses contain nothing secret.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond with 400, 421 or 403."""
        rejection = self._check(scope["path"], Headers(scope=scope)) if scope["type"] == "http" else None
        await (rejection or self._app)(scope, receive, send)

    def _check(self, path: str, headers: Headers) -> Response | None:
        """Return the error response to a request with these headers, or None if they are valid."""
        if any(len(headers.getlist(name)) > 1 for name in _SINGLE_HEADERS):
            text = f"Duplicate header. These may appear only once: {', '.join(_SINGLE_HEADERS)}."
            return create_error_response(400, ErrorCode.DUPLICATE_HEADER, text)
        if path not in HEALTH_PATHS and not self._is_allowed(headers.get("host", "")):
            text = "Host not allowed. The operator of this server can add it to http.allowed_hosts."
            return create_error_response(421, ErrorCode.HOST_NOT_ALLOWED, text)
        origin = headers.get("origin")
        if origin is not None and not self._is_allowed(_read_host(origin)):
            text = "Origin not allowed. The operator of this server can add its host to http.allowed_hosts."
            return create_error_response(403, ErrorCode.ORIGIN_NOT_ALLOWED, text)
        # Without this error, a client with a misspelt toolset would have no tools and no reason for it.
        if any(name not in TOOLSETS for name in read_toolsets(headers) or ()):
            text = f"{TOOLSETS_HEADER} contains an unknown toolset. Valid toolsets: {', '.join(TOOLSETS)}."
            return create_error_response(400, ErrorCode.UNKNOWN_TOOLSET, text)
        return None

    def _is_allowed(self, address: str) -> bool:
        """Whether an address is listed. A listed host without a port allows any port."""
        address = address.lower()
        if address in self._hosts:
            return True
        name, separator, port = address.rpartition(":")
        return bool(separator) and port.isdecimal() and name in self._hosts


def _read_host(origin: str) -> str:
    """Return the host and port of an origin; "" if it has none, or cannot be parsed."""
    try:
        return urlsplit(origin).netloc
    except ValueError:  # for example a broken IPv6 address
        return ""


def list_hosts(settings: HttpSection) -> list[str]:
    """Return the hosts that a server with these settings accepts."""
    public = [urlsplit(settings.public_url).netloc] if settings.public_url else []
    # No web page can have the literal address of this server as its name, unless it comes from there.
    own = [] if is_wildcard(settings.host) else [f"[{settings.host}]" if ":" in settings.host else settings.host]
    return [*LOOPBACK, *own, *public, *settings.allowed_hosts]
