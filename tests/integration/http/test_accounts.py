"""Callers over HTTP link GitBook accounts of their own, and nobody gets the account of somebody else."""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitRequestURLParams, ElicitResult

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, Sandbox, create_sandbox
from tests.support.account_browser import AccountBrowser, find_next
from tests.support.consent import decide
from tests.support.elicitation_client import GitBookSpy, Human, read_status
from tests.support.fake_gitbook import ERAS, Era, read_code, read_text
from tests.support.gated_calls import find_target
from tests.support.http_server import CALLERS, TOKENS, bear, connect, serve
from tests.support.loopback import open_client
from tests.support.oauth_server import CLIENT_ID, PAGE_ID, SCOPE, Authority, run_authority
from tests.support.stores import KEYS, RUN

ENDPOINT = "http://localhost:9999"
each_era = pytest.mark.parametrize("era", ERAS)


@dataclass
class World:
    """A server whose callers link accounts, with the sandbox as GitBook."""

    sandbox: Sandbox
    address: str
    gitbook: httpx.AsyncClient
    folder: Path

    @contextlib.asynccontextmanager
    async def browse(self) -> AsyncIterator[AccountBrowser]:
        """Yield a new browser."""
        async with open_client() as client:
            yield AccountBrowser(self.address, client, self.gitbook)

    async def find_link(self, name: str, headers: Mapping[str, str] | None = None) -> str:
        """Return the address that a call of this caller ends with."""
        result = await self.call(name, headers=headers)
        assert result.is_error
        found = re.search(r"http\S+/accounts/\S+", read_text(result))
        assert found, read_text(result)
        return found[0]

    async def link(self, name: str, **decision: Any) -> None:
        """Link an account for a caller."""
        async with self.browse() as browser:
            page = await browser.link(await self.find_link(name), TOKENS[name], **decision)
        assert page.status_code == 200, page.text
        assert "Account linked" in page.text

    async def call(self, name: str, headers: Mapping[str, str] | None = None) -> CallToolResult:
        """Call a tool as this caller."""
        async with connect(self.address, "streamable-http", "2026-07-28", headers=headers or bear(name)) as client:
            return await client.call_tool("list_sites", {})


@dataclass
class LinkingHuman(Human):
    """Ann, who opens the page when her client asks, and links an account there."""

    world: World | None = None
    opened: Literal["accept", "decline"] = "accept"
    """The answer to the request to open the page."""

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Link an account before the client goes on. Answer forms as told."""
        if not isinstance(params, ElicitRequestURLParams):
            return await super().answer(context, params)
        assert self.world
        async with self.world.browse() as browser:
            assert "Account linked" in (await browser.link(params.url, TOKENS["ann"])).text
        self.requests.append(params)
        return ElicitResult(action=self.opened)


def choose_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of a server whose callers link accounts."""
    return {
        "gitbook": {"endpoint": ENDPOINT, "organization": ORGANIZATION_ID},
        "store": {"url": f"sqlite:///{folder}/store.db", "keys": KEYS},
        "http": {"tokens": CALLERS, "credentials": "login"},
    }


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    sandbox = create_sandbox()
    async with (
        serve(sandbox, public=True, run=RUN, **choose_settings(tmp_path)) as address,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox)) as gitbook,
    ):
        yield World(sandbox, address, gitbook, tmp_path)


@each_era
async def test_a_caller_without_an_account_gets_an_address_and_nothing_is_sent(world: World, era: Era) -> None:
    async with connect(world.address, "streamable-http", era, headers=bear("ann")) as client:
        result = await client.call_tool("list_sites", {})
    assert read_code(result) == "account_not_linked"
    assert f"{world.address}/accounts/" in read_text(result)


@each_era
async def test_a_client_that_opens_pages_goes_on_after_the_account_is_linked(world: World, era: Era) -> None:
    human = LinkingHuman(world=world)
    async with connect(world.address, "streamable-http", era, human, bear("ann")) as client:
        result = await client.call_tool("list_sites", {})
    assert not result.is_error, result.content
    assert len(human.requests) == 1


