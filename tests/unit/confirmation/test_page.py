"""The confirmation page over real HTTP, and calls that a human approves there."""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import (
    METHOD_NOT_FOUND,
    CallToolResult,
    ClientCapabilities,
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
    ErrorData,
)

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.confirmation.elicitation import accepts_forms, accepts_urls
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION
from gitbook_integrations_mcp.store.confirmations import ConfirmationStore
from gitbook_integrations_mcp.store.pending import Decision, Fact, PendingConfirmation, Preview
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock, GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import ERAS, Era, read_text
from tests.support.gated_calls import Target, call_once, find_target, request_confirmation_id, start_call
from tests.support.loopback import open_client
from tests.support.page_client import APPROVE, Browser
from tests.support.stores import open_store

each_era = pytest.mark.parametrize("era", ERAS)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_client() as client:
        yield Browser(client)


@pytest.fixture
def store() -> Store:
    return open_store("memory")


@pytest.fixture
async def page(store: Store) -> AsyncIterator[ConfirmationPage]:
    page = ConfirmationPage(store)
    yield page
    await page.close()


async def put(
    store: Store, *facts: Fact, note: str | None = None, typed: str | None = None, mode: Any = "browser"
) -> PendingConfirmation:
    """Open a confirmation of a new call."""
    preview = Preview("Uninstall?", "All is lost.", "state", facts, (note,) if note else (), typed)
    return await store.confirmations.open(mode, token_hex(), preview)


async def read_decision(store: Store, pending: PendingConfirmation) -> Decision | None:
    """Return the decision about an open confirmation."""
    seen = await store.confirmations.get(pending.id)
    assert seen is not None
    return seen.decision


NOT_FROM_HERE = "<h1>Not from this page</h1>"
ELSEWHERE = "<h1>Wrong address</h1>"
TOO_MUCH = "<h1>Form too large</h1>"
NO_FORM = "<h1>Invalid form</h1>"
NEITHER = "<h1>Nothing decided</h1>"
GONE = "<h1>Nothing to decide</h1>"


async def test_the_page_shows_the_facts_and_reading_it_decides_nothing(
    page: ConfirmationPage, store: Store, browser: Browser
) -> None:
    pending = await put(store, Fact("Status", "active"), note="Nothing else is known.")
    url = await page.open(pending)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/confirm/[\w-]{22}", url)
    response = await browser.read(url)
    assert response.status_code == 200
    assert "<dt>Status</dt><dd>active</dd>" in response.text
    assert "<p>Nothing else is known.</p>" in response.text
    assert "All is lost." in response.text
    assert "checked" not in response.text
    assert await read_decision(store, pending) is None


async def test_hostile_text_cannot_become_markup(page: ConfirmationPage, store: Store, browser: Browser) -> None:
    evil = "<script>alert(1)</script>"
    facts = (Fact("Space", evil), Fact(evil, "value"))
    pending = await put(store, *facts, note=f"A note: {evil}", typed=f'"{evil}')
    response = await browser.decide(await page.open(pending), {**APPROVE, "name": f'">{evil}'})
    assert "<script" not in response.text
    # Two facts, the note, the name to type, the name that was typed, and both names in the error.
    assert response.text.count("&lt;script&gt;") == 7
    (field,) = re.findall(r'<input type="text"[^>]*>', response.text)
    assert 'value="&#34;&gt;&lt;script&gt;' in field


