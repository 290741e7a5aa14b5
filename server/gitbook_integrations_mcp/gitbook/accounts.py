"""The GitBook accounts of callers over HTTP: each principal's own login, found in the store for each request."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.gitbook.http import HTTPTransport
from gitbook_integrations_mcp.gitbook.session import HeldLogin, Session
from gitbook_integrations_mcp.store.logins import Login
from gitbook_integrations_mcp.store.store import Store

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.accounts import Account

_CAPACITY = 10_000
"""Maximum number of principals whose session is remembered."""

_REMEDY = "Call the tool again to link your account again."


class _AccountSource:
    """The account of one principal, as the store had it when the last request came."""

    def __init__(self, store: Store, principal: str, endpoint: str) -> None:
        self._store = store
        self._principal = principal
        self._endpoint = endpoint
        self._account: Account | None = None

    async def load(self) -> None:
        """Read the account again.

        Raises:
            StoreError: the store fails.
        """
        try:
            self._account = await self._store.accounts.find(self._principal, self._endpoint)
        except StoreError:
            self._account = None  # it may have been removed
            raise

    def read(self) -> Login | None:
        """Return the login without its tokens."""
        return self._account.login if self._account else None

    def read_version(self) -> str | None:
        """Return a value that changes with the login."""
        return self._account.version if self._account else None

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[HeldLogin]:
        """Keep all other processes from renewing the login.

        Raises:
            SessionError: another process does not finish.
            StoreError: the store fails.
        """
        async with self._store.accounts.hold(self._principal, self._endpoint) as held:
            await self.load()
            yield held
            if held.version is not None:
                await self.load()


class Accounts:
    """The sessions of all principals. `clock` is in seconds since 1970."""

    def __init__(
        self,
        store: Store,
        endpoint: str,
        transport: HTTPTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._transport = transport
        self._clock = clock
        self._known: OrderedDict[str, tuple[_AccountSource, Session]] = OrderedDict()

    async def load(self, principal: str) -> None:
        """Read the account of a principal from the store, for the request that begins.

        Raises:
            StoreError: the store fails.
        """
        await self._find(principal)[0].load()

    def find(self, principal: str) -> Session:
        """Return the session of a principal. It has no login if the principal has linked no account."""
        return self._find(principal)[1]

    def _find(self, principal: str) -> tuple[_AccountSource, Session]:
        if principal not in self._known:
            source = _AccountSource(self._store, principal, self._endpoint)
            self._known[principal] = source, Session(source, self._transport, self._clock, _REMEDY)
            if len(self._known) > _CAPACITY:
                self._known.popitem(last=False)
        self._known.move_to_end(principal)
        return self._known[principal]
