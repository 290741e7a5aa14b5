"""Kept audit reports: who can read which, how long, and how the newest before a moment is found."""

import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.store.maintenance import describe_store
from gitbook_integrations_mcp.store.schema import reports as table
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock
from tests.support.stores import KINDS, explain_query, find_url

DAY = 86400
KEY = ("user:u1", "acme", "whole")


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Store]:
    """A store that keeps three reports of each user and organization, for ten days."""
    url = find_url(request, request.param)
    store = Store(load_settings({"store": {"url": url, "reports": 3, "report_days": 10}}), clock=clock)
    yield store
    await store.close()


async def add(store: Store, text: str, time: float, key: tuple[str, str, str] = KEY) -> str:
    return await store.reports.add(*key, text, time=time, complete=True)


async def find(store: Store, before: float | None = None, key: Any = KEY) -> str | None:
    found = await store.reports.find_latest(*key, before=before)
    return found.report if found else None


async def count(store: Store) -> int:
    described = await describe_store(store.database)
    return next(one.rows for one in described.contents if one.table == "reports")


async def test_the_newest_report_at_or_before_a_moment_is_found(store: Store, clock: Clock) -> None:
    for days in (3, 2, 1):
        await add(store, f'"{days} days ago, “Büro”"', clock.now - days * DAY)
    assert await find(store) == '"1 days ago, “Büro”"'
    assert await find(store, clock.now - 2 * DAY) == '"2 days ago, “Büro”"'
    assert await find(store, clock.now - 2 * DAY - 1) == '"3 days ago, “Büro”"'
    assert await find(store, clock.now - 4 * DAY) is None
    assert await store.reports.find_oldest_time(*KEY) == clock.now - 3 * DAY


async def test_nobody_sees_a_report_of_another_user_organization_or_part(store: Store, clock: Clock) -> None:
    identifier = await add(store, "{}", clock.now)
    for other in (("user:u2", "acme", "whole"), ("user:u1", "other", "whole"), ("user:u1", "acme", "part")):
        assert await find(store, key=other) is None
        assert await store.reports.get(identifier, *other) is None
        assert await store.reports.find_oldest_time(*other) is None
    assert await find(store, key=("user:u1", "acme", None)) == "{}"
    found = await store.reports.get(identifier, *KEY)
    assert found is not None
    assert (found.id, found.time) == (identifier, clock.now)


async def test_only_the_newest_reports_of_each_user_and_organization_are_kept(store: Store, clock: Clock) -> None:
    neighbour = ("user:u2", "acme", "whole")
    await add(store, "theirs", clock.now - DAY, neighbour)
    for number in range(5):
        await add(store, str(number), clock.now - 5 + number)
    await add(store, "part", clock.now, ("user:u1", "acme", "part"))
    assert await count(store) == 4
    assert await store.reports.find_oldest_time(*KEY) == clock.now - 2
    assert await find(store, key=neighbour) == "theirs"


async def test_old_reports_are_not_returned_and_the_next_one_deletes_them(store: Store, clock: Clock) -> None:
    await add(store, "mine", clock.now)
    await add(store, "theirs", clock.now, ("user:u2", "other", "whole"))
    clock.now += 10 * DAY + 1
    assert await find(store) is None
    assert await count(store) == 2
    await add(store, "new", clock.now)
    assert await count(store) == 1
    clock.now += 11 * DAY
    assert (await store.prune())["reports"] == 1


async def test_after_the_clock_was_set_back_reports_of_the_future_are_ignored(store: Store, clock: Clock) -> None:
    await add(store, "future", clock.now)
    clock.now -= DAY
    assert await find(store) is None
    await add(store, "now", clock.now)
    assert await find(store) == "now"


async def test_the_baseline_among_a_thousand_reports_is_found_by_the_index(store: Store, clock: Clock) -> None:
    blob = zlib.compress(b"{}")
    fixed = {"complete": True, "size": 2, "report": blob, "narrowing": "whole"}
    rows = [
        {"id": f"r{number}", "time": clock.now - number, "user": f"user:u{number % 5}", "organization": "acme", **fixed}
        for number in range(1000)
    ]
    async with store.database.write() as connection:
        await connection.execute(insert(table), rows)
    plan = await explain_query(store, store.reports.find_latest(*KEY, before=clock.now - 100))
    assert "reports_of_user" in plan
    assert "SCAN reports" not in plan
    assert "Seq Scan" not in plan
