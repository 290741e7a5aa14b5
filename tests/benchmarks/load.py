"""A server under load over streamable HTTP: throughput and p99 in both protocol eras, on loopback."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import quantiles

from tests.benchmarks import vitals
from tests.benchmarks.client_pool import ERAS, MANY, TOOL, AnswerError, ClientPool, Era
from tests.benchmarks.listener import Listener, listen
from tests.benchmarks.measure import COMPARED, Metric, Results, take_turns
from tests.benchmarks.subject import Subject

CALLS = 20 * MANY
"""Calls in one block: enough for a p99, few enough that all subjects meet the same machine."""
RUNS = 5
"""Runs at most: one takes a minute."""
TURNS = 3
"""Blocks per run and era."""

THROUGHPUT = {era: Metric(f"throughput, {era}, {MANY} in flight", "calls/s", least_ratio=1.3) for era in ERAS}
SLOWEST = {era: Metric(f"p99 of the latency, {era}", "ms", most_ratio=0.9) for era in ERAS}
CPU = {era: Metric(f"server CPU of one call, {era}", "ms") for era in ERAS}
METRICS = [metric[era] for era in ERAS for metric in (THROUGHPUT, SLOWEST, CPU)]


def measure(subjects: Sequence[Subject], endpoint: str, runs: int, results: Results) -> None:
    """Add to `results` all `subjects` in `runs` interleaved runs, of new processes each."""
    for run in range(runs):
        with ExitStack() as stack:
            servers = [stack.enter_context(listen(own, endpoint)) for own in take_turns(subjects, run)]
            for era in ERAS:
                able = [server for server in servers if _warm(server, era, subjects[:COMPARED], results)]
                for turn in range(TURNS):
                    for server in take_turns(able, turn):
                        asyncio.run(_load(server, era, results))


def _warm(server: Listener, era: Era, compared: Sequence[Subject], results: Results) -> bool:
    """Make calls that are not counted, and return whether the server can answer them; those `compared` must."""
    try:
        asyncio.run(_load(server, era, Results()))
    except AnswerError as error:
        if server.subject in compared:
            raise
        results.gaps[f"HTTP, {era}", server.subject.name] = str(error)
        return False
    return True


async def _load(server: Listener, era: Era, results: Results) -> None:
    pool = ClientPool(server.port, "/mcp", era, server.subject.name_tool(TOOL))
    try:
        await pool.connect()
        clock, cpu = time.perf_counter(), vitals.cpu_seconds(server.pid)
        latencies = await pool.call(CALLS)
        results.add(THROUGHPUT[era], server.subject, len(latencies) / (time.perf_counter() - clock))
        results.add(SLOWEST[era], server.subject, quantiles(latencies, n=100)[98] * 1000)
        results.add(CPU[era], server.subject, (vitals.cpu_seconds(server.pid) - cpu) * 1000 / len(latencies))
        await pool.disconnect()
    finally:
        pool.close()
