"""SSE clients: what one that posts and does not read can take, and that the others notice nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.transports.sse import MAX_OPEN_REQUESTS
from tests.support.fake_gitbook import Upstream
from tests.support.http_server import INITIALIZE, serve


@asynccontextmanager
async def open_stream(address: str) -> AsyncIterator[tuple[str, AsyncIterator[str], httpx.AsyncClient]]:
    """Yield the address to post to, the lines of the stream, and an HTTP client, after the handshake."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as client, client.stream("GET", "/sse") as response:
        lines = aiter(response.aiter_lines())
        await anext(lines)
        url = (await anext(lines)).removeprefix("data: ")
        assert (await client.post(url, json=INITIALIZE)).status_code == 202
        await client.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        await read_responses(lines, 1)
        yield url, lines, client


async def read_responses(lines: AsyncIterator[str], count: int) -> list[dict[str, Any]]:
    """Return the next messages of a stream."""
    messages: list[dict[str, Any]] = []
    while len(messages) < count:
        line = await anext(lines)
        if line.startswith("data: "):
            messages.append(json.loads(line.removeprefix("data: ")))
    return messages


def request(number: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/list"}


async def test_a_client_that_does_not_read_is_refused_until_it_reads() -> None:
    async with (
        serve(Upstream(), server={"transport": ["sse"]}) as address,
        open_stream(address) as (url, lines, client),
        open_stream(address) as (other_url, other_lines, other_client),
    ):
        accepted = 0
        while (response := await client.post(url, json=request(accepted + 1))).status_code == 202:
            accepted += 1
            assert accepted < 5_000, "nothing bounds the client"
        assert response.status_code == 429
        assert response.json()["error"] == ErrorCode.TOO_MANY_REQUESTS
        assert accepted >= MAX_OPEN_REQUESTS
        # Another session is not affected.
        assert (await other_client.post(other_url, json=request(1))).status_code == 202
        assert [message["id"] for message in await read_responses(other_lines, 1)] == [1]
        # Everything that was accepted gets its response, and then further requests are.
        answered = await read_responses(lines, accepted)
        assert {message["id"] for message in answered} == set(range(1, accepted + 1))
        async with asyncio.timeout(30):
            while (await client.post(url, json=request(0))).status_code == 429:  # noqa: ASYNC110 - nothing reports it
                await asyncio.sleep(0.01)
        assert [message["id"] for message in await read_responses(lines, 1)] == [0]


async def test_notifications_and_refused_posts_count_for_nothing() -> None:
    async with (
        serve(Upstream(), server={"transport": ["sse"]}) as address,
        open_stream(address) as (url, lines, client),
    ):
        note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
        for _ in range(2 * MAX_OPEN_REQUESTS):
            assert (await client.post(url, json=note)).status_code == 202
            assert (await client.post(url, content=b"{")).status_code == 400
            assert (await client.post("/messages/?session_id=none", json=request(1))).status_code in {400, 404}
        assert (await client.post(url, json=request(1))).status_code == 202
        assert [message["id"] for message in await read_responses(lines, 1)] == [1]
