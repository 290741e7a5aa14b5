"""Pending confirmations: the store keeps each until it is answered, used or expired.

Using a confirmation is one statement that deletes its row and returns it. Only its result decides: exactly one of many
simultaneous calls, in any process, gets the confirmation. When it returns, the deletion is durable.

A copy of the database that is restored, or a standby that lags behind, can still contain a used confirmation. So each
is valid only in the run of the database in which it was opened. PostgreSQL also records the transaction that wrote a
row: a row that a backup program writes again has another. This process remembers what it used.

A clock that is set back extends no confirmation: this process measures the age of each that it has seen.
"""

import asyncio
import contextvars
import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    Row,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy import literal_column as column

from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.shares import choose_eviction
from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.pending import ConfirmationMode, Decision, PendingConfirmation, Preview
from gitbook_integrations_mcp.store.schema import confirmations as table

MAX_PENDING = 1000
"""Maximum number of pending confirmations. A new one removes one of an owner who has at least as many as its own."""

MAX_PENDING_PER_OWNER = 100
"""Maximum number of pending confirmations of one owner. A new one removes the owner's oldest."""

MAX_PENDING_PER_CALL = 20
"""Maximum number of pending confirmations for the same call in the same mode. A new one removes the oldest."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_INTERVAL = 0.5
"""Seconds between two looks at a confirmation that another process decides."""

_INTERVAL_WITH_NOTIFICATIONS = 5
"""The same while PostgreSQL notifies this process, which it cannot do over a connection that is broken."""

_CHANNEL = "gitbook_confirmations"
"""PostgreSQL's channel for the IDs of confirmations that are decided or removed."""


_ONE = table.c.id == bindparam("one", type_=Text)
_OF_PAGE = (table.c.binding == bindparam("call", type_=Text), table.c.mode == "browser")


