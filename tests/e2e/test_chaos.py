"""Many clients of the real process, while GitBook fails often: no answer is missing, and no change runs by mistake."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, ORGANIZATION_ID, OWN_INTEGRATION, USER_TOKEN
from tests.benchmarks import vitals
from tests.benchmarks.subject import environment
from tests.support.fake_gitbook import ERAS
from tests.support.faulty_gitbook import MARK, FaultyGitBook
from tests.support.loopback import NO_TLS
from tests.support.process import COMMAND, TIMEOUT

CLIENTS, CALLS, IN_FLIGHT = 8, 2_000, 4
ROUNDS = 5
GROWTH = 1.15
"""Times what it is after the first round, to which resident memory may grow."""
REPEATABLE = {"429", "503", "dropped", "lost"}
"""Faults after which a change that is the same when repeated is sent again."""


@dataclass
class Wire(httpx2.AsyncBaseTransport):
    """Counts the requests and the responses of JSON-RPC, by client and ID."""

    sent: Counter[Any] = field(default_factory=Counter)
    received: Counter[Any] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=NO_TLS)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Count a request, and the messages in its response as they are read."""
        if request.method == "POST" and "method" in (message := json.loads(request.content)) and "id" in message:
            self.sent[message["id"]] += 1
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, self.received)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, received: Counter[Any]) -> None:
        self._inner = inner
        self._received = received

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest = b""
        async for chunk in self._inner:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._count(line)
            yield chunk
        self._count(rest)

    def _count(self, line: bytes) -> None:
        with contextlib.suppress(ValueError):
            message = json.loads(line.removeprefix(b"data: "))
            if isinstance(message, dict) and ("result" in message or "error" in message):
                self._received[message["id"]] += 1

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class Human:
    """Approves two of three forms, and remembers the marks of the calls that were approved."""

    approved: set[int]

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Answer a form."""
        assert isinstance(params, ElicitRequestFormParams)
        found = MARK.search(params.message.encode())
        assert found
        mark = int(found[1])
        if mark % 3 == 0:
            return ElicitResult(action="decline")
        self.approved.add(mark)
        return ElicitResult(action="accept", content={"confirm": True})


def choose_call(number: int, place: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Return a call: of ten, seven read and three change something, two of which need an approval."""
    own = {"integrationName": OWN_INTEGRATION}
    match number % 10:
        case 0:
            tunnel = f"https://mark-{number}.tunnel.example"
            return "set_integration_development_mode", {**own, "tunnelUrl": tunnel, "all": True}
        case 1:
            return "queue_integration_task", {**own, "task": {"text": f"mark-{number}"}}
        case 2:
            return "update_integration_space_installation", {**place, "configuration": {"channel": f"mark-{number}"}}
        case 3 | 4:
            return "list_organization_installations", {"organizationId": ORGANIZATION_ID}
        case 5 | 6:
            return "get_integration_by_name", {"integrationName": "slack"}
        case 7:
            return "list_integrations", {"limit": 5}
        case _:
            return "list_sites", {"organizationId": ORGANIZATION_ID}


@contextlib.contextmanager
def run_server(endpoint: str) -> Any:
    """Yield the process of a server and its address."""
    tokens = {"GITBOOK_TOKEN": USER_TOKEN, "GITBOOK_INTEGRATION_TOKEN": INTEGRATION_TOKEN}
    words = [*COMMAND, "serve", "--transport", "streamable-http", "--port", "0"]
    with subprocess.Popen(words, env=environment(endpoint) | tokens, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr.readline().split()[-1]
        finally:
            process.terminate()
            said = process.stderr.read()
    assert process.returncode in {0, -15}
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
async def test_every_call_is_answered_once_and_no_change_runs_twice_or_unapproved() -> None:
    gitbook, approved = FaultyGitBook(), set[int]()
    (slack,) = [one for one in gitbook.sandbox.state.installations.values() if one.integration == "slack"]
    place = {"integrationName": "slack", "installationId": slack.id, "spaceId": next(iter(slack.enabled["space"]))}
    wires = [Wire() for _ in range(CLIENTS)]
    outcomes: Counter[str] = Counter()
    finished: dict[int, CallToolResult] = {}
    resident: list[int] = []
    begun = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(gitbook.serve())
        process, address = stack.enter_context(run_server(endpoint))
        clients = []
        for number, wire in enumerate(wires):
            http = await stack.enter_async_context(httpx2.AsyncClient(transport=wire, timeout=TIMEOUT))
            transport: Any = streamable_http_client(address, http_client=http)
            human = Human(approved).answer
            client = Client(transport, mode=ERAS[number % 2], elicitation_callback=human)
            clients.append(await stack.enter_async_context(client))
        for client in clients:
            await client.list_tools()
        numbers = iter(range(1, CALLS + 1))

        async def work(client: Client, calls: list[int]) -> None:
            for number in calls:
                name, arguments = choose_call(number, place)
                result = await client.call_tool(name, arguments)
                assert number not in finished
                finished[number] = result
                content = result.structured_content or {}
                outcomes[str(content["code"]) if "code" in content else "success"] += 1

        for _ in range(ROUNDS):
            async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as group:
                for client in clients * IN_FLIGHT:
                    calls = [next(numbers) for _ in range(CALLS // ROUNDS // CLIENTS // IN_FLIGHT)]
                    group.create_task(work(client, calls))
                for client in clients:
                    rest = CALLS // ROUNDS // CLIENTS % IN_FLIGHT
                    group.create_task(work(client, [next(numbers) for _ in range(rest)]))
            resident.append(vitals.resident_bytes(process.pid))
        seconds = time.monotonic() - begun
        opened = vitals.count_descriptors(process.pid)
    print(
        f"\n{CALLS} calls by {CLIENTS} clients in {seconds:.1f} s; outcomes {dict(outcomes)}; "
        f"faults {dict(gitbook.faults)}; resident {[round(each / 2**20, 1) for each in resident]} MiB; "
        f"{opened} open files"
    )

    assert len(finished) == CALLS
    for wire in wires:
        assert wire.received == wire.sent
        assert set(wire.sent.values()) == {1}
    assert outcomes["internal_error"] == 0
    for mark, requests in gitbook.writes.items():
        method = requests[0][0]
        assert mark in approved or method == "PATCH"
        if method == "PUT":  # repeated only after a failure that another attempt can overcome
            assert all(fault in REPEATABLE for _, fault in requests[:-1]), (mark, requests)
        else:
            assert len(requests) == 1, (mark, requests)
    assert all(mark in finished for mark in gitbook.writes)
    assert {method for requests in gitbook.writes.values() for method, _ in requests} == {"PUT", "POST", "PATCH"}
    assert resident[-1] <= GROWTH * resident[0]
