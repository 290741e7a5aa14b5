"""Rate limits: each credential has its own bound on parallel requests, and each endpoint its own pace.

The pace follows the rate-limit headers of GitBook's responses: how many requests remain until the limit resets. GitBook
has several limits, and its documentation does not name the endpoints of each. So every endpoint has a counter of its
own, until its responses and those of another endpoint show the same limit and the same reset. From then on, these
endpoints share a counter. They never share one again after a later response shows more remaining requests than an
earlier one before the same reset: their limits are different. An endpoint without any response may share a known limit:
it sends one request at once, and more in parallel only if every known limit has room for them. Requests in flight may
not be counted in the headers yet, so they are subtracted. A parallel burst thus stays within the limit.

All times are monotonic, so a step of the wall clock changes no wait.
"""

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Self

from gitbook_integrations_mcp.errors import LimitError
from gitbook_integrations_mcp.gitbook.retry import read_limit, read_remaining, read_reset, read_reset_time, read_wait

_MAX_IDLE = 1000
"""Credentials remembered beyond those in use."""


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """The limit that the headers of a response show."""

    limit: int | None
    remaining: int | None
    reset: int | None
    """As GitBook wrote it. It is only compared with other resets, never with a clock."""
    wait: float | None
    """Seconds from the response until the reset, or, if GitBook rejected the request, until it accepts another."""
    rejected: bool
    number: int
    """Number of responses before this one."""

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], wall_time: float, number: int = 0) -> Self:
        """Return the limit of a response that arrived when the wall clock showed `wall_time`."""
        rejected = status == 429
        wait = read_wait(status, headers, wall_time) if rejected else read_reset(headers, wall_time)
        limit, remaining, reset = read_limit(headers), read_remaining(headers), read_reset_time(headers)
        return cls(limit, remaining, reset, wait, rejected, number)

    def has_reset_of(self, other: "LimitHeaders") -> bool:
        """Whether both show the same reset."""
        return self.reset is not None and other.reset is not None and abs(self.reset - other.reset) <= 1

    def has_limit_of(self, other: "LimitHeaders") -> bool:
        """Whether both show the same limit, as far as they show one."""
        return None in (self.limit, other.limit) or self.limit == other.limit

    def refutes(self, other: "LimitHeaders", sent: int) -> bool:
        """Whether this one, to a request that was sent after `sent` responses, cannot be of the limit of the other."""
        if not self.has_reset_of(other) or self.remaining is None or other.remaining is None:
            return False
        return not self.has_limit_of(other) or (sent > other.number and self.remaining > other.remaining)


class RequestCounter:
    """The requests that remain of one limit, as far as they are known."""

    def __init__(self) -> None:
        self.in_flight: Counter[str] = Counter()
        """Requests in flight, by endpoint."""
        self.seen = False
        """Whether there was a response."""
        self._limit: int | None = None
        self._remaining: int | None = None
        self._reset = -math.inf

    def has_room(self, now: float, more: int = 0) -> bool:
        """Whether one request beyond those in flight, and `more`, is within the limit, as far as it is known."""
        if self._remaining is None or now >= self._reset > -math.inf:
            # The limit was reset, and no response has reported the next reset yet.
            self._remaining, self._reset = self._limit, -math.inf
        in_flight = self.in_flight.total() + more
        must_probe = not in_flight and self._reset == -math.inf  # only a response can report the new limit
        return must_probe or self._remaining is None or self._remaining > in_flight

    def seconds_until_available(self, now: float) -> float:
        """Return the seconds until there is room; 0 if a response in flight will report it."""
        return 0 if self.has_room(now) else max(self._reset - now, 0)

    def record_response(self, shown: LimitHeaders, now: float) -> None:
        """Update the counter from a response that arrived `now`."""
        self.seen = True
        if shown.limit:
            self._limit = shown.limit
        if shown.wait is None:
            return
        if shown.rejected:
            self._remaining, self._reset = 0, now + shown.wait
        elif shown.remaining is not None:
            self._update(shown.remaining, now + shown.wait)

    def record_lost_request(self) -> None:
        """Count a request that was sent but got no response: GitBook may have counted it."""
        if self._remaining:
            self._remaining -= 1

    def merge(self, other: "RequestCounter") -> None:
        """Take over the requests of another counter of the same limit."""
        self.in_flight += other.in_flight
        if other._remaining is not None:
            self._update(other._remaining, other._reset)

    def _update(self, remaining: int, reset: float) -> None:
        if self._remaining is None or reset > self._reset + 1:
            self._remaining, self._reset = remaining, reset
        elif reset > self._reset - 1:  # the same reset, as the times are in whole seconds
            self._remaining, self._reset = min(self._remaining, remaining), max(reset, self._reset)
        # Otherwise it is from before the last reset, or it is a short wait that GitBook asked for.


