"""Rate limits, through the GitBook client in front of upstreams that count what reaches them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp.config.models import LimitsSection
from gitbook_integrations_mcp.errors import LimitError
from gitbook_integrations_mcp.gitbook import rate_limit as rate_limit_module
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.gitbook.rate_limit import LimitHeaders, RateLimiter, RequestCounter
from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, USER_TOKEN, create_sandbox
from tests.support.counting_gitbook import Counter
from tests.support.virtual_time import BOOT, START, VirtualTime

OURS, THEIRS = SecretStr("our-token-0123456789"), SecretStr("their-token-0123456789")
ENDPOINT = "GET /spaces/{spaceId}"
NOW = START - BOOT
"""The monotonic clock at the start of a test."""


@asynccontextmanager
async def talk(upstream: Any, time: VirtualTime | None = None, **limits: float) -> AsyncIterator[GitBook]:
    """Yield a client of `upstream`."""
    time = time or VirtualTime()
    gitbook = GitBook(
        "https://gitbook.invalid",
        LimitsSection.model_validate(limits),
        httpx.ASGITransport(app=upstream),
        clock=time.monotonic,
        wall_clock=time.wall,
        sleep=time.sleep,
        jitter=lambda: 1.0,
    )
    yield gitbook
    await gitbook.close()


def read(number: int = 0) -> Request:
    """Return a request of one endpoint that differs from others by its number."""
    return Request("GET", f"/spaces/{number}", template="/spaces/{spaceId}")


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
        await gitbook.send(Request("GET", "/integrations"), token)
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
    limiter = RateLimiter(16, 1, VirtualTime().monotonic, sleep)
    with await limiter.acquire(b"ours", ENDPOINT, 0) as permit:
        permit.record_response(429, {"retry-after": "5"}, NOW, START)

    async def wait() -> None:
        await limiter.acquire(b"ours", ENDPOINT, 10)

    waiting = asyncio.create_task(wait())
    await sleeping.wait()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    limit = permit.limit
    assert limit.users == limit.get_counter(ENDPOINT).in_flight.total() == 0


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
    limit = RequestCounter()
    limit.record_response(LimitHeaders.read(200, tell(*first), START), NOW)
    limit.record_response(LimitHeaders.read(200, tell(*then), START), NOW)
    assert limit.has_room(NOW) is has_room


def test_a_429_overrides_earlier_rate_limit_headers() -> None:
    limit = RequestCounter()
    limit.record_response(LimitHeaders.read(200, tell(50, 120), START), NOW)
    assert limit.seconds_until_available(NOW) == 0
    limit.record_response(LimitHeaders.read(429, {"retry-after": "5"}, START), NOW)
    assert limit.seconds_until_available(NOW) == 5
    limit.record_response(LimitHeaders.read(429, {"x-ratelimit-reset": str(int(START) + 90)}, START), NOW)
    assert limit.seconds_until_available(NOW) == 90


def test_incomplete_rate_limit_headers_change_nothing() -> None:
    limit = RequestCounter()
    for headers in ({}, {"x-ratelimit-reset": str(int(START) + 90)}, {"x-ratelimit-remaining": "0"}):
        limit.record_response(LimitHeaders.read(200, headers, START), NOW)
        assert limit.has_room(NOW)


def test_a_request_without_a_response_counts() -> None:
    limit = RequestCounter()
    limit.record_response(LimitHeaders.read(200, tell(2, 60), START), NOW)
    limit.record_lost_request()
    assert limit.has_room(NOW)
    limit.record_lost_request()
    assert not limit.has_room(NOW)


def test_after_a_reset_the_old_limit_applies_and_one_request_is_always_allowed() -> None:
    limit = RequestCounter()
    limit.record_response(LimitHeaders.read(200, tell(0, 10, limit="2"), START), NOW)
    assert not limit.has_room(NOW + 9)
    assert limit.has_room(NOW + 10)
    limit.in_flight["GET /user"] = 1
    assert limit.has_room(NOW + 10)
    limit.record_lost_request()
    assert not limit.has_room(NOW + 10)
    assert limit.seconds_until_available(NOW + 10) == 0  # the one in flight will tell
    limit.record_lost_request()
    limit.in_flight["GET /user"] = 0
    assert limit.has_room(NOW + 10)


async def test_a_wait_of_exactly_the_maximum_is_allowed() -> None:
    time = VirtualTime()
    limiter = RateLimiter(16, 1, time.monotonic, time.sleep)
    with await limiter.acquire(b"ours", ENDPOINT, 0) as permit:
        permit.record_response(429, {"retry-after": "5"}, NOW, START)
    with pytest.raises(LimitError) as caught:
        await limiter.acquire(b"ours", ENDPOINT, 4.9)
    assert caught.value.wait == 5
    with await limiter.acquire(b"ours", ENDPOINT, 5):
        assert time.slept == [5]


async def test_credentials_in_use_are_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit_module, "_MAX_IDLE", 1)
    limiter = RateLimiter(16, 1, VirtualTime().monotonic, VirtualTime().sleep)
    with (
        await limiter.acquire(b"ours", ENDPOINT, 0) as ours,
        await limiter.acquire(b"theirs", ENDPOINT, 0),
        await limiter.acquire(b"ours", ENDPOINT, 0) as again,
    ):
        assert ours.limit is again.limit


async def test_each_token_has_its_own_limit() -> None:
    time = VirtualTime()
    sandbox = create_sandbox(clock=time.clock, rate_limit=1)
    async with talk(sandbox, time) as gitbook:
        assert (await gitbook.send(Request("GET", "/user"), SecretStr(USER_TOKEN))).status == 200
        with pytest.raises(LimitError):
            await gitbook.send(Request("GET", "/user"), SecretStr(USER_TOKEN))
        assert (await gitbook.send(Request("GET", "/integrations"), SecretStr(INTEGRATION_TOKEN))).status == 200


class Limits:
    """An upstream with limits for endpoints: `(limit, remaining, seconds until the reset)` by path."""

    def __init__(self, time: VirtualTime, **limits: tuple[int, int, int]) -> None:
        self.time = time
        self.limits = limits
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Respond with the headers of the limit."""
        path = scope["path"].removeprefix("/v1/")
        self.paths.append(path)
        limit, remaining, seconds = self.limits[path]
        values = {"limit": limit, "remaining": remaining, "reset": int(self.time.now) + seconds}
        headers = [(f"x-ratelimit-{name}".encode(), str(value).encode()) for name, value in values.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


async def test_an_exhausted_limit_of_one_endpoint_does_not_stop_the_others() -> None:
    time = VirtualTime()
    upstream = Limits(time, events=(5, 0, 50), integrations=(1000, 900, 50), spaces=(1000, 899, 51))
    async with talk(upstream, time) as gitbook:
        for path in ("events", "integrations", "spaces", "integrations"):
            assert (await gitbook.send(Request("GET", f"/{path}"), OURS)).status == 200
        with pytest.raises(LimitError, match="GET /events") as caught:
            await gitbook.send(Request("GET", "/events"), OURS)
        assert caught.value.wait == 50
    assert upstream.paths == ["events", "integrations", "spaces", "integrations"]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ((9, 5, 50), (9, 0, 50), True),
        ((9, 5, 50), (9, 0, 51), True),
        ((9, 5, 50), (9, 0, 52), False),
        ((8, 5, 50), (9, 0, 50), False),
    ],
)
async def test_endpoints_with_the_same_limit_and_reset_share_a_counter(
    first: tuple[int, int, int], second: tuple[int, int, int], shared: bool
) -> None:
    time = VirtualTime()
    async with talk(upstream := Limits(time, first=first, second=second), time) as gitbook:
        await gitbook.send(Request("GET", "/first"), OURS)
        await gitbook.send(Request("GET", "/second"), OURS)
        outcome = (await asyncio.gather(gitbook.send(Request("GET", "/first"), OURS), return_exceptions=True))[0]
    assert isinstance(outcome, LimitError) is shared
    assert len(upstream.paths) == (2 if shared else 3)


