"""The GitBook client: sends one request over HTTP and returns what came back, or why nothing did.

httpx is the interface, aiohttp the engine below it (it needs a third of the CPU of httpx's own). Both are imported on
the first request only, as a server that just started has no use for them.
"""

import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from gitbook_integrations.endpoint import Request
from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.errors import UnreachableError
from gitbook_integrations_mcp.settings import LimitsSection

if TYPE_CHECKING:
    import httpx
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    Transport = httpx.AsyncBaseTransport
else:
    Transport = Any

USER_AGENT = f"gitbook-integrations-mcp/{__version__}"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as it came: status, headers (case-insensitive) and body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class GitBook:
    """GitBook's API at one endpoint, or the sandbox where `transport` leads to one.

    One client serves all callers: it keeps connections, but neither cookies nor credentials.
    """

    def __init__(self, endpoint: str, settings: LimitsSection, transport: Transport | None = None) -> None:
        self.endpoint = endpoint
        self._settings = settings
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def send(self, request: Request, token: SecretStr) -> Reply:
        """Send `request` with `token`. Redirects are not followed, as they would carry the token elsewhere.

        Raises:
            UnreachableError: no answer came.
        """
        client = self._client or self._open_client()
        try:
            response = await client.request(
                request.method,
                f"{self.endpoint}/v1{request.path}",
                params=request.query or None,
                json=request.body,
                headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            )
        except Exception as error:  # noqa: BLE001
            # Whatever it is, its text can hold a header or a URL: only its type is used.
            raise _explain(error, self.endpoint, self._settings) from None
        return Reply(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Close the connections. The client can be used again afterwards."""
        if self._client:
            await self._client.aclose()
            self._client = None

    def _open_client(self) -> "httpx.AsyncClient":
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        settings = self._settings
        self._client = httpx.AsyncClient(
            transport=self._transport or open_transport(self.endpoint),
            timeout=httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
        )
        return self._client


def open_transport(endpoint: str) -> Transport:
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
    """Keep aiohttp from repeating a request when the connection breaks, except a GET.

    It repeats PUT and DELETE, too: one yes of a human would be sent twice, and the second answer would hide the first.
    """
    import aiohttp

    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # there was no connection, so nothing was sent, and aiohttp does not repeat it
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == "GET":
            raise
        raise aiohttp.ClientConnectionError from error  # not of a kind that is repeated


def _explain(error: Exception, endpoint: str, settings: LimitsSection) -> UnreachableError:
    """Return what an exception of the HTTP layer means. Where it is not certain that nothing was sent, it was."""
    import aiohttp
    import httpx

    host = urlsplit(endpoint).netloc
    cause = error.__cause__ or error
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        what = "no secure connection"
        advice = (
            "This machine does not trust the certificate; a proxy that inspects TLS needs its root certificate in "
            "the operating system's trust store."
        )
    elif isinstance(cause, aiohttp.ClientSSLError):
        what, advice = "no secure connection", "The other side does not speak TLS as expected; check GITBOOK_ENDPOINT."
    elif isinstance(cause, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        what, advice = "the proxy did not connect", "Check HTTPS_PROXY and NO_PROXY."
    elif isinstance(cause, aiohttp.ClientConnectorDNSError):
        what, advice = "the name does not resolve", "Check the network, HTTPS_PROXY and GITBOOK_ENDPOINT."
    elif isinstance(cause, aiohttp.ClientConnectorError):
        what, advice = "nothing answers there", "Check the network, HTTPS_PROXY and GITBOOK_ENDPOINT."
    elif isinstance(cause, aiohttp.ConnectionTimeoutError):
        what, advice = f"no connection within {settings.connect_seconds:g} s", "Check the network and HTTPS_PROXY."
    elif isinstance(cause, aiohttp.SocketTimeoutError):
        return UnreachableError(f"{host} did not answer within {settings.read_seconds:g} s.", sent=True)
    elif isinstance(error, httpx.DecodingError):
        return UnreachableError(f"{host} sent an answer whose compression is broken.", sent=True)
    else:
        return UnreachableError(f"The connection to {host} broke before the answer was complete.", sent=True)
    return UnreachableError(f"GitBook could not be reached at {host}: {what}. Nothing was sent. {advice}", sent=False)