@each_era
@pytest.mark.parametrize(("action", "status"), [("decline", "confirmation_declined"), ("accept", "done")])
async def test_linking_an_account_approves_no_call(world: World, era: Era, action: str, status: str) -> None:
    human, spy = LinkingHuman(action=action, world=world), GitBookSpy(world.sandbox)
    target = find_target(spy, "unpublish_integration")
    async with connect(world.address, "streamable-http", era, human, bear("ann")) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == status
    assert [isinstance(request, ElicitRequestURLParams) for request in human.requests] == [True, False]


@each_era
async def test_a_caller_who_does_not_open_the_page_gets_nothing(world: World, era: Era) -> None:
    human = Human(action="decline")
    async with connect(world.address, "streamable-http", era, human, bear("ann")) as client:
        assert read_code(await client.call_tool("list_sites", {})) == "account_not_linked"
    assert len(human.requests) == 1


@each_era
async def test_a_call_that_the_caller_declined_does_not_run_although_an_account_was_linked(
    world: World, era: Era
) -> None:
    human = LinkingHuman(world=world, opened="decline")
    async with connect(world.address, "streamable-http", era, human, bear("ann")) as client:
        code = read_code(await client.call_tool("list_sites", {}))
    assert code == ("account_not_linked" if era == "legacy" else "login_declined")


async def test_an_account_serves_only_the_caller_who_linked_it(world: World) -> None:
    await world.link("ann")
    assert not (await world.call("ann")).is_error
    assert read_code(await world.call("bob")) == "account_not_linked"


async def test_the_operators_token_serves_no_caller(tmp_path: Path) -> None:
    settings = choose_settings(tmp_path)
    settings["gitbook"]["token"] = "gb_api_operators"
    target = {"integrationName": "x", "installationId": "y"}
    async with (
        serve(create_sandbox(), public=True, **settings) as address,
        connect(address, "streamable-http", "2026-07-28", headers=bear("ann")) as client,
    ):
        assert read_code(await client.call_tool("list_sites", {})) == "account_not_linked"
        assert read_code(await client.call_tool("uninstall_integration", target)) == "missing_token"


async def test_nobody_can_link_an_account_for_another_caller(world: World) -> None:
    """Ann sends her link to Bob. Bob signs in as himself, and is stopped before GitBook."""
    link = await world.find_link("ann")
    async with world.browse() as bob:
        page = await bob.sign_in(link, TOKENS["bob"])
        assert page.status_code == 403
        assert (await bob.post(link, action="link")).status_code == 403
    assert read_code(await world.call("ann")) == "account_not_linked"
    assert read_code(await world.call("bob")) == "account_not_linked"


async def test_a_link_alone_gives_no_access(world: World) -> None:
    link = await world.find_link("ann")
    async with world.browse() as stranger:
        page = await stranger.client.get(link)
        assert "Sign in first" in page.text
        assert "ann" not in page.text
        assert "csrf" not in page.text
        assert (await stranger.sign_in(link, "a token that nobody has")).status_code == 403
        for action in ("link", "remove", "cancel"):
            assert (await stranger.post(link, action=action)).status_code == 403
    assert "ann" not in link


async def test_a_response_of_gitbook_counts_only_in_the_browser_that_asked_for_it(world: World) -> None:
    """Ann sends Bob the address of GitBook's page. Bob's approval comes back in his browser, and is worth nothing."""
    link = await world.find_link("ann")
    async with world.browse() as ann, world.browse() as bob:
        back = await decide(world.gitbook, await ann.begin(link, TOKENS["ann"]))
        assert (await bob.client.get(back)).status_code == 403
        await bob.begin(await world.find_link("bob"), TOKENS["bob"])
        assert (await bob.client.get(back)).status_code == 403
        assert read_code(await world.call("ann")) == "account_not_linked"
        assert "Account linked" in (await ann.client.get(back)).text


