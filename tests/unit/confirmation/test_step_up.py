"""Step-up: a call without a scope asks for just that scope through the client, and goes on after consent."""

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, Sandbox, create_sandbox
from tests.support.consent import decide
from tests.support.fake_gitbook import ERAS, Era
from tests.support.login import log_in
from tests.support.loopback import open_client

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
