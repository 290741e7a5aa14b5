"""Creates the client for the GitBook that the settings name: the real one, or the GitBook sandbox."""

from dataclasses import replace

from pydantic import SecretStr

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.http import HTTPTransport
from gitbook_integrations_mcp.gitbook.session import Session
from gitbook_integrations_mcp.store.location import find_login_path
from gitbook_integrations_mcp.store.logins import LoginStore


def open_gitbook(settings: Settings, transport: HTTPTransport | None = None) -> tuple[GitBook, Credentials, str | None]:
    """Return the client, its credentials, and the default organization."""
    section = settings.gitbook
    if not settings.server.sandbox:
        client = GitBook(section.endpoint, settings.limits, transport)
        credentials = replace(Credentials.from_settings(section), session=open_session(settings, transport))
        return client, credentials, section.organization
    from httpx import ASGITransport

    from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, ORGANIZATION_ID, USER_TOKEN, create_sandbox

    client = GitBook(section.endpoint, settings.limits, transport or ASGITransport(app=create_sandbox()))
    return client, Credentials(SecretStr(USER_TOKEN), SecretStr(INTEGRATION_TOKEN)), ORGANIZATION_ID


def open_session(settings: Settings, transport: HTTPTransport | None = None) -> Session | None:
    """Return the login of this machine's user for the GitBook that the settings name.

    It is None for the sandbox in this process, and for a user without a home directory.
    """
    if settings.server.sandbox:
        return None
    try:
        path = find_login_path()
    except StoreError:
        return None
    return Session(LoginStore(path, settings.gitbook.endpoint), transport)