async def test_a_state_works_once(world: World) -> None:
    async with world.browse() as browser:
        back = await decide(world.gitbook, await browser.begin(await world.find_link("ann"), TOKENS["ann"]))
        assert (await browser.client.get(back)).status_code == 200
        assert (await browser.client.get(back)).status_code == 403


@pytest.mark.parametrize("change", ["state=", "state=guessed", "code=x&state=y", "iss=http://evil.example"])
async def test_a_response_with_another_state_or_issuer_links_nothing(world: World, change: str) -> None:
    async with world.browse() as browser:
        back = await decide(world.gitbook, await browser.begin(await world.find_link("ann"), TOKENS["ann"]))
        answer = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        answer |= dict(part.split("=", 1) for part in change.split("&"))
        page = await browser.client.get(back.partition("?")[0], params=answer)
    assert page.status_code in {403, 502}
    assert read_code(await world.call("ann")) == "account_not_linked"


async def test_no_state_exists_before_the_user_approves(world: World) -> None:
    """A cookie from signing in alone is worth nothing at the callback."""
    async with world.browse() as browser:
        await browser.sign_in(await world.find_link("ann"), TOKENS["ann"])
        for state in ("", "None", "null"):
            address = f"{world.address}/accounts/callback"
            assert (await browser.client.get(address, params={"code": "x", "state": state})).status_code == 403


async def test_forms_from_other_sites_do_not_count(world: World) -> None:
    link = await world.find_link("ann")
    async with world.browse() as browser:
        await browser.sign_in(link, TOKENS["ann"])
        assert (await browser.post(link, origin="https://evil.example", action="link")).status_code == 403
        assert (await browser.post(link, csrf="guessed", action="link")).status_code == 403
        token = {"action": "sign-in", "token": TOKENS["bob"]}
        assert (await browser.post(link, origin="https://evil.example", **token)).status_code == 403


async def test_the_page_names_client_scopes_and_redirect_and_cannot_be_framed(world: World) -> None:
    link = await world.find_link("ann")
    async with world.browse() as browser:
        page = await browser.sign_in(link, TOKENS["ann"])
        cookie = page.history or (await browser.post(link, action="sign-in", token=TOKENS["ann"])).headers["set-cookie"]
    for text in ("ann", "site:read", f"{world.address}/accounts/callback"):
        assert text in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert {"httponly", "samesite=lax"} <= {part.strip().lower() for part in str(cookie).split(";")}


async def test_a_declined_consent_links_nothing(world: World) -> None:
    async with world.browse() as browser:
        page = await browser.link(await world.find_link("ann"), TOKENS["ann"], approve=False)
    assert "declined" in page.text
    assert read_code(await world.call("ann")) == "account_not_linked"


async def test_a_scope_that_was_not_granted_is_asked_for_again(world: World) -> None:
    await world.link("ann", without={"site:read"})
    async with connect(world.address, "streamable-http", "2026-07-28", headers=bear("ann")) as client:
        assert "list_sites" not in {tool.name for tool in (await client.list_tools()).tools}
    assert read_code(await world.call("ann")) == "missing_scope"
    await world.link("ann")
    assert not (await world.call("ann")).is_error


async def test_the_owner_sees_and_removes_the_account(world: World) -> None:
    await world.link("ann")
    async with world.browse() as browser:
        for url in (f"{world.address}/accounts", f"{world.address}/accounts/"):
            page = await browser.sign_in(url, TOKENS["ann"])
            assert "Robin Okafor" in page.text
        found = re.search(r'name="account" value="(\w+)"', page.text)
        assert found
        async with world.browse() as bob:
            url = await world.find_link("bob")
            assert "Robin Okafor" not in (await bob.sign_in(url, TOKENS["bob"])).text
            assert (await bob.post(url, action="remove", account=found[1])).status_code == 410
        assert not (await world.call("ann")).is_error
        removed = await browser.post(str(page.url), action="remove", account=found[1])
        assert "GitBook has revoked them" in removed.text
    assert read_code(await world.call("ann")) == "account_not_linked"


