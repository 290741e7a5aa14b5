"""Logs in with the sandbox as a user does: through the authorization page and the redirect."""

import httpx

from gitbook_integrations_mcp.config.settings import Settings, load_settings
from gitbook_integrations_mcp.gitbook.login import LoginFlow
from gitbook_integrations_mcp.sandbox.authorization import SCOPES
from gitbook_integrations_mcp.store.logins import Login
from tests.support.consent import decide

REDIRECT = "http://127.0.0.1:50000/callback"


def configure(address: str, **sections: dict[str, object]) -> Settings:
    """Return settings for the sandbox at `address`, without a token."""
    return load_settings({**sections, "gitbook": {"endpoint": address, **sections.get("gitbook", {})}})


async def log_in(settings: Settings, *scopes: str, transport: httpx.AsyncBaseTransport | None = None) -> Login:
    """Log in with these scopes, or all, and return the login."""
    flow = LoginFlow(settings, frozenset(scopes or SCOPES), transport)
    address = await flow.prepare(REDIRECT)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as browser:
        return await flow.complete(await decide(browser, address))
