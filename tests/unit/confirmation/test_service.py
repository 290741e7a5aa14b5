"""No destructive call is sent without a human's approval, and exactly one with it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client, MCPError
from mcp.client.session import ClientRequestContext
from mcp.server.session import ServerSession
from mcp_types import (
    METHOD_NOT_FOUND,
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    InputRequiredResult,
)

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.endpoint import Risk
from gitbook_integrations_api.endpoints.audit import TOOLS as AUDITS
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.confirmation.elicitation import read_form
from gitbook_integrations_mcp.confirmation.results import (
    CANCELLED,
    FORM_DECLINED,
    MALFORMED,
    NOT_TICKED,
    PAGE_DECLINED,
    WRONG_NAME,
    Approval,
    NotConfirmed,
    read_decision,
)
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, USER_TOKEN
from gitbook_integrations_mcp.store.confirmations import ConfirmationStore
from gitbook_integrations_mcp.store.pending import ConfirmationMode, PendingConfirmation, Preview
from tests.support.elicitation_client import Clock, GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import Era, read_code, read_text
from tests.support.gated_calls import (
    APPROVAL,
    DESTRUCTIVE,
    GATED,
    WIDENING,
    Target,
    call_once,
    each_era,
    find_target,
    request_confirmation_id,
    start_call,
)
from tests.support.samples import OFFERED, make_arguments
from tests.support.stdio_client import Conversation
from tests.support.tokens import count_tokens

each_tool = pytest.mark.parametrize("name", GATED)


def test_every_endpoint_that_changes_something_goes_through_these_tests() -> None:
    assert set(GATED) == {name for name, endpoint in ENDPOINTS.items() if endpoint.risk is not Risk.READ}


@each_era
@each_tool
async def test_an_approved_call_is_sent_once(name: str, era: Era) -> None:
    spy, human = GitBookSpy(), Human()
    target = find_target(spy, name)
    async with meet(create_gated_server(spy), human, era) as client:
        await client.list_tools()
        result = await client.call_tool(name, target.arguments)
    assert len(human.requests) == 1
    assert len(spy.mutations) == 1
    assert result.structured_content is not None
    assert not result.is_error
    assert "code" not in result.structured_content


REFUSALS: dict[str, tuple[Human, NotConfirmed, str]] = {
    "decline": (Human(action="decline"), FORM_DECLINED, "confirmation_declined"),
    "cancel": (Human(action="cancel"), CANCELLED, "confirmation_cancelled"),
    "box not ticked": (Human(confirm=False), NOT_TICKED, "confirmation_invalid"),
    "yes as text": (Human(confirm="yes"), MALFORMED, "confirmation_invalid"),
    "one for true": (Human(confirm=1), MALFORMED, "confirmation_invalid"),
    "no content": (Human(content={}), MALFORMED, "confirmation_invalid"),
    "another field": (Human(content={"ok": True}), MALFORMED, "confirmation_invalid"),
}


@each_era
@pytest.mark.parametrize(
    ("name", "refusal"),
    [(name, refusal) for name in GATED for refusal in REFUSALS if name in DESTRUCTIVE or refusal == "decline"],
)
async def test_anything_but_an_approval_sends_nothing_and_reports_the_reason(name: str, refusal: str, era: Era) -> None:
    template, expected, code = REFUSALS[refusal]
    human = Human(template.action, template.confirm, content=template.content)
    spy = GitBookSpy()
    async with meet(create_gated_server(spy), human, era) as client:
        await client.list_tools()
        result = await client.call_tool(name, find_target(spy, name).arguments)
    assert read_status(result) == code
    assert "Nothing was sent" in read_text(result)
    assert spy.mutations == []
    assert result.structured_content == expected.content
    assert set(expected.content) == {"status", "code", "message"}  # nothing that a model could continue with


def test_an_answer_that_is_mostly_the_users_has_a_short_remedy() -> None:
    for declined, setting in ((FORM_DECLINED, "confirmation.ask"), (PAGE_DECLINED, "confirmation.fallback")):
        assert setting in declined.message
        assert count_tokens(declined.message) <= 40


@each_era
async def test_unpublishing_requires_the_exact_name(era: Era) -> None:
    for typed in ("", OWN_INTEGRATION.upper(), OWN_INTEGRATION + " ", "other"):
        spy, human = GitBookSpy(), Human(name=typed)
        async with meet(create_gated_server(spy), human, era) as client:
            result = await client.call_tool("unpublish_integration", {"integrationName": OWN_INTEGRATION})
        assert result.structured_content == WRONG_NAME.content
        assert spy.mutations == []


@each_era
async def test_the_form_shows_the_consequence(era: Era) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    async with meet(create_gated_server(spy), human, era) as client:
        await client.call_tool(target.name, target.arguments)
    (text,) = human.texts
    assert "Integration: release-notes-bot (“Release Notes Bot”)" in text
    assert f"Organization: {ORGANIZATION_ID} (“Aurora Robotics”)" in text
    assert "Status: active" in text
    assert f"Affected spaces: {len(installation.enabled['space'])}" in text
    assert f"Affected sites: {len(installation.enabled['site'])}" in text
    for key in installation.configuration:
        assert key in text
    assert not any(str(value) in text for value in installation.configuration.values() if len(str(value)) > 6)
    for external in installation.external_ids:
        assert external in text
    assert "undo_change can install it again" in text


@each_era
async def test_a_target_that_does_not_exist_is_a_404_before_confirmation(era: Era) -> None:
    spy, human = GitBookSpy(), Human()
    arguments = {"integrationName": OWN_INTEGRATION, "installationId": "nowhere"}
    async with meet(create_gated_server(spy), human, era) as client:
        result = await client.call_tool("uninstall_integration", arguments)
    assert result.is_error
    assert "404" in read_text(result)
    # What was read for the preview is not what was called.
    assert read_text(result).endswith("it is not installed there: nothing is left to uninstall.")
    assert human.requests == []
    assert spy.mutations == []


@each_era
async def test_a_change_of_the_target_requires_a_new_approval(era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    human = Human()

    def change_once() -> None:
        if len(human.requests) == 1:
            installation.status = "paused"

    human.before = change_once
    async with meet(create_gated_server(spy), human, era) as client:
        result = await client.call_tool(target.name, target.arguments)
    assert read_status(result) == "done"
    assert "Status: paused" in human.texts[1]
    assert human.texts[1].startswith("The target has changed")
    assert len(human.requests) == 2
    assert len(spy.mutations) == 1


@each_era
async def test_a_refusal_after_a_change_of_the_target_sends_nothing(era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    human = Human()

    def change() -> None:
        installation.configuration["changed"] = len(human.requests)
        human.action = "accept" if len(human.requests) == 1 else "decline"

    human.before = change
    async with meet(create_gated_server(spy), human, era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_declined"
    assert spy.mutations == []


@each_era
async def test_a_late_approval_is_expired(era: Era) -> None:
    spy, clock = GitBookSpy(), Clock()
    human = Human(before=lambda: setattr(clock, "now", clock.now + 601))
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy, clock), human, era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_expired"
    assert spy.mutations == []


@each_era
async def test_development_mode_for_the_owner_alone_needs_confirmation_too(era: Era) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    arguments = {"integrationName": OWN_INTEGRATION, "tunnelUrl": "https://tunnel.example", "all": False}
    async with meet(create_gated_server(spy), human, era) as client:
        result = await client.call_tool("set_integration_development_mode", arguments)
        assert read_status(result) == "confirmation_declined"
    assert spy.mutations == []


@each_era
async def test_the_operator_can_add_tools_that_need_confirmation(era: Era) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    name = "render_integration_ui_with_post"
    server = create_gated_server(spy, extra_tools=[name])
    async with meet(server, human, era) as client:
        arguments = {"integrationName": OWN_INTEGRATION, "componentId": "c", "context": {}}
        result = await client.call_tool(
            name, {**arguments, "props": {"api_key": "hidden-value", "page": "shown-value"}}
        )
        assert read_status(result) == "confirmation_declined"
    assert "props api_key: a credential (not shown)" in human.texts[0]
    assert "hidden-value" not in human.texts[0]
    assert "shown-value" in human.texts[0]
    assert spy.mutations == []


@each_era
@pytest.mark.parametrize("added", AUDITS[0].uses)
async def test_a_tool_that_calls_an_endpoint_with_confirmation_needs_confirmation_too(added: str, era: Era) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    async with meet(create_gated_server(spy, extra_tools=[added]), human, era) as client:
        result = await client.call_tool("audit_installations", {"organizationId": ORGANIZATION_ID})
        with pytest.raises(MCPError, match=r"audit_installations (waits for a human|requires confirmation)"):
            await client.read_resource(f"gitbook-integrations://orgs/{ORGANIZATION_ID}/report")
    assert read_status(result) == "confirmation_declined"
    assert len(human.requests) == 1


@each_era
@pytest.mark.parametrize("value", [{"x": "[masked]"}, {}])
async def test_an_update_of_what_an_added_tool_reads_needs_confirmation_before_anything_is_said(
    value: dict[str, Any], era: Era
) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    arguments = {**find_target(spy, "uninstall_integration").arguments, "configuration": value}
    server = create_gated_server(spy, extra_tools=["get_integration_installation_by_id"])
    async with meet(server, human, era) as client:
        result = await client.call_tool("update_integration_installation", arguments)
        assert read_status(result) == "confirmation_declined"
        human.action = "accept"
        result = await client.call_tool("update_integration_installation", arguments)
    assert result.is_error
    assert (result.structured_content or {})["code"] in {"invalid_placeholder", "credential_omitted"}
    assert len(human.requests) == 2
    assert spy.mutations == []


async def test_an_error_of_a_plan_tells_nothing_of_what_an_added_tool_reads() -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    state = spy.sandbox.state
    slack, mermaid = (
        {"integrationName": name, "installationId": one.id}
        for name in ("slack", "mermaid")
        for one in state.installations.values()
        if one.integration == name
    )
    title = next(iter(state.spaces.values())).title
    calls: list[tuple[str, str, dict[str, Any]]] = [
        (
            "get_integration_installation_by_id",
            "copy_configuration",
            {"source": slack, "target": mermaid, "keys": ["nokey"]},
        ),
        (
            "list_organization_installations",
            "uninstall_everywhere",
            {"integrationName": "slac", "organizationId": ORGANIZATION_ID},
        ),
        (
            "list_organization_installations",
            "uninstall_everywhere",
            {"integrationName": "zzz", "organizationId": ORGANIZATION_ID},
        ),
        ("list_spaces_in_organization_by_id", "set_installation_places", {**slack, "spaces": [title.lower()[:-1]]}),
        (
            "get_integration_installation_by_id",
            "copy_configuration",
            {"source": slack, "target": slack, "keys": ["team"]},
        ),
    ]
    for added, name, arguments in calls:
        async with meet(create_gated_server(spy, extra_tools=[added]), human, "2026-07-28") as client:
            result = await client.call_tool(name, arguments)
        assert read_code(result) == "target_unreadable"
        assert read_text(result).startswith(f"{name} has no plan: an argument is wrong, or nothing would change.")
        assert not any(one in read_text(result) for one in ("nokey", "team", "slack", title, "Nothing to do"))
    added = "list_organizations_for_authenticated_user"
    async with meet(create_gated_server(spy, extra_tools=[added]), human, "2026-07-28") as client:
        own = {"integrationName": OWN_INTEGRATION, "organization": "nope"}
        assert read_status(await client.call_tool("install_integration", own)) == "confirmation_declined"


async def test_a_placeholder_below_what_an_added_tool_reads_is_still_rejected() -> None:
    spy, human = GitBookSpy(), Human()
    arguments = {"integrationName": OWN_INTEGRATION, "task": {"token": "[masked]"}}
    async with meet(create_gated_server(spy, extra_tools=["get_integration_by_name"]), human, "2026-07-28") as client:
        result = await client.call_tool("queue_integration_task", arguments)
    assert (result.structured_content or {})["code"] == "invalid_placeholder"
    assert human.requests == []
    assert spy.mutations == []


@pytest.mark.parametrize("name", OFFERED)
async def test_every_added_tool_needs_confirmation_and_a_refusal_sends_nothing(name: str) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    async with meet(create_gated_server(spy, extra_tools=[name]), human, "2026-07-28") as client:
        result = await client.call_tool(name, make_arguments(TOOLS[name], optional=False))
    assert spy.mutations == []
    if human.requests:
        assert read_status(result) == "confirmation_declined"
    else:
        codes = {"not_found", "unknown_change", "unknown_version", "target_unreadable", "invalid_arguments"}
        assert read_code(result) in codes


# Clients that cannot ask


@each_era
@each_tool
@pytest.mark.parametrize(
    ("fallback", "expected", "means"),
    [
        ("browser", "confirmation_required", {"preview", "url", "expiresInSeconds"}),
        ("two-step", "confirmation_required", {"preview", "confirmationId", "expiresInSeconds"}),
        ("refuse", "confirmation_unavailable", set()),
    ],
)
async def test_the_fallback_applies_if_the_client_cannot_ask(
    name: str, fallback: str, expected: str, means: set[str], era: Era
) -> None:
    spy = GitBookSpy()
    async with meet(create_gated_server(spy, fallback=fallback), None, era) as client:
        await client.list_tools()
        result = await client.call_tool(name, find_target(spy, name).arguments)
    assert read_status(result) == expected
    assert set(result.structured_content or {}) == {"status", "code", "message"} | means
    shown = {
        "browser": "Give the user the url",
        "two-step": "Show the user the preview",
        "refuse": "confirmation.fallback",
    }
    assert shown[fallback] in (result.structured_content or {})["message"]
    assert spy.mutations == []


@each_era
async def test_the_fallback_can_be_set_for_all_clients(era: Era) -> None:
    spy, human = GitBookSpy(), Human()
    server = create_gated_server(spy, ask="fallback", fallback="refuse")
    async with meet(server, human, era) as client:
        target = find_target(spy, "uninstall_integration")
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_unavailable"
    assert human.requests == []


@each_era
@pytest.mark.parametrize(
    "human",
    [
        Human(action="cancel"),
        Human(action="decline"),
        Human(content={}),
        Human(confirm=False),
        Human(content={"confirm": True}),
    ],
    ids=["cancels", "declines", "accepts without a form", "accepts the defaults", "accepts without the name"],
)
async def test_the_answer_of_a_client_that_may_show_no_form_names_the_setting(human: Human, era: Era) -> None:
    spy = GitBookSpy()
    async with meet(create_gated_server(spy), human, era) as client:
        target = find_target(spy, "unpublish_integration")
        assert "confirmation.ask" in read_text(await client.call_tool(target.name, target.arguments))
    assert spy.mutations == []


@each_era
@pytest.mark.parametrize("action", ["cancel", "decline"])
async def test_a_client_that_opens_no_page_has_a_way_out(action: str, era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy, ask="fallback"), Human(action=action), era) as client:
        result = await client.call_tool(target.name, target.arguments)
        assert "confirmation.fallback to two-step" in read_text(result)
    assert spy.mutations == []
    async with meet(create_gated_server(spy, ask="fallback", fallback="two-step"), Human(action=action), era) as client:
        await client.list_tools()
        first = await client.call_tool(target.name, target.arguments)
        assert read_status(first) == "confirmation_required"
        approval = {"confirmationId": (first.structured_content or {})["confirmationId"]}
        assert read_status(await client.call_tool(target.name, target.arguments | approval)) == "done"
    assert len(spy.mutations) == 1


@pytest.mark.parametrize("code", [-32600, -32000, -1])
async def test_an_error_in_response_to_a_form_cancels_without_a_fallback(code: int) -> None:
    async def fail(context: ClientRequestContext, params: ElicitRequestParams) -> ErrorData:
        return ErrorData(code=code, message="User rejected the request")

    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with Client(
        create_gated_server(spy, fallback="two-step"), mode="legacy", elicitation_callback=fail
    ) as client:
        result = await client.call_tool(target.name, target.arguments)
    assert read_status(result) == "confirmation_cancelled"
    assert set(result.structured_content or {}) == {"status", "code", "message"}
    assert spy.mutations == []


async def know_no_such_request(context: ClientRequestContext, params: ElicitRequestParams) -> ErrorData:
    return ErrorData(code=METHOD_NOT_FOUND, message="Method not found")


async def test_the_fallback_applies_if_the_client_declares_forms_but_does_not_know_the_method() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    server = create_gated_server(spy, fallback="two-step")
    async with Client(server, mode="legacy", elicitation_callback=know_no_such_request) as client:
        result = await client.call_tool(target.name, target.arguments)
        assert read_status(result) == "confirmation_required"
        confirmation_id = (result.structured_content or {})["confirmationId"]
        done = await client.call_tool(target.name, {**target.arguments, "confirmationId": confirmation_id})
    assert read_status(done) == "done"
    assert len(spy.mutations) == 1


async def test_a_form_without_a_response_expires() -> None:
    async def ponder(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        await anyio.sleep_forever()
        raise AssertionError

    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with Client(create_gated_server(spy, ttl=0.2), mode="legacy", elicitation_callback=ponder) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_expired"
    assert spy.mutations == []


async def test_after_three_changes_of_the_target_the_call_ends() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    human = Human()
    human.before = lambda: installation.configuration.update(changed=len(human.requests))
    async with meet(create_gated_server(spy), human, "legacy") as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "target_changed"
    assert [text.startswith("The target has changed") for text in human.texts] == [False, True, True]
    assert spy.mutations == []


async def test_an_invalid_response_to_a_form_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*arguments: Any, **options: Any) -> ElicitResult:
        return ElicitResult.model_validate({"action": "maybe"})  # as the SDK does; its client sends no such thing

    monkeypatch.setattr(ServerSession, "send_request", answer)
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), Human(), "legacy") as client:
        result = await client.call_tool(target.name, target.arguments)
    assert result.structured_content == MALFORMED.content
    assert spy.mutations == []


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ConfirmationStore, PendingConfirmation]]:
    """Return the confirmations that servers in this test open, each with its store."""
    found: list[tuple[ConfirmationStore, PendingConfirmation]] = []
    put = ConfirmationStore.open

    async def note(
        store: ConfirmationStore, mode: ConfirmationMode, binding: str, preview: Preview, owner: str
    ) -> PendingConfirmation:
        pending = await put(store, mode, binding, preview, owner)
        found.append((store, pending))
        return pending

    monkeypatch.setattr(ConfirmationStore, "open", note)
    return found


@each_era
async def test_a_confirmation_is_bound_to_its_call_in_every_mode(
    era: Era, opened: list[tuple[ConfirmationStore, PendingConfirmation]]
) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    for fallback, human in (("refuse", Human(action="decline")), ("browser", None), ("two-step", None)):
        async with meet(create_gated_server(spy, fallback=fallback), human, era) as client:
            await client.call_tool(target.name, target.arguments)
    assert [pending.mode for _, pending in opened] == ["form", "browser", "two-step"]
    form, page, second_call = [pending.binding for _, pending in opened]
    assert form == page
    assert second_call not in {"", form}  # it is bound to the client as well


async def test_a_form_that_could_not_be_shown_does_not_stay_open(
    opened: list[tuple[ConfirmationStore, PendingConfirmation]],
) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    server = create_gated_server(spy, fallback="refuse")
    async with Client(server, mode="legacy", elicitation_callback=know_no_such_request) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_unavailable"
    ((store, pending),) = opened
    assert await store.get(pending.id) is None


async def test_a_form_is_sent_as_part_of_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would go to another stream over HTTP, which the client may not read."""
    sent: list[Any] = []
    send = ServerSession.send_request

    async def note(*arguments: Any, **options: Any) -> Any:
        sent.append(options["metadata"])
        return await send(*arguments, **options)

    monkeypatch.setattr(ServerSession, "send_request", note)
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), Human(), "legacy") as client:
        await client.call_tool(target.name, target.arguments)
    assert [metadata.related_request_id is not None for metadata in sent] == [True]


