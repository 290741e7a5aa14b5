"""Linked accounts in the store: renewed once by all replicas, never mixed, and gone when they are removed."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import insert, select, update

from gitbook_integrations_mcp.config.settings import Settings, load_settings
from gitbook_integrations_mcp.errors import ErrorCode, SessionError, StoreError
from gitbook_integrations_mcp.gitbook.accounts import Accounts
from gitbook_integrations_mcp.sandbox import Sandbox, create_sandbox
from gitbook_integrations_mcp.sandbox.authorization import LIFETIME
from gitbook_integrations_mcp.store.accounts import LEASE_SECONDS
from gitbook_integrations_mcp.store.schema import accounts as table
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock
from tests.support.login import obtain
from tests.support.stores import KEYS, RUN, find_url

ENDPOINT = "http://localhost:9999"
ANN, BOB = '["ann",null,null]', '["bob",null,null]'


@dataclass
class Fleet:
    """Replicas of a server: each has its own connections to one store."""

    sandbox: Sandbox
    transport: httpx.ASGITransport
    clock: Clock
    settings: Settings
    stores: list[Store]

    async def link(self, principal: str = ANN) -> str:
        """Link an account, and return its access token."""
        login, tokens = await obtain(self.settings, self.transport, self.clock)
        await self.stores[0].accounts.keep(principal, login, tokens)
        return tokens.access.get_secret_value()

    async def fetch(self, replica: int, principal: str = ANN) -> str:
        """Return the access token that a replica uses for a new request."""
        accounts = Accounts(self.stores[replica], ENDPOINT, self.transport, self.clock)
        await accounts.load(principal)
        return (await accounts.find(principal).fetch_token()).get_secret_value()


@pytest.fixture(params=["sqlite", "postgres"])
async def fleet(request: Any) -> AsyncIterator[Fleet]:
    clock = Clock(time.time())
    sandbox = create_sandbox(clock=clock)
    section = {"url": find_url(request, request.param), "keys": KEYS}
    settings = load_settings({"gitbook": {"endpoint": ENDPOINT}, "store": section})
    stores = [Store(settings, run=RUN, clock=clock) for _ in range(4)]
    try:
        yield Fleet(sandbox, httpx.ASGITransport(app=sandbox), clock, settings, stores)
    finally:
        for store in stores:
            await store.close()


async def test_replicas_renew_a_token_once(fleet: Fleet) -> None:
    old = await fleet.link()
    fleet.clock.now += LIFETIME
    found: list[str] = []

    async def fetch(replica: int) -> None:
        found.append(await fleet.fetch(replica))

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(fetch, number % len(fleet.stores))
    assert len(found) == 8
    assert len(set(found)) == 1
    assert old not in found
    assert fleet.sandbox.authorization.renewals == 1


async def test_principals_have_accounts_of_their_own(fleet: Fleet) -> None:
    ann, bob = await fleet.link(ANN), await fleet.link(BOB)
    assert ann != bob
    assert await fleet.fetch(1, ANN) == ann
    assert await fleet.fetch(2, BOB) == bob
    accounts = Accounts(fleet.stores[3], ENDPOINT)
    for stranger in ('["ann",null,"ann"]', '["Ann",null,null]', '["ann", null, null]'):
        await accounts.load(stranger)
        assert accounts.find(stranger).login is None


async def test_tokens_that_were_moved_to_another_principal_cannot_be_used(fleet: Fleet) -> None:
    await fleet.link(ANN)
    await fleet.link(BOB)
    database = fleet.stores[0].database
    rows = {row.principal: row for row in await database.execute(select(table))}
    moved = update(table).where(table.c.id == rows[BOB].id).values(sealed=rows[ANN].sealed)
    await database.execute(moved)
    with pytest.raises(StoreError) as error:
        await fleet.fetch(1, BOB)
    assert error.value.code is ErrorCode.STORE_KEY_UNKNOWN


async def test_an_account_of_another_gitbook_is_not_used(fleet: Fleet) -> None:
    await fleet.link()
    accounts = Accounts(fleet.stores[0], "https://api.gitbook.example")
    await accounts.load(ANN)
    assert accounts.find(ANN).login is None


async def test_a_removed_account_is_gone_for_every_replica(fleet: Fleet) -> None:
    await fleet.link()
    accounts = Accounts(fleet.stores[1], ENDPOINT, fleet.transport, fleet.clock)
    await accounts.load(ANN)
    await accounts.find(ANN).fetch_token()
    (account,) = await fleet.stores[0].accounts.list()
    assert await fleet.stores[0].accounts.remove(account.id)
    await accounts.load(ANN)
    with pytest.raises(SessionError):
        await accounts.find(ANN).fetch_token()


async def test_a_renewal_does_not_bring_a_removed_account_back(fleet: Fleet) -> None:
    await fleet.link()
    store = fleet.stores[0].accounts
    async with store.hold(ANN, ENDPOINT) as held:
        found = await held.read()
        assert found
        (account,) = await fleet.stores[1].accounts.list()
        await fleet.stores[1].accounts.remove(account.id)
        with pytest.raises(SessionError):
            await held.write(*found)
    assert await store.list() == []


async def test_a_replica_that_crashed_during_a_renewal_blocks_the_others_only_for_a_while(fleet: Fleet) -> None:
    await fleet.link()
    crashed = update(table).values(lease="crashed", leased_until=fleet.clock.now + LEASE_SECONDS)
    await fleet.stores[0].database.execute(crashed)
    fleet.clock.now += LIFETIME
    await fleet.fetch(1)
    assert fleet.sandbox.authorization.renewals == 1


async def test_a_row_of_another_version_counts_as_no_account(fleet: Fleet) -> None:
    row = {"id": "x", "time": 0, "principal": ANN, "version": "1", "facts": {"new": 1}, "sealed": b""}
    await fleet.stores[0].database.execute(insert(table).values(row))
    assert await fleet.stores[0].accounts.list() == []


@pytest.mark.parametrize("fleet", ["postgres"], indirect=True)
async def test_without_a_key_no_account_is_kept(fleet: Fleet) -> None:
    login, tokens = await obtain(fleet.settings, fleet.transport, fleet.clock)
    keyless = Store(load_settings({"store": {"url": fleet.settings.store.url.get_secret_value()}}))  # type: ignore[union-attr]
    with pytest.raises(StoreError):
        await keyless.accounts.keep(ANN, login, tokens)
    await keyless.close()
