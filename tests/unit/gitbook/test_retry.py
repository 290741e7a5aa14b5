"""The retry policy, as the pure function that it is."""

import math
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_api.endpoint import Method
from gitbook_integrations_mcp.errors import LimitError, UnreachableError
from gitbook_integrations_mcp.gitbook.retry import BASE, CAP, RetryDecision, decide, read_wait

NOW = 1_800_000_000.0
METHODS: tuple[Method, ...] = ("GET", "PUT", "DELETE", "POST", "PATCH")
REPEATABLE: tuple[Method, ...] = ("GET", "PUT", "DELETE")
UNSENT = UnreachableError("", sent=False, transient=True)
BROKEN = UnreachableError("", sent=True, transient=True)
LASTING = (UnreachableError("", sent=False), UnreachableError("", sent=True), LimitError(""))


def choose(outcome: int | UnreachableError, method: Method = "GET", headers: Any = None, **more: Any) -> RetryDecision:
    """Return the decision on a first attempt of four, ten seconds of waiting, with the highest jitter."""
    options: dict[str, Any] = {"attempt": 1, "attempts": 4, "now": NOW, "max_wait": 10.0, "jitter": 1.0, **more}
    return decide(method, outcome, headers or {}, **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("outcome", [429, 502, 503, 504, BROKEN], ids=str)
def test_temporary_failures_are_retried_for_idempotent_methods(method: Method, outcome: int | UnreachableError) -> None:
    assert choose(outcome, method).repeat is (method in REPEATABLE)


@pytest.mark.parametrize("method", METHODS)
def test_an_unsent_request_is_retried_with_any_method(method: Method) -> None:
    assert choose(UNSENT, method).repeat


@pytest.mark.parametrize(
    "outcome", [200, 204, 205, 302, 400, 401, 403, 404, 409, 412, 422, 500, 501, *LASTING], ids=repr
)
@pytest.mark.parametrize("method", METHODS)
def test_nothing_else_is_retried(method: Method, outcome: int | UnreachableError) -> None:
    assert choose(outcome, method) == RetryDecision(repeat=False)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"x-ratelimit-reset": str(int(NOW) + 7)}, 7),
        (429, {"retry-after": "5"}, 5),
        (429, {"retry-after": "1"}, 1),
        (429, {"retry-after": "0"}, None),
        (429, {"retry-after": "86400"}, 86400),
        (429, {"retry-after": "86401"}, None),
        (429, {"retry-after": "5".zfill(15)}, 5),
        (429, {"retry-after": "5".zfill(16)}, None),
        (429, {"retry-after": format_datetime(datetime.fromtimestamp(NOW + 4, UTC), usegmt=True)}, 4),
        (429, {"retry-after": "5", "x-ratelimit-reset": str(int(NOW) + 7)}, 7),
        (503, {"retry-after": "5", "x-ratelimit-reset": str(int(NOW) + 7)}, 5),
        (503, {"x-ratelimit-reset": str(int(NOW) + 7)}, None),
        (200, {"retry-after": "5"}, None),
        (429, {"x-ratelimit-reset": str(int(NOW) - 7)}, None),
        (429, {"x-ratelimit-reset": str(int(NOW) * 1000)}, None),
        (429, {"x-ratelimit-reset": "soon", "retry-after": "-1"}, None),
        (429, {"x-ratelimit-reset": "٥", "retry-after": "9" * 400}, None),
        (429, {"retry-after": "Mon, 99 Nov 2026 00:00:00 GMT"}, None),
    ],
)
def test_the_wait_that_gitbook_requests_is_read(status: int, headers: dict[str, str], wait: float | None) -> None:
    assert read_wait(status, headers, NOW) == wait


def test_a_wrong_local_clock_does_not_matter_if_gitbook_sends_a_date() -> None:
    date = format_datetime(datetime.fromtimestamp(NOW, UTC), usegmt=True)
    assert read_wait(429, {"x-ratelimit-reset": str(int(NOW) + 7), "date": date}, NOW + 3600) == 7


def test_a_wait_beyond_the_maximum_is_returned_instead_of_waited() -> None:
    assert choose(429, headers={"retry-after": "11"}) == RetryDecision(repeat=False, wait=11)
    assert choose(429, headers={"retry-after": "10"}) == RetryDecision(repeat=True, wait=10)
    assert choose(429, headers={"x-ratelimit-reset": str(int(NOW) + 10)}) == RetryDecision(repeat=True, wait=10)


def test_without_a_requested_wait_the_wait_doubles_up_to_a_cap() -> None:
    waits = [choose(503, attempt=attempt, attempts=99, max_wait=math.inf).wait for attempt in range(1, 8)]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8]
    assert choose(503, jitter=0.0).wait == 0


HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-reset", "x-ratelimit-remaining", "date"]),
    st.text() | st.integers().map(str) | st.integers(-100, 100).map(lambda seconds: str(int(NOW) + seconds)),
)
OUTCOMES = st.integers(100, 599) | st.sampled_from([UNSENT, BROKEN, *LASTING])


@given(
    method=st.sampled_from(METHODS),
    outcome=OUTCOMES,
    headers=HEADERS,
    attempt=st.integers(1, 10),
    max_wait=st.floats(-10, 100),
    jitter=st.floats(0, 1),
)
def test_the_policy_keeps_its_bounds_for_any_input(
    method: Method,
    outcome: int | UnreachableError,
    headers: dict[str, str],
    attempt: int,
    max_wait: float,
    jitter: float,
) -> None:
    decision = decide(method, outcome, headers, attempt=attempt, attempts=4, now=NOW, max_wait=max_wait, jitter=jitter)
    if decision.repeat:
        assert attempt < 4
        assert decision.wait is not None
        assert 0 <= decision.wait <= max_wait
        assert method in REPEATABLE or outcome is UNSENT
        if isinstance(outcome, UnreachableError) or read_wait(outcome, headers, NOW) is None:
            assert decision.wait <= min(CAP, BASE * 2 ** (attempt - 1))
    elif decision.wait is not None:
        assert not isinstance(outcome, UnreachableError)
        assert 0 < decision.wait == read_wait(outcome, headers, NOW)
