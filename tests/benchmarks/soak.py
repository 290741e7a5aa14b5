"""What many calls and many sessions leave behind in one process of a server: nothing, if all is well."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial

import anyio
from mcp import ClientSession
from mcp.client.sse import sse_client

from tests.benchmarks import vitals
from tests.benchmarks.client_pool import ERAS, MANY, TOOL, AnswerError, ClientPool, Era
from tests.benchmarks.listener import Listener, listen
from tests.benchmarks.measure import Metric, Results
from tests.benchmarks.subject import Subject

CALLS = 20_000
SESSIONS = 500
"""Sessions of protocol 2025-11-25 over each of streamable HTTP and SSE."""
FLAT = 1.05
"""Times what it was before, to which resident memory may grow."""
PATIENCE = 10.0
"""Seconds a server may take to notice that its clients have gone."""


MEMORY = {era: Metric(f"resident memory after {CALLS:,} calls, {era}, to that before", "×", most=FLAT) for era in ERAS}
FILES = {era: Metric(f"files left open by {CALLS:,} calls, {era}", "", most=0) for era in ERAS}
MEMORY_SESSIONS = Metric(f"resident memory after {SESSIONS} sessions, to that before", "×", most=FLAT)
FILES_SESSIONS = Metric(f"files left open by {SESSIONS} sessions", "", most=0)
MEMORY_SSE = Metric(f"resident memory after {SESSIONS} sessions over SSE, to that before", "×", most=FLAT)
FILES_SSE = Metric(f"files left open by {SESSIONS} sessions over SSE", "", most=0)
METRICS = [
    *(metric[era] for era in ERAS for metric in (MEMORY, FILES)),
    *(MEMORY_SESSIONS, FILES_SESSIONS, MEMORY_SSE, FILES_SSE),
]


def soak(product: Subject, endpoint: str, part: int, results: Results) -> None:
    """Add to `results` what calls in each era, and sessions, leave behind: the stated number of them, or a `part`."""
    with listen(product, endpoint) as server:
        for era in ERAS:
            asyncio.run(_call(server, era, CALLS // part // 4))  # pools of connections and of memory grow first
            work = partial(_call, server, era, CALLS // part)
            _compare(server, MEMORY[era], FILES[era], work, results)
        for memory, files, open_sessions in (
            (MEMORY_SESSIONS, FILES_SESSIONS, _open),
            (MEMORY_SSE, FILES_SSE, _stream),
        ):
            asyncio.run(open_sessions(server, SESSIONS // part // 4))
            _compare(server, memory, files, partial(open_sessions, server, SESSIONS // part), results)


async def _call(server: Listener, era: Era, calls: int) -> None:
    pool = ClientPool(server.port, "/mcp", era)
    await pool.connect()
    await pool.call(calls)
    await pool.disconnect()


async def _open(server: Listener, sessions: int) -> None:
    """Open sessions, call once in each, and end them."""
    for _ in range(sessions // MANY + 1):
        await _call(server, "2025-11-25", MANY)


async def _stream(server: Listener, sessions: int) -> None:
    """Do the same over SSE."""
    for start in range(0, sessions, MANY):
        async with anyio.create_task_group() as group:
            for number in range(start, min(start + MANY, sessions)):
                group.start_soon(_call_over_sse, server, number)


async def _call_over_sse(server: Listener, number: int) -> None:
    async with sse_client(f"http://127.0.0.1:{server.port}/sse") as streams, ClientSession(*streams) as session:
        await session.initialize()
        result = await session.call_tool(TOOL, {"integrationName": f"slack-{number}"})
        if result.is_error:
            raise AnswerError(str(result.content))


def _compare(
    server: Listener, memory: Metric, files: Metric, work: Callable[[], Coroutine[None, None, None]], results: Results
) -> None:
    before, opened = vitals.resident_bytes(server.pid), vitals.count_descriptors(server.pid)
    asyncio.run(work())
    deadline = time.monotonic() + PATIENCE
    while vitals.count_descriptors(server.pid) > opened and time.monotonic() < deadline:
        time.sleep(0.1)
    results.add(files, server.subject, max(vitals.count_descriptors(server.pid) - opened, 0))
    results.add(memory, server.subject, vitals.resident_bytes(server.pid) / before)
