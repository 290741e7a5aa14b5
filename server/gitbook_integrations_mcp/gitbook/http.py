"""Sends one request over HTTP and returns the response, or an error that says why there is none.

httpx is the interface; aiohttp is the transport below it, because it needs a third of the CPU time of httpx's own. Both
are imported on the first request. httpx's client is not used, because it would follow redirects with the token, keep
cookies, and read bodies of any size.
"""

import asyncio
import contextlib
import json
import sys
import urllib.request
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr

from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.config.models import LimitsSection
from gitbook_integrations_mcp.errors import UnreachableError
from gitbook_integrations_mcp.gitbook.tls import create_context, skip_default_certificates

if TYPE_CHECKING:
    import httpx
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    HTTPTransport = httpx.AsyncBaseTransport
else:
    HTTPTransport = Any

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
"""httpx runs without its command line, which would load rich and Pygments on its import."""

USER_AGENT = f"gitbook-integrations-mcp/{__version__}"
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
_WITHOUT_BODY = frozenset({204, 205})
"""Statuses of responses without a body. aiohttp would wait for the body of a 205 until the connection closes."""
_CHUNK = 64 * 1024
"""Bytes written at a time. Smaller bodies need no write time-out: the operating system buffers them."""


@dataclass(frozen=True, slots=True)
class GitBookResponse:
    """An HTTP response as received: status, headers (by name in lower case) and body.

    `attempts` is how often the request was sent. `uncertain` means that an earlier attempt, whose outcome is unknown,
    may have taken effect. `wait` is how many seconds to wait before the next attempt, if GitBook asks for it.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    attempts: int = 1
    uncertain: bool = False
    wait: float | None = None


class _BodyError(Exception):
    """A response body that cannot be used. The message is the object of "GitBook sent …"."""


class HTTPClient:
    """Sends requests to one endpoint of GitBook, or to the GitBook sandbox if `transport` leads there.

    It reuses connections, keeps neither cookies nor credentials, and follows no redirects.
    """

    def __init__(self, endpoint: str, settings: LimitsSection, transport: HTTPTransport | None = None) -> None:
        self.host = urlsplit(endpoint).netloc
        self._endpoint = endpoint
        self._settings = settings
        self._custom_transport = transport
        self._transport: HTTPTransport | None = None

    async def send(self, request: Request, token: SecretStr, seconds: float) -> GitBookResponse:
        """Send `request` once and return the response, which must be complete within `seconds`.

        Raises:
            UnreachableError: no complete response arrived.
        """
        try:
            # Opened on the first request, because that imports httpx and aiohttp.
            transport = self._transport = self._transport or self._custom_transport or open_transport(self._endpoint)
            async with asyncio.timeout(seconds) as deadline:
                end = deadline.when()
                raw = await transport.handle_async_request(self._build_request(request, token, deadline))
                try:
                    raw.headers.encoding = "latin-1"  # httpx would try others first, header by header
                    headers = dict(raw.headers.items())
                    body = await _read_body(raw, headers, self._settings.body_bytes)
                finally:
                    # A failure to close must not replace the response or a cancellation.
                    with contextlib.suppress(Exception):
                        await raw.aclose()
        except TimeoutError:
            if deadline.when() != end:
                failure = f"did not read the request body for {self._settings.write_seconds:g} s"
            else:
                failure = f"sent no complete response within {self._settings.call_seconds:g} s, including waits"
            raise UnreachableError(f"{self.host} {failure}.", sent=True) from None
        except Exception as error:  # noqa: BLE001
            # The text of any exception can contain a header or a URL, so only its type is used.
            raise self._create_error(error) from None
        return GitBookResponse(raw.status_code, headers, body)

    def prepare(self) -> None:
        """Import what the first request needs, in advance. A thread can do this."""
        with contextlib.suppress(Exception):  # the first request fails in the same way, and reports it
            transport = self._custom_transport or open_transport(self._endpoint)
            self._transport = self._transport or transport  # the first request can have come meanwhile

    async def close(self) -> None:
        """Close the connections. The client can be used again afterwards."""
        if self._transport:
            await self._transport.aclose()
            self._transport = None

    def _build_request(self, request: Request, token: SecretStr, deadline: asyncio.Timeout) -> "httpx.Request":
        import httpx

        settings = self._settings
        url = self._build_url(request)
        content = b""
        headers = httpx.Headers(self._headers)
        headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        if request.body is not None:
            content = json.dumps(request.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        if content or request.method in {"POST", "PUT", "PATCH"}:
            headers["Content-Length"] = str(len(content))
        whole = len(content) <= _CHUNK
        built = httpx.Request(
            request.method,
            url,
            headers=headers,
            content=None if whole else _stream_content(content, settings.write_seconds, deadline),
            # httpx would search the headers for what they already have.
            stream=httpx.ByteStream(content) if whole else None,
            extensions={
                "timeout": {
                    "connect": settings.connect_seconds,
                    "pool": settings.connect_seconds,  # aiohttp's limit for all of connecting, including DNS
                    "read": settings.read_seconds,
                }
            },
        )
        built.headers.encoding = "ascii"  # httpx would find that out header by header
        if whole:
            built.read()
        return built

    @cached_property
    def _headers(self) -> "httpx.Headers":
        """The headers of all requests. httpx encodes them only once."""
        import httpx

        return httpx.Headers({"Host": self._base.netloc.decode(), **_HEADERS})

    @cached_property
    def _base(self) -> "httpx.URL":
        import httpx

        return httpx.URL(f"{self._endpoint}/v1")

    def _build_url(self, request: Request) -> "httpx.URL":
        """Return the URL of `request`, whose path and query are encoded.

        httpx's parser would check and encode each character once more, which takes as long as the system calls of the
        request. There is no public way around it.
        """
        import httpx

        url, base = httpx.URL(self._base), self._base._uri_reference
        url._uri_reference = base._replace(path=base.path + request.path, query=urlencode(request.query) or None)
        return url

    def _create_error(self, error: Exception) -> UnreachableError:
        """Return the error for an exception of the HTTP layer; `sent` is false only if nothing was sent for certain."""
        import aiohttp
        import httpx

        cause = error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ else error
        transient = True
        if isinstance(cause, aiohttp.ClientConnectorCertificateError):
            failure, transient = "the TLS connection failed", False
            advice = (
                "This machine does not trust the certificate. If a proxy inspects TLS, add its root certificate to the "
                "operating system's trust store."
            )
        elif isinstance(cause, aiohttp.ClientSSLError):
            failure, transient = "the TLS connection failed", False
            advice = "Check GITBOOK_ENDPOINT."
        elif isinstance(cause, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
            failure, advice = "the connection through the proxy failed", "Check HTTPS_PROXY and NO_PROXY."
        elif isinstance(cause, aiohttp.ClientConnectorDNSError):
            failure = "the host name could not be resolved"
            advice = "Check the network, HTTPS_PROXY and GITBOOK_ENDPOINT."
        elif isinstance(cause, aiohttp.ClientConnectorError):
            failure, advice = "the connection failed", "Check the network, HTTPS_PROXY and GITBOOK_ENDPOINT."
        elif isinstance(cause, aiohttp.ConnectionTimeoutError):
            failure = f"no connection within {self._settings.connect_seconds:g} s"
            advice = "Check the network and HTTPS_PROXY."
        else:
            message, transient = self._describe_bad_response(cause)
            return UnreachableError(message, sent=True, transient=transient)
        message = f"GitBook could not be reached at {self.host}: {failure}. {advice}"
        return UnreachableError(message, sent=False, transient=transient)

    def _describe_bad_response(self, cause: BaseException) -> tuple[str, bool]:
        """Return why there is no usable response, and whether another attempt may succeed."""
        import aiohttp

        if isinstance(cause, _BodyError):
            return f"{self.host} sent {cause}.", False
        if isinstance(cause, aiohttp.SocketTimeoutError):
            return f"{self.host} did not respond within {self._settings.read_seconds:g} s.", False
        if isinstance(cause, aiohttp.ClientResponseError):
            return f"{self.host} sent an invalid HTTP response. Check GITBOOK_ENDPOINT.", False
        return f"The connection to {self.host} was lost before the response was complete.", True


async def _stream_content(content: bytes, seconds: float, deadline: asyncio.Timeout) -> AsyncIterator[bytes]:
    """Yield `content` in chunks; each must be written within `seconds`, and before `deadline`."""
    clock, end = asyncio.get_running_loop().time, deadline.when()
    assert end is not None
    for start in range(0, len(content), _CHUNK):
        deadline.reschedule(min(clock() + seconds, end))
        yield content[start : start + _CHUNK]
    deadline.reschedule(end)


async def _read_body(raw: "httpx.Response", headers: Mapping[str, str], limit: int) -> bytes:
    """Return the decompressed body; reading stops at `limit` bytes.

    Raises:
        _BodyError: the body is longer, or its compression is invalid.
    """
    if raw.status_code in _WITHOUT_BODY:
        return b""
    too_long = _BodyError(f"more than {limit / 1_000_000:g} MB. Request less, for example with a smaller limit")
    if int(headers.get("content-length", 0)) > limit:
        raise too_long
    assert hasattr(raw.stream, "__aiter__")
    chunks, size = [], 0
    async for chunk in raw.stream:
        size += len(chunk)
        if size > limit:
            raise too_long
        chunks.append(chunk)
    body = b"".join(chunks)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise _BodyError("a response with an unsupported compression")
    decompressor = zlib.decompressobj(wbits=31)
    try:
        body = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise _BodyError("a response with invalid gzip data") from None
    if len(body) > limit:
        raise too_long
    if not decompressor.eof:
        raise _BodyError("a response with truncated gzip data")
    return body


def import_engine() -> None:
    """Import httpx and aiohttp, which takes most of the time of a first call."""
    if "httpx_aiohttp" not in sys.modules:
        with skip_default_certificates():
            import httpx_aiohttp  # noqa: F401


def open_transport(endpoint: str) -> HTTPTransport:
    """Return a transport that uses the operating system's trust store and the proxy of the environment."""
    import_engine()
    import aiohttp
    import httpx
    from httpx_aiohttp import AiohttpTransport

    context = create_context()
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
    """Prevent aiohttp from repeating a request when the connection is lost: only `retry` decides that."""
    import aiohttp

    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # there was no connection, so nothing was sent, and aiohttp does not retry
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError from error  # aiohttp does not retry after this class
