"""Slow clients over real sockets: each loses its connection in time, and others are not affected."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.net import timeouts
from tests.support.elicitation_client import GitBookSpy
from tests.support.http_server import CALLERS, serve
from tests.support.loopback import listen, open_client, open_listener
from tests.support.process import SOON

QUICK = {"request_seconds": 0.2, "shutdown_seconds": 1}
HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def open_connection(address: str, *, small: bool = False) -> AsyncIterator[Connection]:
    """Yield a connection; a `small` one takes only little that is not read."""
    with socket.socket() as client:
        if small:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        parts = urlsplit(address)
        await asyncio.get_running_loop().sock_connect(client, (parts.hostname, parts.port))
        reader, writer = await asyncio.open_connection(sock=client, limit=2**12 if small else 2**16)
        try:
            yield reader, writer
        finally:
            writer.close()


async def drip(connection: Connection, at_once: bytes, slowly: bytes) -> bytes:
    """Return all that is answered to somebody who sends `slowly` byte by byte, and never comes to its end."""
    reader, writer = connection
    writer.write(at_once)
    answer = asyncio.create_task(read_to_end(reader))
    with anyio.fail_after(SOON):
        while not answer.done():
            writer.write(slowly)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(answer), 0.02)
    return await answer


def read_error(answer: bytes) -> str:
    """Return the code in the body of an error response, which has the shape of all of them."""
    body: dict[str, str] = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body.keys() == {"error", "error_description"}
    return body["error"]


@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        (b"", b""),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"x"),
        (HEAD, b" "),
        (HEAD.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    ],
    ids=["silence", "head", "body", "chunks"],
)
async def test_a_request_that_drips_in_is_given_up(
    at_once: bytes, slowly: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(GitBookSpy(), http=QUICK) as address, open_connection(address) as connection:
        dripping = asyncio.create_task(drip(connection, at_once, slowly))
        async with open_client() as other:
            while not dripping.done():
                assert (await other.get(f"{address}/health")).status_code == 200
    answer = await dripping
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert read_error(answer) == "request_timeout"
    assert b"0.2 s (http.request_seconds)" in answer
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_second_request_on_a_connection_has_as_much_time_as_the_first_and_no_more() -> None:
    first = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serve(GitBookSpy(), http=QUICK) as address, open_connection(address) as connection:
        answer = await drip(connection, first + b"GET /health HTTP/1.1\r\nX-Slow: ", b"x")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answer


async def test_whoever_is_refused_before_the_body_is_there_cannot_go_on_sending_it() -> None:
    settings = {**QUICK, "tokens": CALLERS}
    async with serve(GitBookSpy(), http=settings) as address, open_connection(address) as connection:
        answer = await drip(connection, HEAD, b" ")
    assert answer.startswith(b"HTTP/1.1 401 ")


class Broadcast:
    """An application with an answer of `size` bytes, and one that says a word and then nothing."""

    def __init__(self, size: int) -> None:
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by path."""
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/few":
            await send({"type": "http.response.body", "body": b"hello", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
        else:
            body = b"x" * self._size if scope["path"] == "/many" else b""
            await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def broadcast(size: int, settings: HttpSection) -> AsyncIterator[str]:
    """Yield the address of a broadcast."""
    with open_listener() as (listener, address):
        async with listen(Broadcast(size), settings, listener):
            yield address


async def ask(connection: Connection, path: str) -> asyncio.StreamReader:
    reader, writer = connection
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return reader


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes, also from a connection that breaks."""
    read = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(4096):
            read += chunk
    return read


@pytest.mark.parametrize("size", [64 * 1024, 8 * 1024 * 1024], ids=["little", "much"])
async def test_whoever_reads_nothing_is_given_up_and_who_is_told_nothing_is_not(size: int) -> None:
    settings = HttpSection(send_seconds=0.2, shutdown_seconds=1, connections=2)
    async with (
        broadcast(size, settings) as address,
        open_connection(address) as quiet,
        open_connection(address, small=True) as blocked,
    ):
        stream = await ask(quiet, "/few")
        assert (await stream.readuntil(b"hello\r\n")).endswith(b"hello\r\n")
        reader = await ask(blocked, "/many")
        await reader.readuntil(b"xxx")
        await await_place(address)
        assert len(await read_to_end(reader)) < size
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.read(1), 0.01)


async def test_a_request_that_still_waits_when_the_server_stops_gets_the_reason() -> None:
    waits = anyio.Event()

    async def wait(scope: Scope, _receive: Receive, _send: Send) -> None:
        if scope["type"] == "http":
            waits.set()
            await anyio.sleep_forever()

    with open_listener() as (listener, address):
        async with open_connection(address) as connection:
            async with listen(wait, HttpSection(shutdown_seconds=0), listener):
                reader = await ask(connection, "/mcp")
                await waits.wait()
            answer = await read_to_end(reader)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: " in answer
    assert read_error(answer) == "temporarily_unavailable"


async def test_a_response_that_is_cut_off_when_the_server_stops_leaves_no_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = anyio.Event()

    async def begin(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            begun.set()
            await anyio.sleep_forever()

    with open_listener() as (listener, address):
        async with open_connection(address) as connection:
            async with listen(begin, HttpSection(shutdown_seconds=0), listener):
                reader = await ask(connection, "/mcp")
                await begun.wait()
            assert not (await read_to_end(reader)).endswith(b"0\r\n\r\n")
    assert not [record for record in caplog.records if record.exc_info]


async def test_whoever_reads_slowly_gets_everything() -> None:
    size, settings = 2 * 1024 * 1024, HttpSection(send_seconds=0.5, shutdown_seconds=1)
    async with broadcast(size, settings) as address, open_connection(address, small=True) as slow:
        reader, read = await ask(slow, "/many"), b""
        started = anyio.current_time()
        while b"0\r\n\r\n" not in read[-8:]:
            chunk = await reader.read(64 * 1024)
            assert chunk, "given up"
            read += chunk
            await anyio.sleep(0.005)
        assert anyio.current_time() - started > settings.send_seconds
    assert read.count(b"x") == size


async def await_place(address: str) -> None:
    """Return once a newcomer is no longer turned away, because somebody has gone."""
    async with open_client() as newcomer:
        with anyio.fail_after(SOON):
            while (await newcomer.post(f"{address}/mcp", json={})).status_code == 503:
                pass


async def test_clients_above_the_limit_are_rejected_except_for_health(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve(GitBookSpy(), http={"connections": 2}) as address, contextlib.AsyncExitStack() as clients:
        http = await clients.enter_async_context(open_client())
        for _ in range(2):
            await clients.enter_async_context(open_connection(address))
        refused = [await http.post(f"{address}/mcp", json={}) for _ in range(2)]
        healthy = await http.get(f"{address}/health")
        await clients.aclose()
        await await_place(address)
    assert [response.status_code for response in refused] == [503, 503]
    assert refused[0].headers["retry-after"]
    assert refused[0].json()["error"] == "temporarily_unavailable"
    assert "http.connections" in refused[0].json()["error_description"]
    assert healthy.status_code == 200
    (record,) = [record for record in caplog.records if record.name == timeouts.__name__]
    assert "http.connections=2" in record.message


async def test_connections_far_above_the_limit_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "_RESERVE", 0)
    async with (
        serve(GitBookSpy(), http={"connections": 1}) as address,
        open_connection(address) as first,
        open_connection(address) as (reader, _),
    ):
        with anyio.fail_after(SOON), contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        answer = await ask(first, "/health")
        assert (await answer.readline()).startswith(b"HTTP/1.1 200 ")
