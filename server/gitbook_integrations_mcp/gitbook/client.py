"""The GitBook client: sends requests within GitBook's rate limits, and retries those that are safe to repeat."""

import asyncio
import hashlib
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count

import anyio
from pydantic import SecretStr

from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp.config.models import LimitsSection
from gitbook_integrations_mcp.errors import LimitError, UnreachableError
from gitbook_integrations_mcp.gitbook.http import GitBookResponse, HTTPClient, HTTPTransport
from gitbook_integrations_mcp.gitbook.rate_limit import Permit, RateLimiter
from gitbook_integrations_mcp.gitbook.retry import RetryDecision, decide
from gitbook_integrations_mcp.gitbook.session import Token
from gitbook_integrations_mcp.gitbook.tracing import trace_attempt

logger = logging.getLogger(__name__)

PROBE_SECONDS = 5.0
"""Time-out of a probe; readiness checks have short time-outs themselves."""

_MIN_RESPONSE_SECONDS = 1.0
"""Seconds that must be left for the response after a wait; otherwise the call ends at once."""


class GitBook:
    """GitBook's API at one endpoint, or the GitBook sandbox if `transport` leads there.

    One client serves all callers; the limits of one token, or of one endpoint, do not affect another. `clock`
    (monotonic, in seconds), `wall_clock` (seconds since 1970), `sleep` and `jitter` (returns 0 to 1) are for tests.
    """

    def __init__(
        self,
        endpoint: str,
        settings: LimitsSection,
        transport: HTTPTransport | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = endpoint
        self._settings = settings
        self._http = HTTPClient(endpoint, settings, transport)
        self._rate_limiter = RateLimiter(settings.concurrency, settings.pool_seconds, clock, sleep)
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._jitter = jitter

    async def send(self, request: Request, token: Token) -> GitBookResponse:
        """Send `request` with `token`, and return the last response. Cancelling this cancels the request.

        If GitBook rejects the token of a login before it expires, it is renewed once.

        Raises:
            UnreachableError: no complete response arrived.
            LimitError: the request was not sent: GitBook would reject it, or too many requests are ahead in the queue.
            SessionError: the login has ended.
        """
        if isinstance(token, SecretStr):
            return await self._send(request, token, hashlib.sha256(token.get_secret_value().encode()).digest())
        credential = token.digest.encode()  # the limits go on when the token is renewed
        access = await token.fetch_token()
        response = await self._send(request, access, credential)
        if response.status == 401 and not response.uncertain:
            response = await self._send(request, await token.fetch_token(rejected=access), credential)
        return response

    async def _send(self, request: Request, token: SecretStr, credential: bytes) -> GitBookResponse:
        endpoint = f"{request.method} {request.template or request.path}"
        settings = self._settings
        end = self._clock() + settings.call_seconds
        max_wait = settings.wait_seconds  # what is left of it, over all attempts
        uncertain = False
        for attempt in count(1):
            queued = self._clock()
            outcome: GitBookResponse | UnreachableError
            try:
                with await self._rate_limiter.acquire(
                    credential, endpoint, min(max_wait, end - queued - _MIN_RESPONSE_SECONDS)
                ) as permit:
                    started = self._clock()
                    max_wait -= started - queued
                    outcome = await self._send_once(request, token, permit, end - started, attempt)
            except UnreachableError as error:
                outcome = error
            time_left = end - self._clock() - _MIN_RESPONSE_SECONDS
            decision = self._decide(request, outcome, attempt, min(max_wait, time_left))
            if decision.wait is None or not decision.repeat:
                return _return_or_raise(outcome, attempt, decision, uncertain=uncertain)
            # After a 502, 503 or 504, GitBook may have run the request although the gateway reported an error.
            uncertain |= outcome.sent if isinstance(outcome, UnreachableError) else outcome.status != 429
            logger.info("%s %s: retrying in %.1f s", request.method, request.template, decision.wait)
            max_wait -= decision.wait
            await self._sleep(decision.wait)
        raise AssertionError("count() never ends")

    async def probe(self) -> GitBookResponse:
        """Send one request without a valid token, to see whether GitBook responds within `PROBE_SECONDS`.

        Raises:
            UnreachableError: no complete response arrived.
        """
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._http.send(Request("GET", "/user"), SecretStr("none"), math.inf)
        except TimeoutError:
            raise UnreachableError(
                f"{self._http.host} did not respond within {PROBE_SECONDS:g} s.", sent=True
            ) from None

    def prepare(self) -> None:
        """Import what the first request needs, in advance. A thread can do this."""
        self._http.prepare()

    async def close(self) -> None:
        """Close the connections. The client can be used again afterwards."""
        await self._http.close()

    async def _send_once(
        self, request: Request, token: SecretStr, permit: Permit, seconds: float, attempt: int
    ) -> GitBookResponse:
        try:
            response = await trace_attempt(self._http.send(request, token, seconds), request, self.endpoint, attempt)
        except BaseException as error:
            if not isinstance(error, UnreachableError) or error.sent:
                permit.record_lost_request()
            raise
        permit.record_response(response.status, response.headers, self._clock(), self._wall_clock())
        return response

    def _decide(
        self, request: Request, outcome: GitBookResponse | UnreachableError, attempt: int, max_wait: float
    ) -> RetryDecision:
        return decide(
            request.method,
            outcome.status if isinstance(outcome, GitBookResponse) else outcome,
            outcome.headers if isinstance(outcome, GitBookResponse) else {},
            attempt=attempt,
            attempts=self._settings.attempts,
            now=self._wall_clock(),
            max_wait=max_wait,
            jitter=self._jitter(),
        )


def _return_or_raise(
    outcome: GitBookResponse | UnreachableError, attempt: int, decision: RetryDecision, *, uncertain: bool
) -> GitBookResponse:
    """Return or raise the outcome of the last attempt, completed with facts about all attempts."""
    if isinstance(outcome, GitBookResponse):
        if attempt == 1 and decision.wait is None:
            return outcome
        return replace(outcome, attempts=attempt, uncertain=uncertain, wait=decision.wait)
    sent = outcome.sent or uncertain
    attempts = attempt - isinstance(outcome, LimitError)
    sentences = [str(outcome)]
    if attempts > 1:
        sentences.append(f"It was tried {attempts} times.")
    if not sent:
        sentences.append("Nothing was sent.")
    if isinstance(outcome, LimitError) and not sent:
        raise LimitError(" ".join(sentences), outcome.wait) from None
    raise UnreachableError(" ".join(sentences), sent=sent, attempts=attempts) from None
