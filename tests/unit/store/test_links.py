"""Links: each is for one principal and one browser, for a few minutes, and its state works once."""

import anyio
import pytest

from gitbook_integrations_mcp.store import links as module
from gitbook_integrations_mcp.store.links import SECONDS, Link
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock
from tests.support.stores import open_store

ANN, BOB = '["ann",null,null]', '["bob",null,null]'


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return open_store("memory", clock)


async def begin(store: Store, principal: str = ANN, state: str = "state") -> tuple[Link, str]:
    """Return a link whose browser is at the authorization server, and the cookie of that browser."""
    link = await store.links.open(principal, ["site:read"])
    cookie = await store.links.bind(link.id, principal, is_proven=True)
    bound = await store.links.find(link.id)
    assert cookie
    assert bound
    assert await store.links.await_response(bound, state, {"verifier": "v"})
    return bound, cookie


async def test_a_state_is_used_up_by_one_of_many_simultaneous_responses(store: Store) -> None:
    _, cookie = await begin(store)
    found: list[object] = []

    async def spend() -> None:
        found.append(await store.links.spend(cookie, "state"))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(spend)
    assert len([one for one in found if one]) == 1


async def test_an_expired_link_is_of_no_use(store: Store, clock: Clock) -> None:
    link, cookie = await begin(store)
    clock.now += SECONDS
    assert await store.links.find(link.id) is None
    assert await store.links.bind(link.id, ANN, is_proven=True) is None
    assert not await store.links.await_response(link, "state", {})
    assert await store.links.spend(cookie, "state") is None


async def test_a_state_belongs_to_its_browser(store: Store) -> None:
    _, ann = await begin(store, ANN, "one")
    _, bob = await begin(store, BOB, "two")
    assert await store.links.spend(bob, "one") is None
    assert await store.links.spend(ann, "two") is None
    assert await store.links.spend("", "one") is None
    found = await store.links.spend(ann, "one")
    assert found
    assert found[0].principal == ANN
    assert found[1] == {"verifier": "v"}


async def test_a_new_sign_in_ends_what_the_earlier_browser_began(store: Store) -> None:
    link, cookie = await begin(store)
    assert await store.links.bind(link.id, ANN, is_proven=True)
    assert await store.links.spend(cookie, "state") is None
    assert not await store.links.await_response(link, "state", {})


async def test_calls_that_need_the_same_scopes_share_a_link_until_a_browser_has_it(store: Store) -> None:
    first = await store.links.open(ANN, ["site:read"])
    assert await store.links.open(ANN, ["site:read"]) == first
    assert (await store.links.open(ANN, ["space:read"])).id != first.id
    assert (await store.links.open(BOB, ["site:read"])).id != first.id
    await store.links.bind(first.id, ANN, is_proven=True)
    assert (await store.links.open(ANN, ["site:read"])).id != first.id


async def test_links_without_a_call_are_bounded_and_end_no_link_of_a_call(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_ANONYMOUS", 3)
    kept = await store.links.open(ANN, ["site:read"])
    opened = []
    for _ in range(5):
        clock.now += 1
        opened.append(await store.links.open(None))
    assert [await store.links.find(one.id) is not None for one in opened] == [False, False, True, True, True]
    assert await store.links.find(kept.id) is not None
