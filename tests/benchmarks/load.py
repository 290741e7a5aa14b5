"""The server under load over streamable HTTP, against a bare one: `python -m tests.benchmarks.load`.

Throughput and p99 in both protocol eras, then memory and open files over many calls and sessions; on loopback.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles

from tests.benchmarks import peers, subject, vitals
from tests.benchmarks.crowd import ERAS, MANY, AnswerError, Crowd, Era
from tests.benchmarks.environment import install
from tests.benchmarks.listener import Listener, listen
from tests.benchmarks.measure import Metric, Results, take_turns
from tests.benchmarks.report import render
from tests.benchmarks.soak import soak
from tests.benchmarks.subject import Subject

BARE = ("mcp", "httpx", "anyio", "pydantic", "uvicorn", "starlette")
"""All that the baseline needs, in the product's versions; what makes the product faster is not there for it."""
CALLS = 20 * MANY
"""Calls in one block: enough for a p99, few enough that all subjects meet the same machine."""
TURNS = 3
"""Blocks per run and era."""
SOAK = 20_000
SESSIONS = 500

THROUGHPUT = {era: Metric(f"throughput, {era}, {MANY} in flight", "calls/s", least_ratio=1.3) for era in ERAS}
SLOWEST = {era: Metric(f"p99 of the latency, {era}", "ms", most_ratio=0.9) for era in ERAS}
CPU = {era: Metric(f"server CPU of one call, {era}", "ms") for era in ERAS}
METRICS = [metric[era] for era in ERAS for metric in (THROUGHPUT, SLOWEST, CPU)]


def measure(subjects: Sequence[Subject], endpoint: str, runs: int) -> Results:
    """Measure all `subjects` in `runs` interleaved runs, of new processes each."""
    results = Results()
    for run in range(runs):
        with ExitStack() as stack:
            servers = [stack.enter_context(listen(own, endpoint)) for own in take_turns(subjects, run)]
            for era in ERAS:
                for server in servers:
                    asyncio.run(_load(server, era, Results()))  # warm
                for turn in range(TURNS):
                    for server in take_turns(servers, turn):
                        asyncio.run(_load(server, era, results))
    return results


async def _load(server: Listener, era: Era, results: Results) -> None:
    crowd = Crowd(server.port, "/mcp", era)
    await crowd.enter()
    clock, cpu = time.perf_counter(), vitals.cpu_seconds(server.pid)
    latencies = await crowd.call(CALLS)
    results.add(THROUGHPUT[era], server.subject, len(latencies) / (time.perf_counter() - clock))
    results.add(SLOWEST[era], server.subject, quantiles(latencies, n=100)[98] * 1000)
    results.add(CPU[era], server.subject, (vitals.cpu_seconds(server.pid) - cpu) * 1000 / len(latencies))
    await crowd.leave()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.load", description="Load over streamable HTTP against a bare server."
    )
    parser.add_argument("--runs", type=int, default=5, help="interleaved runs of every measurement (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one run, a tenth of the soak: whether it works")
    parser.add_argument("--bare", action="store_true", help="give the baseline an environment of its own (needs pip)")
    parser.add_argument("--peers", action="store_true", help="also measure FastMCP's from_openapi (needs pip and npm)")
    options = parser.parse_args()
    if not Path("/proc/self/status").exists():
        sys.exit("The benchmark reads memory and CPU time from /proc, which only Linux has. Nothing was measured.")
    runs, part = (1, 10) if options.quick else (max(1, options.runs), 1)
    python = install(*(f"{name}=={version(name)}" for name in BARE)) if options.bare else sys.executable
    product = subject.product(None, "serve", "--transport", "streamable-http")
    subjects = [product, subject.baseline(python, "tests.benchmarks.baseline_http_server")]
    if options.peers:
        subjects.append(peers.fastmcp())
    try:
        with subject.upstream() as endpoint:
            clock, cpu = time.perf_counter(), time.process_time()
            results = measure(subjects, endpoint, runs)
            busy = (time.process_time() - cpu) / (time.perf_counter() - clock)
            print(render(results, subjects, runs, METRICS))
            print(f"\nThe clients that made this load took {busy:.0%} of one core.\n")
            print(soak(product, endpoint, SOAK // part, SESSIONS // part))
    except (AnswerError, OSError) as error:
        sys.exit("\n".join([str(error), *getattr(error, "__notes__", [])]))


if __name__ == "__main__":
    main()
