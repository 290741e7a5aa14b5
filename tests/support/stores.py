"""Stores of every kind for tests, as the replicas of a server open them."""

from collections.abc import Callable
from typing import Any

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
