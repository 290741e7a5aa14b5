"""How many requests each token may make: a fixed number in each minute, as the `X-RateLimit-*` headers tell."""

import math
from dataclasses import dataclass

WINDOW = 60.0
"""Seconds after which a token's requests are counted anew."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a token has left after a request. `reset` is the UTC time, in whole seconds, of the next fresh start."""

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

    def spend(self, token: str, now: float) -> Allowance:
        """Count one request of `token`."""
        start, used = self._used.get(token, (now, 0))
        if not 0 <= now - start < WINDOW:
            start, used = now, 0
        self._used[token] = (start, used + 1)
        remaining = self.limit - used - 1
        return Allowance(self.limit, max(remaining, 0), math.ceil(start + WINDOW), exceeded=remaining < 0)
