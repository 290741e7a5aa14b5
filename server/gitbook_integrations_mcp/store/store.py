"""The store of a server: its parts, each of which is imported and opened when it is first needed."""

import os
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.store.location import Location, locate_store

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.acceptances import AcceptanceStore
    from gitbook_integrations_mcp.store.accounts import AccountStore
    from gitbook_integrations_mcp.store.changes import ChangeStore
    from gitbook_integrations_mcp.store.confirmations import ConfirmationStore
    from gitbook_integrations_mcp.store.database import Database
    from gitbook_integrations_mcp.store.development_modes import DevelopmentModeStore
    from gitbook_integrations_mcp.store.links import LinkStore
    from gitbook_integrations_mcp.store.reports import ReportStore
    from gitbook_integrations_mcp.store.sealing import Sealer
    from gitbook_integrations_mcp.store.versions import VersionStore

_SETTLED = 1_000_000_000
"""Nanoseconds after a write after which the next one changes the times of the files for certain."""

_State = tuple[tuple[int, int, int], ...]


class Store:
    """Everything that outlives a process. `clock` is in seconds since 1970. Workers have the same `run`."""

    def __init__(self, settings: Settings, *, run: str | None = None, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._run = run
        self._clock = clock
        self._empty: dict[str, _State] = {}
        """The files when a table was last found empty, since opening them costs as much as a call."""

    @cached_property
    def location(self) -> Location:
        """The place of the store.

        Raises:
            StoreError: it has none, because the user has no home directory.
        """
        return locate_store(self._settings)

    @cached_property
    def database(self) -> "Database":
        """The database, which opens with its first transaction."""
        from gitbook_integrations_mcp.store.database import Database

        return Database(self.location, run=self._run, clock=self._clock)

    @cached_property
    def confirmations(self) -> "ConfirmationStore":
        """Pending confirmations."""
        from gitbook_integrations_mcp.store.confirmations import ConfirmationStore

        return ConfirmationStore(self.database, self._settings.confirmation.ttl)

    @cached_property
    def changes(self) -> "ChangeStore":
        """Calls that changed something."""
        from gitbook_integrations_mcp.store.changes import ChangeStore

        return ChangeStore(self.database, self._settings.store.change_days)

    @cached_property
    def reports(self) -> "ReportStore":
        """Audit reports."""
        from gitbook_integrations_mcp.store.reports import ReportStore

        section = self._settings.store
        return ReportStore(self.database, section.reports, section.report_days)

    @cached_property
    def acceptances(self) -> "AcceptanceStore":
        """Accepted findings."""
        from gitbook_integrations_mcp.store.acceptances import AcceptanceStore

        return AcceptanceStore(self.database)

    @cached_property
    def versions(self) -> "VersionStore":
        """Published versions of integrations."""
        from gitbook_integrations_mcp.store.versions import VersionStore

        return VersionStore(self.database, self._settings.store.change_days)

    @cached_property
    def development_modes(self) -> "DevelopmentModeStore":
        """Development modes that are on."""
        from gitbook_integrations_mcp.store.development_modes import DevelopmentModeStore

        return DevelopmentModeStore(self.database)

    def may_contain(self, table: str) -> bool:
        """Whether a table may have rows. This opens no database and imports nothing heavy if it has none."""
        try:
            location = self.location
        except StoreError:
            return False
        if location.path is None:
            return not location.is_memory or "database" in self.__dict__
        state = _read_state(location.path)
        if state is None or self._empty.get(table) == state:
            return False
        import sqlite3

        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{location.path.as_uri()}?mode=ro", uri=True)) as file:
            if file.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None:  # noqa: S608 - a constant
                # A write right after another one may leave the times of the files as they are.
                if time.time_ns() - max((changed for _, _, changed in state), default=0) > _SETTLED:
                    self._empty[table] = state
                return False
        return True

    @cached_property
    def accounts(self) -> "AccountStore":
        """GitBook accounts that callers linked."""
        from gitbook_integrations_mcp.store.accounts import AccountStore

        return AccountStore(self.database, self.sealer)

    @cached_property
    def links(self) -> "LinkStore":
        """Pages for linking an account."""
        from gitbook_integrations_mcp.store.links import LinkStore

        return LinkStore(self.database, self.sealer)

    @cached_property
    def sealer(self) -> "Sealer":
        """Encryption of kept values."""
        from gitbook_integrations_mcp.store.sealing import Sealer

        return Sealer(self.location, self._settings.store)

    async def prune(self) -> dict[str, int]:
        """Delete what is older than the settings keep it, and return the number of deleted rows by table.

        Raises:
            StoreError: the store fails.
        """
        deleted = {
            "changes": await self.changes.prune(),
            "reports": await self.reports.prune(),
            "versions": await self.versions.prune(),
        }
        await self.database.compact()
        return deleted

    async def close(self) -> None:
        """Close all connections. The next transaction opens them again."""
        if "database" in self.__dict__:
            await self.database.close()


def _read_state(path: Path) -> _State | None:
    """Return the inode, size and time of change of a database and its log, or None without a database."""
    files = []
    for suffix in ("", "-wal"):
        try:
            found = os.stat(f"{path}{suffix}")  # noqa: PTH116 - called in every call, and `Path` needs three times as long
        except (FileNotFoundError, NotADirectoryError):
            if not suffix:
                return None
        except OSError:
            continue  # who opens it reports the reason
        else:
            if found.st_size:  # an empty log says nothing, and reading creates one
                files.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return tuple(files)
