"""Creates the client for the GitBook that the settings name: the real one, or the GitBook sandbox."""

from pydantic import SecretStr

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.http import HTTPTransport


def open_gitbook(settings: Settings, transport: HTTPTransport | None = None) -> tuple[GitBook, Credentials, str | None]:
    """Return the client, its credentials, and the default organization."""
    section = settings.gitbook
    if not settings.server.sandbox:
        client = GitBook(section.endpoint, settings.limits, transport)
        return client, Credentials.from_settings(section), section.organization
    from httpx import ASGITransport

    from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, ORGANIZATION_ID, USER_TOKEN, create_sandbox

    client = GitBook(section.endpoint, settings.limits, transport or ASGITransport(app=create_sandbox()))
    return client, Credentials(SecretStr(USER_TOKEN), SecretStr(INTEGRATION_TOKEN)), ORGANIZATION_ID
