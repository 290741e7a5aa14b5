"""Previews: facts that no text of a third party can imitate, as text and as JSON."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Tool
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.confirmation.facts import name_argument
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from gitbook_integrations_mcp.store.pending import Fact, Preview
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import TOKENS, Upstream, read_code, read_text
from tests.support.gated_calls import GATED, PUBLICATION, UNTRUSTED, Target, each_era, find_target

HOSTILE = (
    "Slack\nStatus: paused",
    "Slack\r\nAffected sites: 0",
    "Slack\u2028Status: paused\x00\u202e",
    "Slack” (slack), “",
    'Slack" (slack), verified by GitBook, "',
    "Slack» ‘(slack)’ «, verified by GitBook",
    "Slack&#8221; (slack), verified by GitBook, &ldquo;",
)


def list_labels(text: str) -> list[str]:
    """Return the labels of the facts in a preview's text."""
    return [line.partition(": ")[0] for line in text.splitlines()[2:]]


async def read_preview(title: str) -> str:
    """Return the preview of a call whose integration, spaces and external IDs have this title."""
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    state = spy.sandbox.state
    installation = state.installations[target.arguments["installationId"]]
    installation.external_ids = [title]
    state.integrations[installation.integration].manifest["title"] = title
    for space in installation.enabled["space"]:
        state.spaces[space].title = title
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
    return human.texts[0]


@pytest.mark.parametrize("title", HOSTILE)
async def test_a_hostile_title_cannot_imitate_a_fact(title: str) -> None:
    harmless, hostile = await read_preview("Slack"), await read_preview(title)
    assert list_labels(hostile) == list_labels(harmless)
    facts = read_facts(hostile)
    assert facts["Integration"].startswith(f"{facts['Integration name']} (“")
    assert facts["Integration"].count("“") == facts["Integration"].count("”") == 1
    assert "not verified" in facts["Version"]
    assert "Slack" not in facts["Version"]
    count = int(facts["Affected spaces"].partition(":")[0])
    assert facts["Affected spaces"].count("”") == facts["Affected spaces"].count("“") == min(count, 10)


async def test_markdown_of_a_third_party_is_harmless_in_a_form() -> None:
    text = await read_preview("![x](https://evil.example/x) [a](b) `c` *d* <e>")
    assert not set("[]!`*<>").intersection(text)


@pytest.mark.parametrize("mark", ["~~", "||", "$", "\\(\\phantom{"])
async def test_a_title_that_stands_twice_cannot_strike_out_or_hide_what_is_between(mark: str) -> None:
    text = await read_preview(f"a{mark}b")
    assert text.count("“a") >= 2
    assert not set(mark).intersection("~|$\\").intersection(text)


async def test_a_title_cannot_be_padded_to_begin_a_line_of_its_own() -> None:
    for blank in "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159\U0001d173":
        assert "“Slack Status: paused”" in await read_preview(f"Slack{blank * 9}Status: paused")


LINK = re.compile(r"[a-z]+://|\w[.@][a-z]", re.IGNORECASE)
"""What clients make a link of: URLs, hosts and e-mail addresses."""


@pytest.mark.parametrize(
    "title",
    ["See https://evil.example/x", "HTTP://evil.example", "www.evil.example", "evil.example/a", "a@evil.example"],
)
async def test_no_client_makes_a_link_of_a_third_partys_text(title: str) -> None:
    text = await read_preview(title)
    assert text.count("evil․example") >= 4  # the title, the integration, a space and an external ID
    others = [line for line in text.splitlines() if not line.startswith(("In GitBook: ", "Asked for by: "))]
    assert not LINK.search("\n".join(others))


async def test_numbers_and_sentences_of_a_third_party_stay_as_they_are() -> None:
    assert "Docs 2.0: a/b, v1.5. Next" in await read_preview("Docs 2.0: a/b, v1.5. Next")


# What the call names


@dataclass
class FaultyGitBook(GitBookSpy):
    """A GitBook that answers some reads otherwise, by the end of the path: with a status, or a changed object."""

    faults: Mapping[str, int | Callable[[Any], Any]] = field(default_factory=dict)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        fault = next((fault for end, fault in self.faults.items() if scope.get("path", "").endswith(end)), None)
        if fault is None or scope["method"] != "GET":
            await super().__call__(scope, receive, send)
            return
        transport = httpx.ASGITransport(app=self.sandbox)
        async with httpx.AsyncClient(transport=transport, base_url="https://api.gitbook.com") as client:
            headers = [(name.decode(), value.decode()) for name, value in scope["headers"] if name != b"host"]
            url = f"{scope['path']}?{scope['query_string'].decode()}"
            response = await client.get(url, headers=headers)
        if isinstance(fault, int):
            status, content = fault, {"error": {"code": fault, "message": "no"}}
        else:
            status, content = response.status_code, fault(response.json())
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": json.dumps(content).encode()})


