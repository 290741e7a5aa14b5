"""GitBook accounts that callers over HTTP linked, one for each principal. All replicas of a server share them.

Nothing in a row is secret but `sealed`, which holds the tokens, encrypted for this row: they are of no use in the row
of another principal. A renewal holds a lease, so that one replica renews and the others wait for it.
"""

import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from pydantic import ValidationError
from sqlalchemy import Row, delete, insert, or_, select, update

from gitbook_integrations_mcp.errors import ErrorCode, SessionError, StoreError
from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.logins import KeptTokens, Login, Tokens
from gitbook_integrations_mcp.store.schema import accounts as table
from gitbook_integrations_mcp.store.sealing import Sealer

LEASE_SECONDS = 45.0
"""A lease ends by itself after this time: longer than the authorization server gets for a response."""

_PAUSE_SECONDS = 0.1

GONE = "The account was removed or replaced meanwhile. Call the tool again."


@dataclass(frozen=True, slots=True)
class Account:
    """A linked account, without its tokens. `time` is when it was linked, in seconds since 1970."""

    id: str
    principal: str
    time: float
    version: str
    login: Login


class AccountStore:
    """The accounts of all servers that share a database. Methods raise `StoreError` if the database fails."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def find(self, principal: str, endpoint: str) -> Account | None:
        """Return the account of a principal at the GitBook at `endpoint`."""
        rows = await self._database.execute(select(table).where(table.c.id == _identify(principal, endpoint)))
        return _read_row(rows[0]) if rows else None

    async def list(self) -> "list[Account]":
        """Return all accounts, the one that was linked first at the beginning."""
        rows = await self._database.execute(select(table).order_by(table.c.time))
        return [account for row in rows if (account := _read_row(row)) is not None]

    async def keep(self, principal: str, login: Login, tokens: Tokens) -> tuple[Login, Tokens] | None:
        """Keep the account of a principal in place of an earlier one, and return the earlier one."""
        identifier = _identify(principal, login.endpoint)
        sealed = await self._seal(identifier, tokens)
        async with self._database.write() as connection:
            result = await connection.execute(delete(table).where(table.c.id == identifier).returning(table))
            earlier = result.all()
            await connection.execute(
                insert(table).values(
                    id=identifier,
                    time=self._database.clock(),
                    principal=principal,
                    version=secrets.token_hex(8),
                    facts=_dump(login),
                    sealed=sealed,
                )
            )
        return await self._open(earlier[0]) if earlier else None

    async def remove(self, identifier: str) -> tuple[Login, Tokens | None] | None:
        """Remove an account, and return it, without its tokens if they cannot be decrypted; None if there is none."""
        rows = await self._database.execute(delete(table).where(table.c.id == identifier).returning(table))
        account = _read_row(rows[0]) if rows else None
        if account is None:
            return None
        opened = await self._open(rows[0])
        return opened or (account.login, None)

    @asynccontextmanager
    async def hold(self, principal: str, endpoint: str) -> AsyncIterator["HeldAccount"]:
        """Keep all other processes from renewing an account.

        Raises:
            SessionError: another process does not finish.
        """
        identifier, lease = _identify(principal, endpoint), secrets.token_hex(8)
        await self._acquire(identifier, lease)
        try:
            yield HeldAccount(self, identifier, lease)
        finally:
            mine = (table.c.id == identifier, table.c.lease == lease)
            with suppress(StoreError):  # the lease ends by itself
                await self._database.execute(update(table).where(*mine).values(lease=None))

    async def _acquire(self, identifier: str, lease: str) -> None:
        """Wait for the lease. Without an account there is none."""
        end = time.monotonic() + LEASE_SECONDS + 1
        while True:
            now = self._database.clock()
            free = or_(table.c.lease.is_(None), table.c.leased_until < now)
            taken = update(table).where(table.c.id == identifier, free).returning(table.c.id)
            if await self._database.execute(taken.values(lease=lease, leased_until=now + LEASE_SECONDS)):
                return
            if not await self._database.execute(select(table.c.id).where(table.c.id == identifier)):
                return
            if time.monotonic() > end:
                raise SessionError("Another process of this server renews the login and does not finish.")
            await anyio.sleep(_PAUSE_SECONDS)

    async def read_held(self, identifier: str, lease: str) -> tuple[Login, Tokens] | None:
        """Return an account with its tokens."""
        rows = await self._database.execute(select(table).where(table.c.id == identifier, table.c.lease == lease))
        if not rows or (account := _read_row(rows[0])) is None:
            return None
        return account.login, await self._read_tokens(rows[0])

    async def write_held(self, identifier: str, lease: str, login: Login, tokens: Tokens) -> str:
        """Keep new tokens of an account that still exists, and return its version.

        Raises:
            SessionError: the account was removed or replaced meanwhile.
        """
        sealed, version = await self._seal(identifier, tokens), secrets.token_hex(8)
        mine = update(table).where(table.c.id == identifier, table.c.lease == lease).returning(table.c.id)
        if not await self._database.execute(mine.values(facts=_dump(login), sealed=sealed, version=version)):
            raise SessionError(GONE)
        return version

    async def _seal(self, identifier: str, tokens: Tokens) -> bytes:
        content = KeptTokens.from_tokens(tokens).model_dump()
        return await self._sealer.seal_secret(content, f"account {identifier}")

    async def _open(self, row: Row[Any]) -> tuple[Login, Tokens] | None:
        """Return login and tokens of a row, or None if they cannot be read: the keys or the program changed."""
        account = _read_row(row)
        if account is None:
            return None
        try:
            return account.login, await self._read_tokens(row)
        except StoreError as error:
            if error.code is not ErrorCode.STORE_KEY_UNKNOWN:
                raise
            return None

    async def _read_tokens(self, row: Row[Any]) -> Tokens:
        return KeptTokens.model_validate(await self._sealer.open(row.sealed, f"account {row.id}")).tokens


class HeldAccount:
    """An account whose lease this process has."""

    def __init__(self, store: AccountStore, identifier: str, lease: str) -> None:
        self._store = store
        self._identifier = identifier
        self._lease = lease
        self.version: str | None = None
        """The version that was written, if one was."""

    async def read(self) -> tuple[Login, Tokens] | None:
        """Return the login and its tokens, or None without an account.

        Raises:
            StoreError: they were encrypted with a key that this server does not have.
        """
        return await self._store.read_held(self._identifier, self._lease)

    async def write(self, login: Login, tokens: Tokens) -> Login:
        """Keep new tokens, and return the login.

        Raises:
            SessionError: the account was removed or replaced meanwhile.
        """
        self.version = await self._store.write_held(self._identifier, self._lease, login, tokens)
        return login

    async def end(self) -> None:
        """Remove the account, so that the next call asks the caller to link it again."""
        await self._store.remove(self._identifier)


def _identify(principal: str, endpoint: str) -> str:
    return hashlib.sha256(json.dumps([principal, endpoint]).encode()).hexdigest()


def _dump(login: Login) -> dict[str, Any]:
    return login.model_copy(update={"place": "store"}).model_dump(mode="json")


def _read_row(row: Row[Any]) -> Account | None:
    try:
        return Account(row.id, row.principal, row.time, row.version, Login.model_validate(row.facts))
    except ValidationError:
        return None  # another version of this program wrote it
