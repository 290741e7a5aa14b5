"""Messages over HTTP that clients write in unusual ways: each request gets its response, and each call its end."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gitbook_integrations_mcp.errors import ErrorCode
from tests.support.elicitation_client import GitBookSpy
from tests.support.gated_calls import find_target
from tests.support.http_server import INITIALIZE, Kind, serve
from tests.support.loopback import open_client

KINDS: tuple[Kind, ...] = ("streamable-http", "sse")
INVALID_IDS = ("1.5", "1e300", "true", "null", "{}", "[1]")
INVALID_RESPONSES = {
    "null": b'"id":%s,"result":null',
    "a list": b'"id":%s,"result":[]',
    "an error without a code": b'"id":%s,"error":{"message":"x"}',
    "half a character": rb'"id":%s,"result":{"action":"accept","content":{"name":"\ud83d","confirm":true}}',
    "the ID as text": b'"id":"%s","result":null',
}
RESPONSES = {
    "a point in the ID": (b'"id":%s.0,"result":{"action":"decline"}', b""),
    "a byte order mark": (b'"id":%s,"result":{"action":"decline"}', b"\xef\xbb\xbf"),
}


class Session:
    """A session of protocol 2025-11-25: `post` sends bytes, `receive` returns the next message for the client."""

    def __init__(self, http: httpx.AsyncClient, url: str, lines: AsyncIterator[str] | None) -> None:
        self._http = http
        self._url = url
        self._lines = lines
        self.headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}

    async def post(self, body: bytes) -> httpx.Response:
        """Send a message that has no response of its own, or whose response comes on the stream."""
        return await self._http.post(self._url, content=body, headers=self.headers)

    @asynccontextmanager
    async def request(self, body: bytes) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Send a request, and yield the messages that follow."""
        async with self._http.stream("POST", self._url, content=body, headers=self.headers) as response:
            assert response.status_code == (202 if self._lines else 200)
            self.headers.setdefault("Mcp-Session-Id", response.headers.get("mcp-session-id", "none"))
            yield _read(self._lines or response.aiter_lines())


async def _read(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


@asynccontextmanager
async def open_session(address: str, kind: Kind) -> AsyncIterator[Session]:
    """Yield a session of a client that shows forms."""
    opening = json.dumps(INITIALIZE).replace('"capabilities": {}', '"capabilities": {"elicitation": {}}')
    async with open_client(base_url=address, timeout=20) as http, http.stream("GET", "/sse") as stream:
        lines = aiter(stream.aiter_lines())
        await anext(lines)
        url = (await anext(lines)).removeprefix("data: ")
        session = Session(http, url, lines) if kind == "sse" else Session(http, "/mcp", None)
        async with session.request(opening.encode()) as messages:
            assert (await anext(messages))["id"] == 0
        await session.post(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        yield session


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_whose_id_is_written_with_a_point_is_answered(kind: Kind) -> None:
    async with serve(GitBookSpy()) as address, open_session(address, kind) as session:
        body = b'\xef\xbb\xbf{"jsonrpc":"2.0","id":7.0,"method":"ping"}'
        async with session.request(body) as messages:
            answer = await anext(messages)
    assert answer == {"jsonrpc": "2.0", "id": 7, "result": {}}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_with_an_invalid_id_is_refused(kind: Kind) -> None:
    async with serve(GitBookSpy()) as address, open_session(address, kind) as session:
        for written in INVALID_IDS:
            answer = await session.post(b'{"jsonrpc":"2.0","id":%s,"method":"ping"}' % written.encode())
            assert (answer.status_code, answer.json()["id"]) == (400, None)
            assert answer.json()["error"]["data"] == {"code": ErrorCode.INVALID_MESSAGE}
        async with session.request(b'{"jsonrpc":"2.0","id":"x","method":"ping"}') as messages:
            assert (await anext(messages))["id"] == "x"


@asynccontextmanager
async def ask(session: Session, spy: GitBookSpy) -> AsyncIterator[tuple[bytes, AsyncIterator[dict[str, Any]]]]:
    """Call a tool that asks; yield the ID of the form, and the messages that follow."""
    target = find_target(spy, "uninstall_integration")
    params = {"name": target.name, "arguments": target.arguments}
    call = {"jsonrpc": "2.0", "id": "call", "method": "tools/call", "params": params}
    async with session.request(json.dumps(call).encode()) as messages:
        question = await anext(messages)
        assert question["method"] == "elicitation/create"
        yield str(question["id"]).encode(), messages


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", INVALID_RESPONSES)
async def test_an_invalid_answer_to_a_form_ends_the_call_at_once(kind: Kind, name: str) -> None:
    spy = GitBookSpy()
    async with (
        serve(spy) as address,
        open_session(address, kind) as session,
        ask(session, spy) as (identifier, messages),
    ):
        answer = await session.post(b'{"jsonrpc":"2.0",' + INVALID_RESPONSES[name] % identifier + b"}")
        assert answer.status_code == 202
        end = await anext(messages)
    assert (end["id"], end["result"]["structuredContent"]["code"]) == ("call", "confirmation_cancelled")
    assert spy.mutations == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RESPONSES)
async def test_an_answer_to_a_form_counts_however_it_is_written(kind: Kind, name: str) -> None:
    spy = GitBookSpy()
    text, before = RESPONSES[name]
    async with (
        serve(spy) as address,
        open_session(address, kind) as session,
        ask(session, spy) as (identifier, messages),
    ):
        await session.post(before + b'{"jsonrpc":"2.0",' + text % identifier + b"}")
        end = await anext(messages)
    assert end["result"]["structuredContent"]["code"] == "confirmation_declined"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_that_is_too_large_is_refused(kind: Kind) -> None:
    async with serve(GitBookSpy(), http={"body_bytes": 1000}) as address, open_session(address, kind) as session:
        assert (await session.post(b'{"jsonrpc":"2.0","id":1.5,"a":"' + b"x" * 1000)).status_code == 413
