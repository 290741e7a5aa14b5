"""Logs in with the sandbox as a user does: through the authorization page and the redirect."""

import time
from collections.abc import Callable

import httpx

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.gitbook.login import LoginFlow, authorize, obtain_login
from gitbook_integrations_mcp.gitbook.oauth import OAuthClient, find_issuer
from gitbook_integrations_mcp.sandbox.authorization import SCOPES
from gitbook_integrations_mcp.store.logins import Login, Tokens
from tests.support.consent import decide

REDIRECT = "http://127.0.0.1:50000/callback"


async def log_in(
    settings: Settings,
    *scopes: str,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.time,
) -> Login:
    """Log in with these scopes, or all, and return the login."""
    flow = LoginFlow(settings, frozenset(scopes or SCOPES), transport, clock)
    address = await flow.prepare(REDIRECT)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as browser:
        return await flow.complete(await decide(browser, address))


async def obtain(
    settings: Settings, transport: httpx.AsyncBaseTransport, clock: Callable[[], float] = time.time
) -> tuple[Login, Tokens]:
    """Log in with all scopes, and return the login and its tokens, which are kept nowhere."""
    client = OAuthClient(find_issuer(settings.gitbook), transport, clock)
    metadata, authorization = await authorize(settings, client, REDIRECT, SCOPES)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as browser:
        response = await decide(browser, authorization.address)
    return await obtain_login(settings, client, metadata, authorization, response, transport)
