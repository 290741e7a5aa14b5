"""An audit of a big organization against what it cannot do without.

The server runs in a process of its own, over stdio; the organization is here, on loopback, 50 ms away.
"""

import asyncio
import os
import socket
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import TextContent
from starlette.types import Message, Receive, Scope, Send

from gitbook_integrations_mcp.config.models import HttpSection, LimitsSection
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.benchmarks import vitals
from tests.benchmarks.measure import Metric, Results
from tests.benchmarks.subject import Subject
from tests.support.audit_fixtures import count_requests
from tests.support.grown_sandbox import Size, create_grown_sandbox
from tests.support.loopback import listen
from tests.support.tokens import count_tokens

SIZE = Size(integrations=60, spaces=500, sites=50, installations=2000)
LATENCY = 0.05
RUNS = 5
"""As many as show it; one takes ten seconds."""

_SIZE = f"{SIZE.installations:,} installations, {SIZE.spaces} spaces, {SIZE.sites} sites"
SECONDS = Metric(f"audit of {_SIZE}, {LATENCY * 1000:.0f} ms each request", "s")
RATIO = Metric("the same to the ideal: necessary requests × latency ÷ `limits.concurrency`", "×", most=1.5)
REQUESTS = Metric("requests of it beyond the necessary", "", most=0)
TWICE = Metric("requests of it sent twice", "", most=0)
TOKENS = Metric("tokens of its answer", "tokens", most=4000)
RESIDENT = Metric("resident memory after it", "MiB", most=143)
METRICS = (SECONDS, RATIO, REQUESTS, TWICE, TOKENS, RESIDENT)


class PreparedGitBook:
    """A GitBook that answers a repeated request with what it answered before, `LATENCY` after the request.

    GitBook's machines do not wait for each other. Here, one process would write all answers, one after the other, and
    the audit would wait for that.
    """

    def __init__(self) -> None:
        self.sandbox = create_grown_sandbox(SIZE)
        self.requests: list[str] = []
        self._answers: dict[str, list[Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, which must change nothing."""
        assert scope.get("method") == "GET", scope
        due = anyio.current_time() + LATENCY
        request = f"{scope['path']}?{scope['query_string'].decode()}"
        self.requests.append(request)
        answer = self._answers.get(request) or await self._prepare(request, scope, receive)
        await anyio.sleep_until(due)
        for message in answer:
            await send(message)

    async def _prepare(self, request: str, scope: Scope, receive: Receive) -> list[Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.sandbox(scope, receive, keep)
        self._answers[request] = messages
        return messages


def measure(product: Subject, runs: int, results: Results) -> None:
    """Add to `results` audits by fresh servers, at most `RUNS`. The first audit prepares the answers."""
    gitbook = PreparedGitBook()
    for kept in (Results(), *[results] * min(runs, RUNS)):
        with TemporaryDirectory() as folder:
            asyncio.run(_audit(product, gitbook, {**os.environ, "XDG_STATE_HOME": folder}, kept))


async def _audit(product: Subject, gitbook: PreparedGitBook, environment: dict[str, str], results: Results) -> None:
    """Audit once, with a server that has just started and a store that has no earlier report."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Else what is sent in two parts waits for the other side's delayed acknowledgement, another 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment |= {"GITBOOK_ENDPOINT": address, "GITBOOK_TOKEN": USER_TOKEN}
        command, *words = product.argv
        parameters = StdioServerParameters(command=command, args=words, env=environment)
        async with listen(gitbook, HttpSection(), listener), Client(parameters) as client:
            # What a first audit imports is no matter of the organization's size: it is paid for on a small one.
            owned = [each.id for each in gitbook.sandbox.state.organizations.values() if each.member]
            (neighbour,) = set(owned) - {ORGANIZATION_ID}
            await client.call_tool("audit_installations", {"organizationId": neighbour})
            gitbook.requests.clear()
            started = time.perf_counter()
            result = await client.call_tool("audit_installations", {"organizationId": ORGANIZATION_ID})
            seconds = time.perf_counter() - started
            resident = vitals.resident_bytes(_find_child())
    (text,) = result.content
    assert isinstance(text, TextContent), result
    assert not result.is_error, text.text
    needed = count_requests(gitbook.sandbox.state)
    ideal = needed * LATENCY / LimitsSection().concurrency
    results.add(SECONDS, product, seconds)
    results.add(RATIO, product, seconds / ideal)
    results.add(REQUESTS, product, len(gitbook.requests) - needed)
    results.add(TWICE, product, sum(count - 1 for count in Counter(gitbook.requests).values()))
    results.add(TOKENS, product, max(count_tokens(text.text), count_tokens(result.structured_content)))
    results.add(RESIDENT, product, resident / 2**20)


def _find_child() -> int:
    """Return the process of the server, the only one that this one has started."""
    (child,) = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return int(child)
