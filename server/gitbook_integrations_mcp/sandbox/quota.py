"""The rate limit: a fixed number of requests per token and minute, reported in the `X-RateLimit-*` headers."""

import math
from dataclasses import dataclass

WINDOW = 60.0
"""Seconds after which the count of a token's requests is reset."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The requests that a token has left. `reset` is the time of the next reset, in whole seconds since 1970 (UTC)."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool

    def as_headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class Quota:
    """Counts requests by token. A token's window starts with its first request."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used: dict[str, tuple[float, int]] = {}

    def use(self, token: str, now: float) -> Allowance:
        """Count one request of `token`."""
        start, used = self._used.get(token, (now, 0))
        if not 0 <= now - start < WINDOW:
            start, used = now, 0
        self._used[token] = (start, used + 1)
        remaining = self.limit - used - 1
        return Allowance(self.limit, max(remaining, 0), math.ceil(start + WINDOW), exceeded=remaining < 0)
