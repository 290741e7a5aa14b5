"""Published versions of integrations: script, manifest and digest, and the secrets encrypted."""

import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import anyio
from sqlalchemy import Row, delete, func, insert, select

from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.retention import Retention
from gitbook_integrations_mcp.store.schema import versions as table

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.database import Transaction

KEPT = 10
"""The last versions of an integration, which are kept whatever their age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEntry:
    """A published version without its content. `time` is in seconds since 1970, `size` the characters of the script.

    `change` is the ID of the change that published it, and `version` GitBook's number. `digest` is that of script and
    manifest. `owner` identifies the caller who published it, and `principal` is the caller's name.
    """

    id: str = field(default_factory=lambda: f"ver_{secrets.token_hex(8)}")
    time: float
    integration: str
    digest: str
    organization: str | None = None
    version: str | None = None
    change: str | None = None
    owner: str | None = field(default=None, repr=False)
    principal: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(VersionEntry):
    """A version that was published through this server.

    `sealed` are the arguments with secrets, encrypted for the row `id`. `omitted` are the names of those that were not
    kept.
    """

    manifest: Mapping[str, Any] = field(repr=False)
    script: str = field(repr=False)
    sealed: bytes | None = field(default=None, repr=False)
    omitted: Sequence[str] = ()


class VersionStore:
    """The published versions of all servers that share a database.

    They are kept for `days`, and the last ones of an integration for ever. Each method is one transaction, and raises
    `StoreError` if the database fails.
    """

    def __init__(self, database: Database, days: float) -> None:
        self._database = database
        self._retention = Retention(days, database.clock)

    async def add(self, version: Version) -> None:
        """Keep a version."""
        compressed = await anyio.to_thread.run_sync(zlib.compress, version.script.encode())
        values = {column.name: getattr(version, column.name) for column in table.columns}
        async with self._database.write() as connection:
            await connection.execute(
                insert(table).values({**values, "script": compressed, "omitted": list(version.omitted) or None})
            )
            if self._retention.begin_pruning():
                await self._prune(connection)

    async def list_entries(self, integration: str) -> list[VersionEntry]:
        """Return the newest versions of an integration without their content, the newest first."""
        columns = [table.c[one.name] for one in fields(VersionEntry)]
        query = select(*columns).where(table.c.integration == integration).order_by(table.c.time.desc()).limit(100)
        return [VersionEntry(**row._mapping) for row in await self._database.execute(query)]

    async def get(self, version_id: str) -> Version | None:
        """Return one version."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(table).where(table.c.id == version_id))).first()
        return None if row is None else _read(row)

    async def prune(self) -> int:
        """Delete the versions that are too old, but not the last ones of an integration; return how many there were."""
        async with self._database.write() as connection:
            return await self._prune(connection)

    async def _prune(self, connection: "Transaction") -> int:
        order = func.row_number().over(partition_by=table.c.integration, order_by=table.c.time.desc())
        ranked = select(table.c.id, table.c.time, order.label("place")).subquery()
        gone = select(ranked.c.id).where(ranked.c.place > KEPT, ranked.c.time < self._retention.oldest)
        return (await connection.execute(delete(table).where(table.c.id.in_(gone)))).rowcount


def _read(row: Row[Any]) -> Version:
    values = {column.name: getattr(row, column.name) for column in table.columns}
    script = zlib.decompress(row.script).decode()
    return Version(**{**values, "script": script, "omitted": tuple(row.omitted or ())})
