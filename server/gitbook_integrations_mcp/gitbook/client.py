"""The GitBook client: the one way to ask GitBook, within its limits, again where that helps and harms nothing."""

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
from gitbook_integrations_mcp.gitbook.rate_limit import CredentialLimit, RateLimiter
from gitbook_integrations_mcp.gitbook.retry import Decision, decide
from gitbook_integrations_mcp.gitbook.tracing import trace_attempt

logger = logging.getLogger(__name__)

PROBE_SECONDS = 5.0
"""Who asks whether a server is ready has little patience."""

_LEAST = 1.0
"""Seconds that must be left for the answer after a wait; otherwise it is not worth it."""


class GitBook:
    """GitBook's API at one endpoint, or the sandbox where `transport` leads to one.

    One client serves all callers; what it remembers of one token is of no consequence for another. `clock` (seconds
    since 1970), `sleep` and `chance` (0 to 1) are for tests.
    """

    def __init__(
        self,
        endpoint: str,
        settings: LimitsSection,
        transport: HTTPTransport | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = endpoint
        self._settings = settings
        self._exchange = HTTPClient(endpoint, settings, transport)
        self._limiter = RateLimiter(settings.concurrency, settings.pool_seconds, clock, sleep)
        self._clock = clock
        self._sleep = sleep
        self._chance = chance

    async def send(self, request: Request, token: SecretStr) -> GitBookResponse:
        """Send `request` with `token`, and return the last response. Cancelling this cancels the request.

        Raises:
            UnreachableError: no whole answer came.
            LimitError: it was not sent, as GitBook would have refused it, or too many are ahead.
        """
        credential = hashlib.sha256(token.get_secret_value().encode()).digest()
        settings = self._settings
        end = self._clock() + settings.call_seconds
        patience = settings.wait_seconds
        uncertain = False
        for attempt in count(1):
            asked = self._clock()
            outcome: GitBookResponse | UnreachableError
            try:
                async with self._limiter.turn(credential, min(patience, end - asked - _LEAST)) as lane:
                    started = self._clock()
                    patience -= started - asked
                    outcome = await self._send_once(request, token, lane, end - started, attempt)
            except UnreachableError as error:
                outcome = error
            decision = self._decide(request, outcome, attempt, min(patience, end - self._clock() - _LEAST))
            if decision.wait is None or not decision.repeat:
                return _conclude(outcome, attempt, decision, uncertain=uncertain)
            # A gateway that gave up does not know what became of what it passed on.
            uncertain |= outcome.sent if isinstance(outcome, UnreachableError) else outcome.status != 429
            logger.info("%s %s is sent again in %.1f s", request.method, request.template, decision.wait)
            patience -= decision.wait
            await self._sleep(decision.wait)
        raise AssertionError("counting does not end")

    async def probe(self) -> GitBookResponse:
        """Ask GitBook once, in nobody's name, and wait for `PROBE_SECONDS` at most: a refusal is an answer, too.

        Raises:
            UnreachableError: no whole answer came.
        """
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._exchange.send(Request("GET", "/user"), SecretStr("none"), math.inf)
        except TimeoutError:
            what = f"{self._exchange.host} did not answer within {PROBE_SECONDS:g} s."
            raise UnreachableError(what, sent=True) from None

    async def close(self) -> None:
        """Close the connections. The client can be used again afterwards."""
        await self._exchange.close()

    async def _send_once(
        self, request: Request, token: SecretStr, lane: CredentialLimit, seconds: float, attempt: int
    ) -> GitBookResponse:
        try:
            reply = await trace_attempt(self._exchange.send(request, token, seconds), request, self.endpoint, attempt)
        except BaseException as error:
            if not isinstance(error, UnreachableError) or error.sent:
                lane.lose()
            raise
        lane.learn(reply.status, reply.headers, self._clock())
        return reply

    def _decide(
        self, request: Request, outcome: GitBookResponse | UnreachableError, attempt: int, budget: float
    ) -> Decision:
        ended = outcome.status if isinstance(outcome, GitBookResponse) else outcome
        return decide(
            request.method,
            ended,
            outcome.headers if isinstance(outcome, GitBookResponse) else {},
            attempt=attempt,
            attempts=self._settings.attempts,
            now=self._clock(),
            budget=budget,
            chance=self._chance(),
        )


def _conclude(
    outcome: GitBookResponse | UnreachableError, attempt: int, decision: Decision, *, uncertain: bool
) -> GitBookResponse:
    """Return the answer that ends a call, or raise what ended it, with what its earlier attempts leave open."""
    if isinstance(outcome, GitBookResponse):
        if attempt == 1 and decision.wait is None:
            return outcome
        return replace(outcome, attempts=attempt, uncertain=uncertain, wait=decision.wait)
    sent = outcome.sent or uncertain
    attempts = attempt - isinstance(outcome, LimitError)
    notes = [str(outcome)]
    if attempts > 1:
        notes.append(f"It was tried {attempts} times.")
    if not sent:
        notes.append("Nothing was sent.")
    if isinstance(outcome, LimitError) and not sent:
        raise LimitError(" ".join(notes), outcome.wait) from None
    raise UnreachableError(" ".join(notes), sent=sent, attempts=attempts) from None
