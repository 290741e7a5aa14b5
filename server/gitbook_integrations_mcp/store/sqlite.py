"""SQLite for a process: one connection, which one thread uses, so that a slow disk does not stop the event loop.

A store in memory waits for no disk, so it needs no thread.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast
from weakref import finalize

from sqlalchemy import URL, Connection, CursorResult, Executable, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from gitbook_integrations_mcp.store.location import create_file
from gitbook_integrations_mcp.store.schema import METADATA

_MEMORY = ":memory:"

Value = TypeVar("Value")


class SQLiteTransaction:
    """A transaction of SQLite, with the methods of SQLAlchemy's `AsyncConnection` that the store uses."""

    def __init__(self, connection: Connection, thread: ThreadPoolExecutor | None) -> None:
        self._connection = connection
        self._thread = thread

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | list[dict[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a statement, and return its result with all rows."""
        return await self.run_sync(lambda connection: _fetch(connection.execute(statement, values)))

    async def exec_driver_sql(self, statement: str, values: Any = None) -> CursorResult[Any]:
        """Run a statement of SQLite, and return its result with all rows."""
        return await self.run_sync(lambda connection: _fetch(connection.exec_driver_sql(statement, values)))

    async def run_sync(self, function: Callable[[Connection], Value]) -> Value:
        """Return what `function` returns; it can run several statements."""
        if self._thread is None:
            return function(self._connection)
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, self._connection)

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back. A statement outside a transaction of SQLite is already durable."""
        finish = Connection.commit if commit else Connection.rollback
        driver = self._connection.connection.driver_connection
        if driver is not None and driver.in_transaction:
            await self.run_sync(finish)
        else:
            finish(self._connection)


class SQLiteEngine:
    """The file at `path`, or a store in memory. `seconds` is the longest wait for another program's lock."""

    def __init__(self, path: Path | None, seconds: float) -> None:
        if path is not None:
            create_file(path)
        self._thread = None if path is None else ThreadPoolExecutor(1, "sqlite")
        # Transactions begin when `database` says so.
        options = {"timeout": seconds, "isolation_level": None, "factory": _connect, "check_same_thread": False}
        url = URL.create("sqlite", database=str(path or _MEMORY))
        self._engine = create_engine(url, poolclass=StaticPool, pool_reset_on_return=None, connect_args=options)
        event.listen(self._engine, "connect", lambda one, _: finalize(self, one.close))
        self._is_open = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SQLiteTransaction]:
        """Yield a transaction, which is committed at the end, or rolled back if there is an error."""
        connection = self._engine.connect() if self._is_open else await self._run(self._engine.connect)
        self._is_open = True
        with connection:
            transaction = SQLiteTransaction(connection, self._thread)
            try:
                yield transaction
            except BaseException:
                await transaction.end(commit=False)
                raise
            await transaction.end(commit=True)

    async def dispose(self) -> None:
        """Close the connection."""
        await self._run(self._engine.dispose)
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def _run(self, function: Callable[[], Value]) -> Value:
        if self._thread is None:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _fetch(result: CursorResult[Any]) -> CursorResult[Any]:
    """Return a result that no longer needs the connection."""
    return cast("CursorResult[Any]", result.freeze()()) if result.returns_rows else result


def _connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
    """Return a connection; a store in memory gets its tables."""
    connection = sqlite3.Connection(*arguments, **options)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # what is committed survives a loss of power
        "fullfsync = ON",  # the same on macOS
        "secure_delete = ON",  # what is deleted is overwritten
    ):
        connection.execute(f"PRAGMA {pragma}")
    if arguments == (_MEMORY,):
        connection.executescript(_render_schema())
    return connection


@cache
def _render_schema() -> str:
    """Return the statements that create all tables."""
    created: list[DDLElement] = []
    for table in METADATA.sorted_tables:
        created += [CreateTable(table), *map(CreateIndex, table.indexes)]
    return ";".join(str(one.compile(dialect=sqlite.dialect())) for one in created)
