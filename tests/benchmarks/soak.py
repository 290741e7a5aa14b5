"""What many calls and many sessions leave behind in one process of a server: nothing, if all is well."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial

from tests.benchmarks import vitals
from tests.benchmarks.crowd import ERAS, MANY, Crowd, Era
from tests.benchmarks.listener import Listener, listen
from tests.benchmarks.measure import Metric, Results
from tests.benchmarks.subject import Subject

CALLS = 20_000
SESSIONS = 500
FLAT = 1.05
"""Times what it was before, to which resident memory may grow."""
PATIENCE = 10.0
"""Seconds a server may take to notice that its clients have gone."""


MEMORY = {era: Metric(f"resident memory after {CALLS:,} calls, {era}, to that before", "×", most=FLAT) for era in ERAS}
FILES = {era: Metric(f"files left open by {CALLS:,} calls, {era}", "", most=0) for era in ERAS}
MEMORY_SESSIONS = Metric(f"resident memory after {SESSIONS} sessions, to that before", "×", most=FLAT)
FILES_SESSIONS = Metric(f"files left open by {SESSIONS} sessions", "", most=0)
METRICS = [metric[era] for era in ERAS for metric in (MEMORY, FILES)] + [MEMORY_SESSIONS, FILES_SESSIONS]


def soak(product: Subject, endpoint: str, part: int, results: Results) -> None:
    """Add to `results` what calls in each era, and sessions, leave behind: the stated number of them, or a `part`."""
    with listen(product, endpoint) as server:
        for era in ERAS:
            asyncio.run(_call(server, era, CALLS // part // 4))  # pools of connections and of memory grow first
            work = partial(_call, server, era, CALLS // part)
            _compare(server, MEMORY[era], FILES[era], work, results)
        asyncio.run(_open(server, SESSIONS // part // 4))
        _compare(server, MEMORY_SESSIONS, FILES_SESSIONS, partial(_open, server, SESSIONS // part), results)


async def _call(server: Listener, era: Era, calls: int) -> None:
    crowd = Crowd(server.port, "/mcp", era)
    await crowd.enter()
    await crowd.call(calls)
    await crowd.leave()


async def _open(server: Listener, sessions: int) -> None:
    """Open sessions, call once in each, and end them."""
    for _ in range(sessions // MANY + 1):
        await _call(server, "2025-11-25", MANY)


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
