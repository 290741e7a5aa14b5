"""The benchmark's command: `python -m tests.benchmarks` prints one Markdown table on stdout."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import audit, load, measure, peers, soak, stress, subject, tls
from tests.benchmarks.client_pool import AnswerError
from tests.benchmarks.environment import install
from tests.benchmarks.measure import Metric, Results
from tests.benchmarks.report import render
from tests.benchmarks.session import ServerError
from tests.benchmarks.subject import Subject

BARE = ("mcp", "httpx", "anyio", "pydantic", "uvicorn", "starlette")
"""All that the baseline needs, in the product's versions. Other packages make it slower (httpx imports rich where that
is installed) or faster (httpx tries to import sniffio several times a request until it succeeds)."""

PARTS: dict[str, Sequence[Metric]] = {
    "stdio": measure.METRICS,
    "burst": stress.METRICS,
    "tls": tls.METRICS,
    "http": load.METRICS,
    "soak": soak.METRICS,
    "audit": audit.METRICS,
}


def main() -> None:
    options = _parse()
    if not Path("/proc/self/status").exists():
        sys.exit("The benchmark reads memory and CPU time from /proc, which only Linux has. Nothing was measured.")
    runs = 1 if options.quick else max(1, options.runs)
    python = install(*(f"{name}=={version(name)}" for name in BARE)) if options.bare else sys.executable
    product = subject.product(options.product)
    subjects = [product, subject.baseline(python)]
    web = [
        subject.product(options.product, "serve", "--transport", "streamable-http,sse"),
        subject.baseline(python, "tests.benchmarks.baseline_http_server"),
    ]
    results = Results()
    if options.peers:
        subjects += [find() for find in peers.PEERS]
        web.append(peers.fastmcp())
    try:
        with TemporaryDirectory() as folder:
            # Not the user's store: what it has costs time, and it must not get what is measured.
            os.environ["XDG_STATE_HOME"] = folder
            _measure(options.only, subjects, web, runs, 20 if options.quick else 1, results)
    except (ServerError, AnswerError, OSError) as error:
        sys.exit("\n".join([str(error), *getattr(error, "__notes__", [])]))
    print(render(results, subjects, runs, [metric for part in options.only for metric in PARTS[part]]))


def _measure(
    parts: Sequence[str], subjects: Sequence[Subject], web: Sequence[Subject], runs: int, part: int, results: Results
) -> None:
    if "audit" in parts:
        audit.measure(subjects[0], runs, results)
        for other in subjects[1:]:
            results.gaps["audit", other.name] = "it has no tool that audits; see `python -m tests.evaluations`"
    with subject.upstream() as endpoint, subject.upstream(stress.LATENCY_MS) as slow:
        if "stdio" in parts:
            measure.measure(subjects, endpoint, runs, results)
        if "burst" in parts:
            stress.stress(subjects, slow, runs, results)
        if "tls" in parts:
            tls.measure(subjects, runs, results)
        if "http" in parts:
            load.measure(web, endpoint, min(runs, load.RUNS), results)
            for other in subjects[len(web) :]:
                results.gaps["HTTP", other.name] = peers.NO_HTTP[other.name]
        if "soak" in parts:
            soak.soak(web[0], endpoint, part, results)
            for other in subjects[1:]:
                results.gaps["soak", other.name] = "what is asked is whether this server leaks"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Speed, memory and tokens against a bare server, in one table."
    )
    parser.add_argument("--runs", type=int, default=15, help="interleaved runs of every measurement (default: 15)")
    parser.add_argument("--quick", action="store_true", help="one run of all: whether it works, not how fast")
    parser.add_argument(
        "--only", type=_split, default=list(PARTS), metavar="A,B", help=f"parts of it: {', '.join(PARTS)}"
    )
    parser.add_argument("--product", metavar="COMMAND", help="measure this command in the product's place")
    parser.add_argument("--bare", action="store_true", help="give the baseline an environment of its own (needs pip)")
    parser.add_argument("--peers", action="store_true", help="also proxies of GitBook's OpenAPI (needs pip and npm)")
    return parser.parse_args()


def _split(text: str) -> list[str]:
    chosen = [part for part in PARTS if part in text.split(",")]
    if len(chosen) != len(text.split(",")):
        raise argparse.ArgumentTypeError(f"there are {', '.join(PARTS)}")
    return chosen


if __name__ == "__main__":
    main()
