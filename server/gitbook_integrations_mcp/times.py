"""Times as everything that is shown has them, and durations as people write them: 30m, 2h, 1d."""

import re
from datetime import UTC, date, datetime
from typing import Literal

from gitbook_integrations_api.options import DURATION

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(text: str) -> int:
    """Return the seconds of a duration.

    Raises:
        ValueError: it is not of the form `DURATION`.
    """
    if not re.fullmatch(DURATION, text):
        raise ValueError(text)
    return int(text[:-1]) * _SECONDS[text[-1]]


def write_time(seconds: float, precision: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return a time, given in seconds since 1970, as everything that is shown has it: ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def find_day(seconds: float) -> date:
    """Return the day of a time, given in seconds since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).date()
