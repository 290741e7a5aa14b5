"""Checks of settings that depend on each other, before a server is served over HTTP."""

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.types import CREATE_KEY
from gitbook_integrations_mcp.config.urls import is_loopback, is_private
from gitbook_integrations_mcp.errors import SettingsError


def check_exposure(settings: Settings) -> None:
    """Check that other machines can reach the server only with authentication, and that people can reach its page.

    Raises:
        SettingsError: a setting is missing; the message names it.
    """
    http = settings.http
    if settings.oauth.issuer and http.public_url is None:
        raise SettingsError(
            "oauth.issuer: access tokens are issued for a URL. Set http.public_url to the URL under which clients "
            "reach this server."
        )
    if is_loopback(http.host):
        return
    if not (http.tokens or settings.oauth.issuer):
        raise SettingsError(
            f"http.host {http.host} is reachable from other machines, so authentication is required. Set http.tokens "
            "(`gitbook-integrations-mcp token NAME` creates one) or oauth.issuer, or set http.host to 127.0.0.1."
        )
    if settings.confirmation.fallback == "browser" and http.public_url is None:
        raise SettingsError(
            f"With http.host {http.host}, the confirmation page needs a public URL. Set http.public_url, or set "
            "confirmation.fallback to refuse or two-step."
        )


def check_keys(settings: Settings) -> None:
    """Check that replicas, which share a PostgreSQL database, also share keys.

    Raises:
        SettingsError: no keys are set.
    """
    url = settings.store.url
    if url is not None and url.get_secret_value().startswith("postgresql:") and not settings.confirmation.keys:
        raise SettingsError(
            "confirmation.keys: with a PostgreSQL database as store.url, several servers can be one. Set the same keys "
            f"for all of them. {CREATE_KEY}."
        )


def check_accounts(settings: Settings) -> None:
    """Check that callers can link accounts of their own, and that their tokens can be kept.

    Raises:
        SettingsError: a setting is missing or incompatible; the message names it.
    """
    http, store = settings.http, settings.store
    if http.credentials != "login":
        return
    if not (http.tokens or settings.oauth.issuer):
        raise SettingsError(
            "http.credentials login: callers link accounts of their own, so authentication is required. Set "
            "http.tokens (`gitbook-integrations-mcp token NAME` creates one) or oauth.issuer."
        )
    if http.public_url is None or not is_private(http.public_url):
        raise SettingsError(
            "http.credentials login: people open a page of this server. Set http.public_url to its URL, with https."
        )
    if settings.server.sandbox:
        raise SettingsError(
            "http.credentials login: the built-in sandbox cannot be logged in to. Run `gitbook-integrations-mcp "
            "sandbox`, and set gitbook.endpoint to its address."
        )
    if store.url is not None and store.url.get_secret_value().startswith("postgresql:") and not store.keys:
        raise SettingsError(
            f"store.keys: the accounts of callers are kept encrypted. Set the same keys for all replicas. {CREATE_KEY}."
        )


def check_workers(settings: Settings) -> None:
    """Check that several workers can share their state.

    Raises:
        SettingsError: a setting is missing or incompatible; the message names it.
    """
    workers = f"http.workers {settings.http.workers}"
    if settings.http.workers == 1:
        return
    if settings.store.url is not None and settings.store.url.get_secret_value() == "memory":
        raise SettingsError(
            f"{workers}: all workers must share the store, so it cannot be memory. Set store.url to a SQLite file or a "
            "PostgreSQL database, or http.workers to 1."
        )
    if "sse" in settings.server.transport:
        raise SettingsError(
            f"{workers}: an SSE stream belongs to one process. Set server.transport to streamable-http alone."
        )
    if settings.server.sandbox:
        raise SettingsError(
            f"{workers}: each worker would have its own sandbox. With server.sandbox, set http.workers to 1."
        )


def offers_folders(settings: Settings) -> bool:
    """Whether callers may name folders of this machine: the operator allowed some, and only this machine can call."""
    http = settings.http
    is_local = is_loopback(http.host) and http.public_url is None and not http.allowed_hosts
    return bool(settings.publishing.roots) and ("stdio" in settings.server.transport or is_local)
