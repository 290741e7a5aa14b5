"""Logins against an authorization server that shares no code with this project."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import ErrorCode, LoginError, SessionError
from gitbook_integrations_mcp.gitbook.login import LoginFlow, log_out, open_logins
from gitbook_integrations_mcp.gitbook.session import Session
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from gitbook_integrations_mcp.store.logins import Login
from tests.support.account_browser import AccountBrowser
from tests.support.fake_gitbook import read_text
from tests.support.http_server import CALLERS, TOKENS, bear, connect, serve
from tests.support.independent_server import IndependentServer, run_independent_server
from tests.support.loopback import open_client
from tests.support.sandbox_server import serve_in_thread
from tests.support.stores import KEYS

REDIRECT = "http://127.0.0.1:50000/callback"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[IndependentServer]:
    for name in [name for name in os.environ if name.startswith("GITBOOK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with serve_in_thread() as (sandbox, address), run_independent_server(sandbox) as running:
        monkeypatch.setenv("GITBOOK_MCP_GITBOOK__ENDPOINT", address)
        monkeypatch.setenv("GITBOOK_MCP_GITBOOK__OAUTH_ENDPOINT", running.issuer)
        yield running


async def go(address: str) -> str:
    """Open the authorization page, and return where the browser is sent."""
    async with open_client() as browser:
        return str((await browser.get(address)).headers["location"])


async def log_in(*scopes: str) -> Login:
    """Log in with these scopes."""
    flow = LoginFlow(load_settings(), frozenset(scopes))
    return await flow.complete(await go(await flow.prepare(REDIRECT)))


async def test_a_login_registers_uses_pkce_and_knows_its_user(server: IndependentServer) -> None:
    login = await log_in("user:read", "site:read")
    assert login.name == "Robin Okafor"
    assert login.scopes == {"user:read", "site:read"}
    assert list(server.clients) == [login.client_id]
    assert server.requests.count("/token") == 1


async def test_scopes_that_the_user_took_away_are_not_assumed(server: IndependentServer) -> None:
    server.grants = "site:read"
    assert (await log_in("user:read", "site:read")).scopes == {"site:read"}


async def test_a_declined_login_is_reported(server: IndependentServer) -> None:
    server.approves = False
    with pytest.raises(LoginError) as error:
        await log_in("user:read")
    assert error.value.code is ErrorCode.LOGIN_DECLINED


async def test_the_code_is_worth_nothing_without_its_verifier(server: IndependentServer) -> None:
    flow, other = (LoginFlow(load_settings(), frozenset({"user:read"})) for _ in range(2))
    response = await go(await flow.prepare(REDIRECT))
    address = await other.prepare(REDIRECT)
    code = parse_qs(urlsplit(response).query)["code"][0]
    state = parse_qs(urlsplit(address).query)["state"][0]
    with pytest.raises(LoginError):
        await other.complete(f"{REDIRECT}?code={code}&state={state}")
    assert server.tokens == []


async def test_a_rejected_token_is_renewed_and_the_refresh_token_rotates(server: IndependentServer) -> None:
    await log_in("user:read")
    session = Session(open_logins(load_settings()))
    first = await session.fetch_token()
    second = await session.fetch_token(rejected=first)
    third = await Session(open_logins(load_settings())).fetch_token(rejected=second)
    assert len({first.get_secret_value(), second.get_secret_value(), third.get_secret_value()}) == 3
    assert [token.revoked for token in server.tokens] == [True, True, False]


async def test_a_login_that_ended_at_the_server_names_the_command(server: IndependentServer) -> None:
    await log_in("user:read")
    session = Session(open_logins(load_settings()))
    token = await session.fetch_token()
    server.tokens[0].revoked = True
    with pytest.raises(SessionError, match="login") as error:
        await session.fetch_token(rejected=token)
    assert error.value.code is ErrorCode.LOGIN_EXPIRED


async def test_logging_out_revokes_the_tokens(server: IndependentServer) -> None:
    await log_in("user:read")
    found = await log_out(load_settings())
    assert found is not None
    assert found[1]
    assert [token.revoked for token in server.tokens] == [True]


async def test_a_caller_over_http_links_an_account(server: IndependentServer, tmp_path: Path) -> None:
    settings = load_settings()
    sections: dict[str, Any] = {
        "gitbook": {"endpoint": settings.gitbook.endpoint, "organization": ORGANIZATION_ID},
        "store": {"url": f"sqlite:///{tmp_path}/store.db", "keys": KEYS},
        "http": {"tokens": CALLERS, "credentials": "login"},
    }
    async with (
        serve(None, public=True, **sections) as address,
        connect(address, "streamable-http", "2026-07-28", headers=bear("ann")) as client,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        found = re.search(r"http\S+/accounts/\S+", read_text(await client.call_tool("list_sites", {})))
        assert found
        browser = AccountBrowser(address, http, http)
        page = await http.get(await go(await browser.begin(found[0], TOKENS["ann"])))
        assert "Account linked" in page.text
        assert not (await client.call_tool("list_sites", {})).is_error
    assert len(server.tokens) == 1
