"""Opens the store of confirmations that the settings select."""

from collections.abc import Callable

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.confirmation.memory_store import MemoryConfirmationStore
from gitbook_integrations_mcp.confirmation.store import ConfirmationStore


def open_confirmation_store(settings: Settings, clock: Callable[[], float]) -> ConfirmationStore:
    """Return the store of pending confirmations.

    Raises:
        SettingsError: the store cannot be used.
    """
    store, ttl = settings.confirmation.store, settings.confirmation.ttl
    # A server on stdio has one client, so it needs no shared store, even if a shared settings file selects one.
    if store == "memory" or "stdio" in settings.server.transport:
        return MemoryConfirmationStore(ttl, clock)
    from gitbook_integrations_mcp.confirmation.redis_store import RedisConfirmationStore

    return RedisConfirmationStore(store, ttl)