def read_facts(text: str) -> dict[str, str]:
    """Return the facts in a preview's text."""
    return dict(line.split(": ", 1) for line in text.splitlines()[2:] if ": " in line)


@each_era
@pytest.mark.parametrize("name", GATED)
async def test_a_form_names_the_path_arguments_of_the_call(name: str, era: Any) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, name)
    async with meet(create_gated_server(spy), human, era) as client:
        await client.call_tool(name, target.arguments)
    lines = human.texts[0].splitlines()[2:]
    paths = ENDPOINTS[name].path_names
    named = [f"{name_argument(key)}: {value}" for key, value in target.arguments.items() if key in paths]
    first = lines.index(named[0])
    assert lines[first : first + len(named)] == named


@each_era
@pytest.mark.parametrize("fallback", ["browser", "two-step"])
async def test_a_preview_names_the_path_arguments_of_the_call_in_every_mode(fallback: str, era: Any) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration_from_site")
    async with meet(create_gated_server(spy, fallback=fallback), None, era) as client:
        result = await client.call_tool(target.name, target.arguments)
    facts = read_facts((result.structured_content or {})["preview"])
    assert {key: facts[name_argument(key)] for key in target.arguments} == target.arguments


@each_era
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("name", GATED)
async def test_a_call_on_a_target_of_which_nothing_can_be_read_is_refused_before_anybody_is_asked(
    name: str, status: int, era: Any
) -> None:
    spy, human = FaultyGitBook(), Human()
    target = find_target(spy, name)
    ids = [value for key, value in target.arguments.items() if key.endswith(("Id", "Name"))]
    spy.faults = dict.fromkeys([*ids, "/installations", "/spaces", "/sites"], status)
    async with meet(create_gated_server(spy), human, era) as client:
        result = await client.call_tool(name, target.arguments)
    assert result.is_error
    assert (result.structured_content or {})["code"] == "target_unreadable"
    assert str(status) in (result.structured_content or {})["message"]
    assert human.requests == []
    assert spy.mutations == []