@pytest.mark.parametrize(
    ("fields", "decision"), [(APPROVE, "approved"), ({"decision": "decline"}, "declined")], ids=["approve", "decline"]
)
async def test_a_decision_counts_once(
    page: ConfirmationPage, store: Store, browser: Browser, fields: dict[str, str], decision: str
) -> None:
    pending = await put(store)
    url = await page.open(pending)
    answer = await browser.decide(url, fields)
    assert answer.status_code == 200
    notice = re.search(r'<p role="status">.+</p>', answer.text)
    assert notice is not None
    assert f"<h1>{decision.capitalize()}</h1>\n{notice[0]}" in answer.text
    assert ("assistant" if decision == "approved" else "Nothing was sent") in notice[0]
    assert await read_decision(store, pending) == decision
    for again in (APPROVE, {"decision": "decline"}):
        answer = await browser.decide(url, again)
        assert answer.status_code == 410
        assert f"<h1>Already {decision}</h1>\n{notice[0]}" in answer.text
    assert await read_decision(store, pending) == decision


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"decision": "approve"}, "tick the box. Nothing has been decided."),
        ({"decision": "approve", "confirm": "no"}, "tick the box. Nothing has been decided."),
        (
            {"decision": "approve", "confirm": "yes", "name": "Acme"},
            "The name “Acme” does not match. To approve, type exactly acme.",
        ),
        (APPROVE, "The name is missing. To approve, type exactly acme."),
    ],
)
async def test_an_incomplete_approval_is_reported_and_decides_nothing(
    page: ConfirmationPage, store: Store, browser: Browser, fields: dict[str, str], shown: str
) -> None:
    pending = await put(store, typed="acme" if "acme" in shown else None)
    response = await browser.decide(await page.open(pending), fields)
    assert response.status_code == 422
    assert shown in response.text
    field = 'name="name"' if pending.preview.typed else 'name="confirm"'
    (wrong,) = re.findall(r"<input[^>]*aria-invalid[^>]*>", response.text)
    assert field in wrong
    assert await read_decision(store, pending) is None


async def test_a_correct_name_is_kept_if_only_the_tick_is_missing(
    page: ConfirmationPage, store: Store, browser: Browser
) -> None:
    url = await page.open(await put(store, typed="acme"))
    response = await browser.decide(url, {"decision": "approve", "name": "acme"})
    assert response.status_code == 422
    assert 'name="name" value="acme"' in response.text
    assert "tick the box" in response.text


async def test_a_decision_that_another_process_has_just_recorded_is_kept(browser: Browser) -> None:
    class Overtaken(ConfirmationStore):
        async def decide(self, confirmation_id: str, decision: Decision) -> bool:
            return False

    store = open_store("memory")
    store.confirmations = Overtaken(store.database, 600)
    page = ConfirmationPage(store)
    answer = await browser.decide(await page.open(await put(store)), APPROVE)
    assert answer.status_code == 410
    assert GONE in answer.text
    await page.close()


async def test_the_typed_name_approves(page: ConfirmationPage, store: Store, browser: Browser) -> None:
    pending = await put(store, typed="acme")
    await browser.decide(await page.open(pending), {"name": "acme", **APPROVE})
    assert await read_decision(store, pending) == "approved"


@pytest.mark.parametrize(
    ("headers", "fields", "status", "shown"),
    [
        ({"Origin": "https://evil.example"}, APPROVE, 403, NOT_FROM_HERE),
        ({"Origin": "null"}, APPROVE, 403, NOT_FROM_HERE),
        ({"Origin": ""}, APPROVE, 403, NOT_FROM_HERE),
        ({"Sec-Fetch-Site": "same-site"}, APPROVE, 403, NOT_FROM_HERE),
        ({"Host": "evil.example"}, APPROVE, 421, ELSEWHERE),
        ({"Host": "127.0.0.1"}, APPROVE, 421, ELSEWHERE),
        ({}, {**APPROVE, "csrf": "guess"}, 403, NOT_FROM_HERE),
        ({}, {**APPROVE, "csrf": ""}, 403, NOT_FROM_HERE),
        ({}, {**APPROVE, "csrf": "é"}, 403, NOT_FROM_HERE),
        ({}, {**APPROVE, "padding": "x" * 20_000}, 413, TOO_MUCH),
        ({}, {**APPROVE, **{str(number): "" for number in range(10)}}, 400, NO_FORM),
        ({}, {"decision": "maybe"}, 400, NEITHER),
        ({}, {}, 400, NEITHER),
    ],
)
async def test_a_form_that_does_not_come_from_the_page_decides_nothing(
    page: ConfirmationPage,
    store: Store,
    browser: Browser,
    headers: dict[str, str],
    fields: dict[str, str],
    status: int,
    shown: str,
) -> None:
    pending = await put(store)
    response = await browser.decide(await page.open(pending), fields, headers)
    assert response.status_code == status
    assert shown in response.text
    assert await read_decision(store, pending) is None


async def test_other_methods_and_paths_are_rejected(page: ConfirmationPage, store: Store, browser: Browser) -> None:
    pending = await put(store)
    url = await page.open(pending)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        answer = await browser.client.request(method, url)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, POST"
    for other in (f"{url}x", f"{url}/x", f"{url}?x=/".replace("/confirm/", "/"), url.replace("/confirm/", "/other/")):
        answer = await browser.read(other)
        assert answer.status_code == 410
        assert GONE in answer.text
    assert await read_decision(store, pending) is None


