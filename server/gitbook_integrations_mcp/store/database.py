"""Opens the database of the store, and runs its transactions.

The engine opens with the first transaction, and imports SQLAlchemy then: neither the start nor plain reads of GitBook
pay for it. A transaction is never cancelled halfway. Its time is bounded by the time-outs of the database.
"""

import errno
import importlib.util
import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import anyio
from pydantic import SecretStr

from gitbook_integrations_mcp.errors import ErrorCode, ProgramError, SettingsError, StoreError
from gitbook_integrations_mcp.store.location import Location

if TYPE_CHECKING:
    from sqlalchemy import URL, ColumnElement, Connection, Executable, Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from gitbook_integrations_mcp.store.sqlite import SQLiteEngine, SQLiteTransaction

    Engine: TypeAlias = AsyncEngine | SQLiteEngine
    Transaction: TypeAlias = AsyncConnection | SQLiteTransaction

Value = TypeVar("Value")

logger = logging.getLogger(__name__)

_SECONDS = 3
"""Time-out of a connection, and of a wait for another program's lock."""

_TRANSACTION_SECONDS = 4 * _SECONDS
"""Time-out of a whole transaction of PostgreSQL, which bounds its own steps unless its machine or the network fails."""

_POSTGRESQL_CONNECTIONS = 15
"""How many connections one process opens at most, beside the one that listens."""

_MIGRATION_LOCK = 0x67697462
"""Key of PostgreSQL's advisory lock for migrations: the first letters of GitBook."""

_BEGIN = "BEGIN IMMEDIATE"

_DAMAGED = "is damaged"
_SLOW = "does not respond in time"

_SQLITE_FAILURES = {
    "SQLITE_FULL": "has no space left on its disk",
    "SQLITE_READONLY": "is read-only",
    "SQLITE_BUSY": "is locked by another program",
    "SQLITE_LOCKED": "is locked by another program",
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_CANTOPEN": "cannot be opened",
    "SQLITE_IOERR": "cannot be read or written",
}