@each_era
async def test_an_unreadable_target_of_a_known_integration_is_named_by_the_call(era: Any) -> None:
    spy, human = FaultyGitBook(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    spy.faults = {target.arguments["installationId"]: 403, "/spaces": 502, "/sites": 403}
    async with meet(create_gated_server(spy), human, era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "confirmation_declined"
    facts = read_facts(human.texts[0])
    assert facts["Installation ID"] == target.arguments["installationId"]
    assert "403" in human.texts[0].splitlines()[2]
    assert facts["Affected spaces"] == "could not be read (GitBook answered 502)"
    assert facts["Affected sites"] == "could not be read (GitBook answered 403)"


def change(**fields: Any) -> Callable[[Any], Any]:
    """Return a function that changes fields of a response."""
    return lambda content: {**content, **fields}


def change_items(**fields: Any) -> Callable[[Any], Any]:
    """Return a function that changes fields of every item of a response."""
    return lambda content: {**content, "items": [{**item, **fields} for item in content["items"]]}


@pytest.mark.parametrize(
    ("name", "added", "end", "fault"),
    [
        ("install_integration_on_space", "get_integration_by_name", UNTRUSTED, change(target="site")),
        (
            "install_integration",
            "list_organizations_for_authenticated_user",
            "/v1/orgs",
            change_items(permissions={"installIntegration": False}),
        ),
    ],
)
async def test_no_error_about_a_precondition_tells_what_may_be_read_only_after_approval(
    name: str, added: str, end: str, fault: Callable[[Any], Any]
) -> None:
    spy, human = FaultyGitBook(faults={end: fault}), Human(action="decline")
    target = find_target(spy, name)
    for extra, asked in ([], 0), ([added], 1):
        async with meet(create_gated_server(spy, extra_tools=extra), human, "2026-07-28") as client:
            result = await client.call_tool(target.name, target.arguments)
        assert (result.is_error, len(human.requests)) == (not asked, asked), read_text(result)


@each_era
async def test_nobody_is_asked_about_a_call_for_which_the_token_lacks_the_right(era: Any) -> None:
    spy, human = FaultyGitBook(), Human()
    spy.faults = {"/v1/orgs": change_items(permissions={"installIntegration": False})}
    foreign = {"integrationName": UNTRUSTED}
    calls: dict[str, dict[str, Any]] = {
        "unpublish_integration": foreign,
        "disable_integration_development_mode": foreign,
        "set_integration_development_mode": {**foreign, "tunnelUrl": "https://tunnel.example"},
        "publish_integration": {**foreign, **PUBLICATION},
        "install_integration": {**foreign, "organization": ORGANIZATION_ID},
    }
    async with meet(create_gated_server(spy), human, era) as client:
        for name, arguments in calls.items():
            result = await client.call_tool(name, arguments)
            assert read_code(result) == "forbidden", name
            assert "Nobody was asked" in read_text(result), name
    assert human.requests == []
    assert spy.mutations == []


async def test_a_right_that_another_token_lacks_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    choose = Credentials.choose

    def choose_another(credentials: Credentials, tool: Tool) -> Any:
        return "integration token" if tool.name == "get_integration_by_name" else choose(credentials, tool)

    monkeypatch.setattr(Credentials, "choose", choose_another)
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        await client.call_tool("unpublish_integration", {"integrationName": UNTRUSTED})
    assert len(human.requests) == 1


@each_era
@pytest.mark.parametrize(
    ("name", "argument", "fault"),
    [
        ("uninstall_integration", "installationId", change(id="other")),
        ("uninstall_integration", "integrationName", change(name="other")),
        ("unpublish_integration", "integrationName", change(name="other")),
        ("create_integration_installation_token", "installationId", change(id="other")),
        ("uninstall_integration_from_space", "spaceId", change(space={"id": "other", "title": "Other"})),
        ("uninstall_integration_from_space", "spaceId", change(space="other")),
        ("uninstall_integration_from_space", "spaceId", change(installation="other")),
        ("uninstall_integration_from_space", "spaceId", change(integration="other")),
        ("uninstall_integration_from_site", "siteId", change(site={"id": "other", "title": "Other"})),
        ("uninstall_integration", "/spaces", change_items(installation="other")),
        ("unpublish_integration", "/spaces", change_items(integration="other")),
    ],
)
async def test_an_answer_about_another_object_is_an_error_before_anybody_is_asked(
    name: str, argument: str, fault: Callable[[Any], Any], era: Any
) -> None:
    spy, human = FaultyGitBook(), Human()
    target = find_target(spy, name)
    spy.faults = {target.arguments.get(argument, argument): fault}
    async with meet(create_gated_server(spy), human, era) as client:
        result = await client.call_tool(name, target.arguments)
    assert result.is_error
    assert (result.structured_content or {})["code"] == "invalid_response"
    assert human.requests == []
    assert spy.mutations == []


@each_era
async def test_the_form_of_a_read_tool_shows_its_arguments_and_options(era: Any) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    name = "list_organization_installations"
    arguments = {"organizationId": ORGANIZATION_ID, "limit": 5, "detail": "full", "fetchAll": True, "maxItems": 50}
    async with meet(create_gated_server(spy, extra_tools=[name]), human, era) as client:
        await client.call_tool(name, arguments)
    facts = read_facts(human.texts[0])
    shown = {key: str(value) for key, value in arguments.items()} | {"fetchAll": "yes"}
    assert {key: facts[name_argument(key)] for key in arguments} == shown


async def test_a_delay_is_shown_with_its_unit() -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    async with meet(create_gated_server(spy, extra_tools=["queue_integration_task"]), human, "2026-07-28") as client:
        arguments = {"integrationName": OWN_INTEGRATION, "task": {}, "schedule": 30}
        await client.call_tool("queue_integration_task", arguments)
    assert read_facts(human.texts[0])["Schedule"] == "30 seconds"


@each_era
async def test_an_approval_of_a_summary_is_not_used_for_everything(era: Any) -> None:
    spy = GitBookSpy()
    first = Target("list_organization_installations", {"organizationId": ORGANIZATION_ID})
    server = create_gated_server(spy, extra_tools=[first.name], fallback="two-step")
    async with meet(server, None, era) as client:
        asked = await client.call_tool(first.name, first.arguments)
        confirmation = {"confirmationId": (asked.structured_content or {})["confirmationId"]}
        for more in ({"detail": "full"}, {"fetchAll": True}, {"fetchAll": True, "maxItems": 5000}):
            result = await client.call_tool(first.name, {**first.arguments, **more, **confirmation})
            assert read_status(result) == "confirmation_expired"


@pytest.mark.parametrize(
    "character", ["\u202e", "\u200b", "\u2066", "\u00ad", "\u3164", "\u00a0", "\u2028", "\r", "\ufe0f"]
)
async def test_what_is_sent_is_shown_with_its_invisible_characters_as_escapes(character: str) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    own = {"integrationName": OWN_INTEGRATION}
    installed = find_target(spy, "uninstall_integration").arguments
    text = f"a{character}b"
    calls: dict[str, dict[str, Any]] = {
        "render_integration_ui_with_post": {**own, "componentId": text, "props": {}, "context": {}},
        "update_integration_installation": {**installed, "externalIds": [text]},
        "queue_integration_task": {**own, "task": {text: 1}},
        "list_integrations": {"search": text},
    }
    async with meet(create_gated_server(spy, extra_tools=[*calls]), human, "2026-07-28") as client:
        for name, arguments in calls.items():
            await client.call_tool(name, arguments)
    assert [f"a\\u{ord(character):04x}b" in shown for shown in human.texts] == [True] * len(calls)


@each_era
async def test_the_host_of_a_tunnel_is_a_fact_of_its_own(era: Any) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    url = "https://gitbook.com.evil.example:8443/gitbook.com/?next=https://gitbook.com"
    arguments = {"integrationName": OWN_INTEGRATION, "tunnelUrl": url, "all": True}
    async with meet(create_gated_server(spy), human, era) as client:
        await client.call_tool("set_integration_development_mode", arguments)
    facts = read_facts(human.texts[0])
    assert (facts["Tunnel URL"], facts["Tunnel URL, host"]) == (url, "gitbook.com.evil.example")


TEXT: Any = st.text()


@given(TEXT, TEXT, TEXT, st.lists(st.tuples(TEXT, TEXT)), st.lists(TEXT), st.none() | TEXT)
def test_a_preview_survives_json(
    title: str, consequence: str, state: str, facts: list[tuple[str, str]], notes: list[str], typed: str | None
) -> None:
    preview = Preview(title, consequence, state, tuple(Fact(*fact) for fact in facts), tuple(notes), typed)
    assert Preview.from_json(json.loads(json.dumps(preview.to_json()))) == preview


def test_the_text_has_a_line_for_each_note_and_fact() -> None:
    preview = Preview(
        "Uninstall?",
        "All is lost.",
        "state",
        (Fact("Status", "active"),),
        ("A note.",),
        details=(Fact("spaceId", "s"),),
        requester="assistant 1.0",
        link="https://app.gitbook.com/o/1",
    )
    assert preview.text.splitlines() == [
        "Uninstall?",
        "All is lost.",
        "A note.",
        "Status: active",
        "spaceId: s",
        "Asked for by: assistant 1.0",
        "In GitBook: https://app.gitbook.com/o/1",
    ]


async def read_update_facts(**changes: Any) -> dict[str, str]:
    """Return the facts of a form about an update of an installation, which has a configuration and external IDs."""
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    installation.configuration, installation.external_ids = {"channel": "#docs", "digest": True}, ["a", "b"]
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest.pop("configurations", None)  # any key is allowed
    # While the state may be read only with approval, an update is not compared with it before the form.
    server = create_gated_server(spy, extra_tools=["get_integration_installation_by_id"])
    async with meet(server, human, "2026-07-28") as client:
        await client.call_tool("update_integration_installation", {**target.arguments, **changes})
    return read_facts(human.texts[0])


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("https://t.example/<!--", "https://t.example/＜!--"),
        ("https://t.example/[g](https://g)", "https://t.example/［g］(https://g)"),
        ("https://t.example/`x`", "https://t.example/｀x｀"),
        ("https://t.example/**x**", "https://t.example/∗∗x∗∗"),
        ("https://t.example/__x__", "https://t.example/＿＿x＿＿"),
        ("https://t.example/&#46;", "https://t.example/＆#46;"),
        ("https://t.example/~~x~~", "https://t.example/～～x～～"),
        ("https://t.example/$x$||y||", "https://t.example/＄x＄｜｜y｜｜"),
        ("https://t.example/a_b?c=d&e=f", "https://t.example/a_b?c=d&e=f"),
    ],
)
async def test_what_a_client_could_render_as_markdown_is_shown_as_what_looks_alike(sent: str, shown: str) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    arguments = {"integrationName": OWN_INTEGRATION, "tunnelUrl": sent, "all": True}
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        await client.call_tool("set_integration_development_mode", arguments)
    facts = read_facts(human.texts[0])
    assert facts["Tunnel URL"] == shown
    assert facts["All"] == "yes"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ([], "empty"),
        (["a", "b"], "a, b"),
        (["a, b"], '"a, b"'),
        (["", " a"], '"", " a"'),
        (['"a'], '""a"'),
        (["a\nb", "↵", "*", "∗"], "a↵b, \\u21b5, ∗, \\u2217"),  # no character can pass for another
        (["c\u200bd", "\\u200b"], "c\\u200bd, ＼u200b"),
    ],
)
async def test_each_item_of_a_list_can_be_told_from_the_others(sent: list[str], shown: str) -> None:
    assert (await read_update_facts(externalIds=sent))["External IDs"] == shown