class ConfirmationStore:
    """The pending confirmations of all servers that share a database. `ttl` is in seconds.

    Each method is one transaction, and raises `StoreError` if the database fails.
    """

    def __init__(self, database: Database, ttl: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._ttl = ttl
        self._monotonic = monotonic
        self._used: dict[str, float] = {}
        self._deadlines: dict[str, float] = {}
        self._waiting: set[tuple[str, anyio.Event]] = set()
        self._waiters = 0
        self._listener: asyncio.Task[None] | None = None
        self._interval = _INTERVAL
        self._valid = self._build_valid()
        # Statements are built once: building one takes as long as running it.
        self._get = _select(_ONE, self._valid)
        self._insert = insert(table).values(epoch=self._database.epoch, writer=self._writer)
        self._consume_one = self._build_deletion(_ONE)
        self._consume_of_page = self._build_deletion(*_OF_PAGE)
        self._consume_decided = self._build_deletion(*_OF_PAGE, table.c.decision.is_not(None))
        gone = table.c.id.in_(bindparam("ids", expanding=True))
        self._remove = delete(table).where(gone).returning(table.c.id, *self._notification)
        self._decide = (
            update(table)
            .where(_ONE, table.c.decision.is_(None), self._valid)
            .values(writer=self._writer)
            .returning(table.c.id, *self._notification)
        )
        columns = (table.c.id, table.c.owner, table.c.binding, table.c.mode, table.c.state, table.c.decision)
        self._list = select(*columns, table.c.expires_at, self._valid.label("valid")).order_by(table.c.opened_at)

    async def open(
        self, mode: ConfirmationMode, binding: str, preview: Preview, owner: str = ""
    ) -> PendingConfirmation:
        """Return a new confirmation. `owner` identifies the caller, who has a share of the store.

        The page has one confirmation per call: `open` returns the existing one if it is undecided and its state is the
        same; otherwise a new one replaces it.
        """
        owner = digest_json(owner)  # which can be any text
        now = self._database.clock()
        new = PendingConfirmation(mode, binding, preview, self._ttl, expires_at=now + self._ttl)
        late = {one for one in self._deadlines if self._is_late(one)}

        def open_one(connection: Connection) -> tuple[Sequence[Row[Any]], Sequence[str], Row[Any] | None]:
            if self._database.is_postgresql:  # the limits hold for all servers together
                connection.exec_driver_sql("LOCK TABLE confirmations IN SHARE ROW EXCLUSIVE MODE")
            rows = connection.execute(self._list).all()
            fit = (binding, mode)
            alike = [row for row in rows if row.valid and row.id not in late and (row.binding, row.mode) == fit]
            for row in alike:
                if mode == "browser" and row.decision is None and row.state == preview.state:
                    return rows, (), connection.execute(self._get, {"one": row.id}).one()
            kept = 0 if mode == "browser" else MAX_PENDING_PER_CALL - 1
            gone = {row.id for row in rows if row.expires_at <= now or row.id in late}
            gone |= {row.id for row in alike[: max(0, len(alike) - kept)]}
            removed = [*gone, *_make_room(rows, gone, owner)]
            if removed:
                connection.execute(self._remove, {"ids": removed}).all()
            connection.execute(
                self._insert,
                {
                    "id": new.id,
                    "mode": mode,
                    "binding": binding,
                    "owner": owner,
                    "state": preview.state,
                    "preview": preview.to_json(),
                    "csrf": new.csrf,
                    "opened_at": now,
                    "expires_at": now + self._ttl,
                },
            )
            return rows, removed, None

        rows, removed, existing = await self._database.run(open_one)
        for one in removed:
            self._wake(one)
        known = {row.id for row in rows}.difference(removed)
        self._deadlines = {one: deadline for one, deadline in self._deadlines.items() if one in known}
        if existing is not None:
            return self._read(existing)
        self._deadlines[new.id] = self._monotonic() + self._ttl
        return new

    async def get(self, confirmation_id: str) -> PendingConfirmation | None:
        """Return a confirmation without using it, or None if it is used, replaced or expired."""
        rows = await self._execute(self._get, confirmation_id)
        return next((self._read(row) for row in rows if not self._is_void(row)), None)

    async def consume(self, confirmation_id: str) -> PendingConfirmation | None:
        """Remove and return a confirmation, or return None if it is used, replaced or expired."""
        return self._use(await self._execute(self._consume_one, confirmation_id))

    async def consume_decided(self, binding: str) -> PendingConfirmation | None:
        """Remove and return the confirmation of a call that the human has decided on the page, if there is one."""
        return self._use(await self._database.execute(self._consume_decided, call=binding))

    async def refuse(self, confirmation_id: str, binding: str) -> bool:
        """Remove a confirmation that the human refused, and every confirmation of the same call on the page.

        Returns whether the confirmation was still open.
        """
        one = {"one": confirmation_id if _ID.fullmatch(confirmation_id) else ""}

        def remove(connection: Connection) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]]]:
            refused = connection.execute(self._consume_one, one).all()
            return refused, connection.execute(self._consume_of_page, {"call": binding}).all()

        refused, revoked = await self._database.run(remove)
        again = self._mark_used([*refused, *revoked])
        return any(row.id not in again for row in refused)

    async def decide(self, confirmation_id: str, decision: Decision) -> bool:
        """Record the human's decision on the page. Returns whether the confirmation was open and undecided."""
        if self._is_late(confirmation_id):
            return False
        decided = await self._execute(self._decide, confirmation_id, decision=decision)
        self._wake(confirmation_id)
        return bool(decided)

    async def wait(self, confirmation_id: str) -> None:
        """Return when a confirmation is decided or removed."""
        async with self._listen():
            while True:
                with self._await_event(confirmation_id) as event:
                    pending = await self.get(confirmation_id)
                    if pending is None or pending.decision is not None:
                        return
                    with anyio.move_on_after(self._interval):
                        await event.wait()

    @property
    def _writer(self) -> ColumnElement[Any]:
        """The transaction that writes a row."""
        return cast(func.pg_current_xact_id(), Text) if self._database.is_postgresql else null()

    @property
    def _notification(self) -> list[ColumnElement[Any]]:
        """A column whose value PostgreSQL sends to all servers when the transaction ends."""
        return [func.pg_notify(_CHANNEL, table.c.id)] if self._database.is_postgresql else []

    def _build_valid(self) -> ColumnElement[bool]:
        """Whether a row is open: opened in this run, and neither too early nor too late, whatever the clock did."""
        now = bindparam("now", type_=Float, callable_=self._database.clock)
        valid = and_(table.c.epoch == self._database.epoch, table.c.opened_at <= now, table.c.expires_at > now)
        if self._database.is_postgresql:
            written = cast(column("confirmations.xmin").op("::")(column("text")), BigInteger)
            valid &= written == cast(table.c.writer, BigInteger) % (1 << 32)
        return valid

    def _build_deletion(self, *conditions: ColumnElement[bool]) -> Any:
        """Return the statement that deletes open confirmations and returns their rows."""
        return delete(table).where(*conditions, self._valid).returning(*table.c, *self._notification)

    async def _execute(self, statement: Any, confirmation_id: str, **values: Any) -> list[Row[Any]]:
        """Run a statement about one confirmation. Its ID can be any text; a database cannot compare every text."""
        known = _ID.fullmatch(confirmation_id)
        return await self._database.execute(statement, one=confirmation_id, **values) if known else []

    def _use(self, rows: list[Row[Any]]) -> PendingConfirmation | None:
        again = self._mark_used(rows)
        return next((self._read(row) for row in rows if row.id not in again), None)

    def _mark_used(self, rows: Sequence[Row[Any]]) -> set[str]:
        """Remember the confirmations in `rows` as used, and return those that already were void."""
        for row in rows:
            self._wake(row.id)
        now = self._database.clock()
        self._used = {one: expires for one, expires in self._used.items() if expires > now}
        again = {row.id for row in rows if self._is_void(row)}
        self._used |= {row.id: row.expires_at for row in rows}
        return again

    def _is_void(self, row: Row[Any]) -> bool:
        """Whether this process has used a confirmation, or has seen it for longer than it is valid."""
        self._deadlines.setdefault(row.id, self._monotonic() + row.expires_at - self._database.clock())
        return row.id in self._used or self._is_late(row.id)

    def _is_late(self, confirmation_id: str) -> bool:
        deadline = self._deadlines.get(confirmation_id)
        return deadline is not None and self._monotonic() >= deadline

    def _read(self, row: Row[Any]) -> PendingConfirmation:
        return PendingConfirmation(
            mode=row.mode,
            binding=row.binding,
            preview=Preview.from_json(row.preview),
            expires_in=round(row.expires_at - self._database.clock()),
            id=row.id,
            csrf=row.csrf,
            decision=row.decision,
            expires_at=row.expires_at,
        )

    @contextmanager
    def _await_event(self, confirmation_id: str) -> Iterator[anyio.Event]:
        """Yield an event that is set when the confirmation is decided or removed."""
        waiting = (confirmation_id, anyio.Event())
        self._waiting.add(waiting)
        try:
            yield waiting[1]
        finally:
            self._waiting.remove(waiting)

    def _wake(self, confirmation_id: str | None = None) -> None:
        """Wake all who wait for a confirmation, or for any."""
        for one, event in self._waiting:
            if confirmation_id in {one, None}:
                event.set()

    @asynccontextmanager
    async def _listen(self) -> AsyncIterator[None]:
        """Listen to PostgreSQL while anybody in this process waits, over one connection."""
        self._waiters += 1
        if self._listener is None and self._database.is_postgresql:
            # The context is empty, because the task serves all callers.
            self._listener = asyncio.create_task(self._follow_notifications(), context=contextvars.Context())
        try:
            yield
        finally:
            self._waiters -= 1
            if self._waiters == 0 and self._listener is not None:
                listener, self._listener = self._listener, None
                listener.cancel()
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([listener])

    async def _follow_notifications(self) -> None:
        """Wake those who wait. If the connection ends, they look more often instead."""
        try:
            async with self._database.listen(_CHANNEL) as notifications:
                self._interval = _INTERVAL_WITH_NOTIFICATIONS
                self._wake()  # what was decided before is not notified
                async for confirmation_id in notifications:
                    self._wake(confirmation_id)
        except StoreError:
            pass  # which their next look raises, too, if it lasts
        finally:
            self._interval = _INTERVAL
            self._wake()


def _make_room(rows: Sequence[Row[Any]], gone: Collection[str], owner: str) -> Iterator[str]:
    """Yield the IDs of confirmations that give way to a new one of `owner`, beside those that are `gone`."""
    owners = {row.id: row.owner for row in rows if row.id not in gone}
    while len(owners) >= MAX_PENDING or sum(one == owner for one in owners.values()) >= MAX_PENDING_PER_OWNER:
        own = [one for one, other in owners.items() if other == owner]
        full = len(own) >= MAX_PENDING_PER_OWNER
        chosen = (None if full else choose_eviction(owners, owner)) or (own[0] if own else next(iter(owners)))
        del owners[chosen]
        yield chosen


def _select(*conditions: ColumnElement[bool]) -> Any:
    return select(table).where(*conditions).order_by(table.c.opened_at)