async def test_endpoints_that_only_seemed_to_share_a_limit_are_separated() -> None:
    time = VirtualTime()
    async with talk(upstream := Limits(time, first=(9, 5, 50), second=(9, 4, 50)), time) as gitbook:
        await gitbook.send(Request("GET", "/first"), OURS)
        await gitbook.send(Request("GET", "/second"), OURS)
        upstream.limits["second"] = (7, 0, 50)
        await gitbook.send(Request("GET", "/second"), OURS)
        await gitbook.send(Request("GET", "/first"), OURS)
        with pytest.raises(LimitError):
            await gitbook.send(Request("GET", "/second"), OURS)
        limit = next(iter(gitbook._rate_limiter._limits.values()))
        assert [limit.get_counter(f"GET /{name}").in_flight.total() for name in ("first", "second")] == [0, 0]


async def test_a_later_response_with_more_remaining_requests_is_of_another_limit() -> None:
    time = VirtualTime()
    upstream = Limits(time, events=(100, 0, 50), integrations=(100, 99, 50), spaces=(100, 98, 51))
    async with talk(upstream, time) as gitbook:
        for path in ("events", "integrations", "spaces"):
            assert (await gitbook.send(Request("GET", f"/{path}"), OURS)).status == 200
        limit = next(iter(gitbook._rate_limiter._limits.values()))
        assert limit.get_counter("GET /integrations") is limit.get_counter("GET /spaces")
        upstream.limits["integrations"] = (100, 97, 50)
        assert (await gitbook.send(Request("GET", "/integrations"), OURS)).status == 200
        with pytest.raises(LimitError):
            await gitbook.send(Request("GET", "/events"), OURS)


