"""Rate limits: each credential has its own limit on parallel requests, and its own pace.

The pace follows the rate-limit headers of GitBook's responses: how many requests remain until the limit resets.
Requests in flight may not be counted there yet, so they are subtracted. A parallel burst thus stays within the limit.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import anyio

from gitbook_integrations_mcp.errors import LimitError
from gitbook_integrations_mcp.gitbook.retry import read_reset, read_wait

_MAX_IDLE = 1000
"""Credentials remembered beyond those in use."""


class CredentialLimit:
    """The rate limit of one credential, as far as it is known. Requests are sent in the order of their arrival."""

    def __init__(self, concurrency: int) -> None:
        self.users = 0
        self.slots = anyio.Semaphore(concurrency, fast_acquire=True)
        self.order = anyio.Lock(fast_acquire=True)
        self.in_flight = 0
        self.responded: anyio.Event | None = None
        self._limit: int | None = None
        self._remaining: int | None = None
        self._reset = -math.inf

    def has_room(self, now: float) -> bool:
        """Whether one more request is within the limit, as far as it is known."""
        if self._remaining is None or now >= self._reset > -math.inf:
            # The limit was reset, and no response has reported the next reset yet.
            self._remaining, self._reset = self._limit, -math.inf
        must_probe = not self.in_flight and self._reset == -math.inf  # only a response can report the new limit
        return must_probe or self._remaining is None or self._remaining > self.in_flight

    def seconds_until_available(self, now: float) -> float:
        """Return the seconds until there is room; 0 if a response in flight will report it."""
        return 0 if self.has_room(now) else max(self._reset - now, 0)

    def record_response(self, status: int, headers: Mapping[str, str], now: float) -> None:
        """Update the limit from the status and headers of a response."""
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
        elif reset > self._reset - 1:  # the same reset, as the times are in whole seconds
            self._remaining, self._reset = min(self._remaining, int(remaining)), max(reset, self._reset)
        # Otherwise the response is from before the last reset.

    def record_lost_request(self) -> None:
        """Count a request that was sent but got no response: GitBook may have counted it."""
        if self._remaining:
            self._remaining -= 1


class RateLimiter:
    """The limits of all credentials. Its keys are digests, so its memory holds no tokens.

    `queue_timeout` is in seconds and does not include waits for GitBook's limit.
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

    @asynccontextmanager
    async def acquire(self, credential: bytes, max_wait: float) -> AsyncIterator[CredentialLimit]:
        """Wait until a request of `credential` may be sent, at most `max_wait` seconds for GitBook's limit.

        Raises:
            LimitError: the wait would be longer, or too many requests are ahead in the queue.
        """
        max_wait = max(max_wait, 0)
        deadline = self._clock() + max_wait
        limit = self._get_limit(credential)
        limit.users += 1
        try:
            self._check_wait(limit, deadline)
            try:
                async with asyncio.timeout(self._queue_timeout + max_wait):
                    await self._enter(limit, deadline)
            except TimeoutError:
                raise LimitError(
                    f"Timed out in the queue behind {limit.users - 1} calls with this token. "
                    "Send fewer calls in parallel."
                ) from None
            try:
                yield limit
            finally:
                limit.in_flight -= 1
                limit.slots.release()
                if limit.responded:
                    limit.responded.set()
        finally:
            limit.users -= 1

    async def _enter(self, limit: CredentialLimit, deadline: float) -> None:
        await limit.slots.acquire()
        try:
            async with limit.order:
                while not limit.has_room(self._clock()):
                    if wait := self._check_wait(limit, deadline):
                        await self._sleep(wait)
                    else:
                        limit.responded = anyio.Event()
                        await limit.responded.wait()
                limit.in_flight += 1
        except BaseException:
            limit.slots.release()
            raise

    def _check_wait(self, limit: CredentialLimit, deadline: float) -> float:
        """Return the seconds until there is room.

        Raises:
            LimitError: there is none before `deadline`.
        """
        now = self._clock()
        wait = limit.seconds_until_available(now)
        if wait and now + wait > deadline:
            raise LimitError(
                f"GitBook's rate limit for this token is exhausted. Wait {math.ceil(wait)} s before the next call.",
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
