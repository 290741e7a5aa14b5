"""Stores of every kind for tests, as the replicas of a server open them."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Engine, event

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock

KINDS = ("memory", "sqlite", "postgres")

RUN = "the run of the tests"
"""The same for all stores of a test, as for the workers of a server."""

KEYS = ["a key of the tests that is long enough"]


def find_url(request: Any, kind: str) -> str:
    """Return the URL of an empty store of this kind, for the test of pytest's `request`."""
    match kind:
        case "sqlite":
            return f"sqlite:///{request.getfixturevalue('tmp_path')}/store.db"
        case "postgres":
            url: str = request.getfixturevalue("postgres").url
            return url
    return "memory"


def open_store(url: str, clock: Callable[[], float] | None = None, *, ttl: float = 600, run: str | None = RUN) -> Store:
    """Return the store at a URL."""
    settings = load_settings({"store": {"url": url}, "confirmation": {"ttl": ttl}})
    return Store(settings, run=run, clock=clock or Clock())


async def explain_query(store: Store, search: Awaitable[object]) -> str:
    """Return how the database runs the only query of a search. With few rows it could prefer to read all of them."""
    sent: list[tuple[str, Any]] = []

    def note(*words: Any) -> None:
        sent.append((words[2], words[3]))

    async with store.database.write() as connection:
        await connection.exec_driver_sql("ANALYZE")
    event.listen(Engine, "before_cursor_execute", note)
    try:
        await search
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    [(statement, parameters)] = [one for one in sent if one[0].startswith("SELECT")]
    explain = "EXPLAIN " if store.database.is_postgresql else "EXPLAIN QUERY PLAN "
    async with store.database.read() as connection:
        return str((await connection.exec_driver_sql(explain + statement, parameters)).all())