@pytest.mark.slow
@pytest.mark.parametrize("answer", [{}, {"action": "maybe"}, {"action": "accept", "content": {"confirm": {"it": 1}}}])
def test_a_response_that_violates_the_protocol_is_no_approval(answer: dict[str, Any]) -> None:
    target = find_target(GitBookSpy(), "uninstall_integration")
    with Conversation("--sandbox") as talk:
        talk.greet("legacy", {"elicitation": {}})
        name = talk.call(target.name, **target.arguments)
        while (request := talk.receive()).get("method") != "elicitation/create":
            pass
        talk.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer}).encode() + b"\n")
        result = talk.await_answer(name)["result"]
    assert result["structuredContent"] == MALFORMED.content


@each_era
async def test_servers_with_different_tokens_that_share_a_store_do_not_share_approvals(
    era: Era, tmp_path: Path
) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    shared = {"store": {"url": f"sqlite:///{tmp_path}/store.db"}, "confirmation": {"fallback": "two-step"}}

    def create(**tokens: str) -> Any:
        settings = load_settings({**shared, "gitbook": {"token": USER_TOKEN, **tokens}})
        return create_server(settings, http_transport=httpx.ASGITransport(app=spy), run="one")

    async with meet(create(), None, era) as one, meet(create(integration_token="another"), None, era) as other:
        confirmation_id = await request_confirmation_id(one, target)
        second = Target(target.name, {**target.arguments, "confirmationId": confirmation_id})
        assert read_status(await other.call_tool(second.name, second.arguments)) == "confirmation_expired"
        assert spy.mutations == []
        assert read_status(await one.call_tool(second.name, second.arguments)) == "done"
    assert len(spy.mutations) == 1


