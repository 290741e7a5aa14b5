"""When a request is sent again, and after how long: pure functions of what happened, without clock and without chance.

What changes something is repeated only where that cannot do it twice: PUT and DELETE, which HTTP calls idempotent, like
GET; POST and PATCH only when the request provably never left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from gitbook_integrations_api.endpoint import Method
from gitbook_integrations_mcp.errors import UnreachableError

BASE = 0.5
"""Seconds that the first wait takes at most where GitBook tells no time; each further one at most twice as many."""
CAP = 8.0
"""Seconds that such a wait takes at most."""

_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
_PASSING = frozenset({429, 502, 503, 504})
_DAY = 86400
"""A time further away is a misunderstanding (milliseconds, say), and must not keep anybody waiting."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to send again, and in how many seconds; where not, `wait` is the time that GitBook asks for, if any."""

    repeat: bool
    wait: float | None = None


def decide(
    method: Method,
    outcome: int | UnreachableError,
    headers: Mapping[str, str],
    *,
    attempt: int,
    attempts: int,
    now: float,
    budget: float,
    chance: float,
) -> Decision:
    """Return what follows from an attempt that ended with a status or without an answer.

    `attempt` counts from 1 to `attempts`, `now` is the time in seconds since 1970, `budget` the seconds this call may
    still wait, and `chance` a random number from 0 to 1.
    """
    told = None if isinstance(outcome, UnreachableError) else read_wait(outcome, headers, now)
    if isinstance(outcome, UnreachableError):
        again = outcome.transient and (not outcome.sent or method in _IDEMPOTENT)
    else:
        again = outcome in _PASSING and method in _IDEMPOTENT
    wait = chance * min(CAP, BASE * 2 ** (attempt - 1)) if told is None else told
    if not again or attempt >= attempts or wait > budget:
        return Decision(repeat=False, wait=told)
    return Decision(repeat=True, wait=wait)


def read_wait(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Return in how many seconds GitBook takes the request that it refused with `status`, where it tells."""
    if status not in _PASSING:
        return None
    told = [_read_retry_after(headers, now)]
    if status == 429:  # the others tell the state of the limit, too, which is not why they failed
        told.append(read_reset(headers, now))
    return max((wait for wait in told if wait is not None), default=None)


def read_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return in how many seconds the rate limit is renewed, where GitBook tells."""
    reset = headers.get("x-ratelimit-reset", "")
    return _check(int(reset) - _read_clock(headers, now)) if _is_number(reset) else None


def _read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    told = headers.get("retry-after", "")
    if _is_number(told):
        return _check(float(told))
    date = _read_date(told)
    return None if date is None else _check(date - _read_clock(headers, now))


def _read_clock(headers: Mapping[str, str], now: float) -> float:
    """Return the time by GitBook's clock, which its times are told by; ours may be wrong."""
    date = _read_date(headers.get("date", ""))
    return now if date is None else date


def _read_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def _check(wait: float) -> float | None:
    return wait if 0 < wait <= _DAY else None
