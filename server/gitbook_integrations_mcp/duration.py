"""Durations as people write them: 30m, 2h, 1d."""

import re

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
