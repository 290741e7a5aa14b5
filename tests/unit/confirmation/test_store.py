"""What every store of pending questions promises, in memory and in a real Redis."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from gitbook_integrations_mcp.confirmation.preview import Preview
from gitbook_integrations_mcp.confirmation.redis_store import RedisConfirmationStore
from gitbook_integrations_mcp.confirmation.store import (
    ALIKE,
    MAXIMUM,
    ConfirmationStore,
    Decision,
    MemoryConfirmationStore,
    PendingConfirmation,
)
from gitbook_integrations_mcp.errors import SettingsError, StoreError
from tests.support.elicitation_client import Clock
from tests.support.process import SOON
from tests.support.redis_server import RedisServer

TTL = 600


@dataclass(frozen=True)
class Store:
    """A store as two replicas see it, and how to let its time pass."""

    one: ConfirmationStore
    other: ConfirmationStore
    pass_time: Callable[[float], Any]


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        clock = Clock()
        questions = MemoryConfirmationStore(TTL, clock)
        yield Store(questions, questions, lambda seconds: setattr(clock, "now", clock.now + seconds))
        return
    redis: RedisServer = request.getfixturevalue("redis")
    one, other = (RedisConfirmationStore(SecretStr(redis.url), TTL) for _ in range(2))
    yield Store(one, other, redis.pass_time)
    await one.close()
    await other.close()


def describe(state: str = "state") -> Preview:
    """Return what is asked about, in words that are hard to keep."""
    return Preview("Uninstall “Büro”?", ("Status: active", "All is lost. \ud800\x00"), state, "acme")


async def test_a_question_is_found_as_it_was_put_until_it_is_taken(store: Store) -> None:
    put = await store.one.open("form", "binding", describe())
    assert (put.way, put.binding, put.preview, put.seconds, put.decision) == ("form", "binding", describe(), TTL, None)
    assert await store.other.get(put.id) == put
    assert await store.other.take(put.id) == put
    assert await store.one.get(put.id) is None
    assert await store.one.take(put.id) is None


async def test_of_many_who_take_one_question_at_once_one_gets_it(store: Store) -> None:
    put = await store.one.open("form", "binding", describe())
    got: list[PendingConfirmation | None] = []

    async def take(questions: ConfirmationStore) -> None:
        got.append(await questions.take(put.id))

    async with anyio.create_task_group() as group:
        for index in range(20):
            group.start_soon(take, store.one if index % 2 else store.other)
    assert [one for one in got if one] == [put]
    assert len(got) == 20


async def test_a_question_expires_and_tells_how_long_it_still_has(store: Store) -> None:
    put = await store.one.open("browser", "binding", describe())
    store.pass_time(100)
    seen = await store.other.get(put.id)
    assert seen is not None
    assert seen.seconds == TTL - 100
    store.pass_time(TTL - 100)
    assert await store.one.get(put.id) is None
    assert not await store.one.decide(put.id, "approved")
    assert await store.one.take(put.id) is None


async def test_a_decision_is_recorded_once_and_taken_once(store: Store) -> None:
    put = await store.one.open("browser", "binding", describe())
    assert await store.one.consume_decided("binding") is None
    recorded: list[Decision] = []

    async def decide(questions: ConfirmationStore, decision: Decision) -> None:
        if await questions.decide(put.id, decision):
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


async def test_on_the_page_there_is_one_question_about_a_call(store: Store) -> None:
    first = await store.one.open("browser", "binding", describe())
    assert (await store.other.open("browser", "binding", describe())).id == first.id
    other = await store.one.open("browser", "other binding", describe())
    second = await store.other.open("browser", "binding", describe("changed"))
    assert await store.one.get(first.id) is None
    assert await store.one.decide(second.id, "approved")
    third = await store.one.open("browser", "binding", describe("changed"))  # a decided one is not put again
    assert third.id != second.id
    assert await store.one.consume_decided("binding") is None
    assert await store.one.get(other.id) is not None


async def test_a_no_voids_what_the_page_has_decided_about_the_same_call(store: Store) -> None:
    approved, spared = [await store.one.open("browser", binding, describe()) for binding in ("binding", "other")]
    form, other_form = [await store.one.open("form", "binding", describe()) for _ in range(2)]
    for one in (approved, spared):
        assert await store.one.decide(one.id, "approved")
    assert await store.other.refuse(form.id, "binding")
    assert await store.one.consume_decided("binding") is None
    assert await store.one.take(form.id) is None
    assert not await store.one.refuse(form.id, "binding")
    assert await store.one.take(other_form.id) is not None
    assert await store.one.consume_decided("other") is not None


async def test_of_questions_alike_the_oldest_give_way(store: Store) -> None:
    other = await store.one.open("two-step", "binding", describe())
    forms = []
    for _ in range(ALIKE + 2):
        forms.append(await store.one.open("form", "binding", describe()))
        store.pass_time(1)
    gone = [await store.other.get(one.id) is None for one in forms]
    assert gone == [True] * 2 + [False] * ALIKE
    assert await store.one.get(other.id) is not None


async def test_of_too_many_questions_the_oldest_give_way(store: Store) -> None:
    oldest = await store.one.open("form", "oldest", describe())
    store.pass_time(1)
    for index in range(MAXIMUM - 1):
        await store.one.open("form", str(index), describe())
    assert await store.one.get(oldest.id) is not None
    await store.other.open("browser", "one more", describe())
    assert await store.one.get(oldest.id) is None


async def test_who_waits_hears_of_a_decision_and_of_an_end(store: Store) -> None:
    decided, spent = [await store.one.open("browser", binding, describe()) for binding in ("decided", "spent")]
    with anyio.fail_after(SOON):
        async with anyio.create_task_group() as group:
            for one in (decided, spent):
                group.start_soon(store.one.wait, one.id)
            await anyio.wait_all_tasks_blocked()
            assert await store.other.decide(decided.id, "refused")
            assert await store.other.take(spent.id)
        await store.one.wait("never put")


@pytest.mark.parametrize("identifier", ["", "x" * 100_000, "\ud800", "decision:{}", "record:{}"])
async def test_no_made_up_identifier_reaches_anything(store: Store, identifier: str) -> None:
    put = await store.one.open("browser", "binding", describe())
    assert await store.one.decide(put.id, "refused")
    guess = identifier.format(put.id)
    assert await store.one.get(guess) is None
    assert await store.one.take(guess) is None
    assert not await store.one.decide(guess, "approved")
    assert not await store.one.refuse(guess, "other binding")
    taken = await store.one.consume_decided("binding")
    assert taken is not None
    assert taken.decision == "refused"


# Redis alone


@pytest.fixture
async def questions(redis: RedisServer) -> AsyncIterator[RedisConfirmationStore]:
    questions = RedisConfirmationStore(SecretStr(redis.url), TTL)
    yield questions
    await questions.close()


async def test_redis_itself_forgets_what_nobody_asks_for(redis: RedisServer) -> None:
    questions = RedisConfirmationStore(SecretStr(redis.url), 0.2)
    put = await questions.open("browser", "binding", describe())
    assert await questions.decide(put.id, "approved")
    await questions.close()
    with redis.connect() as client:
        with anyio.fail_after(SOON):
            while client.dbsize():  # noqa: ASYNC110  # Redis tells nobody
                await anyio.sleep(0.05)


async def test_a_call_cancelled_midway_leaves_nobody_the_answer_of_another(questions: RedisConfirmationStore) -> None:
    """A connection whose answer was never read must not serve the next step."""
    puts = [await questions.open("form", str(index), describe()) for index in range(30)]
    for index, put in enumerate(puts):
        with anyio.move_on_after(index / 30_000):
            await questions.take(put.id)
        seen = await questions.get(puts[-1].id) if index < 29 else puts[-1]
        assert seen == puts[-1]


async def test_a_store_that_is_away_says_so_and_serves_again_when_it_is_back(tmp_path: Any) -> None:
    server = RedisServer(tmp_path)
    questions = RedisConfirmationStore(SecretStr(server.url), TTL)
    with pytest.raises(StoreError, match=r"cannot be reached. Nothing was sent.*confirmation\.store"):
        await questions.take("x")
    server.start()
    put = await questions.open("form", "binding", describe())
    server.stop()
    with pytest.raises(StoreError, match="cannot be reached"):
        await questions.take(put.id)
    server.start()
    assert await questions.take(put.id) is None
    await questions.open("form", "binding", describe())
    await questions.close()
    server.stop()


@pytest.mark.slow
async def test_a_store_that_hangs_is_not_waited_for(questions: RedisConfirmationStore, redis: RedisServer) -> None:
    put = await questions.open("form", "binding", describe())
    with redis.freeze(), anyio.fail_after(SOON), pytest.raises(StoreError, match="does not answer in time"):
        await questions.take(put.id)


async def test_a_refused_login_is_told_without_the_password(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = redis.url.replace("unix://", "unix://user:pass-word@")
    with pytest.raises(StoreError, match="refuses this server's login") as caught:
        await RedisConfirmationStore(SecretStr(url), TTL).take("x")
    assert "confirmation.store: " in caplog.text
    assert "pass-word" not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("options", ["pass-word=1", "socket_timeout=pass-word"])
def test_options_of_the_url_that_are_none_are_refused_without_being_shown(options: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RedisConfirmationStore(SecretStr(f"redis://localhost?{options}"), TTL)
    assert "confirmation.store" in str(caught.value)
    assert "pass-word" not in str(caught.value)
