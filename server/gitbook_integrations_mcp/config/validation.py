"""What must be set before a server is served over HTTP, so that no stranger gets in and all its parts act as one."""

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.urls import is_loopback
from gitbook_integrations_mcp.errors import SettingsError


def check_exposure(settings: Settings) -> None:
    """Refuse settings that would let strangers in, or promise a page that nobody can reach.

    Raises:
        SettingsError: what is missing, and where to set it.
    """
    http = settings.http
    if settings.oauth.issuer and http.public_url is None:
        raise SettingsError(
            "oauth.issuer: access tokens are issued for an address, and clients are told it: set http.public_url to "
            "the one under which they reach this server."
        )
    if is_loopback(http.host):
        return
    if not (http.tokens or settings.oauth.issuer):
        raise SettingsError(
            f"http.host {http.host} can be reached by others, so callers must show who they are: set http.tokens "
            "(`gitbook-integrations-mcp token NAME` makes one) or oauth.issuer, or listen on 127.0.0.1."
        )
    if settings.confirmation.fallback == "browser" and http.public_url is None:
        raise SettingsError(
            f"With http.host {http.host}, the page on which people confirm needs an address: set http.public_url, or "
            "confirmation.fallback to refuse or two-step."
        )


def check_workers(settings: Settings) -> None:
    """Refuse workers that would not act as one server.

    Raises:
        SettingsError: what they would need, and where to set it.
    """
    workers = f"http.workers {settings.http.workers}"
    if settings.http.workers == 1:
        return
    if settings.confirmation.store == "memory":
        raise SettingsError(
            f"{workers}: what a human is asked by one worker must be known to all: set confirmation.store to a Redis "
            "(redis://…), or http.workers to 1."
        )
    if "sse" in settings.server.transport:
        raise SettingsError(f"{workers}: an SSE client's stream lives in one process; serve streamable-http alone.")
    if settings.server.sandbox:
        raise SettingsError(f"{workers}: each would have an embedded GitBook of its own; use one with server.sandbox.")
