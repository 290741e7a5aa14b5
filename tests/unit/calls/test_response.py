"""Every way in which GitBook, or the way to it, can fail: what the model reads, how often and how late it was sent.

The upstream is a real socket; time passes only where the client sleeps, so the waits are known to the second.
"""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from mcp_types import CallToolRequestParams, CallToolResult
from pydantic import SecretStr

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp.config.models import LimitsSection
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import UnreachableError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.store.store import Store
from tests.support.fake_gitbook import TOKENS, front, read_text
from tests.support.gitbook_socket import JSON, Act, Socket, Stream, answer, fine, hang_up, hang_up_unread, reset, say
from tests.support.samples import make_arguments
from tests.support.virtual_time import START, VirtualTime

NO_CONTEXT: Any = None
CALLS = {"GET": "get_integration_by_name", "POST": "install_integration", "DELETE": "uninstall_integration"}


async def stay_silent(_stream: Stream) -> None:
    """Answer nothing."""
    await asyncio.Event().wait()


async def drip(stream: Stream) -> None:
    """Answer so slowly that no silence is long, but the whole has no end."""
    stream.write(HEAD + b"Content-Length: 1000\r\n\r\n")
    while True:
        stream.write(b" ")
        await stream.drain()
        await asyncio.sleep(0.02)


async def flood(stream: Stream) -> None:
    """Send 50 MB in chunks, as long as the client reads them."""
    stream.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(800):
        stream.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await stream.drain()
    stream.write(b"0\r\n\r\n")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BROKE = "was lost before the response was complete"
UNKNOWN = "It is unknown whether the call took effect. Read the current state with "
BACKOFF = [0.5, 1, 2]
ONCE, REPEATED = {"GET": 1, "POST": 1, "DELETE": 1}, {"GET": 4, "POST": 1, "DELETE": 4}
TOO_MUCH = "sent more than 10 MB"


@dataclass(frozen=True)
class Fault:
    """What happens to each request, and what must come of it: words, how often it is sent, and the waits between."""

    act: Act
    words: str
    sent: Mapping[str, int] = field(default_factory=lambda: ONCE)
    waits: list[float] = field(default_factory=list)
    limits: Mapping[str, float] = field(default_factory=dict)
    harmless: bool = False
    """Whether it is certain that nothing was changed."""


def at(seconds: int) -> str:
    """Return the header with the time at which the limit resets."""
    return f"X-RateLimit-Reset: {int(START) + seconds}"


REFUSAL = b'{"error":{"code":429,"message":"Slow down"}}'
BOMB = gzip.compress(b" " * 50_000_000)
FAULTS = {
    "reset before the request is read": Fault(hang_up_unread, BROKE, REPEATED, BACKOFF),
    "reset after the request is read": Fault(say(b"", then=reset), BROKE, REPEATED, BACKOFF),
    "closed after the request is read": Fault(say(b"", then=hang_up), BROKE, REPEATED, BACKOFF),
    "reset in the middle of the head": Fault(say(b"HTTP/1.1 200", then=reset), BROKE, REPEATED, BACKOFF),
    "reset in the middle of the answer": Fault(
        say(HEAD + b"Content-Length: 100\r\n\r\n{", then=reset), BROKE, REPEATED, BACKOFF
    ),
    "shorter than announced": Fault(
        say(HEAD + b"Content-Length: 100\r\n\r\n{}", then=hang_up), BROKE, REPEATED, BACKOFF
    ),
    "chunked and cut off": Fault(
        say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", then=hang_up), BROKE, REPEATED, BACKOFF
    ),
    "longer than announced": Fault(say(HEAD + b'Content-Length: 3\r\n\r\n{"a": 1}'), "an invalid HTTP response"),
    "silent": Fault(stay_silent, "did not respond within 0.1 s", limits={"read_seconds": 0.1}),
    "dripping": Fault(drip, "no complete response within 0.3 s", limits={"call_seconds": 0.3, "read_seconds": 9}),
    "429, renewed soon": Fault(
        answer(429, REFUSAL, at(5)), '429{often}: "Slow down"', REPEATED, [5, 1, 2], harmless=True
    ),
    "429, renewed late": Fault(answer(429, REFUSAL, at(90)), "Wait 90 s before the next call", harmless=True),
    "429, retry after": Fault(
        answer(429, REFUSAL, "Retry-After: 6"), "Wait 6 s before", REPEATED, [6, 6, 6], harmless=True
    ),
    "429, untold": Fault(answer(429, REFUSAL), "Wait a minute before", REPEATED, BACKOFF, harmless=True),
    "500": Fault(answer(500, b"oops"), "check the token with `doctor`"),
    "502": Fault(answer(502, b"<html>"), "with 502{often}", REPEATED, BACKOFF),
    "503": Fault(answer(503), "with 503{often}", REPEATED, BACKOFF),
    "503, retry after": Fault(answer(503, b"", "Retry-After: 3"), "with 503{often}", REPEATED, [3, 3, 3]),
    "503, retry much later": Fault(answer(503, b"", "Retry-After: 300"), "Wait 300 s before"),
    "504": Fault(answer(504), "with 504{often}", REPEATED, BACKOFF),
    "a web page": Fault(answer(200, b"<!doctype html>", "Content-Type: text/html"), "a web page instead of JSON"),
    "a redirect": Fault(answer(302, b"", "Location: http://127.0.0.1:1/v1/stolen"), "a redirect (302)"),
    "a redirect for good": Fault(answer(308, b"", "Location: /v1/elsewhere"), "a redirect (308)"),
    "not HTTP": Fault(say(b"220 smtp ready\r\n\r\n", then=hang_up), "an invalid HTTP response"),
    "a head without end": Fault(say(HEAD + b"X: " + b"a" * 100_000, then=hang_up), "an invalid HTTP response"),
    "50 MB announced": Fault(say(HEAD + b"Content-Length: 50000000\r\n\r\n"), TOO_MUCH),
    "50 MB in chunks": Fault(flood, TOO_MUCH),
    "50 MB compressed": Fault(answer(200, BOMB, "Content-Encoding: gzip"), TOO_MUCH),
    "broken compression": Fault(answer(200, b"{}", "Content-Encoding: gzip"), "invalid gzip data"),
    "compression cut off": Fault(
        answer(200, gzip.compress(b'{"a": 1}')[:-9], "Content-Encoding: gzip"), "truncated gzip data"
    ),
    "unknown compression": Fault(answer(200, b"{}", "Content-Encoding: br"), "an unsupported compression"),
    "an echo of the token": Fault(
        answer(400, f'{{"error":{{"message":"bad Bearer {TOKENS["token"]}"}}}}'.encode()),
        "bad Bearer [redacted]",
        harmless=True,
    ),
}
READABLE_FAULTS = {
    "empty": Fault(answer(200), "an empty response"),
    "malformed": Fault(answer(200, b"{'a': 1}", JSON), "invalid or truncated JSON"),
    "cut off in the middle": Fault(answer(200, b'{"a": [1,', JSON), "invalid or truncated JSON"),
    "another shape": Fault(answer(200, b"[1]", JSON), "JSON that is not an object"),
}
"""Failures of responses with a body; the response to a deletion has none."""