@pytest.mark.parametrize("mode", ["form", "two-step"])
async def test_a_confirmation_in_another_mode_is_not_shown(
    page: ConfirmationPage, store: Store, browser: Browser, mode: str
) -> None:
    pending = await put(store, mode=mode)
    url = await page.open(pending)
    assert (await browser.read(url)).status_code == 410
    assert (await browser.decide(url, APPROVE)).status_code == 410
    assert await read_decision(store, pending) is None


async def test_without_its_store_the_page_decides_nothing(browser: Browser) -> None:
    class Unreachable(ConfirmationStore):
        async def get(self, confirmation_id: str) -> PendingConfirmation | None:
            raise StoreError("cannot be reached")

    store = open_store("memory")
    store.confirmations = Unreachable(store.database, 600)
    page = ConfirmationPage(store)
    answer = await browser.read(await page.open(await put(store)))
    assert answer.status_code == 503
    assert "<h1>Temporarily unavailable</h1>" in answer.text
    await page.close()


async def test_an_expired_confirmation_is_gone(browser: Browser) -> None:
    clock = Clock()
    store = open_store("memory", clock)
    page = ConfirmationPage(store)
    url = await page.open(await put(store))
    clock.now += 600
    answer = await browser.read(url)
    assert answer.status_code == 410
    assert GONE in answer.text
    await page.close()


async def test_every_response_forbids_framing_storing_and_foreign_content(
    page: ConfirmationPage, store: Store, browser: Browser
) -> None:
    url = await page.open(await put(store))
    for response in (
        await browser.read(url),
        await browser.read(url + "x"),
        await browser.read(url + "/"),
        await browser.read(str(httpx.URL(url).join("/favicon.ico"))),
        await browser.client.put(url),
        await browser.client.get(url, headers={"Host": "evil.example"}),
        await browser.decide(url, APPROVE, {"Origin": ""}),
    ):
        policy = response.headers["content-security-policy"].split("; ")
        assert policy.pop(1).startswith("style-src 'sha256-")
        assert policy == ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "same-origin"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["cross-origin-opener-policy"] == "same-origin"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"


async def test_one_server_serves_all_confirmations_and_can_be_started_again(
    page: ConfirmationPage, store: Store, browser: Browser
) -> None:
    urls: set[str] = set()

    async def open_one() -> None:
        urls.add(await page.open(await put(store)))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(open_one)
    assert len(urls) == 10
    assert len({httpx.URL(url).port for url in urls}) == 1
    await page.close()
    with pytest.raises(httpx.ConnectError):
        await browser.read(urls.pop())
    assert (await browser.read(await page.open(await put(store)))).status_code == 200


async def test_a_confirmation_that_is_opened_while_the_page_closes_is_served(
    page: ConfirmationPage, store: Store, browser: Browser
) -> None:
    await page.open(await put(store))
    urls: list[str] = []

    async def open_one() -> None:
        urls.append(await page.open(await put(store)))

    async with anyio.create_task_group() as group:
        group.start_soon(page.close)
        group.start_soon(open_one)
    assert (await browser.read(urls[0])).status_code == 200


async def test_a_forwarded_port_reaches_the_page_as_localhost(
    page: ConfirmationPage, store: Store, browser: Browser
) -> None:
    pending = await put(store)
    url = (await page.open(pending)).replace("127.0.0.1", "localhost")
    host = {"Host": httpx.URL(url).netloc.decode()}
    loopback = url.replace("localhost", "127.0.0.1")  # whatever the name resolves to here
    assert (await browser.client.get(loopback, headers=host)).status_code == 200
    form = {"csrf": pending.csrf, "decision": "decline"}
    for origin, status in ((str(httpx.URL(loopback).copy_with(path="/"))[:-1], 403), (f"http://{host['Host']}", 200)):
        answer = await browser.client.post(loopback, data=form, headers={**host, "Origin": origin})
        assert answer.status_code == status
    assert await read_decision(store, pending) == "declined"


