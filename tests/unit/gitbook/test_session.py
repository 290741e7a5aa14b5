"""A login as a credential: what it serves, when its token is renewed, and what happens when it ends."""

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult
from starlette.types import Receive, Scope, Send

from gitbook_integrations_api.endpoint import CredentialKind
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import ErrorCode, LoginError, SessionError, UnreachableError
from gitbook_integrations_mcp.gitbook.login import open_logins
from gitbook_integrations_mcp.gitbook.session import LEEWAY_SECONDS, Session
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, USER_TOKEN, Sandbox, create_sandbox
from gitbook_integrations_mcp.sandbox.authorization import LIFETIME
from gitbook_integrations_mcp.store.location import find_login_path
from gitbook_integrations_mcp.store.logins import LoginStore
from tests.support.elicitation_client import Clock
from tests.support.fake_gitbook import ERAS, Era
from tests.support.login import log_in
from tests.support.samples import OFFERED

SPACES = "list_spaces_in_organization_by_id"
SITES = "list_sites"


class Network:
    """A way to the sandbox that records the tokens of requests to its API, and can be cut."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.tokens: list[str] = []
        self.cut = ""
        """Beginning of the paths of requests that are lost."""
        self.before_token: Callable[[], None] = lambda: None
        """Runs when a token is requested."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.cut and scope["path"].startswith(self.cut):
            raise OSError
        if scope["path"] == "/oauth/token":
            self.before_token()
        if scope["path"].startswith("/v1"):
            self.tokens.append(dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer "))
        await self.sandbox(scope, receive, send)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("GITBOOK_") and name != "GITBOOK_MCP_STORE__URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())  # the clock of servers, which no test moves


@pytest.fixture
def network(clock: Clock) -> Network:
    return Network(create_sandbox(clock=clock))


@pytest.fixture
def transport(network: Network) -> httpx.ASGITransport:
    return httpx.ASGITransport(app=network)


async def sign_in(transport: httpx.ASGITransport, clock: Clock, *scopes: str) -> None:
    await log_in(load_settings(), *scopes, transport=transport, clock=clock)


@pytest.fixture
async def session(transport: httpx.ASGITransport, clock: Clock) -> Session:
    await sign_in(transport, clock)
    return Session(LoginStore(find_login_path(), load_settings().gitbook.endpoint), transport, clock)


async def call(transport: httpx.ASGITransport, name: str, **settings: Any) -> CallToolResult:
    async with Client(create_server(load_settings(settings), http_transport=transport)) as client:
        return await client.call_tool(
            name, {"organizationId": ORGANIZATION_ID} if name != "get_authenticated_user" else {}
        )


def read_error(result: CallToolResult) -> tuple[str, str]:
    assert result.is_error
    assert result.structured_content
    return result.structured_content["code"], result.structured_content["message"]


# What a login serves


async def test_the_login_serves_a_tool_if_its_scopes_suffice_and_else_the_configured_token_does(
    transport: httpx.ASGITransport, network: Network, clock: Clock
) -> None:
    await sign_in(transport, clock, "space:read")
    network.tokens.clear()
    for name in (SPACES, SITES):
        assert not (await call(transport, name, gitbook={"token": USER_TOKEN})).is_error
    assert network.tokens[0].startswith("gb_sandbox_access_")
    assert network.tokens[1] == USER_TOKEN


async def test_only_what_the_login_serves_is_offered_and_other_calls_name_the_scope_and_the_command(
    transport: httpx.ASGITransport, network: Network, clock: Clock
) -> None:
    await sign_in(transport, clock, "space:read")
    network.tokens.clear()
    async with Client(create_server(load_settings(), http_transport=transport)) as client:
        offered = {tool.name for tool in (await client.list_tools()).tools}
    assert offered == {
        name
        for name, tool in OFFERED.items()
        if CredentialKind.OAUTH in tool.credentials and {*tool.scopes} <= {"space:read"}
    }
    code, message = read_error(await call(transport, SITES))
    assert code == ErrorCode.MISSING_SCOPE
    assert "site:read" in message
    assert f"login --add {SITES}" in message
    code, _ = read_error(await call(transport, "list_organization_installations"))
    assert code == ErrorCode.MISSING_TOKEN
    assert network.tokens == []


async def test_without_a_login_all_tools_are_offered_and_the_error_names_login(transport: httpx.ASGITransport) -> None:
    async with Client(create_server(load_settings(), http_transport=transport)) as client:
        assert len((await client.list_tools()).tools) == len(OFFERED)
    code, message = read_error(await call(transport, SITES))
    assert code == ErrorCode.MISSING_TOKEN
    assert "login" in message


async def test_a_login_is_sent_to_no_other_endpoint(
    transport: httpx.ASGITransport, network: Network, clock: Clock
) -> None:
    await sign_in(transport, clock)
    network.tokens.clear()
    result = await call(transport, SITES, gitbook={"endpoint": "https://api.elsewhere.example"})
    assert read_error(result)[0] == ErrorCode.MISSING_TOKEN
    assert network.tokens == []


async def test_the_sandbox_in_the_process_ignores_the_login(transport: httpx.ASGITransport, clock: Clock) -> None:
    await sign_in(transport, clock, "space:read")
    async with Client(create_server(load_settings({"server": {"sandbox": True}}))) as client:
        assert len((await client.list_tools()).tools) == len(OFFERED)


# Renewal


async def test_a_token_is_renewed_before_it_expires_and_once_for_all_calls(
    session: Session, network: Network, clock: Clock
) -> None:
    first = await session.fetch_token()
    clock.now += LIFETIME - LEEWAY_SECONDS - 1
    assert await session.fetch_token() == first
    clock.now += 1
    renewed = []

    async def fetch() -> None:
        renewed.append(await session.fetch_token())

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(fetch)
    assert len(set(renewed)) == 1
    assert renewed[0] != first
    assert network.sandbox.authorization.renewals == 1


async def test_a_token_that_another_process_renewed_is_used(
    session: Session, transport: httpx.ASGITransport, network: Network, clock: Clock
) -> None:
    other = Session(LoginStore(find_login_path(), load_settings().gitbook.endpoint), transport, clock)
    await other.fetch_token()
    clock.now += LIFETIME
    assert await session.fetch_token() == await other.fetch_token()
    assert network.sandbox.authorization.renewals == 1


async def test_a_rejected_token_is_renewed_and_the_call_goes_on(
    session: Session, transport: httpx.ASGITransport, network: Network
) -> None:
    await session.fetch_token()
    network.sandbox.state.access_tokens.clear()
    network.tokens.clear()
    assert not (await call(transport, SITES)).is_error
    assert len(network.tokens) == 2
    assert network.sandbox.authorization.renewals == 1


async def test_a_revoked_login_is_an_error_that_names_login(
    session: Session, transport: httpx.ASGITransport, network: Network
) -> None:
    for grant, _ in network.sandbox.state.access_tokens.values():
        grant.revoked = True
    code, message = read_error(await call(transport, SITES))
    assert code == ErrorCode.LOGIN_EXPIRED
    assert "login" in message
    assert not [token for token in network.sandbox.state.access_tokens if token in message]


async def test_while_a_token_is_valid_a_renewal_that_fails_ends_no_call(
    session: Session, network: Network, clock: Clock
) -> None:
    first = await session.fetch_token()
    network.cut = "/oauth"
    clock.now += LIFETIME - 1
    assert await session.fetch_token() == first
    clock.now += 1
    with pytest.raises(UnreachableError) as raised:
        await session.fetch_token()
    assert raised.value.code is ErrorCode.UNREACHABLE
    network.cut = ""
    assert await session.fetch_token() != first


async def test_a_renewal_is_kept_although_the_call_is_cancelled(
    session: Session, network: Network, clock: Clock
) -> None:
    first = await session.fetch_token()
    clock.now += LIFETIME
    cancelled = anyio.CancelScope()
    network.before_token = cancelled.cancel
    with cancelled:
        await session.fetch_token()
    assert await session.fetch_token() != first
    assert network.sandbox.authorization.renewals == 1


async def test_a_renewal_with_fewer_scopes_offers_fewer_tools(session: Session, network: Network, clock: Clock) -> None:
    grant = next(iter(network.sandbox.state.access_tokens.values()))[0]
    grant.scopes = frozenset({"site:read"})
    clock.now += LIFETIME
    await session.fetch_token()
    assert session.login
    assert session.login.scopes == {"site:read"}


async def test_a_new_login_takes_effect_at_once(session: Session, transport: httpx.ASGITransport, clock: Clock) -> None:
    first = await session.fetch_token()
    await sign_in(transport, clock, "site:read")
    assert session.login is not None
    assert session.login.scopes == {"site:read"}
    assert await session.fetch_token() != first


async def test_after_a_logout_there_is_no_login(session: Session) -> None:
    await session.fetch_token()
    with open_logins(load_settings()).lock() as locked:
        locked.delete()
    assert session.login is None
    with pytest.raises(SessionError) as raised:
        await session.fetch_token()
    assert raised.value.code is ErrorCode.LOGIN_EXPIRED


async def test_a_login_that_cannot_be_read_is_an_error_and_no_login(session: Session) -> None:
    find_login_path().write_bytes(b"no database" * 100)
    assert session.login is None
    with pytest.raises(SessionError) as raised:
        await session.fetch_token()
    assert raised.value.code is ErrorCode.LOGIN_UNAVAILABLE


@pytest.mark.parametrize("era", ERAS)
async def test_an_approval_is_not_valid_after_another_user_logged_in(
    era: Era, transport: httpx.ASGITransport, network: Network, clock: Clock
) -> None:
    await sign_in(transport, clock)

    async def approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        network.sandbox.state.user.id = "another"
        await sign_in(transport, clock)
        assert isinstance(params, ElicitRequestFormParams)
        name = params.requested_schema["properties"].get("name", {}).get("description", "")
        typed = {"name": name.removeprefix("Type ").removesuffix(" to confirm")} if name else {}
        return ElicitResult.model_validate({"action": "accept", "content": {"confirm": True, **typed}})

    server = create_server(load_settings(), http_transport=transport)
    async with Client(server, mode=era, elicitation_callback=approve) as client:
        result = await client.call_tool("unpublish_integration", {"integrationName": OWN_INTEGRATION})
    assert result.structured_content
    assert result.structured_content["code"] in {ErrorCode.LOGIN_EXPIRED, ErrorCode.CONFIRMATION_EXPIRED}
    assert OWN_INTEGRATION in network.sandbox.state.integrations


# Secrets


async def test_no_token_is_in_results_errors_or_logs(
    session: Session, transport: httpx.ASGITransport, network: Network, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    title = network.sandbox.state.user
    token = (await session.fetch_token()).get_secret_value()
    title.name = f"echo {token}"
    shown = [str(await call(transport, "get_authenticated_user"))]
    clock.now += LIFETIME
    network.cut = "/oauth"
    for _ in range(2):
        shown.append(str(await call(transport, SITES)))
        network.cut = ""
    with open_logins(load_settings()).lock() as locked:
        found = locked.read()
    assert found
    shown += [caplog.text, repr(found), repr(session), str(session.digest)]
    secrets = [token, *network.sandbox.state.access_tokens, found[1].refresh.get_secret_value()]  # type: ignore[union-attr]
    assert not [secret for secret in secrets for text in shown if secret in text]


# The server's lies


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"issuer": "https://evil.example"}, ErrorCode.LOGIN_MISMATCH),
        ({"token_endpoint": "http://oauth.gitbook.com/token"}, ErrorCode.LOGIN_FAILED),
        ({"token_endpoint": "http://127.0.0.1:8080/internal"}, ErrorCode.LOGIN_FAILED),
        ({"registration_endpoint": "https://localhost/internal"}, ErrorCode.LOGIN_FAILED),
        ({"code_challenge_methods_supported": ["plain"]}, ErrorCode.LOGIN_FAILED),
        ({"registration_endpoint": None}, ErrorCode.LOGIN_FAILED),
        ({"authorization_endpoint": 5}, ErrorCode.LOGIN_FAILED),
    ],
    ids=["issuer", "encryption", "loopback", "a name of loopback", "PKCE", "registration", "shape"],
)
async def test_metadata_that_cannot_be_trusted_end_the_login(
    network: Network, change: dict[str, Any], code: ErrorCode
) -> None:
    sent: list[str] = []

    async def lie(scope: Scope, receive: Receive, send: Send) -> None:
        sent.append(scope["path"])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=network)) as client:
            metadata = (await client.get(f"https://oauth.gitbook.com{scope['path']}")).json()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({**metadata, **change}).encode()})

    with pytest.raises(LoginError) as raised:
        await log_in(load_settings(), transport=httpx.ASGITransport(app=lie))
    assert raised.value.code is code
    assert len(sent) == 1
