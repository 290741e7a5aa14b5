"""One request and its answer over HTTP, or why there is none.

httpx is the interface, aiohttp the engine below it (it needs a third of the CPU of httpx's own). Both are imported on
the first request only, as a server that just started has no use for them. The transport is used without httpx's client,
which would have to be kept from what it does: follow redirects with the token, keep cookies, read whatever comes.
"""

import asyncio
import contextlib
import json
import ssl
import urllib.request
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr

from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.config.models import LimitsSection
from gitbook_integrations_mcp.errors import UnreachableError

if TYPE_CHECKING:
    import httpx
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    HTTPTransport = httpx.AsyncBaseTransport
else:
    HTTPTransport = Any

USER_AGENT = f"gitbook-integrations-mcp/{__version__}"
_HEADERS = [
    ("User-Agent", USER_AGENT),
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip"),
]
_EMPTY = frozenset({204, 205})
"""Statuses of answers without a body. The engine does not know it of 205, and would wait for the connection to end."""
_PIECE = 64 * 1024
"""Bytes that are written at once; what is no longer needs no time-out, as the operating system takes it."""


@dataclass(frozen=True, slots=True)
class GitBookResponse:
    """An HTTP answer as it came: status, headers (case-insensitive) and body.

    `attempts` tells how often the request was sent. It is `uncertain` where an earlier attempt, whose answer got lost,
    may have taken effect. `wait` is in how many seconds GitBook would take the request that it refused.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    attempts: int = 1
    uncertain: bool = False
    wait: float | None = None


class _BodyError(Exception):
    """An answer that is not taken. The message is a predicate: what the other side did."""


class HTTPClient:
    """Sends to GitBook at one endpoint, or to the sandbox where `transport` leads to one.

    It keeps connections, but neither cookies nor credentials, and follows no redirect.
    """

    def __init__(self, endpoint: str, settings: LimitsSection, transport: HTTPTransport | None = None) -> None:
        self.host = urlsplit(endpoint).netloc
        self._endpoint = endpoint
        self._settings = settings
        self._given = transport
        self._transport: HTTPTransport | None = None

    async def send(self, request: Request, token: SecretStr, seconds: float) -> GitBookResponse:
        """Send `request` once and return the answer, if it is complete within `seconds`.

        Raises:
            UnreachableError: no whole answer came.
        """
        try:
            # Opened lazily and used by all: httpx and aiohttp are imported here.
            transport = self._transport = self._transport or self._given or open_transport(self._endpoint)
            async with asyncio.timeout(seconds), asyncio.timeout(None) as writing:
                response = await transport.handle_async_request(self._build(request, token, writing))
                try:
                    body = await _read_body(response, self._settings.body_bytes)
                finally:
                    # What fails in closing must not take the place of an answer, or of a cancellation.
                    with contextlib.suppress(Exception):
                        await response.aclose()
        except TimeoutError:
            if writing.expired():
                what = f"took nothing of the request for {self._settings.write_seconds:g} s"
            else:
                what = f"did not answer completely within {self._settings.call_seconds:g} s, waits included"
            raise UnreachableError(f"{self.host} {what}.", sent=True) from None
        except Exception as error:  # noqa: BLE001
            # Whatever it is, its text can hold a header or a URL: only its type is used.
            raise self._explain(error) from None
        return GitBookResponse(response.status_code, response.headers, body)

    async def close(self) -> None:
        """Close the connections. The exchange can be used again afterwards."""
        if self._transport:
            await self._transport.aclose()
            self._transport = None

    def _build(self, request: Request, token: SecretStr, writing: asyncio.Timeout) -> "httpx.Request":
        import httpx

        settings = self._settings
        url = f"{self._endpoint}/v1{request.path}"
        headers = [*_HEADERS, ("Authorization", f"Bearer {token.get_secret_value()}")]
        content: bytes | AsyncIterator[bytes] | None = None
        if request.body is not None:
            content = json.dumps(request.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            headers.append(("Content-Type", "application/json"))
            if len(content) > _PIECE:
                headers.append(("Content-Length", str(len(content))))
                content = _write(content, settings.write_seconds, writing)
        return httpx.Request(
            request.method,
            f"{url}?{urlencode(request.query)}" if request.query else url,
            headers=headers,
            content=content,
            extensions={
                "timeout": {
                    "connect": settings.connect_seconds,
                    "pool": settings.connect_seconds,  # the engine's name for all of connecting, the look-up included
                    "read": settings.read_seconds,
                }
            },
        )

    def _explain(self, error: Exception) -> UnreachableError:
        """Return what an exception of the HTTP layer means. Where it is not certain that nothing was sent, it was."""
        import aiohttp
        import httpx

        cause = error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ else error
        transient = True
        if isinstance(cause, aiohttp.ClientConnectorCertificateError):
            what, transient = "no secure connection", False
            advice = (
                "This machine does not trust the certificate; a proxy that inspects TLS needs its root certificate in "
                "the operating system's trust store."
            )
        elif isinstance(cause, aiohttp.ClientSSLError):
            what, transient = "no secure connection", False
            advice = "The other side does not speak TLS as expected; check GITBOOK_ENDPOINT."
        elif isinstance(cause, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
            what, advice = "the proxy did not connect", "Check HTTPS_PROXY and NO_PROXY."
        elif isinstance(cause, aiohttp.ClientConnectorDNSError):
            what, advice = "the name does not resolve", "Check the network, HTTPS_PROXY and GITBOOK_ENDPOINT."
        elif isinstance(cause, aiohttp.ClientConnectorError):
            what, advice = "nothing answers there", "Check the network, HTTPS_PROXY and GITBOOK_ENDPOINT."
        elif isinstance(cause, aiohttp.ConnectionTimeoutError):
            what = f"no connection within {self._settings.connect_seconds:g} s"
            advice = "Check the network and HTTPS_PROXY."
        else:
            what, transient = self._explain_answer(cause)
            return UnreachableError(what, sent=True, transient=transient)
        message = f"GitBook could not be reached at {self.host}: {what}. {advice}"
        return UnreachableError(message, sent=False, transient=transient)

    def _explain_answer(self, cause: BaseException) -> tuple[str, bool]:
        import aiohttp

        if isinstance(cause, _BodyError):
            return f"{self.host} sent {cause}.", False
        if isinstance(cause, aiohttp.SocketTimeoutError):
            return f"{self.host} did not answer within {self._settings.read_seconds:g} s.", False
        if isinstance(cause, aiohttp.ClientResponseError):
            return f"{self.host} sent an answer that is not valid HTTP. Check GITBOOK_ENDPOINT.", False
        return f"The connection to {self.host} broke before the answer was complete.", True


async def _write(content: bytes, seconds: float, writing: asyncio.Timeout) -> AsyncIterator[bytes]:
    """Yield `content` in pieces, each of which must be taken within `seconds`."""
    clock = asyncio.get_running_loop().time
    for start in range(0, len(content), _PIECE):
        writing.reschedule(clock() + seconds)
        yield content[start : start + _PIECE]
    writing.reschedule(None)


async def _read_body(response: "httpx.Response", limit: int) -> bytes:
    """Return the body, read no further than `limit` bytes of it."""
    if response.status_code in _EMPTY:
        return b""
    too_much = _BodyError(f"more than {limit / 1_000_000:g} MB, which is not read. Ask for less, with a smaller limit")
    if int(response.headers.get("content-length", 0)) > limit:
        raise too_much
    assert hasattr(response.stream, "__aiter__")
    pieces, size = [], 0
    async for piece in response.stream:
        size += len(piece)
        if size > limit:
            raise too_much
        pieces.append(piece)
    body = b"".join(pieces)
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise _BodyError("an answer compressed in a way that was not asked for")
    unpacking = zlib.decompressobj(wbits=31)
    try:
        body = unpacking.decompress(body, limit + 1)
    except zlib.error:
        raise _BodyError("an answer whose compression is broken") from None
    if len(body) > limit:
        raise too_much
    if not unpacking.eof:
        raise _BodyError("an answer whose compression is cut off")
    return body


def open_transport(endpoint: str) -> HTTPTransport:
    """Return a transport that trusts what the operating system trusts and takes the proxy the environment names."""
    import aiohttp
    import httpx
    import truststore
    from httpx_aiohttp import AiohttpTransport

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    parts = urlsplit(endpoint)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and urllib.request.proxy_bypass(parts.netloc):
        proxy = None
    return AiohttpTransport(
        verify=context,
        proxy=httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}") if proxy else None,
        client=lambda: aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_send_once,),
        ),
    )


async def _send_once(request: "ClientRequest", handler: "ClientHandlerType") -> "ClientResponse":
    """Keep aiohttp from repeating a request when the connection breaks: our policy alone decides that, and counts."""
    import aiohttp

    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # there was no connection, so nothing was sent, and aiohttp does not repeat it
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError from error  # not of a kind that is repeated
