"""The GitBook that the settings name: the real one, or the sandbox."""

from pydantic import SecretStr

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.http import HTTPTransport


def open_gitbook(settings: Settings, transport: HTTPTransport | None = None) -> tuple[GitBook, Credentials, str | None]:
    """Return the GitBook to talk to, the tokens to do so, and the default organization."""
    ours = settings.gitbook
    if not settings.server.sandbox:
        return GitBook(ours.endpoint, settings.limits, transport), Credentials.from_settings(ours), ours.organization
    from httpx import ASGITransport

    from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, ORGANIZATION_ID, USER_TOKEN, create_sandbox

    gitbook = GitBook(ours.endpoint, settings.limits, transport or ASGITransport(app=create_sandbox()))
    return gitbook, Credentials(SecretStr(USER_TOKEN), SecretStr(INTEGRATION_TOKEN)), ORGANIZATION_ID
