"""Pending confirmations in memory, in a SQLite file and in a real PostgreSQL, which behave alike."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.store import confirmations, database
from gitbook_integrations_mcp.store.confirmations import (
    MAX_PENDING_PER_CALL,
    ConfirmationStore,
)
from gitbook_integrations_mcp.store.pending import Decision, Fact, PendingConfirmation, Preview
from tests.support.elicitation_client import Clock
from tests.support.postgres_server import NAME, PostgresServer, start_postgres
from tests.support.process import SOON
from tests.support.stores import KINDS, find_url, open_store

TTL = 600

MAX_PENDING, MAX_PENDING_PER_OWNER = 50, 10
"""Limits of the tests, because a thousand confirmations take long."""


@dataclass(frozen=True)
class Pair:
    """The confirmations of two replicas, or of one if the store is in memory, and their clock."""

    one: ConfirmationStore
    other: ConfirmationStore
    clock: Clock

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(confirmations, "MAX_PENDING", MAX_PENDING)
    monkeypatch.setattr(confirmations, "MAX_PENDING_PER_OWNER", MAX_PENDING_PER_OWNER)
    clock, url = Clock(), find_url(request, request.param)
    one = open_store(url, clock)
    other = one if request.param == "memory" else open_store(url, clock)
    yield Pair(one.confirmations, other.confirmations, clock)
    await one.close()
    await other.close()


def describe(state: str = "state") -> Preview:
    """Return a preview with text that is hard to store."""
    facts = (Fact("Status", "active"), Fact("Status: x", "“Büro”"))
    return Preview("Uninstall “Büro”?", "All is lost. \ud800\x00", state, facts, ("A note.",), "acme")


async def test_a_confirmation_is_returned_unchanged_until_it_is_consumed(store: Pair) -> None:
    put = await store.one.open("form", "binding", describe())
    assert (put.mode, put.binding, put.preview, put.expires_in, put.decision) == (
        "form",
        "binding",
        describe(),
        TTL,
        None,
    )
    assert await store.other.get(put.id) == put
    assert await store.other.consume(put.id) == put
    assert await store.one.get(put.id) is None
    assert await store.one.consume(put.id) is None


async def test_of_many_simultaneous_consumers_one_gets_the_confirmation(store: Pair) -> None:
    put = await store.one.open("form", "binding", describe())
    got: list[PendingConfirmation | None] = []

    async def consume(replica: ConfirmationStore) -> None:
        got.append(await replica.consume(put.id))

    async with anyio.create_task_group() as group:
        for index in range(20):
            group.start_soon(consume, store.one if index % 2 else store.other)
    assert [one for one in got if one] == [put]
    assert len(got) == 20


async def test_a_confirmation_expires_and_has_its_remaining_time(store: Pair) -> None:
    put = await store.one.open("browser", "binding", describe())
    store.pass_time(100)
    seen = await store.other.get(put.id)
    assert seen is not None
    assert seen.expires_in == TTL - 100
    store.pass_time(TTL - 100)
    assert await store.one.get(put.id) is None
    assert not await store.one.decide(put.id, "approved")
    assert await store.one.consume(put.id) is None


async def test_a_decision_is_recorded_once_and_consumed_once(store: Pair) -> None:
    put = await store.one.open("browser", "binding", describe())
    assert await store.one.consume_decided("binding") is None
    recorded: list[Decision] = []

    async def decide(replica: ConfirmationStore, decision: Decision) -> None:
        if await replica.decide(put.id, decision):
            recorded.append(decision)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(decide, store.one, "approved")
            group.start_soon(decide, store.other, "declined")
    (decision,) = recorded
    assert await store.one.consume_decided("other binding") is None
    taken = await store.other.consume_decided("binding")
    assert taken is not None
    assert (taken.id, taken.decision) == (put.id, decision)
    assert await store.one.consume_decided("binding") is None


async def test_the_page_has_one_confirmation_for_a_call(store: Pair) -> None:
    first = await store.one.open("browser", "binding", describe())
    assert (await store.other.open("browser", "binding", describe())).id == first.id
    other = await store.one.open("browser", "other binding", describe())
    second = await store.other.open("browser", "binding", describe("changed"))
    assert await store.one.get(first.id) is None
    assert await store.one.decide(second.id, "approved")
    third = await store.one.open("browser", "binding", describe("changed"))  # a decided one is not returned again
    assert third.id != second.id
    assert await store.one.consume_decided("binding") is None
    assert await store.one.get(other.id) is not None


async def test_a_refusal_revokes_decisions_on_the_page_about_the_same_call(store: Pair) -> None:
    approved, spared = [await store.one.open("browser", binding, describe()) for binding in ("binding", "other")]
    form, other_form = [await store.one.open("form", "binding", describe()) for _ in range(2)]
    for one in (approved, spared):
        assert await store.one.decide(one.id, "approved")
    assert await store.other.refuse(form.id, "binding")
    assert await store.one.consume_decided("binding") is None
    assert await store.one.consume(form.id) is None
    assert not await store.one.refuse(form.id, "binding")
    assert await store.one.consume(other_form.id) is not None
    assert await store.one.consume_decided("other") is not None


async def test_of_too_many_confirmations_of_a_call_the_oldest_are_removed(store: Pair) -> None:
    other = await store.one.open("two-step", "binding", describe())
    forms = []
    for index in range(MAX_PENDING_PER_CALL + 2):
        forms.append(await store.one.open("form", "binding", describe(), str(index)))
        store.pass_time(1)
    gone = [await store.other.get(one.id) is None for one in forms]
    assert gone == [True] * 2 + [False] * MAX_PENDING_PER_CALL
    assert await store.one.get(other.id) is not None


async def test_of_too_many_confirmations_the_oldest_are_removed(store: Pair) -> None:
    oldest = await store.one.open("form", "oldest", describe(), "first")
    store.pass_time(1)
    for index in range(MAX_PENDING - 1):
        await store.one.open("form", str(index), describe(), str(index))
    assert await store.one.get(oldest.id) is not None
    await store.other.open("browser", "one more", describe(), "last")
    assert await store.one.get(oldest.id) is None


async def test_an_approval_is_not_lost_to_a_caller_who_has_more_confirmations(store: Pair) -> None:
    approved = await store.one.open("browser", "approved", describe(), "ann")
    assert await store.one.decide(approved.id, "approved")
    store.pass_time(1)
    first = await store.one.open("form", "first", describe(), "bob")
    store.pass_time(1)
    for index in range(MAX_PENDING + 1):
        await store.other.open("form", str(index), describe(), "bob")
    assert await store.one.get(first.id) is None
    assert await store.one.consume_decided("approved") is not None


async def test_a_caller_without_confirmations_gets_one_if_others_fill_the_store(store: Pair) -> None:
    for index in range(MAX_PENDING):
        await store.one.open("form", str(index), describe(), f"caller {index % 5}")
    put = await store.other.open("browser", "late", describe(), "ann")
    assert await store.one.decide(put.id, "approved")
    for index in range(MAX_PENDING_PER_OWNER):
        await store.one.open("form", f"more {index}", describe(), "caller 3")
    assert await store.one.consume_decided("late") is not None


async def test_wait_returns_after_a_decision_and_after_removal(store: Pair) -> None:
    decided, consumed = [await store.one.open("browser", binding, describe()) for binding in ("decided", "consumed")]
    with anyio.fail_after(SOON):
        async with anyio.create_task_group() as group:
            for one in (decided, consumed):
                group.start_soon(store.one.wait, one.id)
            await anyio.wait_all_tasks_blocked()
            assert await store.other.decide(decided.id, "declined")
            assert await store.other.consume(consumed.id)
        await store.one.wait("never put")


@pytest.mark.parametrize("confirmation_id", ["", "x" * 100_000, "\ud800", "\x00", "%", "{}%", "{}'"])
async def test_a_made_up_id_reaches_nothing(store: Pair, confirmation_id: str) -> None:
    put = await store.one.open("browser", "binding", describe())
    assert await store.one.decide(put.id, "declined")
    guess = confirmation_id.format(put.id)
    assert await store.one.get(guess) is None
    assert await store.one.consume(guess) is None
    assert not await store.one.decide(guess, "approved")
    assert not await store.one.refuse(guess, "other binding")
    taken = await store.one.consume_decided("binding")
    assert taken is not None
    assert taken.decision == "declined"


@pytest.mark.parametrize("step", [-TTL, TTL])
async def test_a_step_of_the_clock_makes_a_confirmation_void(store: Pair, step: float) -> None:
    put = await store.one.open("form", "binding", describe())
    store.pass_time(step)
    assert await store.other.get(put.id) is None
    assert await store.other.consume(put.id) is None


@pytest.mark.parametrize("step", [-1, -TTL, -1_000_000])
async def test_a_clock_that_is_set_back_extends_no_confirmation(store: Pair, step: float) -> None:
    age = Clock()
    one = ConfirmationStore(store.one._database, TTL, monotonic=age)
    put = await one.open("browser", "binding", describe())
    other = await one.open("form", "binding", describe())
    age.now += TTL - 1
    store.pass_time(TTL - 1)
    assert await one.get(put.id) is not None
    store.pass_time(step if step == -1 else step + 1)
    age.now += 1
    assert await one.get(put.id) is None
    assert not await one.decide(put.id, "approved")
    assert await one.consume(other.id) is None
    assert await one.consume_decided("binding") is None
    assert (await one.open("browser", "binding", describe())).id != put.id


async def test_a_caller_can_have_any_name(store: Pair) -> None:
    put = await store.one.open("form", "binding", describe(), "\ud800\x00")
    assert await store.other.consume(put.id) == put


async def test_a_cancelled_step_is_completed_and_blocks_nobody(store: Pair) -> None:
    put = await store.one.open("form", "binding", describe())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.one.consume(put.id)
    with anyio.fail_after(SOON):
        assert await store.other.consume(put.id) is None
        await store.one.open("form", "binding", describe())


async def test_a_confirmation_is_void_in_another_run_of_a_server_with_a_file(tmp_path: Path) -> None:
    one, other = (open_store(f"sqlite:///{tmp_path}/store.db", run=run) for run in (None, None))
    put = await one.confirmations.open("form", "binding", describe())
    assert await other.confirmations.consume(put.id) is None
    assert await one.confirmations.consume(put.id) == put


async def test_what_uses_a_confirmation_is_durable_on_sqlite(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    async with store.database.write() as connection:
        pragmas = ("synchronous", "journal_mode", "secure_delete")
        found = [(await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in pragmas]
    assert found == [2, "wal", 1]
    await store.close()


async def test_what_uses_a_confirmation_is_durable_on_postgresql(postgres: PostgresServer) -> None:
    """Although the operator turned that off for the others."""
    postgres.execute(f"ALTER DATABASE {NAME} SET synchronous_commit = off")
    try:
        store = open_store(postgres.url)
        async with store.database.write() as connection:
            assert (await connection.exec_driver_sql("SHOW synchronous_commit")).scalar() == "on"
        await store.close()
    finally:
        postgres.execute(f"ALTER DATABASE {NAME} RESET synchronous_commit")


# Waiting


async def test_postgresql_notifies_all_who_wait_over_one_connection(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmations, "_INTERVAL", 3600)
    monkeypatch.setattr(confirmations, "_INTERVAL_WITH_NOTIFICATIONS", 3600)
    one, other = open_store(postgres.url), open_store(postgres.url)
    puts = [await one.confirmations.open("browser", str(index), describe()) for index in range(3)]
    with anyio.fail_after(SOON):
        async with anyio.create_task_group() as group:
            for put in puts:
                group.start_soon(one.confirmations.wait, put.id)
            while count_listeners(postgres) == 0:  # noqa: ASYNC110  # nobody tells
                await anyio.sleep(0.05)
            assert count_listeners(postgres) == 1
            assert await other.confirmations.decide(puts[0].id, "declined")
            assert await other.confirmations.consume(puts[1].id)
            assert await other.confirmations.refuse(puts[2].id, "2")
        while count_listeners(postgres):  # noqa: ASYNC110
            await anyio.sleep(0.05)
    await one.close()
    await other.close()


def count_listeners(postgres: PostgresServer) -> int:
    return len(postgres.execute("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"))


@pytest.mark.slow
async def test_wait_ends_if_postgresql_is_restarted_and_the_confirmation_is_void() -> None:
    with start_postgres() as server:
        store = open_store(server.url)
        put = await store.confirmations.open("browser", "binding", describe())
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(wait_without_store, store.confirmations, put.id)
                while count_listeners(server) == 0:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
                server.stop()
                server.start()
        assert await store.confirmations.consume(put.id) is None
        await store.confirmations.open("browser", "binding", describe())
        await store.close()


async def wait_without_store(store: ConfirmationStore, confirmation_id: str) -> None:
    with contextlib.suppress(StoreError):
        await store.wait(confirmation_id)


@pytest.mark.slow
async def test_a_postgresql_that_does_not_respond_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with start_postgres() as server:
        store = open_store(server.url)
        put = await store.confirmations.open("form", "binding", describe())
        monkeypatch.setattr(database, "_TRANSACTION_SECONDS", 1)
        with server.freeze(), anyio.fail_after(30), pytest.raises(StoreError, match="does not respond in time"):
            await store.confirmations.consume(put.id)
        monkeypatch.undo()
        await store.confirmations.open("form", "binding", describe())
        await store.close()
