"""Changes: one row for every call that changes something, written before the call is sent.

The outcome is completed in the same row after the call. A crash in between leaves the outcome `unknown`.
"""

import secrets
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    union_all,
    update,
)

from gitbook_integrations_mcp.store.change import ID_LENGTH, PREFIX, Change, is_change_id
from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.retention import Retention
from gitbook_integrations_mcp.store.schema import changes as table

_DIGITS = 12
_RUNNING = 100
"""More changes than can run at a time in an organization."""


class ChangeStore:
    """The changes of all servers that share a database. They are kept for `days`.

    Each method is one transaction, and raises `StoreError` if the database fails.
    """

    def __init__(self, database: Database, days: float) -> None:
        self._database = database
        self._retention = Retention(days, database.clock)

    def create_id(self) -> str:
        """Return an ID for a change that begins now. IDs are ordered by time."""
        return f"{_format_moment(self._database.clock())}{secrets.token_hex(5)}"

    async def begin(self, change: Change) -> None:
        """Write a change. When this returns, it is durable."""
        if self._retention.begin_pruning():
            await self.prune()  # a failure afterwards would leave the row of a call that is not sent
        await self._database.execute(_INSERT, **{one.name: getattr(change, one.name) for one in _FIELDS})

    async def complete(self, change_id: str, values: Mapping[str, Any]) -> None:
        """Complete the row of a change with its outcome."""
        await self._database.execute(_UPDATE, one=change_id, ended_at=self._database.clock(), **values)

    async def find(self, change_id: str, owner: str) -> Change | None:
        """Return a change of `owner`."""
        if not is_change_id(change_id):
            return None
        found = await self._select(table.c.id == change_id, table.c.owner == owner, limit=1)
        return found[0] if found else None

    async def list_parts(self, plan: str, owner: str) -> list[Change]:
        """Return the changes that are calls of a plan of `owner`, the last one first."""
        parts = table.c.id.startswith(plan, autoescape=True)
        return await self._select(parts, table.c.id != plan, table.c.owner == owner)

    async def list_undoing(self, *change_ids: str) -> list[Change]:
        """Return the changes that undid one of these, or may have done so, newest first."""
        return await self._select(table.c.undoes.in_(change_ids), table.c.outcome.in_(("done", "unknown")))

    async def find_last_time(self, organization: str) -> float | None:
        """Return when the last change of an organization began or ended, in seconds since 1970.

        A change of an unknown organization counts for each, and a change without effect for none.
        """
        [row] = await self._database.execute(_LAST, organization=organization)
        return max((moment for moment in (row.began, row.ended) if moment is not None), default=None)

    async def search(
        self,
        owner: str | None,
        *,
        organization: str | None = None,
        tool: str | None = None,
        outcome: str | None = None,
        integration: str | None = None,
        parts: bool = True,
        since: float | None = None,
        until: float | None = None,
        before: str | None = None,
        after: str | None = None,
        limit: int | None = 100,
    ) -> list[Change]:
        """Return the newest changes of `owner`, or of everybody, that match, between two changes; at most `limit`.

        A change of an unknown organization matches each. A plan is about an `integration` if one of its calls is.
        Without `parts`, the calls of plans are left out.
        """
        conditions: list[ColumnElement[bool]] = [
            column == value
            for column, value in (
                (table.c.owner, owner),
                (table.c.tool, tool),
                (table.c.outcome, outcome),
            )
            if value is not None
        ]
        if organization is not None:
            conditions.append(or_(table.c.organization == organization, table.c.organization.is_(None)))
        if integration is not None:
            part = table.alias()
            plans = select(func.substr(part.c.id, 1, ID_LENGTH)).where(_names(part, integration), _is_part(part))
            conditions.append(or_(_names(table, integration), table.c.id.in_(plans)))
        if not parts:
            conditions.append(not_(_is_part(table)))
        if since is not None:
            conditions.append(table.c.id >= _format_moment(since))
        if until is not None:
            conditions.append(table.c.id < _format_moment(until))
        if before is not None:
            conditions.append(table.c.id < before)
        if after is not None:
            conditions.append(table.c.id > after)
        return await self._select(*conditions, limit=limit)

    async def prune(self) -> int:
        """Delete the changes that are too old, and return how many there were."""
        old = delete(table).where(table.c.time < self._retention.oldest)
        return len(await self._database.execute(old.returning(table.c.id)))

    async def _select(self, *conditions: ColumnElement[bool], limit: int | None = None) -> list[Change]:
        query = select(table).where(*conditions).order_by(table.c.id.desc()).limit(limit)
        return [_read(row) for row in await self._database.execute(query)]


_FIELDS = fields(Change)
_INSERT = insert(table)
_UPDATE = update(table).where(table.c.id == bindparam("one"))


def _names(changes: FromClause, integration: str) -> ColumnElement[bool]:
    """Return the condition that a call has the name of an integration as argument."""
    named: ColumnElement[str] = changes.c.arguments["integrationName"].as_string()
    return named == integration


def _is_part(changes: FromClause) -> ColumnElement[bool]:
    """Return the condition that a change is a call of a plan."""
    return func.length(changes.c.id) > ID_LENGTH


def _select_newest(condition: ColumnElement[bool]) -> Any:
    """Return a query for the newest changes of an organization: one of them is also the last that ended."""
    found = select(table.c.time, table.c.ended_at).where(condition, table.c.outcome.not_in(("failed", "not sent")))
    return select(found.order_by(table.c.id.desc()).limit(_RUNNING).subquery())


_NEWEST = union_all(
    _select_newest(table.c.organization == bindparam("organization")), _select_newest(table.c.organization.is_(None))
).subquery()
_LAST = select(func.max(_NEWEST.c.time).label("began"), func.max(_NEWEST.c.ended_at).label("ended"))


def _format_moment(seconds: float) -> str:
    """Return the beginning of the IDs of all changes since a moment."""
    return f"{PREFIX}{max(0, round(seconds * 1000)):0{_DIGITS}x}"


def _read(row: Row[Any]) -> Change:
    return Change(**{one.name: getattr(row, one.name) for one in _FIELDS})