_POSTGRESQL_FAILURES = {
    "28": "rejects this server's login",
    "3D": "does not exist on its server",
    "42501": "does not give this server the rights that it needs",
    "25006": "is read-only: if store.url names a replica of PostgreSQL, name the primary there, else set "
    "default_transaction_read_only to off",
    "53100": "has no space left on its disk",
    "55P03": "is locked by another program",
    "57014": _SLOW,
}
"""Predicates by SQLSTATE, or by the beginning of one (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


class Database:
    """The database at `location`. `run` identifies this run of the server, which its workers share.

    `clock` is in seconds since 1970; PostgreSQL's own clock would differ from that of the reports.
    """

    def __init__(self, location: Location, *, run: str | None, clock: Callable[[], float]) -> None:
        self.location = location
        self.clock = clock
        self._run = run or secrets.token_urlsafe(16)
        self._engine: Engine | None = None
        self._identity = ""
        self._is_damaged = False
        self._opening = anyio.Lock(fast_acquire=True)
        self._connections = _POSTGRESQL_CONNECTIONS if location.url else 1  # each runs one transaction at a time
        self._turns = anyio.Semaphore(self._connections, fast_acquire=True)
        self._closing = anyio.Lock(fast_acquire=True)

    @property
    def is_postgresql(self) -> bool:
        """Whether this is PostgreSQL, which several machines can share."""
        return self.location.url is not None

    @property
    def epoch(self) -> "ColumnElement[str]":
        """The run of the database, on its own timeline: a pending confirmation is valid only in the run that opened it.

        A restored copy or a promoted standby is another run of PostgreSQL. For SQLite, the run of the server counts,
        the file, and the version of its schema, which a copy into the file changes.
        """
        from sqlalchemy import Text, bindparam, cast, extract, func, literal_column

        if self.is_postgresql:
            return cast(extract("epoch", func.pg_postmaster_start_time()), Text)
        version = literal_column("(SELECT schema_version FROM pragma_schema_version)", Text)
        place = bindparam("place", type_=Text, callable_=lambda: f"{self._run}:{self._identity}:")  # once it is open
        return place.concat(version)

    @asynccontextmanager
    async def read(self) -> "AsyncIterator[Transaction]":
        """Run a transaction that only reads.

        Raises:
            StoreError: the database fails.
        """
        async with self._transact() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> "AsyncIterator[Transaction]":
        """Run a transaction. When this returns, its changes are durable.

        Raises:
            StoreError: the database fails; nothing was changed.
        """
        async with self._transact() as connection:
            if not self.is_postgresql:
                # A transaction that first reads and then writes would fail if another program wrote in between.
                await connection.exec_driver_sql(_BEGIN)
            yield connection

    async def execute(self, statement: "Executable", **values: Any) -> "list[Row[Any]]":
        """Run one statement in a transaction of its own, and return its rows. When this returns, it is durable.

        Raises:
            StoreError: the database fails; nothing was changed.
        """

        def run(connection: "Connection") -> "list[Row[Any]]":
            result = connection.execute(statement, values or None)
            return list(result) if result.returns_rows else []

        async with self._transact() as connection:
            return await connection.run_sync(run)

    async def run(self, function: "Callable[[Connection], Value]") -> "Value":
        """Return what `function` returns, which runs its statements in one transaction and in one step of the thread.

        When this returns, its changes are durable. It is faster than `write`, and `function` cannot wait for anything.

        Raises:
            StoreError: the database fails; nothing was changed.
        """
        async with self._transact() as connection:
            if self.is_postgresql:
                return await connection.run_sync(function)
            return await connection.run_sync(lambda one: _run_in_sqlite(one, function))

    async def compact(self) -> None:
        """Give the space of deleted rows back to the disk, and leave no copy of them in SQLite's log.

        Raises:
            StoreError: the database fails.
        """
        if not self.is_postgresql:  # which does this itself
            async with self._transact() as connection:
                await connection.exec_driver_sql("VACUUM")
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @asynccontextmanager
    async def listen(self, channel: str) -> "AsyncIterator[AsyncIterator[str]]":
        """Yield the notifications on a channel of PostgreSQL, over a connection of their own.

        Raises:
            StoreError: the database cannot be reached, or ends the connection.
        """
        assert self.location.url is not None
        with self._translate_failures():
            await self._open()
            from psycopg import AsyncConnection

            url = _read_url(self.location.url).set(drivername="postgresql").render_as_string(hide_password=False)
            connection = await AsyncConnection.connect(url, autocommit=True, **_POSTGRESQL_OPTIONS)
            try:
                await connection.execute(f"LISTEN {channel}".encode())
                yield (notification.payload async for notification in connection.notifies())
            finally:
                await connection.close()

    async def close(self) -> None:
        """Close all connections when their transactions have ended.

        The next transaction opens them again; a store in memory keeps its content.
        """
        with anyio.CancelScope(shield=True):
            async with self._closing, AsyncExitStack() as stack:  # two that share the turns would wait for each other
                for _ in range(self._connections):
                    await stack.enter_async_context(self._turns)
                await stack.enter_async_context(self._opening)
                if self._engine is not None and not self.location.is_memory:
                    await self._engine.dispose()
                    self._engine = None

    @asynccontextmanager
    async def _transact(self) -> "AsyncIterator[Transaction]":
        with anyio.CancelScope(shield=True):
            with self._translate_failures(), self._limit_time():
                async with self._turns:
                    engine = await self._open()
                    async with engine.begin() as connection:
                        yield connection

    async def _open(self) -> "Engine":
        async with self._opening:
            if self._engine is not None and (self._is_damaged or self._identify_file() != self._identity):
                await self._engine.dispose()  # the file is damaged, or was replaced, for example by a copy
                self._engine = None
                if self._is_damaged:
                    self._move_aside()
                self._is_damaged = False
            if self._engine is None:
                self._engine = await self._create_engine()
        return self._engine

    async def _create_engine(self, *, again: bool = True) -> "Engine":
        engine = self._build_engine()
        self._identity = self._identify_file()
        try:
            async with engine.begin() as connection:
                if not self.location.is_memory:  # where the tables are new
                    await connection.run_sync(_migrate)
        except Exception as error:
            await engine.dispose()
            if not again or describe_failure(error) != _DAMAGED:
                raise
            self._move_aside()
            return await self._create_engine(again=False)
        return engine

    def _move_aside(self) -> None:
        """Move the damaged file aside, unless another process did."""
        if self.location.path is not None and self._identify_file() == self._identity:
            _move_aside(self.location.path)

    def _limit_time(self) -> AbstractContextManager[object]:
        return anyio.fail_after(_TRANSACTION_SECONDS) if self.is_postgresql else nullcontext()

    @contextmanager
    def _translate_failures(self) -> Iterator[None]:
        """Raise failures as `StoreError`, without their texts, which can contain values or the URL."""
        try:
            yield
        except Exception as error:
            if isinstance(error, ProgramError) or (reason := describe_failure(error)) is None:
                raise
            self._is_damaged = reason == _DAMAGED
            logger.warning("The store %s (store.url) %s: %s", self.location, reason, type(error).__name__)
            raise StoreError(reason) from None

    def _build_engine(self) -> "Engine":
        if self.location.url is not None:
            return _build_postgresql_engine(self.location.url)
        from gitbook_integrations_mcp.store.sqlite import SQLiteEngine

        return SQLiteEngine(self.location.path, _SECONDS)

    def _identify_file(self) -> str:
        if self.location.path is None:
            return ""
        try:
            status = self.location.path.stat()
        except OSError:
            return "missing"
        return f"{status.st_dev}-{status.st_ino}"


_POSTGRESQL_OPTIONS: dict[str, Any] = {
    "connect_timeout": _SECONDS,
    "options": f"-c synchronous_commit=on -c statement_timeout={2000 * _SECONDS} -c lock_timeout={1000 * _SECONDS}",
    "prepare_threshold": None,
}


def _run_in_sqlite(connection: "Connection", function: "Callable[[Connection], Value]") -> "Value":
    connection.exec_driver_sql(_BEGIN)
    value = function(connection)
    connection.commit()
    return value


def _read_url(url: SecretStr) -> "URL":
    from sqlalchemy.engine import make_url

    return make_url(url.get_secret_value())


def _build_postgresql_engine(url: SecretStr) -> "AsyncEngine":
    from sqlalchemy.ext.asyncio import create_async_engine

    if importlib.util.find_spec("psycopg") is None:
        raise SettingsError(
            "store.url: PostgreSQL needs a package that is not installed: "
            "pip install 'gitbook-integrations-mcp[postgres]'"
        )
    return create_async_engine(
        _read_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=_POSTGRESQL_CONNECTIONS,
        max_overflow=0,
        connect_args=_POSTGRESQL_OPTIONS,
    )


def _move_aside(path: Path) -> None:
    """Keep a damaged file under another name, so that a new one takes its place."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("-wal", "-shm", ""):  # the file last: a new one must not get the log of this one
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(f"{aside}{suffix}")
    logger.error("The store was damaged. It is now %s, and a new one is used. Open confirmations are void.", aside)


