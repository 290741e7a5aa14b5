"""Sessions and streams are shared fairly: one caller who opens all of them does not shut out the others."""

import contextlib

import httpx
import pytest

from tests.support.fake_gitbook import Upstream
from tests.support.http_server import CALLERS, INITIALIZE, bear, serve

ACCEPT = {"Accept": "application/json, text/event-stream"}


async def test_a_caller_with_few_sessions_gets_one_of_those_with_many() -> None:
    async with (
        serve(Upstream(), http={"tokens": CALLERS, "sessions": 4}) as address,
        httpx.AsyncClient(trust_env=False, base_url=address) as http,
    ):

        async def open_session(name: str) -> httpx.Response:
            return await http.post("/mcp", json=INITIALIZE, headers=bear(name, **ACCEPT))

        async def use(name: str, session: str) -> int:
            headers = bear(name, **ACCEPT, **{"Mcp-Session-Id": session})
            return (
                await http.post("/mcp", json={"jsonrpc": "2.0", "id": 2, "method": "ping"}, headers=headers)
            ).status_code

        many = [(await open_session("bob")).headers["mcp-session-id"] for _ in range(4)]
        assert (await open_session("bob")).status_code == 503  # one's own are not taken away unasked
        first, second = [(await open_session("ann")).headers["mcp-session-id"] for _ in range(2)]
        assert [await use("bob", session) for session in many] == [404, 404, 200, 200]
        assert [await use("ann", session) for session in (first, second)] == [200, 200]
        assert (await open_session("ann")).status_code == 503  # now both have as many
        assert (await open_session("bob")).status_code == 503


@pytest.mark.parametrize("path", ["/sse", "/mcp"])
async def test_a_caller_with_few_streams_gets_one_of_those_with_many(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serve(Upstream(), http={"tokens": CALLERS, "connections": 12}) as address,
        httpx.AsyncClient(trust_env=False, base_url=address, timeout=20) as http,
        contextlib.AsyncExitStack() as stack,
    ):

        async def open_stream(name: str) -> httpx.Response:
            headers = bear(name, **ACCEPT)
            if path == "/mcp":
                opened = await http.post(path, json=INITIALIZE, headers=headers)
                headers["Mcp-Session-Id"] = opened.headers["mcp-session-id"]
            return await stack.enter_async_context(http.stream("GET", path, headers=headers))

        many = [await open_stream("bob") for _ in range(9)]
        assert [stream.status_code for stream in many] == [200] * 9
        assert (await open_stream("bob")).status_code == 503  # one's own are not taken away unasked
        assert (await open_stream("ann")).status_code == 200
        await many[0].aread()  # it has ended
        assert (await http.post("/mcp", json=INITIALIZE, headers=bear("ann", **ACCEPT))).status_code == 200
        await many[1].aclose()
        assert (await open_stream("ann")).status_code == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
