"""Times as everything that is shown has them, and times and durations as people write them."""

import re
from datetime import UTC, date, datetime
from typing import Literal

from gitbook_integrations_api.options import DURATION
from gitbook_integrations_mcp.errors import ArgumentsError
from gitbook_integrations_mcp.text import clean_text

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def read_duration(text: str) -> int:
    """Return the seconds of a duration.

    Raises:
        ValueError: it is not of the form `DURATION`.
    """
    if not re.fullmatch(DURATION, text):
        raise ValueError(text)
    return int(text[:-1]) * _SECONDS[text[-1]]


def read_age(text: str) -> int | None:
    """Return the seconds of an age like 30min, 24h, 7d or 4w, or None. A text with m is none: it could mean months."""
    age = re.fullmatch(r"(\d{1,5})\s*(min|[hdw])", text.strip())
    return int(age[1]) * _SECONDS[age[2]] if age else None


def write_time(seconds: float, precision: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return a time, given in seconds since 1970, as everything that is shown has it: ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def find_day(seconds: float) -> date:
    """Return the day of a time, given in seconds since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).date()


def read_period(
    since: str | None, until: str | None, now: float, prefix: str = ""
) -> tuple[float | None, float | None]:
    """Return the moments, in seconds since 1970, between which something is searched. `prefix` is of the arguments.

    A date as the end includes its day: without it, a search until today would miss what happened today.

    Raises:
        ArgumentsError: one is no moment, or nothing can be between them: an empty list would look as if all were well.
    """
    start, end = read_moment(f"{prefix}since", since, now), read_moment(f"{prefix}until", until, now)
    if end is not None and until is not None and re.fullmatch(r"[\dW-]+", until.strip()):
        end += _SECONDS["d"]
    if start is not None and start > now:
        raise ArgumentsError(f"{prefix}since: {clean_text(str(since), 40)} is in the future. It is {write_time(now)}.")
    if start is not None and end is not None and start >= end:
        raise ArgumentsError(f"{prefix}since must be before {prefix}until. A span is the time before now.")
    return start, end


def read_moment(name: str, text: str | None, now: float) -> float | None:
    """Return the moment, in seconds since 1970, that `text` means: a span before `now`, or a date.

    Raises:
        ArgumentsError: it is neither.
    """
    if text is None:
        return None
    if (age := read_age(text)) is not None:
        return now - age
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ArgumentsError(
            f"{name}: {clean_text(text, 40)} is neither a span (30min, 24h, 7d, 4w) nor a date (2026-11-18). "
            "Nothing was sent."
        ) from None
