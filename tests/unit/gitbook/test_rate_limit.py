"""Rate limits, through the GitBook client in front of upstreams that count what reaches them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp.config.models import LimitsSection
from gitbook_integrations_mcp.errors import LimitError
from gitbook_integrations_mcp.gitbook import rate_limit as rate_limit_module
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.gitbook.rate_limit import CredentialLimit, RateLimiter
from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, USER_TOKEN, create_sandbox
from tests.support.counting_gitbook import Counter
from tests.support.virtual_time import START, VirtualTime

OURS, THEIRS = SecretStr("our-token-0123456789"), SecretStr("their-token-0123456789")


@asynccontextmanager
async def talk(upstream: Any, time: VirtualTime | None = None, **limits: float) -> AsyncIterator[GitBook]:
    """Yield a client of `upstream`."""
    time = time or VirtualTime()
    gitbook = GitBook(
        "https://gitbook.invalid",
        LimitsSection.model_validate(limits),
        httpx.ASGITransport(app=upstream),
        clock=time.clock,
        sleep=time.sleep,
        jitter=lambda: 1.0,
    )
    yield gitbook
    await gitbook.close()


def read(number: int = 0) -> Request:
    """Return a reading that differs from others by its number."""
    return Request("GET", f"/spaces/{number}")


async def test_a_burst_of_parallel_calls_stays_within_the_known_limit() -> None:
    time = VirtualTime()
    upstream = Counter(create_sandbox(clock=time.clock, rate_limit=10))
    upstream.open.set()
    token = SecretStr(USER_TOKEN)
    async with talk(upstream, time, wait_seconds=1000, call_seconds=2000) as gitbook:
        await gitbook.send(Request("GET", "/user"), token)  # from here on the limit is known
        requests = [Request("GET", "/integrations", (("limit", str(number)),)) for number in range(1, 46)]
        responses = await asyncio.gather(*(gitbook.send(request, token) for request in requests))
    assert {response.status for response in responses} == {200}
    assert upstream.statuses == [200] * 46
    # 46 requests, 10 in a window of 60 s: four windows are waited for, no longer.
    assert 240 <= time.now - START < 245


async def test_concurrency_is_limited_and_requests_are_sent_in_order_of_arrival() -> None:
    upstream = Counter()
    async with talk(upstream, concurrency=3) as gitbook, asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(gitbook.send(read(number), OURS))
        await upstream.wait_for(3)
        assert upstream.in_flight == 3
        upstream.open.set()
    assert upstream.most == 3
    assert upstream.paths == [f"/spaces/{number}" for number in range(12)]


async def test_an_exhausted_limit_rejects_calls_with_that_token_at_once() -> None:
    upstream = Counter()
    upstream.open.set()
    upstream.headers = [(b"x-ratelimit-remaining", b"0"), (b"x-ratelimit-reset", str(int(START) + 90).encode())]
    async with talk(upstream) as gitbook:
        await gitbook.send(read(), OURS)
        with pytest.raises(LimitError, match=r"Wait 90 s before the next call\. Nothing was sent\."):
            await gitbook.send(read(), OURS)
        assert (await gitbook.send(read(), THEIRS)).status == 200
    assert len(upstream.paths) == 2


async def test_no_call_waits_longer_than_its_maximum() -> None:
    time = VirtualTime()
    upstream = Counter(create_sandbox(clock=time.clock, rate_limit=1))
    upstream.open.set()
    token = SecretStr(USER_TOKEN)
    async with talk(upstream, time, wait_seconds=130, call_seconds=200) as gitbook:
        await gitbook.send(Request("GET", "/user"), token)
        requests = [Request("GET", "/integrations", (("limit", str(number)),)) for number in range(1, 11)]
        outcomes = await asyncio.gather(*(gitbook.send(request, token) for request in requests), return_exceptions=True)
    assert [isinstance(outcome, LimitError) for outcome in outcomes] == [False] * 2 + [True] * 8
    assert upstream.statuses == [200] * 3
    assert time.now - START < 130


async def test_after_a_429_other_calls_wait_too() -> None:
    time, upstream = VirtualTime(), Counter()
    upstream.open.set()
    upstream.status, upstream.headers = 429, [(b"retry-after", b"15")]
    async with talk(upstream, time, attempts=1) as gitbook:
        assert (await gitbook.send(read(1), OURS)).wait == 15
        upstream.status = 200
        assert (await gitbook.send(read(2), OURS)).status == 200
    assert time.slept == [15]


async def test_a_time_out_in_the_queue_is_reported_and_nothing_is_sent() -> None:
    upstream = Counter()
    async with talk(upstream, concurrency=1, pool_seconds=0.02, wait_seconds=0.02) as gitbook:
        ahead = asyncio.create_task(gitbook.send(read(1), OURS))
        await upstream.wait_for(1)
        with pytest.raises(LimitError, match="behind 1 calls with this token"):
            await gitbook.send(read(2), OURS)
        upstream.open.set()
        await ahead
        assert (await gitbook.send(read(3), OURS)).status == 200
    assert upstream.paths == ["/spaces/1", "/spaces/3"]


async def test_cancelled_calls_leave_the_queue() -> None:
    upstream = Counter()
    async with talk(upstream, concurrency=2) as gitbook:
        tasks = [asyncio.create_task(gitbook.send(read(number), OURS)) for number in range(8)]
        await upstream.wait_for(2)
        for task in tasks[1:6]:
            task.cancel()
        await upstream.wait_for(2)
        upstream.open.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert (await gitbook.send(read(9), OURS)).status == 200
    assert [isinstance(outcome, GitBookResponse) for outcome in outcomes] == [True, *[False] * 5, True, True]
    assert upstream.paths == ["/spaces/0", "/spaces/1", "/spaces/6", "/spaces/7", "/spaces/9"]
    assert upstream.in_flight == 0


async def test_the_wait_for_a_limit_ends_when_the_call_is_cancelled() -> None:
    async def sleep(_seconds: float) -> None:
        sleeping.set()
        await asyncio.Event().wait()

    sleeping = asyncio.Event()
    limiter = RateLimiter(16, 1, VirtualTime().clock, sleep)
    async with limiter.acquire(b"ours", 0) as limit:
        limit.record_response(429, {"retry-after": "5"}, START)

    async def wait() -> None:
        async with limiter.acquire(b"ours", 10):
            raise AssertionError("the limit is not renewed")

    waiting = asyncio.create_task(wait())
    await sleeping.wait()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert limit.users == limit.in_flight == 0


async def test_idle_credentials_are_forgotten_and_no_token_is_kept() -> None:
    upstream = Counter()
    upstream.open.set()
    async with talk(upstream) as gitbook:
        for number in range(1100):
            await gitbook.send(read(), SecretStr(f"token-{number:05}"))
        limits = gitbook._rate_limiter._limits
        assert len(limits) == 1000
        assert not any(b"token-" in key for key in limits)


def tell(remaining: int, seconds: int, **more: str) -> dict[str, str]:
    """Return headers by which so many requests are left until the limit is renewed in so many seconds."""
    more = {f"x-ratelimit-{name}": value for name, value in more.items()}
    return {"x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": str(int(START) + seconds), **more}


@pytest.mark.parametrize(
    ("first", "then", "has_room"),
    [
        ((0, 60), (50, 120), True),  # a new window
        ((0, 60), (50, 62), True),
        ((0, 60), (50, 61), False),  # the same, by clocks that know seconds only
        ((50, 60), (0, 61), False),
        ((50, 60), (0, 60), False),
        ((0, 60), (9, 60), False),  # overtaken on the way
        ((50, 60), (0, 59), True),  # an older one
    ],
)
def test_responses_of_different_windows_are_distinguished(
    first: tuple[int, int], then: tuple[int, int], has_room: bool
) -> None:
    limit = CredentialLimit(16)
    limit.record_response(200, tell(*first), START)
    limit.record_response(200, tell(*then), START)
    assert limit.has_room(START) is has_room


def test_a_429_overrides_earlier_rate_limit_headers() -> None:
    limit = CredentialLimit(16)
    limit.record_response(200, tell(50, 120), START)
    assert limit.seconds_until_available(START) == 0
    limit.record_response(429, {"retry-after": "5"}, START)
    assert limit.seconds_until_available(START) == 5
    limit.record_response(429, {"x-ratelimit-reset": str(int(START) + 90)}, START)
    assert limit.seconds_until_available(START) == 90


def test_incomplete_rate_limit_headers_change_nothing() -> None:
    limit = CredentialLimit(16)
    for headers in ({}, {"x-ratelimit-reset": str(int(START) + 90)}, {"x-ratelimit-remaining": "0"}):
        limit.record_response(200, headers, START)
        assert limit.has_room(START)


def test_a_request_without_a_response_counts() -> None:
    limit = CredentialLimit(16)
    limit.record_response(200, tell(2, 60), START)
    limit.record_lost_request()
    assert limit.has_room(START)
    limit.record_lost_request()
    assert not limit.has_room(START)


def test_after_a_reset_the_old_limit_applies_and_one_request_is_always_allowed() -> None:
    limit = CredentialLimit(16)
    limit.record_response(200, tell(0, 10, limit="2"), START)
    assert not limit.has_room(START + 9)
    assert limit.has_room(START + 10)
    limit.in_flight = 1
    assert limit.has_room(START + 10)
    limit.record_lost_request()
    assert not limit.has_room(START + 10)
    assert limit.seconds_until_available(START + 10) == 0  # the one in flight will tell
    limit.record_lost_request()
    limit.in_flight = 0
    assert limit.has_room(START + 10)


async def test_a_wait_of_exactly_the_maximum_is_allowed() -> None:
    time = VirtualTime()
    limiter = RateLimiter(16, 1, time.clock, time.sleep)
    async with limiter.acquire(b"ours", 0) as limit:
        limit.record_response(429, {"retry-after": "5"}, START)
    with pytest.raises(LimitError) as caught:
        async with limiter.acquire(b"ours", 4.9):
            raise AssertionError("the limit is not renewed")
    assert caught.value.wait == 5
    async with limiter.acquire(b"ours", 5):
        assert time.slept == [5]


async def test_credentials_in_use_are_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit_module, "_MAX_IDLE", 1)
    limiter = RateLimiter(16, 1, VirtualTime().clock, VirtualTime().sleep)
    async with limiter.acquire(b"ours", 0) as ours, limiter.acquire(b"theirs", 0), limiter.acquire(b"ours", 0) as again:
        assert ours is again


async def test_each_token_has_its_own_limit() -> None:
    time = VirtualTime()
    sandbox = create_sandbox(clock=time.clock, rate_limit=1)
    async with talk(sandbox, time) as gitbook:
        assert (await gitbook.send(Request("GET", "/user"), SecretStr(USER_TOKEN))).status == 200
        with pytest.raises(LimitError):
            await gitbook.send(Request("GET", "/user"), SecretStr(USER_TOKEN))
        assert (await gitbook.send(Request("GET", "/integrations"), SecretStr(INTEGRATION_TOKEN))).status == 200
