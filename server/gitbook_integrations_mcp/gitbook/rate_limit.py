"""Who may send, and when: each credential has its own number of requests in flight, and its own pace.

The pace follows what GitBook tells with each answer: how many requests are left until the limit is renewed. Those in
flight may not be counted yet, so they are taken off; then no burst, however parallel, runs into a limit that was told.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import anyio

from gitbook_integrations_mcp.errors import LimitError
from gitbook_integrations_mcp.gitbook.retry import read_reset, read_wait

_KEPT = 1000
"""Credentials remembered beyond those in use."""


class CredentialLimit:
    """What is known of one credential. Whoever asks first is sent first."""

    def __init__(self, concurrency: int) -> None:
        self.users = 0
        self.slots = anyio.Semaphore(concurrency, fast_acquire=True)
        self.order = anyio.Lock(fast_acquire=True)
        self.in_flight = 0
        self.answered: anyio.Event | None = None
        self._limit: int | None = None
        self._remaining: int | None = None
        self._reset = -math.inf

    def has_room(self, now: float) -> bool:
        """Whether one more request is within the limit, as far as it is known."""
        if self._remaining is None or now >= self._reset > -math.inf:
            # The limit is renewed, and nobody has told yet until when.
            self._remaining, self._reset = self._limit, -math.inf
        alone = not self.in_flight and self._reset == -math.inf  # somebody has to go and find out
        return alone or self._remaining is None or self._remaining > self.in_flight

    def tell_wait(self, now: float) -> float:
        """Return the seconds until there is room; 0 where an answer in flight will tell."""
        return 0 if self.has_room(now) else max(self._reset - now, 0)

    def learn(self, status: int, headers: Mapping[str, str], now: float) -> None:
        """Take in what an answer tells of the limit."""
        if (limit := headers.get("x-ratelimit-limit", "")).isdecimal():
            self._limit = max(int(limit), 1)
        if status == 429:
            wait, remaining = read_wait(status, headers, now), "0"
        else:
            remaining = headers.get("x-ratelimit-remaining", "")
            wait = read_reset(headers, now) if remaining.isdecimal() else None
        if wait is None:
            return
        reset = now + wait
        if status == 429 or self._remaining is None or reset > self._reset + 1:
            self._remaining, self._reset = int(remaining), reset
        elif reset > self._reset - 1:  # the same moment, told by clocks that know seconds only
            self._remaining, self._reset = min(self._remaining, int(remaining)), max(reset, self._reset)
        # Else it is an old answer, of before the limit was renewed.

    def lose(self) -> None:
        """Take in that a request was sent, and no answer told whether it was counted."""
        if self._remaining:
            self._remaining -= 1


class RateLimiter:
    """Lanes by credential. Keys are digests: who reads the memory of this finds no token."""

    def __init__(
        self, concurrency: int, patience: float, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._concurrency = concurrency
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._lanes: OrderedDict[bytes, CredentialLimit] = OrderedDict()

    @asynccontextmanager
    async def turn(self, credential: bytes, budget: float) -> AsyncIterator[CredentialLimit]:
        """Wait until a request of `credential` may be sent, but no longer than `budget` seconds for a limit.

        Raises:
            LimitError: the wait would be longer, or too many are ahead.
        """
        budget = max(budget, 0)
        until = self._clock() + budget
        lane = self._find(credential)
        lane.users += 1
        try:
            self._check(lane, until)
            try:
                async with asyncio.timeout(self._patience + budget):
                    await self._enter(lane, until)
            except TimeoutError:
                raise LimitError(
                    f"{lane.users - 1} other calls with this token are under way or wait, and the turn of this one did "
                    "not come in time. Make fewer at a time."
                ) from None
            try:
                yield lane
            finally:
                lane.in_flight -= 1
                lane.slots.release()
                if lane.answered:
                    lane.answered.set()
        finally:
            lane.users -= 1

    async def _enter(self, lane: CredentialLimit, until: float) -> None:
        await lane.slots.acquire()
        try:
            async with lane.order:
                while not lane.has_room(self._clock()):
                    if wait := self._check(lane, until):
                        await self._sleep(wait)
                    else:
                        lane.answered = anyio.Event()
                        await lane.answered.wait()
                lane.in_flight += 1
        except BaseException:
            lane.slots.release()
            raise

    def _check(self, lane: CredentialLimit, until: float) -> float:
        now = self._clock()
        wait = lane.tell_wait(now)
        if wait and now + wait > until:
            raise LimitError(
                f"GitBook's limit for this token is used up. Wait {math.ceil(wait)} s before the next call.",
                wait,
            )
        return wait

    def _find(self, credential: bytes) -> CredentialLimit:
        lane = self._lanes.get(credential)
        if lane is None:
            if len(self._lanes) >= _KEPT and (
                idle := next((k for k, one in self._lanes.items() if not one.users), None)
            ):
                del self._lanes[idle]
            lane = self._lanes[credential] = CredentialLimit(self._concurrency)
        self._lanes.move_to_end(credential)
        return lane
