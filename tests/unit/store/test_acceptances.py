"""Accepted findings in the store."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.store.acceptances import KeptAcceptance
from gitbook_integrations_mcp.store.schema import acceptances as table
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock
from tests.support.stores import KINDS, find_url


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Store]:
    store = Store(load_settings({"store": {"url": find_url(request, request.param)}}), clock=clock)
    yield store
    await store.close()


async def test_an_acceptance_is_of_one_organization(store: Store, clock: Clock) -> None:
    assert await store.acceptances.find_last_change("acme") is None
    await store.acceptances.accept("acme", "same-kind", "known", "2027-06-30", "Ada")
    kept = KeptAcceptance("same-kind", "known", clock.now, "2027-06-30", "Ada")
    assert await store.acceptances.list_active("acme") == [kept]
    assert await store.acceptances.list_active("acme", "same-kind") == [kept]
    assert await store.acceptances.list_active("acme", "other") == []
    assert await store.acceptances.list_active("other") == []
    assert await store.acceptances.find_last_change("other") is None


async def test_withdrawn_and_replaced_acceptances_stay_as_a_record(store: Store, clock: Clock) -> None:
    await store.acceptances.accept("acme", "same-kind", "known", None, "Ada")
    clock.now += 1
    await store.acceptances.accept("acme", "same-kind", "still known", None, "Bob")
    clock.now += 1
    assert not await store.acceptances.withdraw("other", "same-kind", "Eve")
    assert await store.acceptances.withdraw("acme", "same-kind", "Cem")
    assert not await store.acceptances.withdraw("acme", "same-kind", "Cem")
    assert await store.acceptances.list_active("acme") == []
    assert await store.acceptances.find_last_change("acme") == clock.now
    async with store.database.read() as connection:
        rows = (await connection.execute(select(table).order_by(table.c.time))).all()
    assert [(row.reason, row.accepted_by, row.withdrawn_by, row.withdrawn_at) for row in rows] == [
        ("known", "Ada", "Bob", clock.now - 1),
        ("still known", "Bob", "Cem", clock.now),
    ]