@pytest.mark.parametrize("name", READABLE_FAULTS)
async def test_an_answer_that_is_not_gitbooks_names_the_setting_to_check(name: str) -> None:
    async with face({}) as caller:
        caller.socket.acts = [READABLE_FAULTS[name].act]
        assert "Check GITBOOK_ENDPOINT" in read_text(await caller.call("GET"))


class Caller:
    """Calls tools in front of a socket."""

    def __init__(self, socket: Socket, gitbook: GitBook, time: VirtualTime, store: Store | None = None) -> None:
        self.socket, self.time = socket, time
        self._pipeline, self._caller = front(gitbook, store)

    async def call(self, method: str) -> CallToolResult:
        """Call the tool that stands for a method."""
        name = CALLS[method]
        params = CallToolRequestParams(name=name, arguments=make_arguments(ENDPOINTS[name]))
        result = await self._pipeline.run(params, NO_CONTEXT, self._caller)
        assert isinstance(result, CallToolResult)
        return result


@asynccontextmanager
async def face(limits: Mapping[str, float], store: Store | None = None) -> AsyncIterator[Caller]:
    """Yield one who calls tools in front of a socket that fails."""
    socket, time = Socket(), VirtualTime()
    server = await asyncio.start_server(socket.converse, "127.0.0.1", 0)
    gitbook = GitBook(
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        LimitsSection.model_validate(limits),
        clock=time.monotonic,
        wall_clock=time.wall,
        sleep=time.sleep,
        jitter=lambda: 1.0,
    )
    try:
        yield Caller(socket, gitbook, time, store)
    finally:
        await gitbook.close()
        server.close()
        socket.leave()


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("name", [*FAULTS, *READABLE_FAULTS])
async def test_a_failure_is_reported_and_retried_only_if_safe_and_the_next_call_succeeds(
    name: str, method: str
) -> None:
    if name in READABLE_FAULTS and method == "DELETE":
        pytest.skip("a deletion has no answer but its status")
    fault = {**FAULTS, **READABLE_FAULTS}[name]
    sent = fault.sent[method]
    async with face(fault.limits) as caller:
        caller.socket.acts = [fault.act]
        result = await caller.call(method)
        text = read_text(result)
        assert result.is_error
        assert fault.words.format(often=f" after {sent} attempts" if sent > 1 else "") in text
        tried = caller.socket.connections if fault.act is hang_up_unread else len(caller.socket.heads)
        assert tried == sent
        assert caller.time.slept == (fault.waits if sent > 1 else [])
        assert not any(token in text for token in TOKENS.values())
        if method != "GET":
            assert (UNKNOWN in text) is not fault.harmless
            assert ("othing was changed" in text or "The call changed nothing." in text) is fault.harmless
        caller.socket.acts = [fine]
        result = await caller.call(method)
        if result.is_error and (result.structured_content or {})["code"] == "rate_limited":
            assert name == "429, renewed late"
            caller.time.now += 90
        assert not (await caller.call(method)).is_error


