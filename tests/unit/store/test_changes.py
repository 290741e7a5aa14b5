"""The table of changes, over each kind of store."""

from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy import insert

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.schema import changes as table
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock
from tests.support.stores import KINDS, RUN, explain_query, find_url

DAY = 86400


@pytest.fixture
def clock() -> Clock:
    """A clock that the tests move."""
    return Clock(1_800_000_000.0)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Store]:
    """An empty store that keeps changes for 30 days."""
    section = {"url": find_url(request, request.param), "change_days": 30}
    store = Store(load_settings({"store": section}), run=RUN, clock=clock)
    yield store
    await store.close()


def build(store: Store, **values: Any) -> Change:
    """Return a change that begins now."""
    given = {"owner": "ann", "tool": "a_tool", "operation": "aTool", "arguments": {}, **values}
    return Change(id=store.changes.create_id(), time=store.database.clock(), **given)


async def test_a_change_is_read_as_it_was_written(store: Store) -> None:
    change = build(
        store,
        principal="Ann",
        organization="acme",
        arguments={"a": [1, "ü", None]},
        before={"b": {}},
        approval="form",
        undo=[{"tool": "b_tool", "arguments": {}, "created": {}, "masked": []}],
        after={"exists": False},
        lost=["The rest."],
        sealed=b"\x00\xff",
        undoes="chg_0",
    )
    await store.changes.begin(change)
    assert await store.changes.find(change.id, "ann") == change
    assert change.outcome == "unknown"
    await store.changes.complete(change.id, {"outcome": "done", "status": 205})
    found = await store.changes.find(change.id, "ann")
    assert found is not None
    assert (found.outcome, found.status, found.sealed) == ("done", 205, b"\x00\xff")


async def test_a_change_is_found_only_by_its_owner(store: Store) -> None:
    change = build(store)
    await store.changes.begin(change)
    assert await store.changes.find(change.id, "bob") is None
    assert await store.changes.search("bob") == []
    assert [one.id for one in await store.changes.search(None)] == [change.id]


async def test_ids_are_ordered_by_time_and_pages_miss_and_repeat_nothing(store: Store, clock: Clock) -> None:
    written = []
    for number in range(10):
        change = build(store)
        written.append(change.id)
        await store.changes.begin(change)
        clock.now += number % 3  # some of them at the same moment
    assert len(set(written)) == 10
    seen: list[str] = []
    while page := await store.changes.search("ann", before=seen[-1] if seen else None, limit=3):
        seen += [one.id for one in page]
    assert sorted(written, reverse=True) == seen


async def test_what_is_too_old_is_deleted_when_a_change_is_written_and_by_prune(store: Store, clock: Clock) -> None:
    old = build(store)
    await store.changes.begin(old)
    clock.now += 29 * DAY
    kept = build(store)
    await store.changes.begin(kept)
    assert await store.changes.find(old.id, "ann") == old
    clock.now += 2 * DAY
    new = build(store)
    await store.changes.begin(new)
    assert [one.id for one in await store.changes.search("ann")] == [new.id, kept.id]
    clock.now += 29 * DAY
    assert (await store.prune())["changes"] == 1
    assert [one.id for one in await store.changes.search("ann")] == [new.id]


async def test_the_last_time_of_an_organization_is_that_of_a_change_that_may_have_had_an_effect(
    store: Store, clock: Clock
) -> None:
    assert await store.changes.find_last_time("acme") is None
    first = build(store, organization="acme")
    await store.changes.begin(first)
    begun = clock.now
    clock.now += 10
    for values in ({"organization": "other"}, {"organization": "acme", "outcome": "failed"}):
        await store.changes.begin(build(store, **values))
    assert await store.changes.find_last_time("acme") == begun
    await store.changes.complete(first.id, {"outcome": "done"})
    assert await store.changes.find_last_time("acme") == clock.now
    clock.now += 10
    await store.changes.begin(build(store))  # of an organization that is not known
    assert await store.changes.find_last_time("acme") == clock.now


async def test_only_undos_that_may_have_had_an_effect_count(store: Store, clock: Clock) -> None:
    for outcome in ("done", "unknown", "failed", "not sent"):
        await store.changes.begin(build(store, undoes="chg_0", outcome=outcome))
        clock.now += 1
    assert [one.outcome for one in await store.changes.list_undoing("chg_0")] == ["unknown", "done"]


async def test_a_failure_to_delete_old_changes_leaves_no_row_of_a_call_that_is_not_sent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> int:
        raise StoreError("is full")

    monkeypatch.setattr(store.changes, "prune", fail)
    with pytest.raises(StoreError):
        await store.changes.begin(build(store))
    assert await store.changes.search("ann") == []


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"before": f"chg_{1_800_500_000_000:012x}"},
        {"since": 1_800_500_000.0},
        {"tool": "tool_3"},
        {"outcome": "failed"},
        {"organization": "nowhere"},
    ],
    ids=lambda one: next(iter(one), "all"),
)
async def test_the_newest_changes_are_found_by_an_index(conditions: dict[str, Any], store: Store, clock: Clock) -> None:
    rows = []
    for number in range(3_000):
        clock.now += 300
        change = build(store, owner=f"user {number % 100}", outcome="done", tool=f"tool_{number % 7}")
        rows.append({one.name: getattr(change, one.name) for one in fields(Change)})
    async with store.database.write() as connection:
        await connection.execute(insert(table), rows)
    plan = await explain_query(store, store.changes.search("user 1", **conditions, limit=26))
    assert "changes_of_owner" in plan
    assert not any(word in plan for word in ("SCAN changes", "Seq Scan", "TEMP B-TREE"))
