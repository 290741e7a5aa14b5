"""The store of confirmations that the settings name."""

from collections.abc import Callable

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.confirmation.store import ConfirmationStore, MemoryConfirmationStore


def open_confirmation_store(settings: Settings, clock: Callable[[], float]) -> ConfirmationStore:
    """Return the store of the questions that wait for a human.

    Raises:
        SettingsError: the store cannot be used.
    """
    store, ttl = settings.confirmation.store, settings.confirmation.ttl
    # A server on stdio is its client's alone, though a settings file that is shared may name a store.
    if store == "memory" or "stdio" in settings.server.transport:
        return MemoryConfirmationStore(ttl, clock)
    from gitbook_integrations_mcp.confirmation.redis_store import RedisConfirmationStore

    return RedisConfirmationStore(store, ttl)