async def test_an_incomplete_form_decides_nothing(page: ConfirmationPage, store: Store) -> None:
    pending = await put(store)
    url = httpx.URL(await page.open(pending))
    host = url.netloc.decode()
    head = (
        f"POST {url.path} HTTP/1.1",
        f"Host: {host}",
        f"Origin: http://{host}",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 1000",
    )
    body = f"csrf={pending.csrf}&decision=approve&confirm=yes"
    async with await anyio.connect_tcp("127.0.0.1", url.port or 0) as stream:
        await stream.send("\r\n".join([*head, "", body]).encode())
        await stream.send_eof()
        with contextlib.suppress(anyio.EndOfStream):
            await stream.receive()
    await page.close()  # waits until the request is done with
    assert await read_decision(store, pending) is None


# Complete calls


async def begin(client: Any, target: Target) -> str:
    """Make a call that requires confirmation on the page, and return the URL of the page."""
    result = await client.call_tool(target.name, target.arguments)
    assert read_status(result) == "confirmation_required"
    url = result.structured_content["url"]
    assert isinstance(url, str)
    return url


@each_era
@pytest.mark.parametrize("name", ["update_integration_installation", "copy_configuration"])
async def test_only_the_page_shows_what_the_model_may_read_after_approval(
    name: str, era: Era, browser: Browser
) -> None:
    spy = GitBookSpy()
    place = find_target(spy, "uninstall_integration").arguments
    installation = spy.sandbox.state.installations[place["installationId"]]
    installation.configuration = {"hidden": "value"}
    other = next(one for one in spy.sandbox.state.installations.values() if one.integration == "slack")
    source = {"integrationName": "slack", "installationId": other.id}
    arguments = {**place, "configuration": {}} if name.startswith("update") else {"source": source, "target": place}
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest.pop("configurations", None)
    for added, shown in ([], True), (["get_integration_installation_by_id"], False):
        async with meet(create_gated_server(spy, extra_tools=added), None, era) as client:
            result = await client.call_tool(name, arguments)
            assert read_status(result) == "confirmation_required"
            assert ("hidden" in read_text(result)) == shown
            assert "hidden" in (await browser.read(result.structured_content["url"])).text


@each_era
async def test_after_an_approval_the_same_call_runs_once_however_often_it_is_repeated(
    era: Era, browser: Browser
) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    results: list[str] = []
    async with meet(create_gated_server(spy), None, era) as client:
        url = await begin(client, target)
        assert await begin(client, target) == url  # the same confirmation until it is decided
        await browser.decide(url, APPROVE)

        async def repeat() -> None:
            result = await client.call_tool(target.name, target.arguments)
            results.append("404" if result.is_error else read_status(result))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(repeat)
    assert results.count("done") == 1
    assert set(results) <= {"done", "confirmation_required", "404"}
    assert len(spy.mutations) == 1


@each_era
async def test_a_server_on_stdio_ignores_the_public_url_of_a_shared_settings_file(era: Era, browser: Browser) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    settings = load_settings({"server": {"sandbox": True}, "http": {"public_url": "https://mcp.example"}})
    async with meet(create_server(settings, http_transport=httpx.ASGITransport(app=spy)), None, era) as client:
        url = await begin(client, target)
        assert (await browser.decide(url, APPROVE)).status_code == 200
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"


@each_era
async def test_a_refusal_on_the_page_ends_the_call(era: Era, browser: Browser) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), None, era) as client:
        await browser.decide(await begin(client, target), {"decision": "decline"})
        result = await client.call_tool(target.name, target.arguments)
        assert read_status(result) == "confirmation_declined"
        assert set(result.structured_content or {}) == {"status", "code", "message"}
    assert spy.mutations == []


@each_era
async def test_an_approval_does_not_apply_to_another_call(era: Era, browser: Browser) -> None:
    spy = GitBookSpy()
    target, other = find_target(spy, "uninstall_integration_from_space"), find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), None, era) as client:
        await browser.decide(await begin(client, target), APPROVE)
        await begin(client, other)
    assert spy.mutations == []


@each_era
async def test_after_a_change_of_the_target_an_approval_is_requested_again(era: Era, browser: Browser) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), None, era) as client:
        url = await begin(client, target)
        await browser.decide(url, APPROVE)
        spy.sandbox.state.installations[target.arguments["installationId"]].status = "paused"
        result = await client.call_tool(target.name, target.arguments)
        assert read_status(result) == "target_changed"
        assert result.structured_content is not None
        assert result.structured_content["url"] != url
    assert spy.mutations == []


