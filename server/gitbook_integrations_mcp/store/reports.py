"""Audit reports: each belongs to a GitBook user, an organization, and the part of it that was audited."""

import secrets
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from sqlalchemy import ColumnElement, delete, func, insert, select

from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.retention import Retention
from gitbook_integrations_mcp.store.schema import reports as table

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.database import Transaction

_COMPRESSION = 3
"""Level of zlib. The default one saves a tenth of the space more, and takes twice as long."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report as JSON. `time` is when its audit began, in seconds since 1970."""

    id: str
    time: float
    report: str = field(repr=False)


class ReportStore:
    """The reports of all servers that share a database.

    Of each user and organization, the newest `most` are kept, and none longer than `days`. A report with a time to
    come, from before the clock was set back, is never returned. Each method is one transaction, and raises
    `StoreError` if the database fails.
    """

    def __init__(self, database: Database, most: int, days: float) -> None:
        self._database = database
        self._most = most
        self._retention = Retention(days, database.clock)

    async def add(
        self, user: str, organization: str, narrowing: str, report: str, *, time: float, complete: bool
    ) -> str:
        """Keep a report, and return its ID. `narrowing` is a digest of the part that was audited."""
        content = report.encode()
        compressed = await anyio.to_thread.run_sync(zlib.compress, content, _COMPRESSION)
        new = f"rep_{secrets.token_hex(8)}"
        async with self._database.write() as connection:
            await connection.execute(
                insert(table).values(
                    id=new,
                    time=time,
                    user=user,
                    organization=organization,
                    narrowing=narrowing,
                    complete=complete,
                    size=len(content),
                    report=compressed,
                )
            )
            kept = (table.c.user == user, table.c.organization == organization)
            newest = select(table.c.id).where(*kept).order_by(table.c.time.desc()).limit(self._most)
            await connection.execute(delete(table).where(*kept, table.c.id.not_in(newest)))
            if self._retention.begin_pruning():
                await self._prune(connection)
        return new

    async def find_latest(
        self, user: str, organization: str, narrowing: str | None, *, before: float | None = None
    ) -> KeptReport | None:
        """Return the user's newest report whose audit began at or before `before`, a moment in seconds since 1970.

        `narrowing` is the part of the organization that it must be about; None means any.
        """
        condition = self._belongs(user, organization, narrowing)
        return await self._find(*condition, *(() if before is None else (table.c.time <= before,)))

    async def get(self, report_id: str, user: str, organization: str, narrowing: str | None) -> KeptReport | None:
        """Return one report of the user, or None if it is no longer kept. `narrowing` is as in `find_latest`."""
        return await self._find(*self._belongs(user, organization, narrowing), table.c.id == report_id)

    async def find_oldest_time(self, user: str, organization: str, narrowing: str) -> float | None:
        """Return the time of the oldest report that is kept."""
        async with self._database.read() as connection:
            query = select(func.min(table.c.time)).where(*self._belongs(user, organization, narrowing))
            oldest: float | None = (await connection.execute(query)).scalar()
        return oldest

    async def prune(self) -> int:
        """Delete the reports that are too old, and return how many there were."""
        async with self._database.write() as connection:
            return await self._prune(connection)

    async def _prune(self, connection: "Transaction") -> int:
        return (await connection.execute(delete(table).where(table.c.time < self._retention.oldest))).rowcount

    def _belongs(self, user: str, organization: str, narrowing: str | None) -> list[ColumnElement[bool]]:
        conditions = [table.c.user == user, table.c.organization == organization]
        if narrowing is not None:
            conditions.append(table.c.narrowing == narrowing)
        return [*conditions, table.c.time >= self._retention.oldest, table.c.time <= self._database.clock()]

    async def _find(self, *conditions: ColumnElement[bool]) -> KeptReport | None:
        async with self._database.read() as connection:
            # The newest is found by the index alone; only its row is read.
            newest = select(table.c.id).where(*conditions).order_by(table.c.time.desc()).limit(1).scalar_subquery()
            row = (await connection.execute(select(table).where(table.c.id == newest))).first()
        if row is None:
            return None
        content = await anyio.to_thread.run_sync(zlib.decompress, row.report)
        return KeptReport(row.id, row.time, content.decode())
