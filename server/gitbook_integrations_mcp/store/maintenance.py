"""Operations on the whole store: describe it, export it, forget an organization."""

import base64
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import LargeBinary, Row, Table, delete, func, select

from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.schema import METADATA, REVISION, account_links, accounts, confirmations
from gitbook_integrations_mcp.times import write_time

_BATCH = 100
"""Rows that are read at a time: a report can be a megabyte."""

_COMPRESSED = frozenset({"report", "script"})

_PRIVATE = (confirmations, accounts, account_links)

KEPT = tuple(table for table in METADATA.sorted_tables if table not in _PRIVATE)
"""The tables whose rows stay, and are about organizations.

Confirmations and links are secrets of a few minutes: they are neither shown nor exported. Accounts belong to callers;
the command `accounts` shows and removes them."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a table: how many, and the times of the oldest and the newest (ISO 8601, UTC)."""

    table: str
    rows: int
    oldest: str | None
    newest: str | None


@dataclass(frozen=True, slots=True)
class Description:
    """Where the store is, its size in bytes if it is known, the version of its tables, and what is in them."""

    place: str
    bytes: int | None
    revision: str
    contents: tuple[Contents, ...]
    damaged: tuple[str, ...]
    """Files of earlier stores that were damaged and moved aside."""


async def describe_store(database: Database) -> Description:
    """Return what is where in the store.

    Raises:
        StoreError: the store cannot be used.
    """
    contents = []
    async with database.read() as connection:
        for table in KEPT:
            oldest, newest = func.min(table.c.time).label("oldest"), func.max(table.c.time).label("newest")
            query = select(func.count().label("rows"), oldest, newest).select_from(table)
            row = (await connection.execute(query)).one()
            contents.append(Contents(table.name, row.rows, _format_time(row.oldest), _format_time(row.newest)))
        size: int | None = None
        if database.is_postgresql:
            size = (await connection.execute(select(func.pg_database_size(func.current_database())))).scalar_one()
    path = database.location.path
    damaged: tuple[str, ...] = ()
    if path is not None:
        files = [path.with_name(path.name + suffix) for suffix in ("", "-wal")]
        size = sum(file.stat().st_size for file in files if file.exists())
        found = sorted(path.parent.glob(f"{path.name}.damaged-*"))
        damaged = tuple(str(file) for file in found if file.suffix not in {"-wal", "-shm"})
    return Description(str(database.location), size, REVISION, tuple(contents), damaged)


async def export_rows(database: Database) -> AsyncIterator[dict[str, Any]]:
    """Yield every row as JSON, the oldest of each table first: its table, and its columns without encrypted values.

    Raises:
        StoreError: the store cannot be used.
    """
    for table in KEPT:
        last: Any = None
        while True:
            order = (table.c.time, table.c.id)
            query = select(table).order_by(*order).limit(_BATCH)
            if last is not None:
                query = query.where((table.c.time > last.time) | ((table.c.time == last.time) & (table.c.id > last.id)))
            async with database.read() as connection:
                rows = (await connection.execute(query)).all()
            if not rows:
                break
            for row in rows:
                yield {"table": table.name, **_read_row(table, row)}
            last = rows[-1]


async def forget_organization(database: Database, organization: str) -> dict[str, int]:
    """Delete everything about an organization, and return the number of deleted rows by table.

    SQLite overwrites what is deleted. PostgreSQL's own backups and logs are the operator's.

    Raises:
        StoreError: the store cannot be used; nothing was deleted.
    """
    deleted = {}
    async with database.write() as connection:
        for table in KEPT:
            result = await connection.execute(delete(table).where(table.c.organization == organization))
            deleted[table.name] = result.rowcount
    await database.compact()
    return deleted


def _read_row(table: Table, row: Row[Any]) -> dict[str, Any]:
    values = dict(row._mapping)
    values["time"] = _format_time(row.time)
    for column in table.columns:
        value = values[column.name]
        if column.name == "sealed":
            del values[column.name]
        elif isinstance(column.type, LargeBinary) and value is not None:
            values[column.name] = _read_bytes(zlib.decompress(value) if column.name in _COMPRESSED else value)
    return values


def _read_bytes(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()


def _format_time(seconds: float | None) -> str | None:
    return None if seconds is None else write_time(seconds)
