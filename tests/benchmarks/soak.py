"""What many calls and many sessions leave behind in one process of a server: nothing, if all is well."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial

from tests.benchmarks import vitals
from tests.benchmarks.crowd import ERAS, MANY, Crowd, Era
from tests.benchmarks.listener import Listener, listen
from tests.benchmarks.report import start_table, write_row
from tests.benchmarks.subject import Subject

FLAT = 0.05
"""Part by which resident memory may change."""
PATIENCE = 10.0
"""Seconds a server may take to notice that its clients have gone."""


def soak(product: Subject, endpoint: str, calls: int, sessions: int) -> str:
    """Return the table of what `calls` in each era and as many `sessions` leave behind."""
    lines = start_table(["after", "resident memory", "target", "open files", "target"])
    with listen(product, endpoint) as server:
        for era in ERAS:
            asyncio.run(_call(server, era, calls // 4))  # pools of connections and of memory grow first
            lines.append(_compare(server, f"{calls:,} calls, {era}", partial(_call, server, era, calls)))
        asyncio.run(_open(server, sessions // 4))
        lines.append(_compare(server, f"{sessions:,} sessions", partial(_open, server, sessions)))
    return "\n".join(lines)


async def _call(server: Listener, era: Era, calls: int) -> None:
    crowd = Crowd(server.port, "/mcp", era)
    await crowd.enter()
    await crowd.call(calls)
    await crowd.leave()


async def _open(server: Listener, sessions: int) -> None:
    """Open sessions, call once in each, and end them."""
    for _ in range(sessions // MANY + 1):
        await _call(server, "2025-11-25", MANY)


def _compare(server: Listener, what: str, work: Callable[[], Coroutine[None, None, None]]) -> str:
    memory, files = vitals.resident_bytes(server.pid), vitals.count_descriptors(server.pid)
    asyncio.run(work())
    deadline = time.monotonic() + PATIENCE
    while vitals.count_descriptors(server.pid) > files and time.monotonic() < deadline:
        time.sleep(0.1)
    left = vitals.count_descriptors(server.pid) - files
    now = vitals.resident_bytes(server.pid)
    change = now / memory - 1
    return write_row(
        [
            what,
            f"{memory / 2**20:.1f} → {now / 2**20:.1f} MiB ({change:+.1%})",
            f"±{FLAT:.0%} {'✓' if abs(change) <= FLAT else '✗'}",
            f"{files} → {files + left}",
            f"none left {'✓' if left <= 0 else '✗'}",
        ]
    )