@pytest.mark.parametrize("method", CALLS)
async def test_a_refused_connection_is_retried_with_every_method(method: str) -> None:
    time = VirtualTime()
    server = await asyncio.start_server(Socket().converse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    gitbook = GitBook(
        f"http://127.0.0.1:{port}",
        LimitsSection(),
        clock=time.monotonic,
        wall_clock=time.wall,
        sleep=time.sleep,
        jitter=lambda: 1,
    )
    caller = Caller(socket := Socket(), gitbook, time)
    text = read_text(await caller.call(method))
    assert "the connection failed" in text
    assert "It was tried 4 times. Nothing was sent." in text
    assert time.slept == BACKOFF
    server = await asyncio.start_server(socket.converse, "127.0.0.1", port)
    assert not (await caller.call(method)).is_error
    await gitbook.close()
    server.close()
    socket.leave()


@pytest.mark.parametrize(
    ("lost", "status", "words"),
    [
        (say(b"", then=reset), 204, ". The outcome of an earlier attempt is unknown; that attempt may have removed it"),
        (answer(502), 204, ". The outcome of an earlier attempt is unknown; that attempt may have removed it"),
        (answer(429, REFUSAL), 204, "Nothing was changed: there was nothing to remove. "),
        (say(b"", then=reset), 205, "is uninstalled ("),
        (answer(504), 404, "It does not exist now. The outcome of an earlier attempt is unknown"),
        (answer(504), 403, "may have taken effect. It is unknown whether"),
        (answer(429, REFUSAL), 404, "The call changed nothing."),
    ],
)
async def test_a_retried_deletion_reports_the_unknown_outcome_of_earlier_attempts(
    lost: Act, status: int, words: str
) -> None:
    async with face({}) as caller:
        caller.socket.acts = [lost, answer(status, b"" if status in {204, 205} else b"{}")]
        assert words in read_text(await caller.call("DELETE"))
        assert len(caller.socket.heads) == 2


async def test_changes_have_their_attempts_and_unknown_outcomes() -> None:
    store = Store(load_settings())
    async with face({}, store) as caller:
        for acts in (
            [answer(503), answer(205)],
            [answer(503), answer(403, b"{}")],
            [say(b"", then=reset)],
            [answer(403, b"{}")],
        ):
            caller.socket.acts = list(acts)
            await caller.call("DELETE")
    changes = reversed(await store.changes.search(None))
    assert [(one.outcome, one.attempts, one.status) for one in changes] == [
        ("done", 2, 205),
        ("unknown", 2, 403),
        ("unknown", 4, None),
        ("failed", 1, 403),
    ]


async def test_a_large_response_needs_no_more_memory_than_its_limit() -> None:
    async with face({"body_bytes": 1_000_000}) as caller:
        await caller.call("GET")  # everything is imported
        for act in (flood, answer(200, BOMB, "Content-Encoding: gzip")):
            caller.socket.acts = [act]
            tracemalloc.start()
            assert "more than 1 MB" in read_text(await caller.call("GET"))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 4_000_000


async def test_an_upstream_that_does_not_read_a_large_request_is_reported() -> None:
    async def stall(_reader: asyncio.StreamReader, stream: Stream) -> None:
        stalled.append(stream)

    stalled: list[Stream] = []
    server = await asyncio.start_server(stall, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    gitbook = GitBook(f"http://127.0.0.1:{port}", LimitsSection(write_seconds=0.1))
    with pytest.raises(UnreachableError, match=r"did not read the request body for 0\.1 s") as caught:
        await gitbook.send(Request("POST", "/large", body={"a": "x" * 20_000_000}), SecretStr("token"))
    assert caught.value.sent
    await gitbook.close()
    server.close()
    for stream in stalled:
        stream.transport.abort()


async def test_a_large_request_arrives_whole() -> None:
    body: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def receive(reader: asyncio.StreamReader, stream: Stream) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body.set_result(await reader.readexactly(length))
        await fine(stream)
        stream.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    gitbook = GitBook(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", LimitsSection())
    sent = {"text": "ü" * 300_000}
    assert (await gitbook.send(Request("POST", "/large", body=sent), SecretStr("token"))).status == 200
    assert json.loads(body.result()) == sent
    await gitbook.close()
    server.close()


async def test_a_compressed_response_is_read() -> None:
    async with face({}) as caller:
        caller.socket.acts = [answer(200, gzip.compress(b'{"name": "a"}'), "Content-Encoding: gzip")]
        assert (await caller.call("GET")).structured_content == {"name": "a"}
        assert b"accept-encoding: gzip\r\n" in caller.socket.heads[0].lower()
