"""Moments as people write them."""

import pytest

from gitbook_integrations_mcp.errors import ArgumentsError
from gitbook_integrations_mcp.times import read_moment, read_period


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30min", 1_000_000 - 1800),
        ("24h", 1_000_000 - 86400),
        ("7d", 1_000_000 - 7 * 86400),
        ("4 w", 1_000_000 - 28 * 86400),
        ("1970-01-02", 86400),
        ("1970-01-02T01:00:00+01:00", 86400),
        (None, None),
    ],
)
def test_a_moment_is_a_span_or_a_date(text: str | None, moment: float | None) -> None:
    assert read_moment("since", text, 1_000_000) == moment


@pytest.mark.parametrize("text", ["", "7", "7y", "30m", "-1d", "2026-13-01", "0000-00-00"])
def test_another_text_is_no_moment(text: str) -> None:
    with pytest.raises(ArgumentsError):
        read_moment("since", text, 1_000_000)


@pytest.mark.parametrize(
    ("since", "until", "period"),
    [
        ("1970-01-02", "1970-01-02", (86400, 2 * 86400)),
        ("1970-01-02", "1970-01-03", (86400, 3 * 86400)),
        ("1970-01-02", "1970-W01-6", (86400, 3 * 86400)),
        ("1970-01-02", "1970-01-02T12:00", (86400, 1.5 * 86400)),
        ("2d", "1d", (1_000_000 - 2 * 86400, 1_000_000 - 86400)),
    ],
)
def test_a_period_includes_its_last_day(since: str, until: str, period: tuple[float, float]) -> None:
    assert read_period(since, until, 1_000_000) == period