def _migrate(connection: "Connection") -> None:
    """Create or migrate the tables, if they are not those of this program."""
    from gitbook_integrations_mcp.store.schema import REVISION

    lock = f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"
    connection.exec_driver_sql(lock if connection.dialect.name == "postgresql" else _BEGIN)
    found = _read_revision(connection)
    if found == REVISION:
        return
    from gitbook_integrations_mcp.store.migrations import is_known, migrate

    if found is not None and not is_known(found):
        raise StoreError("was written by a newer version of this program", ErrorCode.STORE_TOO_NEW)
    migrate(connection)


def _read_revision(connection: "Connection") -> str | None:
    from sqlalchemy import inspect

    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision


def describe_failure(error: BaseException) -> str | None:
    """Return a predicate about the store, or None if `error` is no failure of a database."""
    if isinstance(error, TimeoutError):
        return _SLOW
    if isinstance(error, OSError):
        return {errno.ENOSPC: "has no space left on its disk", errno.EROFS: "is read-only"}.get(
            error.errno or 0, f"cannot be opened ({error.strerror})"
        )
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", None) or ""
        found = next((text for key, text in _SQLITE_FAILURES.items() if name.startswith(key)), None)
        return found or "fails"
    if (state := getattr(cause, "sqlstate", None)) is not None:
        return next((text for key, text in _POSTGRESQL_FAILURES.items() if state.startswith(key)), "fails")
    if isinstance(error, DBAPIError) or type(error).__module__.startswith("psycopg."):
        return "cannot be reached"
    return "fails" if isinstance(error, SQLAlchemyError) else None