@each_era
async def test_the_tokens_of_the_server_are_removed_from_forms(era: Era) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    spy.sandbox.state.installations[target.arguments["installationId"]].external_ids = [f"echo {USER_TOKEN}"]
    async with meet(create_gated_server(spy), human, era) as client:
        await client.call_tool(target.name, target.arguments)
    assert "redacted" in human.texts[0]  # its brackets are shown as other characters, like all of a title's
    assert USER_TOKEN not in human.texts[0]


@each_era
async def test_tokens_are_removed_from_forms_before_texts_are_cut(era: Era) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    external = "x" * (60 - len(USER_TOKEN) + 1) + USER_TOKEN
    spy.sandbox.state.installations[target.arguments["installationId"]].external_ids = [external]
    async with meet(create_gated_server(spy), human, era) as client:
        await client.call_tool(target.name, target.arguments)
    assert USER_TOKEN[:6] not in human.texts[0]


@each_era
async def test_the_form_for_a_site_names_the_organization(era: Era) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration_from_site")
    async with meet(create_gated_server(spy), human, era) as client:
        await client.call_tool(target.name, target.arguments)
    assert f"Organization: {ORGANIZATION_ID} (“Aurora Robotics”)" in human.texts[0]


# Two calls


@each_era
async def test_of_many_simultaneous_second_calls_one_runs(era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    results: list[str] = []
    async with meet(create_gated_server(spy, fallback="two-step"), None, era) as client:
        arguments = {**target.arguments, "confirmationId": await request_confirmation_id(client, target)}

        async def step() -> None:
            results.append(read_status(await client.call_tool(target.name, arguments)))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(step)
    assert sorted(results) == ["confirmation_expired"] * 19 + ["done"]
    assert len(spy.mutations) == 1


@each_era
@pytest.mark.parametrize("misuse", ["other arguments", "other tool", "guess", "late", "restart"])
async def test_a_confirmation_id_is_valid_only_for_its_own_call(misuse: str, era: Era) -> None:
    spy, clock = GitBookSpy(), Clock()
    first = find_target(spy, "uninstall_integration_from_space")
    other = find_target(spy, "uninstall_integration")
    server = create_gated_server(spy, clock, fallback="two-step")
    async with meet(server, None, era) as client:
        confirmation_id = await request_confirmation_id(client, first)
    target = first
    match misuse:
        case "other arguments":
            installation = spy.sandbox.state.installations[first.arguments["installationId"]]
            target = Target(first.name, {**first.arguments, "spaceId": list(installation.enabled["space"])[1]})
        case "other tool":
            target = other
        case "guess":
            confirmation_id = "x" * 22
        case "late":
            clock.now += 601
        case "restart":
            server = create_gated_server(spy, clock, fallback="two-step")
    async with meet(server, None, era) as client:
        result = await client.call_tool(target.name, {**target.arguments, "confirmationId": confirmation_id})
        assert read_status(result) == "confirmation_expired"
        assert spy.mutations == []
        if misuse in {"other arguments", "other tool"}:  # the confirmation stays open for its own call
            result = await client.call_tool(first.name, {**first.arguments, "confirmationId": confirmation_id})
            assert read_status(result) == "done"
            assert len(spy.mutations) == 1


@each_era
@pytest.mark.parametrize("ask", ["form", "fallback"])
async def test_a_client_that_can_show_forms_cannot_use_the_confirmation_id_of_one_that_cannot(
    ask: str, era: Era
) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    server = create_gated_server(spy, ask=ask, fallback="two-step")
    async with meet(server, None, era) as client:
        arguments = {**target.arguments, "confirmationId": await request_confirmation_id(client, target)}
        async with meet(server, human, era) as other:
            result = await other.call_tool(target.name, arguments)
        assert read_status(result) == {"form": "confirmation_declined", "fallback": "confirmation_expired"}[ask]
        assert len(human.requests) == (ask == "form")
        assert spy.mutations == []
        assert read_status(await client.call_tool(target.name, arguments)) == "done"
    assert len(spy.mutations) == 1


@each_era
async def test_a_client_that_can_show_forms_is_asked_in_spite_of_a_confirmation_id(era: Era) -> None:
    spy, human = GitBookSpy(), Human()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy, fallback="two-step"), human, era) as client:
        result = await client.call_tool(target.name, {**target.arguments, "confirmationId": "x" * 22})
    assert read_status(result) == "done"
    assert len(human.requests) == 1


