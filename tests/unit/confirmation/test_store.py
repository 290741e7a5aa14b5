"""The behaviour of every store of pending confirmations, in memory and in a real Redis."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from gitbook_integrations_mcp.confirmation.memory_store import MemoryConfirmationStore
from gitbook_integrations_mcp.confirmation.redis_store import PREFIX, RedisConfirmationStore
from pydantic import SecretStr

from gitbook_integrations_mcp.errors import SettingsError, StoreError
from gitbook_integrations_mcp.store.pending import (
    MAX_PENDING,
    MAX_PENDING_PER_CALL,
    MAX_PENDING_PER_OWNER,
    ConfirmationStore,
    Decision,
    Fact,
    PendingConfirmation,
    Preview,
)
from tests.support.elicitation_client import Clock
from tests.support.process import SOON
from tests.support.redis_server import RedisServer

TTL = 600


@dataclass(frozen=True)
class Store:
    """A store at two replicas, and a function that makes time pass."""

    one: ConfirmationStore
    other: ConfirmationStore
    pass_time: Callable[[float], Any]


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        clock = Clock()
        memory = MemoryConfirmationStore(TTL, clock)
        yield Store(memory, memory, lambda seconds: setattr(clock, "now", clock.now + seconds))
        return
    redis: RedisServer = request.getfixturevalue("redis")
    one, other = (RedisConfirmationStore(SecretStr(redis.url), TTL) for _ in range(2))
    yield Store(one, other, redis.pass_time)
    await one.close()
    await other.close()


def describe(state: str = "state") -> Preview:
    """Return a preview with text that is hard to store."""
    facts = (Fact("Status", "active"), Fact("Status: x", "“Büro”"))
    return Preview("Uninstall “Büro”?", "All is lost. \ud800\x00", state, facts, ("A note.",), "acme")


async def test_a_confirmation_is_returned_unchanged_until_it_is_consumed(store: Store) -> None:
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


async def test_of_many_simultaneous_consumers_one_gets_the_confirmation(store: Store) -> None:
    put = await store.one.open("form", "binding", describe())
    got: list[PendingConfirmation | None] = []

    async def consume(replica: ConfirmationStore) -> None:
        got.append(await replica.consume(put.id))

    async with anyio.create_task_group() as group:
        for index in range(20):
            group.start_soon(consume, store.one if index % 2 else store.other)
    assert [one for one in got if one] == [put]
    assert len(got) == 20


async def test_a_confirmation_expires_and_has_its_remaining_time(store: Store) -> None:
    put = await store.one.open("browser", "binding", describe())
    store.pass_time(100)
    seen = await store.other.get(put.id)
    assert seen is not None
    assert seen.expires_in == TTL - 100
    store.pass_time(TTL - 100)
    assert await store.one.get(put.id) is None
    assert not await store.one.decide(put.id, "approved")
    assert await store.one.consume(put.id) is None


async def test_a_decision_is_recorded_once_and_consumed_once(store: Store) -> None:
    put = await store.one.open("browser", "binding", describe())
    assert await store.one.consume_decided("binding") is None
    recorded: list[Decision] = []

    async def decide(replica: ConfirmationStore, decision: Decision) -> None:
        if await replica.decide(put.id, decision):
            recorded.append(decision)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(decide, store.one, "approved")
            group.start_soon(decide, store.other, "refused")
    (decision,) = recorded
    assert await store.one.consume_decided("other binding") is None
    taken = await store.other.consume_decided("binding")
    assert taken is not None
    assert (taken.id, taken.decision) == (put.id, decision)
    assert await store.one.consume_decided("binding") is None


async def test_the_page_has_one_confirmation_for_a_call(store: Store) -> None:
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


async def test_a_refusal_revokes_decisions_on_the_page_about_the_same_call(store: Store) -> None:
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


async def test_of_too_many_confirmations_of_a_call_the_oldest_are_removed(store: Store) -> None:
    other = await store.one.open("two-step", "binding", describe())
    forms = []
    for _ in range(MAX_PENDING_PER_CALL + 2):
        forms.append(await store.one.open("form", "binding", describe()))
        store.pass_time(1)
    gone = [await store.other.get(one.id) is None for one in forms]
    assert gone == [True] * 2 + [False] * MAX_PENDING_PER_CALL
    assert await store.one.get(other.id) is not None


async def test_of_too_many_confirmations_the_oldest_are_removed(store: Store) -> None:
    oldest = await store.one.open("form", "oldest", describe(), "first")
    store.pass_time(1)
    for index in range(MAX_PENDING - 1):
        await store.one.open("form", str(index), describe(), str(index))
    assert await store.one.get(oldest.id) is not None
    await store.other.open("browser", "one more", describe(), "last")
    assert await store.one.get(oldest.id) is None


async def test_an_approval_is_not_lost_to_a_caller_who_has_more_confirmations(store: Store) -> None:
    approved = await store.one.open("browser", "approved", describe(), "ann")
    assert await store.one.decide(approved.id, "approved")
    store.pass_time(1)
    first = await store.one.open("form", "first", describe(), "bob")
    store.pass_time(1)
    for index in range(MAX_PENDING + 1):
        await store.other.open("form", str(index), describe(), "bob")
    assert await store.one.get(first.id) is None
    assert await store.one.consume_decided("approved") is not None


async def test_a_caller_without_confirmations_gets_one_if_others_fill_the_store(store: Store) -> None:
    for index in range(MAX_PENDING):
        await store.one.open("form", str(index), describe(), f"caller {index % 10}")
    put = await store.other.open("browser", "late", describe(), "ann")
    assert await store.one.decide(put.id, "approved")
    for index in range(MAX_PENDING_PER_OWNER):
        await store.one.open("form", f"more {index}", describe(), "caller 3")
    assert await store.one.consume_decided("late") is not None


async def test_wait_returns_after_a_decision_and_after_removal(store: Store) -> None:
    decided, consumed = [await store.one.open("browser", binding, describe()) for binding in ("decided", "consumed")]
    with anyio.fail_after(SOON):
        async with anyio.create_task_group() as group:
            for one in (decided, consumed):
                group.start_soon(store.one.wait, one.id)
            await anyio.wait_all_tasks_blocked()
            assert await store.other.decide(decided.id, "refused")
            assert await store.other.consume(consumed.id)
        await store.one.wait("never put")


@pytest.mark.parametrize("confirmation_id", ["", "x" * 100_000, "\ud800", "decision:{}", "record:{}"])
async def test_a_made_up_id_reaches_nothing(store: Store, confirmation_id: str) -> None:
    put = await store.one.open("browser", "binding", describe())
    assert await store.one.decide(put.id, "refused")
    guess = confirmation_id.format(put.id)
    assert await store.one.get(guess) is None
    assert await store.one.consume(guess) is None
    assert not await store.one.decide(guess, "approved")
    assert not await store.one.refuse(guess, "other binding")
    taken = await store.one.consume_decided("binding")
    assert taken is not None
    assert taken.decision == "refused"


# Redis only


@pytest.fixture
async def redis_store(redis: RedisServer) -> AsyncIterator[RedisConfirmationStore]:
    store = RedisConfirmationStore(SecretStr(redis.url), TTL)
    yield store
    await store.close()


async def test_redis_deletes_expired_confirmations_by_itself(redis: RedisServer) -> None:
    store = RedisConfirmationStore(SecretStr(redis.url), 0.2)
    put = await store.open("browser", "binding", describe())
    assert await store.decide(put.id, "approved")
    await store.close()
    with redis.connect() as client:
        with anyio.fail_after(SOON):
            while client.dbsize():  # noqa: ASYNC110  # Redis sends no event
                await anyio.sleep(0.05)


async def test_a_confirmation_whose_parts_redis_evicted_is_expired(
    redis_store: RedisConfirmationStore, redis: RedisServer
) -> None:
    put = await redis_store.open("browser", "binding", describe())
    with redis.connect() as client:
        client.delete(f"{PREFIX}confirmations")
    assert await redis_store.get(put.id) is None
    assert not await redis_store.decide(put.id, "approved")
    assert await redis_store.consume_decided("binding") is None
    with anyio.fail_after(SOON):
        await redis_store.wait(put.id)
    assert not await redis_store.refuse(put.id, "binding")
    assert await redis_store.consume(put.id) is None
    assert await redis_store.get((await redis_store.open("browser", "binding", describe())).id) is not None


async def test_a_cancelled_step_leaves_no_response_for_the_next(redis_store: RedisConfirmationStore) -> None:
    """A connection with an unread response must not serve the next step."""
    puts = [await redis_store.open("form", str(index), describe()) for index in range(30)]
    for index, put in enumerate(puts):
        with anyio.move_on_after(index / 30_000):
            await redis_store.consume(put.id)
        seen = await redis_store.get(puts[-1].id) if index < 29 else puts[-1]
        assert seen == puts[-1]


async def test_a_store_that_cannot_be_reached_is_reported_and_used_again_later(tmp_path: Any) -> None:
    server = RedisServer(tmp_path)
    store = RedisConfirmationStore(SecretStr(server.url), TTL)
    with pytest.raises(StoreError, match=r"cannot be reached. Nothing was sent.*confirmation\.store"):
        await store.consume("x")
    server.start()
    put = await store.open("form", "binding", describe())
    server.stop()
    with pytest.raises(StoreError, match="cannot be reached"):
        await store.consume(put.id)
    server.start()
    assert await store.consume(put.id) is None
    await store.open("form", "binding", describe())
    await store.close()
    server.stop()


@pytest.mark.slow
async def test_a_store_that_does_not_respond_times_out(redis_store: RedisConfirmationStore, redis: RedisServer) -> None:
    put = await redis_store.open("form", "binding", describe())
    with redis.freeze(), anyio.fail_after(SOON), pytest.raises(StoreError, match="does not respond in time"):
        await redis_store.consume(put.id)


async def test_a_rejected_login_is_reported_without_the_password(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = redis.url.replace("unix://", "unix://user:pass-word@")
    with pytest.raises(StoreError, match="rejects this server's login") as caught:
        await RedisConfirmationStore(SecretStr(url), TTL).consume("x")
    assert "confirmation.store" in caplog.text
    assert "pass-word" not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("options", ["pass-word=1", "socket_timeout=pass-word"])
def test_invalid_options_of_the_url_are_rejected_without_being_shown(options: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RedisConfirmationStore(SecretStr(f"redis://localhost?{options}"), TTL)
    assert "confirmation.store" in str(caught.value)
    assert "pass-word" not in str(caught.value)
