"""Published versions in the store."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.store.versions import KEPT, Version
from tests.support.elicitation_client import Clock
from tests.support.stores import KINDS, find_url

DAY = 86400


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Store]:
    """A store that keeps versions for ten days."""
    url = find_url(request, request.param)
    store = Store(load_settings({"store": {"url": url, "change_days": 10}}), clock=clock)
    yield store
    await store.close()


def make(time: float, integration: str = "acme", **values: Any) -> Version:
    manifest: dict[str, Any] = {"title": "“Büro”", "scopes": [], "nothing": None}
    script = "export default '\u2028é'"
    return Version(time=time, integration=integration, digest="d", manifest=manifest, script=script, **values)


async def test_a_version_comes_back_as_it_was_kept(store: Store, clock: Clock) -> None:
    version = make(clock.now, organization="org", version="3", sealed=b"\x01sealed")
    await store.versions.add(version)
    assert await store.versions.get(version.id) == version
    assert await store.versions.get("ver_unknown") is None


async def test_the_newest_versions_of_an_integration_are_listed_first(store: Store, clock: Clock) -> None:
    for number in range(3):
        await store.versions.add(make(clock.now + number, version=str(number)))
    await store.versions.add(make(clock.now, "other"))
    assert [one.version for one in await store.versions.list_entries("acme")] == ["2", "1", "0"]


async def test_old_versions_are_deleted_but_the_last_ones_of_each_integration_stay(store: Store, clock: Clock) -> None:
    for number in range(KEPT + 3):
        await store.versions.add(make(clock.now + number, version=str(number)))
    await store.versions.add(make(clock.now, "other"))
    clock.now += 10 * DAY + 2.5
    assert (await store.prune())["versions"] == 3
    kept = await store.versions.list_entries("acme")
    assert [one.version for one in kept] == [str(number) for number in reversed(range(3, KEPT + 3))]
    assert len(await store.versions.list_entries("other")) == 1
    clock.now += 100 * DAY
    await store.versions.add(make(clock.now, version="new"))
    assert len(await store.versions.list_entries("acme")) == KEPT