async def test_a_call_without_a_form_does_not_use_up_the_form_of_another_call(
    opened: list[tuple[ConfirmationStore, PendingConfirmation]],
) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    server = create_gated_server(spy, fallback="two-step")
    async with meet(server, Human(), "2026-07-28") as client:
        state = await start_call(client, target)
        ((_, pending),) = opened
        async with meet(server, None, "2026-07-28") as other:
            result = await other.call_tool(target.name, {**target.arguments, "confirmationId": pending.id})
        assert read_status(result) == "confirmation_expired"
        done = await call_once(client, target, state, APPROVAL)
        assert isinstance(done, CallToolResult)
        assert read_status(done) == "done"


@each_era
async def test_a_second_call_on_a_changed_target_returns_a_new_preview(era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy, fallback="two-step"), None, era) as client:
        confirmation_id = await request_confirmation_id(client, target)
        spy.sandbox.state.installations[target.arguments["installationId"]].status = "paused"
        result = await client.call_tool(target.name, {**target.arguments, "confirmationId": confirmation_id})
        assert read_status(result) == "target_changed"
        assert spy.mutations == []
        assert result.structured_content is not None
        confirmation_id = result.structured_content["confirmationId"]
        result = await client.call_tool(target.name, {**target.arguments, "confirmationId": confirmation_id})
        assert read_status(result) == "done"