async def test_an_update_names_the_settings_and_external_ids_that_it_deletes() -> None:
    facts = await read_update_facts(configuration={"digest": False}, externalIds=["b"])
    assert facts["Configuration that is lost"] == "channel"
    assert facts["External IDs that are lost"] == "a"
    facts = await read_update_facts(configuration={})
    assert facts["configuration channel"] == "“#docs” → deleted"
    assert facts["Configuration that is lost"] == "channel, digest"
    assert "External IDs that are lost" not in facts
    facts = await read_update_facts(space_selection="all")
    assert not any("lost" in label for label in facts)


async def test_unpublishing_names_the_credentials_that_are_lost_with_each_installation() -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    own = [one for one in spy.sandbox.state.installations.values() if one.integration == OWN_INTEGRATION]
    for one in own:
        one.configuration = {"api_key": "the-key-of-the-release-tracker", "digest": True}
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        await client.call_tool("unpublish_integration", {"integrationName": OWN_INTEGRATION})
    for one in own:
        assert f"Configuration that is lost: api_key, digest; on {one.id}" in human.texts[0]
        assert f"Credentials to revoke where they were issued: api_key; on {one.id}" in human.texts[0]


async def test_an_uninstallation_names_the_settings_that_are_lost_on_places() -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    places = spy.sandbox.state.installations[target.arguments["installationId"]].enabled["space"]
    for place in places.values():
        place.configuration = {"channel": "#docs", "digest": True}
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
    for space in places:
        assert re.search(f"^Configuration that is lost: channel, digest; on {space}", human.texts[0], re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("uninstall_integration", {"scopes": True}),
        ("unpublish_integration", {"scopes": 5, "blocks": 5}),
        ("update_integration_space_installation", {"configuration": [["a"]], "externalIds": {"a": 1}}),
    ],
)
async def test_a_human_is_asked_although_a_field_of_the_target_has_another_type(
    name: str, changed: dict[str, Any]
) -> None:
    def change(content: Any) -> Any:
        return {**content, **changed} if "items" not in content else content

    spy, human = FaultyGitBook(faults={"": change}), Human(action="decline")
    target = find_target(spy, name)
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        result = await client.call_tool(name, target.arguments)
    assert read_status(result) == "confirmation_declined"
    assert (len(human.texts), spy.mutations) == (1, [])


