"""Step-up: a call without a scope asks for just that scope through the client, and goes on after consent."""

import os
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
)

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.gitbook.login import open_logins
from gitbook_integrations_mcp.net.redirect import RedirectListener
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, Sandbox, create_sandbox
from tests.support.consent import decide
from tests.support.fake_gitbook import ERAS, Era, read_code
from tests.support.login import log_in
from tests.support.loopback import open_client
from tests.support.process import until

pytestmark = pytest.mark.parametrize("era", ERAS)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("GITBOOK_") and name != "GITBOOK_MCP_STORE__URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


class Person:
    """A user with a client that can open pages and show forms. `before` runs when the browser is about to return."""

    def __init__(self, sandbox: Sandbox, *, opens: bool = True, approves: bool = True, confirms: bool = False) -> None:
        self.transport = httpx.ASGITransport(app=sandbox)
        self.opens = opens
        self.approves = approves
        self.confirms = confirms
        self.asked: list[ElicitRequestParams] = []

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params)
        if isinstance(params, ElicitRequestFormParams):
            return ElicitResult.model_validate({"action": "accept", "content": {"confirm": self.confirms}})
        if not self.opens:
            return ElicitResult(action="decline")
        async with httpx.AsyncClient(transport=self.transport) as pages, open_client() as browser:
            location = await decide(pages, params.url, approve=self.approves)
            assert (await browser.get(f"{location.partition('?')[0]}?code=x&state=foreign")).status_code == 400
            assert (await browser.get(location)).status_code == 200
        return ElicitResult(action="accept")

    async def call(
        self, era: Era, name: str, settings: dict[str, Any] | None = None, **arguments: Any
    ) -> CallToolResult:
        server = create_server(load_settings(settings), http_transport=self.transport)
        async with Client(server, mode=era, elicitation_callback=self.answer) as client:
            return await client.call_tool(name, arguments)


@pytest.fixture
def sandbox() -> Sandbox:
    return create_sandbox(clock=time.time)


async def call_sites(person: Person, era: Era, **settings: Any) -> CallToolResult:
    return await person.call(era, "list_sites", settings, organizationId=ORGANIZATION_ID)


async def sign_in(person: Person, *scopes: str) -> None:
    await log_in(load_settings(), *scopes, transport=person.transport)


def read_scopes() -> set[str]:
    login = open_logins(load_settings()).read()
    assert login
    return {*login.scopes}


async def test_after_consent_the_call_goes_on_with_just_that_scope(era: Era, sandbox: Sandbox) -> None:
    person = Person(sandbox)
    await sign_in(person, "space:read")
    result = await call_sites(person, era)
    assert not result.is_error, result
    (asked,) = person.asked
    assert isinstance(asked, ElicitRequestURLParams)
    assert "site:read" in asked.message
    assert parse_qs(urlsplit(asked.url).query)["scope"] == ["site:read space:read"]
    assert read_scopes() == {"site:read", "space:read"}


@pytest.mark.parametrize(
    ("refuse", "code"),
    [({"opens": False}, "missing_scope"), ({"approves": False}, "login_declined")],
    ids=["page not opened", "declined"],
)
async def test_without_consent_nothing_is_sent_and_the_login_stays(
    era: Era, sandbox: Sandbox, refuse: dict[str, bool], code: str
) -> None:
    person = Person(sandbox, **refuse)
    await sign_in(person, "space:read")
    result = await call_sites(person, era)
    assert result.structured_content
    assert result.structured_content["code"] == code
    assert read_scopes() == {"space:read"}


async def test_a_destructive_call_still_needs_approval_after_consent(era: Era, sandbox: Sandbox) -> None:
    person = Person(sandbox, confirms=False)
    await sign_in(person, "integration:read")
    result = await person.call(era, "unpublish_integration", integrationName=OWN_INTEGRATION)
    assert [type(asked) for asked in person.asked][-1] is ElicitRequestFormParams
    assert len(person.asked) == 2
    assert result.structured_content
    assert result.structured_content["status"] == "not_sent"
    assert OWN_INTEGRATION in sandbox.state.integrations


async def test_a_tool_that_the_operator_disabled_is_not_asked_for(era: Era, sandbox: Sandbox) -> None:
    person = Person(sandbox)
    await sign_in(person, "space:read")
    result = await call_sites(person, era, tools={"exclude": ["list_sites"]})
    assert result.structured_content
    assert result.structured_content["code"] == "tool_disabled"
    assert person.asked == []


async def test_a_server_over_http_does_not_ask(era: Era, sandbox: Sandbox) -> None:
    person = Person(sandbox)
    await sign_in(person, "space:read")
    result = await call_sites(person, era, server={"transport": ["streamable-http"]})
    assert result.structured_content
    assert result.structured_content["code"] == "missing_scope"
    assert person.asked == []


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports at which logins wait for the browser."""
    used: list[int] = []
    create = RedirectListener.__init__

    def record(self: RedirectListener, port: int) -> None:
        create(self, port)
        used.append(urlsplit(self.redirect_uri).port or 0)

    monkeypatch.setattr(RedirectListener, "__init__", record)
    return used


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def test_a_cancelled_call_closes_the_port_of_its_login(era: Era, sandbox: Sandbox, ports: list[int]) -> None:
    person = Person(sandbox)
    await sign_in(person, "space:read")
    ports.clear()
    shown = anyio.Event()

    async def hesitate(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        shown.set()
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    # A client of the newer protocol asks between two calls, so only the end of the time shows that it is gone.
    ttl = 600.0 if era == "legacy" else 0.2
    server = create_server(load_settings({"confirmation": {"ttl": ttl}}), http_transport=person.transport)
    async with Client(server, mode=era, elicitation_callback=hesitate) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "list_sites", {"organizationId": ORGANIZATION_ID})
            await shown.wait()
            assert len(ports) == 1
            group.cancel_scope.cancel()
        await until(lambda: not is_open(ports[0]))


async def test_a_login_is_over_when_a_confirmation_would_be(era: Era, sandbox: Sandbox, ports: list[int]) -> None:
    person = Person(sandbox)
    await sign_in(person, "space:read")
    ports.clear()

    async def hesitate(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        await until(lambda: not is_open(ports[0]))
        return ElicitResult(action="accept")

    server = create_server(load_settings({"confirmation": {"ttl": 0.2}}), http_transport=person.transport)
    async with Client(server, mode=era, elicitation_callback=hesitate) as client:
        result = await client.call_tool("list_sites", {"organizationId": ORGANIZATION_ID})
    assert read_code(result) == "login_declined"


async def test_a_login_that_cannot_begin_leaves_no_port_open(era: Era, sandbox: Sandbox, ports: list[int]) -> None:
    person = Person(sandbox)
    await sign_in(person, "space:read")
    ports.clear()

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise httpx.ConnectError("refused")

    person.transport = httpx.ASGITransport(app=fail)
    result = await call_sites(person, era)
    assert (read_code(result), len(ports)) == ("unreachable", 1)
    assert not is_open(ports[0])