@each_era
async def test_a_later_refusal_revokes_an_earlier_approval(era: Era, browser: Browser) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    async with meet(create_gated_server(spy), None, era) as client:
        first = await begin(client, target)
        installation.status = "paused"
        second = await begin(client, target)
        assert (await browser.decide(first, APPROVE)).status_code == 410  # replaced by the second
        await browser.decide(second, {"decision": "decline"})
        installation.status = "active"
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_declined"
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_required"
    assert spy.mutations == []


async def test_a_declined_form_revokes_an_approval_on_the_page() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    server = create_gated_server(spy)
    async with (
        open_client() as http,
        meet(server, Human(), "2026-07-28") as asked,
        meet(server, None, "2026-07-28") as unasked,
    ):
        state = await start_call(asked, target)
        await Browser(http).decide(await begin(unasked, target), APPROVE)
        declined = await call_once(asked, target, state, ElicitResult(action="decline"))
        assert isinstance(declined, CallToolResult)
        assert read_status(declined) == "confirmation_declined"
        assert read_status(await unasked.call_tool(target.name, target.arguments)) == "confirmation_required"
    assert spy.mutations == []


@each_era
async def test_unpublishing_on_the_page_requires_the_name(era: Era, browser: Browser) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "unpublish_integration")
    async with meet(create_gated_server(spy), None, era) as client:
        url = await begin(client, target)
        assert (await browser.decide(url, APPROVE)).status_code == 422
        await browser.decide(url, {"name": OWN_INTEGRATION, **APPROVE})
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
    assert len(spy.mutations) == 1


# Clients that open the page