class CredentialLimit:
    """The limits of one credential. Requests are sent in the order of their arrival, as far as their limits allow."""

    def __init__(self, concurrency: int) -> None:
        self.users = 0
        self.free = concurrency
        self.queue: OrderedDict[Permit, None] = OrderedDict()
        self.responses = 0
        """Number of responses."""
        self._counters: dict[str, RequestCounter] = {}
        self._latest: dict[str, LimitHeaders] = {}
        """Those of the latest response of each endpoint."""
        self._different: set[frozenset[str]] = set()
        """Pairs of endpoints that have different limits, as their responses proved."""

    def get_counter(self, endpoint: str) -> RequestCounter:
        """Return the counter of an endpoint, which other endpoints may share."""
        counter = self._counters.get(endpoint)
        if counter is None:
            counter = self._counters[endpoint] = RequestCounter()
        return counter

    def has_room(self, counter: RequestCounter, now: float) -> bool:
        """Whether one more request that counts there may be sent."""
        if counter.seen or not counter.in_flight.total():
            return counter.has_room(now)
        unseen = sum(each.in_flight.total() for each in self._counters.values() if not each.seen)
        return all(each.has_room(now, unseen) for each in self._counters.values() if each.seen)

    def record_response(
        self, endpoint: str, sent: int, status: int, headers: Mapping[str, str], now: float, wall_time: float
    ) -> None:
        """Update the counter of an endpoint, and find out which endpoints share it.

        `sent` is the number of responses before the request was sent.
        """
        shown = LimitHeaders.read(status, headers, wall_time, self.responses)
        self.responses += 1
        self._latest[endpoint] = shown
        self._different |= {
            frozenset((endpoint, name)) for name, other in self._latest.items() if shown.refutes(other, sent)
        }
        counter = self.get_counter(endpoint)
        if not all(self._may_share(endpoint, name) for name in self._list_endpoints(counter)):
            shared, counter = counter, RequestCounter()  # the endpoint only seemed to share a limit
            counter.in_flight[endpoint] = shared.in_flight.pop(endpoint, 0)
            self._counters[endpoint] = counter
        counter.record_response(shown, now)
        if shown.limit is None:
            return
        for name, other in self._latest.items():
            found = self._counters[name]
            if found is counter or other.limit is None or not shown.has_reset_of(other):
                continue
            ours, theirs = self._list_endpoints(counter), self._list_endpoints(found)
            if all(self._may_share(*pair) for pair in product(ours, theirs)):
                counter.merge(found)
                self._counters |= dict.fromkeys(theirs, counter)

    def _list_endpoints(self, counter: RequestCounter) -> list[str]:
        return [name for name, each in self._counters.items() if each is counter]

    def _may_share(self, one: str, other: str) -> bool:
        """Whether no response contradicts that two endpoints share a limit."""
        if frozenset((one, other)) in self._different:
            return False
        return self._latest[one].has_limit_of(self._latest[other])

    def grant(self, now: float) -> None:
        """Let as many waiting requests be sent as there are free places, in the order of their arrival.

        A request without room in its limit keeps back only later requests of that limit.
        """
        if not (self.free and self.queue):
            return
        exhausted: set[int] = set()
        for permit in list(self.queue):
            if not self.free:
                return
            counter = self.get_counter(permit.endpoint)
            if id(counter) in exhausted:
                continue
            if permit.sleeping or not self.has_room(counter, now):
                exhausted.add(id(counter))
                permit.wake_up.set()  # the first in the queue of this limit waits for its reset
                continue
            del self.queue[permit]
            self.free -= 1
            permit.take(counter)