async def test_an_update_that_changes_nothing_says_so() -> None:
    present = {"channel": "#docs", "digest": True}
    assert (await read_update_facts(configuration=present))["Changes"].startswith("none")
    for changed in ({**present, "digest": 1}, {**present, "channel": "#ops"}, {**present, "more": 1}, {"digest": True}):
        assert "Changes" not in await read_update_facts(configuration=changed)
    assert "Changes" not in await read_update_facts(configuration=present, externalIds=[])
    assert "Changes" not in await read_update_facts(configuration=present, space_selection="all")


async def test_of_many_values_the_rest_is_counted_before_those_that_are_shown() -> None:
    facts = await read_update_facts(configuration={f"key{number}": 1 for number in range(200)})
    assert facts["configuration key47"] == "nothing → 1"  # besides the two that are deleted
    assert facts["configuration, not shown"].startswith("152 of 202 values")
    labels = [label for label in facts if label.startswith("configuration")]
    assert labels[0] == "configuration, not shown"


async def test_fields_that_gitbook_adds_to_an_integration_do_no_harm() -> None:
    upstream, human = Upstream(), Human(action="decline")
    upstream.answer({"name": "x", "version": 1, "space": {"id": "s"}, "site": "t", "target": "all"})
    settings = load_settings({"gitbook": TOKENS})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=upstream))
    async with meet(server, human, "2026-07-28") as client:
        result = await client.call_tool("disable_integration_development_mode", {"integrationName": "x"})
    assert read_status(result) == "confirmation_declined"
    assert "Integration: x" in human.texts[0]