async def test_nothing_that_is_kept_or_logged_holds_a_token_in_the_clear(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "gitbook_integrations_mcp")
    await world.link("ann")
    assert not (await world.call("ann")).is_error
    kept = b"".join(path.read_bytes() for path in world.folder.iterdir()) + caplog.text.encode()
    tokens = [token.encode() for token in world.sandbox.state.access_tokens]
    assert tokens
    assert not any(token in kept for token in tokens)
    assert TOKENS["ann"].encode() not in kept


async def test_an_account_that_gitbook_ended_is_asked_for_again(world: World) -> None:
    await world.link("ann")
    for grant, _ in world.sandbox.state.access_tokens.values():
        grant.revoked = True
    assert read_code(await world.call("ann")) == "login_expired"
    assert read_code(await world.call("ann")) == "account_not_linked"
    await world.link("ann")
    assert not (await world.call("ann")).is_error


# Callers with access tokens sign in at the issuer of these


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with run_authority() as running:
        yield running


@dataclass
class Visit:
    """What a user gets who opens a link of a call of Ann's client, and signs in at the issuer."""

    world: World
    link: str
    page: httpx.Response
    browser: AccountBrowser
    headers: dict[str, str]


@contextlib.asynccontextmanager
async def visit(authority: Authority, folder: Path, user: str) -> AsyncIterator[Visit]:
    """Yield what `user` gets."""
    sandbox = create_sandbox()
    settings = choose_settings(folder)
    settings["oauth"] = {"issuer": authority.issuer, "client_id": PAGE_ID, "scopes": [SCOPE]}
    settings["http"] = {"credentials": "login"}
    async with (
        serve(sandbox, public=True, **settings) as address,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox)) as gitbook,
    ):
        authority.page_redirects.append(f"{address}/accounts/callback")
        world = World(sandbox, address, gitbook, folder)
        token = authority.sign(aud=f"{address}/mcp", scope=SCOPE)
        headers = {"Authorization": f"Bearer {token}"}
        link = await world.find_link("ann", headers=headers)
        async with world.browse() as browser:
            at_issuer = await browser.go_to_issuer(link)
            back = await browser.client.get(at_issuer, headers={"X-User": user})
            page = await browser.client.get(back.headers["location"])
            if page.is_redirect:
                page = await browser.client.get(page.headers["location"])
            yield Visit(world, link, page, browser, headers)


async def test_a_caller_with_an_access_token_signs_in_at_the_issuer(authority: Authority, tmp_path: Path) -> None:
    async with visit(authority, tmp_path, "ann") as found:
        assert found.page.status_code == 200
        for text in ("ann", authority.issuer, CLIENT_ID):
            assert text in found.page.text
        at_gitbook = find_next(await found.browser.post(str(found.page.url), action="link"))
        page = await found.browser.client.get(await decide(found.world.gitbook, at_gitbook))
        assert "Account linked" in page.text
        assert not (await found.world.call("ann", headers=found.headers)).is_error
        token = authority.sign(aud=f"{found.world.address}/mcp", scope=SCOPE, client_id="another client")
        other = {"Authorization": f"Bearer {token}"}
        assert read_code(await found.world.call("ann", headers=other)) == "account_not_linked"


async def test_another_user_of_the_issuer_cannot_use_the_link(authority: Authority, tmp_path: Path) -> None:
    async with visit(authority, tmp_path, "bob") as found:
        assert found.page.status_code == 403
        assert (await found.browser.post(found.link, action="link")).status_code in {403, 410}
        assert read_code(await found.world.call("ann", headers=found.headers)) == "account_not_linked"