class Permit:
    """The right of one request to be sent, once it is granted, until the end of its `with` block.

    It reports what became of the request. `clock` is monotonic.
    """

    def __init__(self, limit: CredentialLimit, endpoint: str, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.endpoint = endpoint
        self._clock = clock
        self.wake_up = asyncio.Event()
        self.sleeping = False
        self.granted = False
        self._sent = 0
        """Number of responses before the request was sent."""
        limit.users += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def take(self, counter: RequestCounter) -> None:
        """Count the request as one in flight."""
        counter.in_flight[self.endpoint] += 1
        self.granted = True
        self._sent = self.limit.responses
        self.wake_up.set()

    def release(self) -> None:
        """Leave the queue, or make room for the next request."""
        limit = self.limit
        limit.users -= 1
        if self.granted:
            limit.get_counter(self.endpoint).in_flight[self.endpoint] -= 1
            limit.free += 1
        else:
            limit.queue.pop(self, None)
        limit.grant(self._clock())

    def record_response(self, status: int, headers: Mapping[str, str], now: float, wall_time: float) -> None:
        """Update the limit from the status and headers of the response."""
        self.limit.record_response(self.endpoint, self._sent, status, headers, now, wall_time)

    def record_lost_request(self) -> None:
        """Count a request that was sent but got no response."""
        self.limit.get_counter(self.endpoint).record_lost_request()


class RateLimiter:
    """The limits of all credentials. Its keys are digests, so its memory holds no tokens.

    `queue_timeout` is in seconds and does not include waits for GitBook's limit. `clock` is monotonic.
    """

    def __init__(
        self,
        concurrency: int,
        queue_timeout: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._concurrency = concurrency
        self._queue_timeout = queue_timeout
        self._clock = clock
        self._sleep = sleep
        self._limits: OrderedDict[bytes, CredentialLimit] = OrderedDict()

    async def acquire(self, credential: bytes, endpoint: str, max_wait: float) -> Permit:
        """Wait until a request of `credential` to `endpoint` may be sent, at most `max_wait` seconds for its limit.

        Raises:
            LimitError: the wait would be longer, or too many requests are ahead in the queue.
        """
        max_wait = max(max_wait, 0)
        deadline = self._clock() + max_wait
        limit = self._get_limit(credential)
        permit = Permit(limit, endpoint, self._clock)
        try:
            self._check_wait(permit, deadline)
            limit.queue[permit] = None
            limit.grant(self._clock())
            if not permit.granted:
                await self._await_grant(permit, deadline, self._queue_timeout + max_wait)
        except BaseException:
            permit.release()
            raise
        return permit

    async def _await_grant(self, permit: Permit, deadline: float, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not permit.granted:
                    await permit.wake_up.wait()
                    permit.wake_up.clear()
                    await self._await_reset(permit, deadline)
        except TimeoutError:
            raise LimitError(
                f"Timed out in the queue behind {permit.limit.users - 1} calls with this token. "
                "Send fewer calls in parallel."
            ) from None

    async def _await_reset(self, permit: Permit, deadline: float) -> None:
        """Sleep until the limit of the first waiting request resets, unless a response in flight will report it."""
        if permit.granted or not (wait := self._check_wait(permit, deadline)):
            return
        permit.sleeping = True
        try:
            await self._sleep(wait)
        finally:
            permit.sleeping = False
        permit.limit.grant(self._clock())

    def _check_wait(self, permit: Permit, deadline: float) -> float:
        """Return the seconds until there is room.

        Raises:
            LimitError: there is none before `deadline`.
        """
        now = self._clock()
        wait = permit.limit.get_counter(permit.endpoint).seconds_until_available(now)
        if wait and now + wait > deadline:
            raise LimitError(
                f"GitBook's rate limit for this token and {permit.endpoint} is exhausted. "
                f"Wait {math.ceil(wait)} s before the next call.",
                wait,
            )
        return wait

    def _get_limit(self, credential: bytes) -> CredentialLimit:
        limit = self._limits.get(credential)
        if limit is None:
            if len(self._limits) >= _MAX_IDLE and (
                idle := next((key for key, known in self._limits.items() if not known.users), None)
            ):
                del self._limits[idle]
            limit = self._limits[credential] = CredentialLimit(self._concurrency)
        self._limits.move_to_end(credential)
        return limit
