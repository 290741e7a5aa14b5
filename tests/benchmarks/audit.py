"""An audit of a big organization against what it cannot do without: `python -m tests.benchmarks.audit`.

The server runs in a process of its own, over stdio; the organization is the sandbox here, on loopback, 50 ms away.
"""

import argparse
import asyncio
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from mcp import Client, StdioServerParameters
from mcp_types import TextContent

from gitbook_integrations_mcp.configuration.sections import HttpSection, LimitsSection
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN, Size, create_sandbox
from tests.auditing import Watched, count_requests
from tests.benchmarks import vitals
from tests.loopback import listen
from tests.tokens import count_tokens

SIZE = Size(integrations=60, spaces=500, sites=50, installations=2000)
LATENCY = 0.05
MOST_RATIO, MOST_TOKENS, MOST_BYTES = 1.5, 4000, 150 * 10**6


class Measured(NamedTuple):
    """One audit by a fresh server: seconds, the same as a multiple of the ideal, requests, tokens and memory."""

    seconds: float
    ratio: float
    requests: int
    needed: int
    twice: int
    tokens: int
    resident: int


async def measure() -> Measured:
    """Audit once, with a server that has just started."""
    watched = Watched(create_sandbox(size=SIZE, latency=LATENCY))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Else what is sent in two parts waits for the other side's delayed acknowledgement, another 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = {**os.environ, "GITBOOK_ENDPOINT": address, "GITBOOK_TOKEN": USER_TOKEN}
        command = ["-m", "gitbook_integrations_mcp"]
        parameters = StdioServerParameters(command=sys.executable, args=command, env=environment)
        async with listen(watched, HttpSection(), listener), Client(parameters) as client:
            # What a first audit imports is no matter of the organization's size: it is paid for on a small one.
            owned = [each.id for each in watched.sandbox.state.organizations.values() if each.member]
            (neighbour,) = set(owned) - {ORGANIZATION_ID}
            await client.call_tool("audit_installations", {"organizationId": neighbour})
            watched.requests.clear()
            started = time.perf_counter()
            result = await client.call_tool("audit_installations", {"organizationId": ORGANIZATION_ID})
            seconds = time.perf_counter() - started
            resident = vitals.resident_bytes(_find_child())
    (text,) = result.content
    assert isinstance(text, TextContent), result
    assert not result.is_error, text.text
    needed = count_requests(watched.sandbox.state)
    ideal = needed * LATENCY / LimitsSection().concurrency
    twice = sum(count - 1 for count in Counter(watched.requests).values())
    tokens = max(count_tokens(text.text), count_tokens(result.structured_content))
    return Measured(seconds, seconds / ideal, len(watched.requests), needed, twice, tokens, resident)


def _find_child() -> int:
    """Return the process of the server, the only one that this one has started."""
    (child,) = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return int(child)


def render(runs: Sequence[Measured]) -> str:
    """Return the medians as a Markdown table, with what is demanded of them."""
    seconds, ratio, requests, needed, twice, tokens, resident = (median(values) for values in zip(*runs, strict=True))
    rows = [
        ("one call", f"{seconds:.2f} s", ""),
        ("× of the ideal: necessary requests × latency ÷ limits.concurrency", f"{ratio:.2f}×", f"≤ {MOST_RATIO}×"),
        ("requests", f"{requests:.0f}", f"= {needed:.0f} necessary"),
        ("requests sent twice", f"{twice:.0f}", "= 0"),
        ("tokens of the default answer", f"{tokens:,.0f}", f"≤ {MOST_TOKENS:,}"),
        ("resident memory afterwards", f"{resident / 10**6:.0f} MB", f"≤ {MOST_BYTES / 10**6:.0f} MB"),
    ]
    what = f"{SIZE.integrations} integrations, {SIZE.spaces} spaces, {SIZE.sites} sites, {SIZE.installations:,} "
    head = f"| {what}installations, {LATENCY * 1000:.0f} ms; median of {len(runs)} | measured | demanded |"
    return "\n".join([head, "| --- | ---: | ---: |", *(f"| {' | '.join(row)} |" for row in rows)])


def keeps(runs: Sequence[Measured]) -> bool:
    """Whether the medians are what is demanded."""
    ratio, requests, needed, twice, tokens, resident = (median(values) for values in list(zip(*runs, strict=True))[1:])
    return bool(
        ratio <= MOST_RATIO and requests == needed and twice == 0 and tokens <= MOST_TOKENS and resident <= MOST_BYTES
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.audit", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="fresh servers, one audit each (default: 5)")
    options = parser.parse_args()
    runs = [asyncio.run(measure()) for _ in range(options.runs)]
    print(render(runs))
    sys.exit(not keeps(runs))


if __name__ == "__main__":
    main()