async def test_endpoints_whose_limits_proved_to_be_different_share_no_counter_after_the_reset() -> None:
    time = VirtualTime()
    async with talk(upstream := Limits(time, first=(9, 8, 50), second=(9, 4, 50)), time) as gitbook:
        await gitbook.send(Request("GET", "/first"), OURS)
        await gitbook.send(Request("GET", "/second"), OURS)
        limit = next(iter(gitbook._rate_limiter._limits.values()))
        assert limit.get_counter("GET /first") is limit.get_counter("GET /second")
        upstream.limits["first"] = (9, 7, 50)
        await gitbook.send(Request("GET", "/first"), OURS)
        time.now += 60
        upstream.limits["second"] = (9, 0, 50)
        for path in ("first", "second", "first"):
            assert (await gitbook.send(Request("GET", f"/{path}"), OURS)).status == 200
        with pytest.raises(LimitError):
            await gitbook.send(Request("GET", "/second"), OURS)


async def test_an_overtaken_response_with_more_remaining_requests_can_be_of_the_same_limit() -> None:
    time = VirtualTime()
    limiter = RateLimiter(16, 1, time.monotonic, time.sleep)
    with (
        await limiter.acquire(b"ours", "GET /first", 0) as one,
        await limiter.acquire(b"ours", "GET /second", 0) as two,
    ):
        two.record_response(200, tell(4, 50, limit="9"), NOW, START)
        one.record_response(200, tell(5, 50, limit="9"), NOW, START)
        assert one.limit.get_counter("GET /first") is one.limit.get_counter("GET /second")


async def test_a_short_wait_of_one_endpoint_is_no_exhausted_limit_of_another() -> None:
    time = VirtualTime()
    limiter = RateLimiter(16, 1, time.monotonic, time.sleep)
    with (
        await limiter.acquire(b"ours", "GET /first", 0) as one,
        await limiter.acquire(b"ours", "GET /second", 0) as two,
        await limiter.acquire(b"ours", "GET /third", 0) as three,
    ):
        one.record_response(200, tell(8, 50, limit="9"), NOW, START)
        two.record_response(200, tell(7, 50, limit="9"), NOW, START)
        two.record_response(429, {"retry-after": "1"}, NOW, START)
        three.record_response(200, tell(6, 50, limit="9"), NOW, START)
        counter = three.limit.get_counter("GET /third")
        assert counter is three.limit.get_counter("GET /second")
        assert counter.has_room(NOW)


async def test_calls_that_wait_for_one_limit_take_no_place_from_the_others() -> None:
    time, sleeping, awake = VirtualTime(), asyncio.Event(), asyncio.Event()

    async def sleep(_seconds: float) -> None:
        sleeping.set()
        await awake.wait()
        time.now += 50

    limiter = RateLimiter(2, 30, time.monotonic, sleep)
    with await limiter.acquire(b"ours", "GET /events", 0) as permit:
        permit.record_response(200, tell(0, 50), NOW, START)
    order = []

    async def call(endpoint: str) -> None:
        with await limiter.acquire(b"ours", endpoint, 100):
            order.append(endpoint)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(call("GET /events"))
        await sleeping.wait()
        await call("GET /integrations")
        assert order == ["GET /integrations"]
        awake.set()
    assert order == ["GET /integrations", *["GET /events"] * 3]
    assert permit.limit.free == 2
    assert not permit.limit.queue


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_step_of_the_wall_clock_changes_no_wait(step: float) -> None:
    time = VirtualTime()
    upstream = Limits(time, user=(5, 0, 15))
    async with talk(upstream, time, wait_seconds=20) as gitbook:
        await gitbook.send(Request("GET", "/user"), OURS)
        time.step = step
        await gitbook.send(Request("GET", "/user"), OURS)
        assert time.slept == [15]


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_step_of_the_wall_clock_during_a_wait_changes_nothing(step: float) -> None:
    time = VirtualTime()
    upstream = Counter()
    upstream.open.set()
    upstream.status, upstream.headers = 503, []

    async def sleep(seconds: float) -> None:
        time.step = step
        await time.sleep(seconds)

    gitbook = GitBook(
        "https://gitbook.invalid",
        LimitsSection(call_seconds=8, attempts=10),
        httpx.ASGITransport(app=upstream),
        clock=time.monotonic,
        wall_clock=time.wall,
        sleep=sleep,
        jitter=lambda: 1.0,
    )
    assert (await gitbook.send(Request("DELETE", "/user"), OURS)).attempts == 4
    assert time.slept == [0.5, 1, 2]  # four more seconds would leave no time for the response
    await gitbook.close()


@pytest.mark.parametrize("off", [-3600.0, 3600.0])
async def test_a_reset_is_relative_to_the_clock_of_gitbook(off: float) -> None:
    time = VirtualTime()
    time.step = off
    upstream = Counter()
    upstream.open.set()
    date = format_datetime(datetime.fromtimestamp(START, UTC), usegmt=True)
    upstream.headers = [(name.encode(), value.encode()) for name, value in {**tell(0, 15), "date": date}.items()]
    async with talk(upstream, time) as gitbook:
        await gitbook.send(read(), OURS)
        await gitbook.send(read(), OURS)
    assert time.slept == [15]
