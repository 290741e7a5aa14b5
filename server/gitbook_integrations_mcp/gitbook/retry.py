"""The retry policy: whether to send a request again, and when. Pure functions, without clock or randomness.

Every `now` is the wall clock, in seconds since 1970. It only replaces GitBook's own time where a response has no Date.

GET, PUT and DELETE are idempotent, so they are repeated after a temporary failure. POST and PATCH are repeated only if
the request certainly was not sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from gitbook_integrations_api.endpoint import Method
from gitbook_integrations_mcp.errors import UnreachableError

BASE = 0.5
"""Longest first wait in seconds if GitBook requests none; each further wait is at most twice as long."""
CAP = 8.0
"""Longest of these waits, in seconds."""

_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
_TRANSIENT = frozenset({429, 502, 503, 504})
_DAY = 86400
"""Longer waits are ignored: the header is probably in another unit, for example milliseconds."""


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Whether to send again, and in how many seconds. If not, `wait` is the time that GitBook requests, if any."""

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
    max_wait: float,
    jitter: float,
) -> RetryDecision:
    """Return whether to repeat an attempt that ended with a status or without a response.

    `attempt` counts from 1 to `attempts`, `max_wait` is how many seconds this call may
    still wait, and `jitter` is a random number from 0 to 1.
    """
    requested = None if isinstance(outcome, UnreachableError) else read_wait(outcome, headers, now)
    if isinstance(outcome, UnreachableError):
        may_repeat = outcome.transient and (not outcome.sent or method in _IDEMPOTENT)
    else:
        may_repeat = outcome in _TRANSIENT and method in _IDEMPOTENT
    wait = jitter * min(CAP, BASE * 2 ** (attempt - 1)) if requested is None else requested
    if not may_repeat or attempt >= attempts or wait > max_wait:
        return RetryDecision(repeat=False, wait=requested)
    return RetryDecision(repeat=True, wait=wait)


def read_wait(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds GitBook asks to wait after a response with `status`, or None."""
    if status not in _TRANSIENT:
        return None
    waits = [_read_retry_after(headers, now)]
    if status == 429:  # other statuses carry the reset time too, but the rate limit is not why they failed
        waits.append(read_reset(headers, now))
    return max((wait for wait in waits if wait is not None), default=None)


def read_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return in how many seconds the rate limit resets, or None."""
    reset = read_reset_time(headers)
    return None if reset is None else _check_wait(reset - _read_date(headers, now))


def read_reset_time(headers: Mapping[str, str]) -> int | None:
    """Return when the rate limit resets, in seconds since 1970 by GitBook's clock, or None."""
    return _read_number(headers.get("x-ratelimit-reset", ""))


def read_limit(headers: Mapping[str, str]) -> int | None:
    """Return how many requests the rate limit allows, at least 1, or None."""
    limit = _read_number(headers.get("x-ratelimit-limit", ""))
    return None if limit is None else max(limit, 1)


def read_remaining(headers: Mapping[str, str]) -> int | None:
    """Return how many requests remain until the rate limit resets, or None."""
    return _read_number(headers.get("x-ratelimit-remaining", ""))


def _read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    text = headers.get("retry-after", "")
    if _is_number(text):
        return _check_wait(float(text))
    date = _parse_date(text)
    return None if date is None else _check_wait(date - _read_date(headers, now))


def _read_date(headers: Mapping[str, str], now: float) -> float:
    """Return GitBook's current time, to which its other times relate; this machine's clock may be wrong."""
    date = _parse_date(headers.get("date", ""))
    return now if date is None else date


def _parse_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _read_number(text: str) -> int | None:
    return int(text) if _is_number(text) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def _check_wait(wait: float) -> float | None:
    return wait if 0 < wait <= _DAY else None