@dataclass
class Visitor(Human):
    """A human whose client opens the URL, and who decides on the page before the client responds."""

    browser: Browser | None = None
    fields: dict[str, str] = field(default_factory=lambda: APPROVE)

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Open the URL and decide there."""
        if self.action == "accept" and self.browser and isinstance(params, ElicitRequestURLParams):
            await self.browser.decide(params.url, self.fields)
        return await super().answer(context, params)


@each_era
@pytest.mark.parametrize(
    ("action", "fields", "status"),
    [
        ("accept", APPROVE, "done"),
        ("accept", {"decision": "decline"}, "confirmation_declined"),
        ("decline", {}, "confirmation_declined"),
        ("cancel", {}, "confirmation_cancelled"),
    ],
)
async def test_a_client_that_opens_urls_opens_the_page(
    era: Era, browser: Browser, action: str, fields: dict[str, str], status: str
) -> None:
    spy, human = GitBookSpy(), Visitor(action, browser=browser, fields=fields)
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy, ask="fallback"), human, era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == status
    assert len(human.requests) == 1
    assert len(spy.mutations) == (1 if status == "done" else 0)


@each_era
async def test_a_call_waits_until_the_human_decides_on_the_open_page(era: Era, browser: Browser) -> None:
    spy, opened = GitBookSpy(), anyio.Event()
    human = Visitor(before=opened.set)
    target = find_target(spy, "uninstall_integration")

    async def decide_later() -> None:
        await opened.wait()
        assert isinstance(human.requests[0], ElicitRequestURLParams)
        await browser.decide(human.requests[0].url, APPROVE)

    async with meet(create_gated_server(spy, ask="fallback"), human, era) as client, anyio.create_task_group() as group:
        group.start_soon(decide_later)
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
    assert len(spy.mutations) == 1


async def test_a_refusal_in_another_client_ends_the_wait_for_the_page() -> None:
    spy, opened = GitBookSpy(), anyio.Event()
    target = find_target(spy, "uninstall_integration")
    server = create_gated_server(spy, ask="fallback")
    async with (
        meet(server, Visitor(before=opened.set), "legacy") as waiting,
        meet(server, Human(action="decline"), "legacy") as refusing,
        anyio.create_task_group() as group,
    ):

        async def refuse() -> None:
            await opened.wait()
            assert read_status(await refusing.call_tool(target.name, target.arguments)) == "confirmation_declined"

        group.start_soon(refuse)
        with anyio.fail_after(60):
            assert read_status(await waiting.call_tool(target.name, target.arguments)) == "confirmation_expired"
    assert spy.mutations == []


@each_era
async def test_a_page_without_a_decision_expires(era: Era) -> None:
    spy, human = GitBookSpy(), Visitor()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy, ask="fallback", ttl=0.2), human, era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_expired"
    assert spy.mutations == []


@pytest.mark.parametrize(
    ("code", "status"), [(-32600, "confirmation_cancelled"), (METHOD_NOT_FOUND, "confirmation_required")], ids=str
)
async def test_an_error_in_response_to_a_url_cancels_unless_the_method_is_unknown(
    code: int, status: str, browser: Browser
) -> None:
    urls = []

    async def fail(context: ClientRequestContext, params: ElicitRequestParams) -> ErrorData:
        assert isinstance(params, ElicitRequestURLParams)
        urls.append(params.url)
        return ErrorData(code=code, message="no")

    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    server = create_gated_server(spy, ask="fallback")
    async with Client(server, mode="legacy", elicitation_callback=fail) as client:
        result = await client.call_tool(target.name, target.arguments)
        assert read_status(result) == status
        is_open = (await browser.read(urls[0])).status_code == 200
    assert is_open is (status == "confirmation_required")
    assert (result.structured_content or {}).get("url") == (urls[0] if is_open else None)
    assert spy.mutations == []


@each_era
async def test_a_change_of_the_target_while_the_page_is_open_requires_a_new_approval(
    era: Era, browser: Browser
) -> None:
    spy, human = GitBookSpy(), Visitor(browser=browser)
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]

    def change_once() -> None:
        if len(human.requests) == 1:
            installation.status = "paused"

    human.before = change_once
    async with meet(create_gated_server(spy, ask="fallback"), human, era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
    assert len(human.requests) == 2
    assert len(spy.mutations) == 1


class Forgetful(Visitor):
    """A human whose client does not know the method from the second request on."""

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> Any:
        """Answer the first request."""
        if self.requests:
            return ErrorData(code=METHOD_NOT_FOUND, message="Method not found")
        return await super().answer(context, params)


@pytest.mark.parametrize("ask", ["form", "fallback"])
async def test_a_change_of_the_target_is_reported_even_if_the_client_stops_asking(ask: str, browser: Browser) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    human = Forgetful(before=lambda: setattr(installation, "status", "paused"), browser=browser)
    async with meet(create_gated_server(spy, ask=ask), human, "legacy") as client:
        result = await client.call_tool(target.name, target.arguments)
    assert read_status(result) == "target_changed"
    assert (result.structured_content or {})["url"]
    assert len(human.requests) == 1
    assert spy.mutations == []


@each_era
@pytest.mark.parametrize("mode", ["form", "link", "page", "two-step"])
async def test_an_approved_update_keeps_masked_values_of_the_target(mode: str, era: Era, browser: Browser) -> None:
    spy = GitBookSpy()
    installation = spy.sandbox.state.get_installations(integration=OWN_INTEGRATION)[0]
    installation.configuration = {"token": "t-0123456789"}
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest.pop("configurations")
    arguments = {"integrationName": OWN_INTEGRATION, "installationId": installation.id}
    target = Target(
        "update_integration_installation", {**arguments, "configuration": {"token": "[masked]", "channel": "#new"}}
    )
    settings: dict[str, Any] = {"link": {"ask": "fallback"}, "two-step": {"fallback": "two-step"}}.get(mode, {})
    human = {"form": Human(), "link": Visitor(browser=browser)}.get(mode)
    async with meet(create_gated_server(spy, extra_tools=[target.name], **settings), human, era) as client:
        if mode == "page":
            await browser.decide(await begin(client, target), APPROVE)
        if mode == "two-step":
            target = Target(
                target.name, {**target.arguments, "confirmationId": await request_confirmation_id(client, target)}
            )
        assert read_status(await client.call_tool(target.name, target.arguments)) == installation.status
    assert installation.configuration == {"token": "t-0123456789", "channel": "#new"}


@pytest.mark.parametrize(
    ("declared", "forms", "urls"),
    [
        (None, False, False),
        ({}, True, False),
        ({"form": {}}, True, False),
        ({"url": {}}, False, True),
        ({"form": {}, "url": {}}, True, True),
    ],
)
def test_the_capabilities_of_a_client_decide_how_it_is_asked(
    declared: dict[str, Any] | None, forms: bool, urls: bool
) -> None:
    capabilities = ClientCapabilities.model_validate({"elicitation": declared})
    assert (accepts_forms(capabilities), accepts_urls(capabilities)) == (forms, urls)
    assert not accepts_forms(None)
    assert not accepts_urls(None)