@each_era
async def test_without_two_steps_a_confirmation_id_is_an_unknown_argument(era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), None, era) as client:
        for extra in ({"confirmationId": "x"}, {"confirm": True}):
            result = await client.call_tool(target.name, {**target.arguments, **extra})
            assert result.is_error
            assert result.structured_content is not None
            assert result.structured_content["code"] == "unknown_argument"
            assert next(iter(extra)) in read_text(result)
    assert spy.mutations == []


# The multi-round-trip form, driven by hand


@pytest.mark.parametrize("name", ["uninstall_integration", "set_integration_development_mode", *WIDENING])
async def test_an_approval_that_is_replayed_twenty_times_runs_once(name: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, name)
    results: list[CallToolResult] = []
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        state = await start_call(client, target)

        async def replay() -> None:
            result = await call_once(client, target, state, APPROVAL)
            assert isinstance(result, CallToolResult)
            results.append(result)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(replay)
    assert [(one.structured_content or {}).get("code") for one in results].count("confirmation_expired") == 19
    assert len(spy.mutations) == 1


@pytest.mark.parametrize("first", [ElicitResult(action="decline"), ElicitResult(action="accept", content={}), None])
async def test_a_refusal_uses_up_the_confirmation(first: ElicitResult | None) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        state = await start_call(client, target)
        refused = await call_once(client, target, state, first)
        assert isinstance(refused, CallToolResult)
        assert read_status(refused) in {"confirmation_declined", "confirmation_invalid"}
        late = await call_once(client, target, state, APPROVAL)
        assert isinstance(late, CallToolResult)
        assert read_status(late) == "confirmation_expired"
    assert spy.mutations == []


