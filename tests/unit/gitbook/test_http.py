"""The real HTTP client against real sockets: what goes wrong on the way, and what it says then."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest
from pydantic import SecretStr

from gitbook_integrations_api.endpoint import Method, Request
from gitbook_integrations_mcp.config.models import LimitsSection
from gitbook_integrations_mcp.errors import UnreachableError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.http import GitBookResponse, HTTPClient
from tests.support.certificates import create_certificate

TOKEN = "client-token-0123456789"
READ = Request("GET", "/user")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
Handler = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def serve(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Yield the URL of a server on loopback that gives the head of each request to `handler`."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await handler(writer, await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=context)
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def ignore(_stream: asyncio.StreamWriter, _head: bytes) -> None:
    """Do nothing with a request."""


async def send(endpoint: str, request: Request = READ, limits: Mapping[str, float] | None = None) -> GitBookResponse:
    """Send one request, once, with a fresh client."""
    gitbook = GitBook(endpoint, LimitsSection.model_validate({"attempts": 1, **(limits or {})}))
    try:
        return await gitbook.send(request, SecretStr(TOKEN))
    finally:
        await gitbook.close()


async def fail(endpoint: str, request: Request = READ, limits: Mapping[str, float] | None = None) -> UnreachableError:
    """Send one request that must fail, and return how; no error text holds the token."""
    with pytest.raises(UnreachableError) as caught:
        await send(endpoint, request, limits)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


async def test_a_response_has_status_headers_and_body() -> None:
    heads: list[bytes] = []

    async def answer(stream: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head)
        stream.write(OK + b"X-RateLimit-Reset: 5\r\n\r\n{}")

    async with serve(answer) as endpoint:
        response = await send(endpoint, Request("GET", "/integrations/a%20b%252F", (("search", "a&b=c+d ü"),)))
    assert (response.status, response.headers["x-ratelimit-reset"], response.body) == (200, "5", b"{}")
    (head,) = heads
    assert head.startswith(b"GET /v1/integrations/a%20b%252F?search=a%26b%3Dc%2Bd+%C3%BC HTTP/1.1\r\n")
    assert f"authorization: Bearer {TOKEN}".encode() in head


async def test_cookies_are_not_kept_between_calls() -> None:
    heads: list[bytes] = []

    async def answer(stream: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head)
        stream.write(OK + b"Set-Cookie: session=1; Path=/\r\n\r\n{}")

    async with serve(answer) as endpoint:
        gitbook = GitBook(endpoint, LimitsSection())
        await gitbook.send(READ, SecretStr(TOKEN))
        await gitbook.send(READ, SecretStr(TOKEN))
        await gitbook.close()
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_a_redirect_is_not_followed() -> None:
    async def answer(stream: asyncio.StreamWriter, head: bytes) -> None:
        assert b"/v1/user" in head
        stream.write(b"HTTP/1.1 302 Found\r\nLocation: /stolen\r\nContent-Length: 0\r\n\r\n")

    async with serve(answer) as endpoint:
        assert (await send(endpoint)).status == 302


async def test_a_refused_connection_is_reported_as_not_sent() -> None:
    async with serve(ignore) as endpoint:
        pass
    error = await fail(endpoint)
    assert not error.sent
    assert "the connection failed" in str(error)


async def test_an_unresolvable_host_is_reported_as_not_sent() -> None:
    error = await fail("http://does-not-exist.invalid")
    assert not error.sent
    assert "could not be resolved" in str(error)


async def test_a_read_time_out_is_reported_as_sent() -> None:
    async def stay_silent(_stream: asyncio.StreamWriter, _head: bytes) -> None:
        await asyncio.Event().wait()

    async with serve(stay_silent) as endpoint:
        error = await fail(endpoint, limits={"read_seconds": 0.05})
    assert error.sent
    assert "did not respond within 0.05 s" in str(error)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_a_lost_connection_is_reported_as_sent(said: bytes) -> None:
    async def hang_up(stream: asyncio.StreamWriter, _head: bytes) -> None:
        if said:
            stream.write(said)
        stream.close()

    async with serve(hang_up) as endpoint:
        error = await fail(endpoint, Request("POST", "/integrations/a/tasks", body={"task": {}}))
    assert error.sent
    assert "was lost before the response was complete" in str(error)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST", "PATCH"])
async def test_only_the_retry_policy_repeats_a_request(method: Method) -> None:
    heads: list[bytes] = []

    async def hang_up(stream: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head)
        stream.close()

    async with serve(hang_up) as endpoint:
        error = await fail(endpoint, Request(method, "/integrations/a"))
    assert len(heads) == 1
    assert error.sent


async def test_invalid_compression_is_reported() -> None:
    async def answer(stream: asyncio.StreamWriter, _head: bytes) -> None:
        stream.write(OK + b"Content-Encoding: gzip\r\n\r\n{}")

    async with serve(answer) as endpoint:
        assert "invalid gzip data" in str(await fail(endpoint))


async def test_an_untrusted_certificate_is_reported_as_not_sent(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def answer(stream: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head)
        stream.write(OK + b"\r\n{}")

    async with serve(answer, create_certificate(tmp_path / "server.pem")) as endpoint:
        error = await fail(endpoint)
    assert not error.sent
    assert "does not trust the certificate" in str(error)
    assert heads == []


async def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []

    async def answer(stream: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head)
        stream.write(OK + b"\r\n{}")

    async with serve(answer) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        await send("http://gitbook.invalid")
        monkeypatch.setenv("NO_PROXY", "gitbook.invalid")
        assert "could not be resolved" in str(await fail("http://gitbook.invalid"))
    assert [head.partition(b"\r\n")[0] for head in heads] == [b"GET http://gitbook.invalid/v1/user HTTP/1.1"]


@pytest.mark.parametrize("endpoint", ["https://gitbook.invalid", "http://127.0.0.1:8080/pröxy%20x"])
async def test_urls_are_as_httpx_would_write_them(endpoint: str) -> None:
    urls: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        urls.append(request.url)
        return httpx.Response(200, json={})

    path = "/integrations/" + quote("a b/ü%?#~'(x)…\u202e", safe="")
    query = (("page", "c d&e=ü+%/?#'[]\\^`{|}\u202e"), ("limit", "10"))
    client = HTTPClient(endpoint, LimitsSection(), httpx.MockTransport(answer))
    await client.send(Request("GET", path, query), SecretStr(TOKEN), 5)
    await client.send(READ, SecretStr(TOKEN), 5)
    assert urls == [httpx.URL(f"{endpoint}/v1{path}?{urlencode(query)}"), httpx.URL(f"{endpoint}/v1/user")]


async def test_a_client_that_was_prepared_reports_the_same_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://proxy.invalid")
    client = HTTPClient("https://gitbook.invalid", LimitsSection())
    client.prepare()
    with pytest.raises(UnreachableError):
        await client.send(READ, SecretStr(TOKEN), 5)
    await client.close()


async def test_an_unreachable_proxy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(ignore) as proxy:
        pass
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = await fail("https://gitbook.invalid")
    assert not error.sent
    assert "the connection through the proxy failed" in str(error)


def test_no_repr_shows_a_token() -> None:
    response = GitBookResponse(200, {"x": TOKEN}, TOKEN.encode())
    assert TOKEN not in repr(response) + repr(SecretStr(TOKEN)) + repr(GitBook("https://x.example", LimitsSection()))
