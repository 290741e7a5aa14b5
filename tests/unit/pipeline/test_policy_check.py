"""Nobody is asked about what the operator's policy denies, and nothing of it is sent."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from mcp import Client
from pydantic_core import from_json

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Risk
from gitbook_integrations_api.resources import SCHEME
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, USER_TOKEN
from gitbook_integrations_mcp.sandbox.state import Installation, Setup, State
from tests.support.audit_fixtures import Watched, fail
from tests.support.elicitation_client import GitBookSpy, Human, meet
from tests.support.fake_gitbook import ERAS, Era, read_code, read_text
from tests.support.grown_sandbox import Size, create_grown_sandbox

each_era = pytest.mark.parametrize("era", ERAS)

STRANGER = "heatlens"
"""An unlisted integration that GitBook has not verified, with scripts and write access, for all kinds of places."""
DENIED = {"name": "no-strangers", "effect": "deny", "reason": "Only reviewed code."}

PUBLICATION = {
    "integrationName": OWN_INTEGRATION,
    "organization": ORGANIZATION_ID,
    "title": "Release Notes Bot",
    "description": "Writes release notes",
    "script": "export default {}",
    "scopes": ["space:content:write"],
    "visibility": "private",
}


@asynccontextmanager
async def connect(
    app: Any, *rules: Mapping[str, Any], era: Era = "2026-07-28", human: Human | None = None, **more: Any
) -> AsyncIterator[Client]:
    """Yield a client with a human who approves everything, of a server with this policy."""
    policy = {"rules": [{**DENIED, **rule} for rule in rules]}
    settings = load_settings({"server": {"sandbox": True}, "policy": policy, "limits": {"attempts": 1}, **more})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=app))
    async with meet(server, human or Human(), era) as client:
        yield client


def install(state: State, name: str = STRANGER) -> Installation:
    """Replace all installations by one, as people make it in GitBook itself."""
    state.installations.clear()
    installation = Installation(
        id=f"i-{name}", integration=name, organization=ORGANIZATION_ID, created_at=0.0, updated_at=0.0
    )
    state.installations[installation.id] = installation
    return installation


def find_place(state: State, level: Any, visibility: str) -> str:
    return next(one.id for one in state.get_places(level, ORGANIZATION_ID) if one.visibility == visibility)


def list_calls(state: State) -> dict[str, dict[str, Any]]:
    """Return a call of every tool that the policy judges."""
    named = {"integrationName": STRANGER}
    installed = {**named, "installationId": install(state).id}
    return {
        "install_integration": {**named, "organization": ORGANIZATION_ID},
        "install_integration_on_space": {**installed, "space": find_place(state, "space", "private")},
        "install_integration_on_site": {**installed, "siteId": find_place(state, "site", "public")},
        "update_integration_installation": {**installed, "space_selection": "all"},
        "publish_integration": PUBLICATION,
        "set_integration_development_mode": {"integrationName": OWN_INTEGRATION, "tunnelUrl": "https://t.example"},
    }


def test_every_endpoint_that_installs_publishes_or_opens_a_tunnel_is_judged() -> None:
    judged = {name for name, endpoint in ENDPOINTS.items() if endpoint.policy_action}
    assert judged == set(list_calls(GitBookSpy().sandbox.state))
    assert all(ENDPOINTS[name].risk is Risk.WRITE for name in judged)
    assert {name for name in ENDPOINTS if name.startswith(("install_", "publish_"))} <= judged
    selecting = {name for name, one in ENDPOINTS.items() if "space_selection" in one.body_names}
    assert selecting <= judged


@each_era
@pytest.mark.parametrize("tool", list_calls(GitBookSpy().sandbox.state))
async def test_what_a_rule_denies_is_neither_asked_nor_sent(tool: str, era: Era) -> None:
    spy, human = GitBookSpy(), Human()
    arguments = list_calls(spy.sandbox.state)[tool]
    async with connect(spy, {}, era=era, human=human) as client:
        result = await client.call_tool(tool, arguments)
    assert read_code(result) == "denied_by_policy"
    assert "no-strangers" in read_text(result)
    assert "Only reviewed code." in read_text(result)
    assert human.requests == []
    assert spy.mutations == []


@pytest.mark.parametrize("tool", list_calls(GitBookSpy().sandbox.state))
async def test_what_a_rule_allows_runs(tool: str) -> None:
    spy = GitBookSpy()
    arguments = list_calls(spy.sandbox.state)[tool]
    if tool == "install_integration":
        spy.sandbox.state.installations.clear()
    async with connect(spy, {"name": "all", "effect": "allow"}, {}) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert len(spy.mutations) == 1


SPACE, SITE = "install_integration_on_space", "install_integration_on_site"


@pytest.mark.parametrize(
    ("tool", "conditions", "denied"),
    [
        ("install_integration", {"verified": False}, True),
        ("install_integration", {"verified": True}, False),
        ("install_integration", {"visibility": ["unlisted"], "scopes": ["site:script:*"]}, True),
        ("install_integration", {"targets": ["site"]}, False),
        ("install_integration", {"content_security_policy": ["missing"]}, True),
        ("install_integration", {"owners": ["h3ATl6nSuV1pJxDq8ZrW"]}, True),
        ("install_integration", {"owners": [ORGANIZATION_ID]}, False),
        ("install_integration", {"places": ["non-public-spaces"]}, False),
        (SPACE, {"places": ["non-public-spaces"]}, True),
        (SPACE, {"places": ["public-spaces", "public-sites", "non-public-sites"]}, False),
        (SITE, {"places": ["public-sites"]}, True),
        (SITE, {"places": ["non-public-sites", "non-public-spaces"]}, False),
        ("update_integration_installation", {"places": ["non-public-spaces"]}, True),
        ("update_integration_installation", {"places": ["space:abc"]}, True),
        ("update_integration_installation", {"places": ["public-sites"]}, False),
        ("publish_integration", {"scopes": ["*:write"]}, True),
        ("publish_integration", {"scopes": ["site:*"]}, False),
        ("publish_integration", {"owners": [ORGANIZATION_ID]}, True),
        ("publish_integration", {"visibility": ["public", "unlisted"]}, False),
        ("publish_integration", {"targets": ["all"]}, True),
        ("publish_integration", {"verified": True}, False),
        ("set_integration_development_mode", {"tunnel_hosts": ["*.example"]}, True),
        ("set_integration_development_mode", {"tunnel_hosts": ["*.acme.example"]}, False),
    ],
)
async def test_a_rule_is_judged_by_facts_of_gitbook(tool: str, conditions: dict[str, Any], denied: bool) -> None:
    spy = GitBookSpy()
    arguments = list_calls(spy.sandbox.state)[tool]
    if tool == "install_integration":
        spy.sandbox.state.installations.clear()
    async with connect(spy, conditions) as client:
        result = await client.call_tool(tool, arguments)
    assert (result.is_error and read_code(result) == "denied_by_policy") is denied, result.content
    assert len(spy.mutations) == (0 if denied else 1)


@pytest.mark.parametrize(
    ("tool", "changed", "conditions", "unknown"),
    [
        ("publish_integration", {"visibility": None}, {"visibility": ["public"]}, "visibility"),
        ("publish_integration", {"organization": "elsewhere"}, {"owners": ["abc"]}, "owner"),
        (SPACE, {"space": "elsewhere"}, {"places": ["public-spaces"]}, "visibility of the space or site"),
        (SPACE, {"installationId": "elsewhere"}, {"places": ["public-spaces"]}, "visibility of the space or site"),
    ],
)
async def test_an_unknown_fact_counts_against_the_call(
    tool: str, changed: dict[str, Any], conditions: dict[str, Any], unknown: str
) -> None:
    spy = GitBookSpy()
    arguments = list_calls(spy.sandbox.state)[tool] | changed
    async with connect(spy, conditions) as client:
        result = await client.call_tool(tool, arguments)
    assert read_code(result) == "denied_by_policy"
    assert f"unknown and count against it: {unknown}." in read_text(result)
    assert spy.mutations == []


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_facts_that_gitbook_refuses_count_against_the_call(status: int) -> None:
    watched = Watched(fault=fail(f"/integrations/{STRANGER}", status))
    async with connect(watched, {"name": "own", "effect": "allow", "verified": False}, {"verified": True}) as client:
        result = await client.call_tool(
            "install_integration", {"integrationName": STRANGER, "organization": ORGANIZATION_ID}
        )
    assert read_code(result) == "denied_by_policy"
    assert "unknown" in read_text(result)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("install_integration", {"organization": ORGANIZATION_ID}),
        ("check_policy", {}),
        ("check_policy", {"action": "widen"}),
    ],
)
async def test_an_integration_that_does_not_exist_is_an_error_with_the_name_that_was_meant(
    tool: str, arguments: dict[str, Any]
) -> None:
    spy = GitBookSpy()
    async with connect(spy, {"verified": False}) as client:
        result = await client.call_tool(tool, {"integrationName": "Mermaid", **arguments})
    assert read_code(result) == "not_found"
    assert "Did you mean mermaid" in read_text(result)
    assert spy.mutations == []


async def test_a_name_that_nobody_has_taken_can_be_checked_for_a_publication() -> None:
    async with connect(GitBookSpy(), {"integrations": ["evil-*"]}) as client:
        asked = {"integrationName": "evil-twin", "action": "publish"}
        assert (await client.call_tool("check_policy", asked)).structured_content["decision"] == "deny"


async def test_an_installation_that_is_allowed_names_the_rules_about_some_places() -> None:
    rules = [{"name": "confidential", "places": ["non-public-spaces"]}, {"name": "other", "integrations": ["other"]}]
    async with connect(GitBookSpy(), *rules) as client:
        answers = {}
        for name, asked in (
            ("somewhere", {}),
            ("in public", {"spaceId": find_place(GitBookSpy().sandbox.state, "space", "public")}),
            ("everywhere", {"action": "widen"}),
        ):
            result = await client.call_tool("check_policy", {"integrationName": "mermaid", **asked})
            answers[name] = result.structured_content
    assert [one["decision"] for one in answers.values()] == ["allow", "allow", "deny"]
    assert "On some spaces or sites: The policy rule confidential denies it" in answers["somewhere"]["message"]
    assert "confidential" not in answers["in public"]["message"]
    assert answers["everywhere"]["message"].count("confidential") == 1


async def test_without_a_policy_the_tool_says_so() -> None:
    async with connect(GitBookSpy()) as client:
        for asked in ({}, {"integrationName": "mermaid"}):
            content = (await client.call_tool("check_policy", asked)).structured_content
            assert content["message"] == "The operator has set no policy, so nothing is denied."


async def test_facts_that_only_an_approved_call_may_read_stay_unknown() -> None:
    extra = {"extra_tools": ["get_integration_by_name"]}
    async with connect(GitBookSpy(), {"verified": True}, confirmation=extra) as client:
        checked = await client.call_tool("check_policy", {"integrationName": "mermaid"})
    assert checked.structured_content is not None
    assert checked.structured_content["facts"] == {"name": "mermaid"}
    assert checked.structured_content["unknown"] == ["verified"]


async def test_the_subdomain_of_an_owner_is_the_owner() -> None:
    spy = GitBookSpy()
    async with connect(spy, {"owners": [ORGANIZATION_ID]}) as client:
        result = await client.call_tool("publish_integration", PUBLICATION | {"organization": "aurora-robotics"})
    assert read_code(result) == "denied_by_policy"
    assert "unknown" not in read_text(result)


async def test_an_update_that_selects_nothing_more_is_not_judged() -> None:
    spy = GitBookSpy()
    installation = install(spy.sandbox.state)
    arguments = {"integrationName": STRANGER, "installationId": installation.id, "space_selection": "selected"}
    async with connect(spy, {}) as client:
        result = await client.call_tool("update_integration_installation", arguments)
    assert not result.is_error, result.content


@pytest.mark.parametrize(("selected", "denied"), [(["space"], False), (["site"], True), (["space", "site"], True)])
async def test_each_selection_is_judged(selected: list[str], denied: bool) -> None:
    spy = GitBookSpy()
    arguments = {"integrationName": STRANGER, "installationId": install(spy.sandbox.state).id}
    arguments |= {f"{level}_selection": "all" for level in selected}
    async with connect(spy, {"places": ["non-public-sites"]}) as client:
        result = await client.call_tool("update_integration_installation", arguments)
    assert result.is_error is denied, result.content
    assert len(spy.mutations) == (0 if denied else 1)


@each_era
async def test_facts_that_change_while_a_human_decides_are_judged_again(era: Era) -> None:
    spy, human = GitBookSpy(), Human()
    state = spy.sandbox.state
    installation = install(state, "mermaid")
    async with connect(spy, {"verified": False}, era=era, human=human) as client:
        arguments = {"integrationName": "mermaid", "installationId": installation.id}
        await client.call_tool("uninstall_integration", arguments)
        changes = (await client.call_tool("list_changes", {})).structured_content
        assert changes is not None
        human.before = lambda: setattr(state.integrations["mermaid"], "verified", False)
        result = await client.call_tool("undo_change", {"changeId": changes["items"][0]["id"]})
    assert read_code(result) == "denied_by_policy"
    assert len(human.requests) >= 2  # it was asked
    assert len(spy.mutations) == 1


async def test_removals_are_never_denied() -> None:
    spy = GitBookSpy()
    arguments = {"integrationName": STRANGER, "installationId": install(spy.sandbox.state).id}
    async with connect(spy, {}) as client:
        result = await client.call_tool("uninstall_integration", arguments)
    assert not result.is_error, result.content


@pytest.mark.parametrize("tool", ["uninstall_integration", "uninstall_everywhere"])
@pytest.mark.parametrize("denied", [True, False])
async def test_the_question_about_a_removal_names_the_rule_that_denies_its_undo(tool: str, *, denied: bool) -> None:
    spy, human = GitBookSpy(), Human()
    installation = install(spy.sandbox.state)
    arguments = {"integrationName": STRANGER, "installationId": installation.id}
    if tool == "uninstall_everywhere":
        arguments = {"integrationName": STRANGER, "organizationId": ORGANIZATION_ID}
    async with connect(spy, {"verified": not denied}, human=human) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert (
        "Undo: install_integration is denied. The policy rule no-strangers denies it" in str(human.requests)
    ) is denied


@pytest.mark.parametrize("visibility", ["private", "public"])
async def test_the_question_about_a_removal_names_a_later_call_of_its_undo_that_a_rule_denies(visibility: str) -> None:
    spy, human = GitBookSpy(), Human()
    state = spy.sandbox.state
    installation = install(state)
    place = find_place(state, "space", visibility)
    installation.enabled["space"][place] = Setup()
    async with connect(spy, {"places": ["non-public-spaces"]}, human=human) as client:
        arguments = {"integrationName": STRANGER, "installationId": installation.id}
        assert not (await client.call_tool("uninstall_integration", arguments)).is_error
    denial = f"Undo: install_integration_on_space (space {place}) is denied. The policy rule no-strangers denies it"
    assert (denial in str(human.requests)) is (visibility == "private")
    assert "unknown" not in str(human.requests)


async def test_the_question_about_a_plan_names_every_removal_whose_undo_a_rule_denies() -> None:
    spy, human = GitBookSpy(), Human()
    state = spy.sandbox.state
    installation = install(state)
    places = state.get_places("space", ORGANIZATION_ID)
    installation.enabled["space"] = {one.id: Setup() for one in places}
    paths: list[str] = []

    async def count(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        await spy(scope, receive, send)

    async with connect(count, {"places": ["non-public-spaces"]}, human=human) as client:
        arguments = {"integrationName": STRANGER, "installationId": installation.id, "spaces": []}
        assert not (await client.call_tool("set_installation_places", arguments)).is_error
    denied = {one.id for one in places if f"on_space (space {one.id}) is denied." in str(human.requests)}
    assert denied == {one.id for one in places if one.visibility != "public"}
    assert len(denied) > 1
    assert paths.count(f"/v1/integrations/{STRANGER}/installations/{installation.id}") < len(places)


@each_era
async def test_every_call_of_a_plan_is_judged(era: Era) -> None:
    """An undo would install an integration again, on a space that a rule denies."""
    spy, human = GitBookSpy(), Human()
    state = spy.sandbox.state
    installation = install(state)
    place = find_place(state, "space", "private")
    async with connect(spy, {"places": ["non-public-spaces"]}, era=era, human=human) as client:
        arguments = {"integrationName": STRANGER, "installationId": installation.id}
        installation.enabled["space"][place] = Setup()
        await client.call_tool("uninstall_integration", arguments)
        [change] = (await client.call_tool("list_changes", {})).structured_content["items"]
        asked, sent = len(human.requests), len(spy.mutations)
        result = await client.call_tool("undo_change", {"changeId": change["id"]})
    assert read_code(result) == "denied_by_policy"
    assert f"install_integration_on_space (space {place}, call 2 of the plan)" in read_text(result)
    assert "unknown" not in read_text(result)
    assert (len(human.requests), len(spy.mutations)) == (asked, sent)


async def test_a_space_on_a_later_page_is_found() -> None:
    spy = GitBookSpy(create_grown_sandbox(Size(1, 1100, 0, 0)))
    *_, last = spy.sandbox.state.get_places("space", ORGANIZATION_ID)
    last.visibility = "public"
    arguments = {
        "integrationName": next(iter(spy.sandbox.state.integrations)),
        "organizationId": ORGANIZATION_ID,
        "spaceId": last.id,
    }
    async with connect(spy, {"places": ["public-spaces"]}) as client:
        result = await client.call_tool("check_policy", arguments)
    assert result.structured_content is not None
    assert (result.structured_content["decision"], result.structured_content["unknown"]) == ("deny", [])


async def test_without_a_rule_that_needs_them_no_facts_are_read() -> None:
    watched = Watched()
    watched.sandbox.state.installations.clear()
    arguments = {"integrationName": STRANGER, "organization": ORGANIZATION_ID}
    rules: list[dict[str, Any]] = [
        {"integrations": ["other"]},
        {"name": "unreviewed", "actions": ["publish"], "verified": False},
    ]
    async with connect(watched, *rules, confirmation={"widening": "off"}) as client:
        result = await client.call_tool("install_integration", arguments)
    assert not result.is_error, result.content
    assert watched.requests[0].endswith("/installations")


# The tool and the resource


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({}, "unverified"),
        ({"integrationName": "mermaid"}, None),
        ({"action": "publish"}, "unverified"),
        ({"integrationName": "mermaid", "action": "widen"}, "everywhere"),
        ({"integrationName": "mermaid", "spaceId": "private"}, "confidential"),
        ({"integrationName": "mermaid", "spaceId": "public"}, None),
        ({"integrationName": "mermaid", "siteId": "visitor-auth"}, "confidential"),
        ({"integrationName": "mermaid", "tunnelHost": "evil.example"}, "tunnels"),
        ({"integrationName": "mermaid", "tunnelHost": "dev.acme.example"}, "own-tunnels"),
    ],
)
async def test_the_tool_says_which_rule_decides(asked: dict[str, Any], rule: str | None) -> None:
    spy = GitBookSpy()
    arguments = {"integrationName": STRANGER, "organizationId": ORGANIZATION_ID, **asked}
    for level in ("space", "site"):
        if visibility := asked.get(f"{level}Id"):
            arguments[f"{level}Id"] = find_place(spy.sandbox.state, level, visibility)
    rules: list[dict[str, Any]] = [
        {"name": "own-tunnels", "effect": "allow", "tunnel_hosts": ["*.acme.example"]},
        {"name": "tunnels", "tunnel_hosts": ["*"]},
        {"name": "unverified", "verified": False},
        {"name": "everywhere", "actions": ["widen"]},
        {"name": "confidential", "places": ["non-public-spaces", "non-public-sites"]},
    ]
    async with connect(spy, *rules) as client:
        result = await client.call_tool("check_policy", arguments)
    assert not result.is_error, result.content
    answer = result.structured_content
    assert answer is not None
    assert (answer["rule"] or {}).get("name") == rule
    assert answer["decision"] == ("allow" if rule in {None, "own-tunnels"} else "deny")
    assert answer["unknown"] == []
    assert answer["facts"]["name"] == arguments["integrationName"]
    assert spy.mutations == []


@each_era
async def test_the_rules_are_a_resource_and_what_the_tool_returns_without_a_name(era: Era) -> None:
    async with connect(GitBookSpy(), {"verified": False}, era=era) as client:
        result = await client.call_tool("check_policy", {})
        content = (await client.read_resource(f"{SCHEME}://policy")).contents[0]
        listed = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
    assert result.structured_content is not None
    assert result.structured_content["rules"] == [{**DENIED, "verified": False}]
    assert from_json(content.text) == result.structured_content  # type: ignore[union-attr]
    assert f"{SCHEME}://policy" in listed


@pytest.mark.parametrize("asked", [{"action": "publish"}, {"tunnelHost": "evil.example"}, {"spaceId": "s"}])
async def test_a_question_without_an_integration_is_not_answered_with_all_rules(asked: dict[str, Any]) -> None:
    async with connect(GitBookSpy(), {"verified": False}) as client:
        result = await client.call_tool("check_policy", asked)
    assert read_code(result) == "invalid_arguments"
    assert next(iter(asked)) in read_text(result)


SITE_ID = "site_vC2snV"
"""A site of the sandbox, “Partner Portal”."""
EXISTING = {"integrationName": "mermaid", "organizationId": ORGANIZATION_ID}


@pytest.mark.parametrize("rule", [{"scopes": ["site:script:*"]}, {"places": [f"site:{SITE_ID}"]}, {"verified": True}])
@pytest.mark.parametrize(
    ("asked", "argument", "meant"),
    [
        ({"siteId": "Partner Portal"}, "siteId", SITE_ID),
        ({"siteId": SITE_ID.lower()}, "siteId", SITE_ID),
        ({"siteId": "site_NOPE1"}, "siteId", None),
        ({"spaceId": "nowhere"}, "spaceId", None),
        ({"organizationId": "aurora-robotics"}, "organizationId", ORGANIZATION_ID),
        ({"organizationId": "nowhere", "siteId": SITE_ID}, "organizationId", None),
        ({"organizationId": "nowhere", "action": "widen"}, "organizationId", None),
        ({"integrationName": "mermaids"}, "integrationName", "mermaid"),
        ({"integrationName": "mermaids", "tunnelHost": "dev.example"}, "integrationName", "mermaid"),
    ],
)
async def test_there_is_no_decision_about_what_does_not_exist(
    asked: dict[str, Any], argument: str, meant: str | None, rule: dict[str, Any]
) -> None:
    async with connect(GitBookSpy(), rule) as client:
        result = await client.call_tool("check_policy", EXISTING | asked)
    assert read_code(result) == "not_found"
    assert argument in read_text(result)
    assert (f"{argument}: Did you mean {meant}" in read_text(result)) is (meant is not None)


@pytest.mark.parametrize(
    ("asked", "path", "tool"),
    [
        ({"siteId": SITE_ID}, "/sites", "list_sites"),
        ({}, "/orgs", "list_organizations_for_authenticated_user"),
        ({}, "/integrations/mermaid", "get_integration_by_name"),
    ],
)
async def test_what_cannot_be_read_may_be_denied_but_is_not_allowed(
    asked: dict[str, Any], path: str, tool: str
) -> None:
    def refuse(place: str, _: Any) -> tuple[int, bytes] | None:
        return (403, b"{}") if place.partition("?")[0].endswith(path) else None

    for names, code in ((["other"], "target_unreadable"), (["mermaid"], None)):
        async with connect(Watched(fault=refuse), {"integrations": names}) as client:
            result = await client.call_tool("check_policy", EXISTING | asked)
        if code is None:
            assert (result.structured_content or {})["decision"] == "deny"
        else:
            assert read_code(result) == code
            assert tool in read_text(result)


async def test_a_decision_about_a_site_takes_two_requests() -> None:
    watched = Watched()
    async with connect(watched, {"places": [f"site:{SITE_ID}"]}, {"name": "other", "verified": False}) as client:
        result = await client.call_tool("check_policy", EXISTING | {"siteId": SITE_ID})
    assert (result.structured_content or {})["decision"] == "deny"
    assert len(watched.requests) == 2


@pytest.mark.parametrize(
    "asked",
    [
        {"action": "widen", "siteId": SITE_ID},
        {"tunnelHost": "dev.example", "siteId": SITE_ID},
        {"action": "install", "tunnelHost": "dev.example"},
        {"action": "tunnel"},
    ],
)
async def test_an_argument_that_decides_nothing_is_an_error(asked: dict[str, Any]) -> None:
    async with connect(GitBookSpy(), {"tunnel_hosts": ["other.example"]}) as client:
        assert read_code(await client.call_tool("check_policy", EXISTING | asked)) == "invalid_arguments"


async def test_a_site_needs_the_organization_in_which_it_is_looked_up() -> None:
    settings: dict[str, Any] = {"server": {"sandbox": False}, "gitbook": {"token": USER_TOKEN}}
    async with connect(GitBookSpy(), {"verified": False}, **settings) as client:
        result = await client.call_tool("check_policy", {"integrationName": "mermaid", "siteId": SITE_ID})
    assert read_code(result) == "invalid_arguments"
    assert "organizationId" in read_text(result)


async def test_without_rules_there_is_no_decision_about_an_integration() -> None:
    watched = Watched()
    async with connect(watched) as client:
        result = await client.call_tool("check_policy", {"integrationName": "nowhere", "siteId": "nowhere"})
    assert result.structured_content is not None
    assert result.structured_content["rules"] == []
    assert "decision" not in result.structured_content
    assert watched.requests == []


@pytest.mark.parametrize("host", ["x.dev.example:443", "x.dev.example/", "x.dev.example ", "x。dev.example", "a@x.dev"])
async def test_what_is_no_host_gets_no_decision(host: str) -> None:
    async with connect(GitBookSpy(), {"tunnel_hosts": ["*.dev.example"]}) as client:
        assert read_code(await client.call_tool("check_policy", EXISTING | {"tunnelHost": host})) == "invalid_arguments"
        denied = await client.call_tool("check_policy", EXISTING | {"tunnelHost": "X.Dev.Example"})
    assert (denied.structured_content or {})["decision"] == "deny"
