"""Over HTTP, nothing stays of calls and sessions that are over: no task, no open file, no session."""

import asyncio
import contextlib
import gc
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.net.timeouts import TimeoutProtocol
from tests.benchmarks import subject
from tests.benchmarks.client_pool import ERAS, ClientPool, Era
from tests.support.fake_gitbook import Era as ClientEra
from tests.support.http_server import Kind, connect, each_way, serve
from tests.support.process import SOON

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc, which only Linux has")


def count_remains() -> dict[str, int]:
    """Return how much of everything there is in this process, where servers and clients of these tests live."""
    gc.collect()
    things = gc.get_objects()
    managers = [thing for thing in things if isinstance(thing, StreamableHTTPSessionManager)]
    streams = [thing for thing in things if isinstance(thing, SseServerTransport)]
    return {
        "tasks": len(asyncio.all_tasks()),
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "sessions": sum(len(manager._server_instances) for manager in managers),
        "owners": sum(len(manager._session_owners) for manager in managers),
        "streams": sum(len(stream._read_stream_writers) for stream in streams),
        "connections": sum(isinstance(thing, TimeoutProtocol) for thing in things),
    }


async def count_at_rest() -> dict[str, int]:
    """Return how much there is when nobody is there, once what an earlier visit left is gone."""
    before: dict[str, int] = {}
    now = count_remains()
    while before != now or now["sessions"] or now["streams"]:
        await asyncio.sleep(0.1)
        before, now = now, count_remains()
    return now


async def settle(before: dict[str, int]) -> None:
    """Wait until nothing is left that was not there before; connections to GitBook may have been closed meanwhile."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON):
            # Nobody tells when something is gone.
            while any(count > before[what] for what, count in count_remains().items()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    after = count_remains()
    assert {what: count for what, count in after.items() if count > before[what]} == {}, before


@pytest.mark.parametrize("era", ERAS)
async def test_nothing_stays_of_hundreds_of_calls_and_sessions(era: Era) -> None:
    with subject.upstream() as endpoint:
        gitbook = {"endpoint": endpoint, "token": "gb_api_test"}
        async with serve(None, gitbook=gitbook) as address:

            async def visit() -> None:
                pool = ClientPool(urlsplit(address).port or 0, "/mcp", era)
                await pool.connect()
                await pool.call(128)
                await pool.disconnect()

            await visit()
            before = await count_at_rest()
            for _ in range(4):
                await visit()
            await settle(before)


async def test_nothing_stays_of_sse_clients() -> None:
    with subject.upstream() as endpoint:
        gitbook = {"endpoint": endpoint, "token": "gb_api_test"}
        async with serve(None, gitbook=gitbook) as address:

            async def visit() -> None:
                async with connect(address, "sse", "legacy") as client:
                    await client.call_tool("get_integration_by_name", {"integrationName": "slack"})

            async def visit_together() -> None:
                await asyncio.gather(*(visit() for _ in range(5)))

            await visit_together()
            before = await count_at_rest()
            for _ in range(4):
                await visit_together()
            await settle(before)


async def test_sessions_whose_clients_vanish_end() -> None:
    async with serve(None, http={"session_idle_seconds": 2}) as address:
        pool = ClientPool(urlsplit(address).port or 0, "/mcp", "2025-11-25")
        await pool.connect(1)
        await pool.disconnect()
        before = await count_at_rest()
        await pool.connect(8)
        assert count_remains()["sessions"] == 8
        pool.close()
        await settle(before)


class SilentGitBook:
    """An upstream that takes a request and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the request."""
        self.asked.set()
        await asyncio.Event().wait()


@each_way
async def test_nothing_stays_of_a_call_whose_client_leaves(kind: Kind, era: ClientEra) -> None:
    gitbook = SilentGitBook()
    async with serve(gitbook, gitbook={"token": "gb_api_test"}) as address:
        async with connect(address, kind, era) as client:
            await client.list_tools()
        before = await count_at_rest()
        async with connect(address, kind, era) as client:
            call: asyncio.Task[Any] = asyncio.create_task(client.call_tool("list_integrations", {}))
            await gitbook.asked.wait()
        call.cancel()
        await settle(before)