async def test_an_approval_without_a_confirmation_is_ignored() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        assert isinstance(await call_once(client, target, None, APPROVAL), InputRequiredResult)
    assert spy.mutations == []


@pytest.mark.parametrize("change", ["arguments", "tool", "server", "forged"])
async def test_the_state_of_another_call_is_rejected_by_the_protocol(change: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration_from_space")
    server = create_gated_server(spy)
    async with meet(server, Human(), "2026-07-28") as client:
        state = await start_call(client, target)
    match change:
        case "arguments":
            target = Target(target.name, {**target.arguments, "installationId": "other"})
        case "tool":
            target = find_target(spy, "uninstall_integration")
        case "server":
            server = create_gated_server(spy)
        case "forged":
            state = state[:-4] + "AAAA"
    async with meet(server, Human(), "2026-07-28") as client:
        with pytest.raises(Exception, match="Invalid or expired requestState"):
            await call_once(client, target, state, APPROVAL)
    assert spy.mutations == []


async def test_simultaneous_calls_each_need_their_own_approval() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    human = Human()
    seen: Callable[[], int] = lambda: len(human.requests)  # noqa: E731
    async with meet(create_gated_server(spy), human, "legacy") as client, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(client.call_tool, target.name, target.arguments)
    assert len(spy.mutations) <= seen()


def test_a_form_has_only_primitive_fields() -> None:
    """Clients show only these. The box is not ticked at first."""

    async def look() -> None:
        human = Human(action="decline")
        async with meet(create_gated_server(GitBookSpy()), human, "legacy") as client:
            await client.call_tool("unpublish_integration", {"integrationName": OWN_INTEGRATION})
        (request,) = human.requests
        assert isinstance(request, ElicitRequestFormParams)
        assert request.requested_schema == {
            "type": "object",
            "properties": {
                "confirm": {
                    "type": "boolean",
                    "title": "Unpublish “Release Notes Bot”",
                    "description": "Tick to approve: Unpublish",
                    "default": False,
                },
                "name": {"type": "string", "title": "Name", "description": f"Type {OWN_INTEGRATION} to confirm"},
            },
            "required": ["confirm", "name"],
        }

    anyio.run(look)


def test_an_approval_has_its_mode() -> None:
    pending = PendingConfirmation("form", "binding", Preview("Uninstall?", "All is lost.", "state"), 600)
    assert read_form(pending, APPROVAL) == Approval("form", pending.preview)
    assert read_decision(replace(pending, decision="approved")) == Approval("browser", pending.preview)
