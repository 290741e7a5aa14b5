"""The benchmark's command: `python -m tests.benchmarks` prints one Markdown table on stdout."""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import measure, peers, stress, subject
from tests.benchmarks.environment import install
from tests.benchmarks.report import render
from tests.benchmarks.session import ServerError

BARE = ("mcp", "httpx", "anyio", "pydantic")
"""All that the baseline needs, in the product's versions. Other packages make it slower (httpx imports rich where that
is installed) or faster (httpx tries to import sniffio several times a request until it succeeds)."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Speed, memory and tokens against a bare server, in one table."
    )
    parser.add_argument("--runs", type=int, default=15, help="interleaved runs of every measurement (default: 15)")
    parser.add_argument("--quick", action="store_true", help="3 runs: whether it works, not how fast")
    parser.add_argument("--product", metavar="COMMAND", help="measure this command in the product's place")
    parser.add_argument("--bare", action="store_true", help="give the baseline an environment of its own (needs pip)")
    parser.add_argument("--peers", action="store_true", help="also measure FastMCP's from_openapi (needs pip and npm)")
    options = parser.parse_args()
    if not Path("/proc/self/status").exists():
        sys.exit("The benchmark reads memory and CPU time from /proc, which only Linux has. Nothing was measured.")
    runs = 3 if options.quick else max(1, options.runs)
    python = install(*(f"{name}=={version(name)}" for name in BARE)) if options.bare else sys.executable
    subjects = [subject.product(options.product), subject.baseline(python)]
    if options.peers:
        subjects.append(peers.fastmcp())
    try:
        with subject.upstream() as endpoint, subject.upstream(stress.LATENCY_MS) as slow:
            results = measure.measure(subjects, endpoint, runs)
            stress.stress(subjects, slow, runs, results)
            print(render(results, subjects, runs, (*measure.METRICS, *stress.METRICS)))
    except (ServerError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
