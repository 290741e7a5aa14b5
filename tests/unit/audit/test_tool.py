"""The tool `audit_installations`: a short summary first, then details from the same audit."""

import json
import re
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp_types import CallToolResult, TextResourceContents

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.report import Report
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.audit import organizations, sections
from gitbook_integrations_mcp.calls.arguments import check_arguments
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.audit_fixtures import Watched, audit, connect, count_requests, fail, list_installed, make_settings
from tests.support.fake_gitbook import UNASKED, Upstream, read_text
from tests.support.grown_sandbox import Size, create_grown_sandbox
from tests.support.tokens import count_tokens

TOOL = "audit_installations"
HELP = "site_qLN1io"
OTHER = "q8ZfYc1JtDu5RkEo3BwA"
HANDBOOK = "4Bx5L9BNoCBwuh9BLKDm"
BIG = Size(integrations=60, spaces=500, sites=50, installations=2000)


async def call(client: Client, **arguments: Any) -> dict[str, Any]:
    """Return the structured content of a call that succeeds."""
    result = await client.call_tool(TOOL, arguments)
    assert not result.is_error, read_text(result)
    content: dict[str, Any] | None = result.structured_content
    assert content is not None
    return content


def read_code(result: CallToolResult) -> str:
    """Return the code of an error result."""
    assert result.is_error
    assert result.structured_content is not None
    code: str = result.structured_content["code"]
    return code


async def test_the_first_result_is_a_summary_and_its_text_matches_its_structured_content() -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool(TOOL, {})
    text, content = read_text(result), result.structured_content
    assert content is not None
    assert "9 installations" in text
    assert content["figures"]["installations"] == 9
    for severity, count in content["findings"].items():
        assert f"{count} {severity}" in text
    for group in content["byRule"]:
        assert f"(`{group['rule']}`): {group['count']}" in text
        assert all(example in text for example in group["examples"])
    assert sum(group["count"] for group in content["byRule"]) == sum(content["findings"].values())
    assert "Coverage: complete, 19 requests." in text
    assert content["coverage"]["requests"] == 19


async def test_details_come_from_the_latest_audit_and_have_its_age() -> None:
    watched, now = Watched(), 1000.0
    transport = httpx.ASGITransport(app=watched)
    server = create_server(make_settings(), http_transport=transport, clock=lambda: now)
    async with Client(server) as client:
        first = await call(client)
        sent = len(watched.reads)
        now += 42
        for section in ("summary", "findings", "installations", "scripts", "coverage", "report"):
            details = await call(client, section=section)
            assert (details["generatedAt"], details["ageSeconds"]) == (first["generatedAt"], 42)
        assert "42 s ago" in read_text(await client.call_tool(TOOL, {"section": "scripts"}))
        assert len(watched.reads) == sent
        now += 600
        assert (await call(client, section="findings"))["ageSeconds"] == 0
        assert len(watched.reads) == 2 * sent
        await call(client, section="findings", refresh=True)
        await call(client)
        assert len(watched.reads) == 4 * sent


async def test_a_section_can_be_limited_to_one_integration() -> None:
    async with connect(Watched()) as client:
        findings = await call(client, section="findings", integration="heatlens")
        others = await call(client, section="findings", integration="googleanalytics")
        installed, place = (await call(client, section="installations", integration="heatlens"))["items"]
        (script,) = (await call(client, section="scripts", integration="heatlens"))["items"]
    assert {item["rule"] for item in findings["items"]} >= {"foreign-unlisted", "unverified-script"}
    assert all("eatlens" in item["summary"] for item in findings["items"])
    (shared,) = (item["id"] for item in findings["items"] if item["rule"] == "same-kind")
    assert shared in {item["id"] for item in others["items"]}
    assert installed["owner"] == "Heatlens Labs"
    assert (place["site"], place["title"]) == (HELP, "Help Center")
    assert script["site"] == HELP


async def test_the_pages_of_a_section_have_every_item_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "PAGE_CHARACTERS", 900)
    async with connect(Watched()) as client:
        page = await call(client, section="findings")
        items, pages = list(page["items"]), 1
        first = read_text(await client.call_tool(TOOL, {"section": "findings"}))
        while "next" in page:
            page = await call(client, section="findings", page=page["next"]["page"])
            items += page["items"]
            pages += 1
        report = Report.model_validate((await call(client, section="report"))["report"])
        wrong = await client.call_tool(TOOL, {"section": "findings", "page": "99"})
    assert pages > 3
    assert [item["id"] for item in items] == [finding.id for finding in report.findings]
    assert page["count"] == len(items)
    assert f"{len(items) - first.count('firstSeen')} more items. Next page: page: " in first
    assert wrong.is_error
    assert read_code(wrong) == "invalid_arguments"


async def test_the_report_equals_that_of_the_command_line() -> None:
    watched = Watched()
    async with connect(watched) as client:
        reported = Report.model_validate((await call(client, section="report"))["report"])
    ours = await audit(watched)
    times: Any = {"generatedAt": True, "coverage": True, "trend": True, "findings": {"__all__": {"firstSeen", "since"}}}
    assert reported.model_dump(exclude=times) == ours.model_dump(exclude=times)


async def test_an_audit_is_compared_with_the_latest_or_with_a_given_report() -> None:
    watched = Watched()
    baseline = (await audit(watched)).model_dump(mode="json")
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {"baseline": "last"})
        assert read_code(result) == "invalid_baseline"
        result = await client.call_tool(TOOL, {"section": "changes"})
        assert read_code(result) == "invalid_baseline"
        assert "kept" in read_text(result)
        assert "refresh" not in read_text(result)  # it would be compared with the audit of a moment ago
        await call(client)
        del watched.sandbox.state.installations["Yh00V3IILptlqECPtsAf"]
        for given in ("last", baseline, json.dumps(baseline)):
            changes = (await call(client, baseline=given))["changes"]
            assert (changes["added"], changes["removed"], changes["newFindings"]) == (0, 3, 0)
            listed = (await call(client, section="changes"))["items"]
            assert next(item["title"] for item in listed if item["change"] == "removed") == "Heatlens"
        assert (await call(client))["changes"]["removed"] == 0
        result = await client.call_tool(TOOL, {"baseline": {"version": 9}})
        assert read_code(result) == "invalid_baseline"
        assert "version 1" in read_text(result)


async def test_an_audit_of_a_part_reads_only_that_part_and_says_so() -> None:
    watched = Watched()
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {"sites": [HELP]})
        assert f"Only these sites were audited: {HELP}." in read_text(result)
        assert len(watched.reads) == 9
        assert not [place for place in watched.reads if "/spaces" in place]
        names = {item["name"] for item in (await call(client, sites=[HELP], section="installations"))["items"]}
        assert names == {"googleanalytics", "chatterbox", "heatlens", "harbor-auth"}
        sites = (await call(client, sites=[HELP], section="report"))["report"]["sites"]
        assert [site["id"] for site in sites] == [HELP]
        watched.requests.clear()
        text = read_text(await client.call_tool(TOOL, {"integrations": ["slack"]}))
        assert "There may be more findings" in text
        assert "Coverage: complete" not in text
        assert "Rules not fully checked: same-kind (partly)" in text
        report = (await call(client, integrations=["slack"], section="report"))["report"]
        assert [each["integration"]["name"] for each in report["installations"]] == ["slack"]
        assert len(report["installations"][0]["spaces"]) == 2
        absent = await client.call_tool(TOOL, {"integrations": ["slack", "figma"]})
    assert "figma is not installed in this organization." in read_text(absent)
    assert "INCOMPLETE" in read_text(absent)


@pytest.mark.parametrize(("what", "name"), [("integrations", "slack"), ("spaces", HANDBOOK), ("sites", HELP)])
async def test_what_is_named_twice_is_audited_once(what: str, name: str) -> None:
    watched = Watched()
    async with connect(watched) as client:
        once = await call(client, **{what: [name]}, section="report")
        sent = len(watched.reads)
        twice = await call(client, **{what: [name, name]}, section="report")
    assert twice["narrowing"] == {what: [name]}
    assert twice["report"] == once["report"]
    assert len(watched.reads) == sent


@pytest.mark.parametrize(
    "arguments",
    [
        *({"section": section} for section in ("findings", "installations", "access", "scripts", "coverage")),
        {"explain": "stalled-installation"},
    ],
)
async def test_every_part_of_an_audit_names_what_it_was_limited_to(arguments: dict[str, Any]) -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool(TOOL, {"sites": ["site_1NcAjs"], **arguments})
        assert (result.structured_content or {})["narrowing"] == {"sites": ["site_1NcAjs"]}
        assert "\nOnly these sites were audited: site_1NcAjs." in read_text(result)
        assert "narrowing" not in await call(client, **arguments)
        other = await client.call_tool(
            TOOL, {"integrations": ["slack"], "section": "findings", "integration": "heatlens"}
        )
    assert "no installation, script or finding of heatlens. Only these integrations were audited: slack" in read_text(
        other
    )


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"integrations": ["slak"]}, ["integrations", "slak", "slack"]),
        ({"integrations": ["heatlens", "Slack"]}, ["Slack", "Did you mean slack"]),
        ({"integrations": ["nope-nothing"]}, ["nope-nothing"]),
        ({"spaces": ["Internal Handbook"]}, ["spaces", HANDBOOK]),
        ({"spaces": ["internal handbok"]}, ["spaces", HANDBOOK]),
        ({"sites": ["Help Center"], "section": "findings"}, ["sites", HELP]),
        ({"sites": [HELP.upper()]}, ["sites", HELP]),
        ({"section": "findings", "integration": "nope-nothing"}, ["integration", "nope-nothing"]),
        ({"section": "findings", "integration": "Heatlens"}, ["Did you mean heatlens"]),
        ({"section": "scripts", "integration": "heatlns"}, ["heatlens"]),
        ({"integration": "heatlens"}, ["only section findings"]),
        ({"integration": "heatlens", "section": "summary"}, ["only section findings"]),
        ({"integration": "heatlens", "section": "report"}, ["only section findings"]),
        ({"integration": "heatlens", "section": "coverage"}, ["only section findings"]),
        ({"page": "1"}, ["page", "section"]),
    ],
)
async def test_what_names_nothing_or_has_no_effect_is_refused(arguments: dict[str, Any], facts: list[str]) -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool(TOOL, arguments)
    assert read_code(result) == "invalid_arguments"
    for fact in facts:
        assert fact in read_text(result)


async def test_an_integration_that_only_has_a_script_is_known() -> None:
    async with connect(Watched()) as client:
        scripts = await call(client, section="scripts", integration="crisp")
        audited = await call(client, integrations=["crisp"], section="findings")
    assert scripts["items"]
    assert audited["complete"]
    assert {item["rule"] for item in audited["items"]} >= {"script-without-csp", "script-not-installed"}


@pytest.mark.parametrize("fault", ["/installations?", "/integrations?"])
async def test_a_name_is_only_called_unknown_if_the_lists_are_complete(fault: str) -> None:
    async with connect(Watched(fault=fail(fault)), limits={"attempts": 1}) as client:
        content = await call(client, integrations=["nope-nothing"])
    assert not content["complete"]


async def test_a_change_of_the_caller_makes_the_latest_report_stale() -> None:
    watched = Watched()
    async with connect(watched, confirmation=UNASKED) as client:
        await call(client)
        installed = next(one for one in list_installed(watched.sandbox.state) if one.integration == "slack")
        arguments = {"integrationName": "slack", "installationId": installed.id}
        sent = len(watched.reads)
        await client.call_tool("get_integration_installation_by_id", arguments)
        await call(client, section="findings")
        assert len(watched.reads) == sent + 1
        changed = await client.call_tool("update_integration_installation", {**arguments, "externalIds": ["new-id"]})
        assert not changed.is_error, read_text(changed)
        items = (await call(client, section="installations", integration="slack"))["items"]
        assert items[0]["externalIds"] == ["new-id"]
        assert (await call(client, baseline="last"))["changes"]["changed"] == 0


async def test_a_report_that_is_too_long_is_refused_and_whole_as_a_resource() -> None:
    async with connect(Watched(create_grown_sandbox(BIG))) as client:
        result = await client.call_tool(TOOL, {"section": "report"})
        assert read_code(result) == "result_too_long"
        address = f"gitbook-integrations://orgs/{ORGANIZATION_ID}/report"
        assert address in read_text(result)
        (content,) = (await client.read_resource(address)).contents
    assert isinstance(content, TextResourceContents)
    report = Report.model_validate(json.loads(content.text)["report"])
    assert len(report.spaces) == BIG.spaces


@pytest.mark.parametrize("what", ["integrations", "spaces", "sites"])
async def test_the_number_of_names_in_one_call_is_limited(what: str) -> None:
    watched = Watched()
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {what: [f"x{number}" for number in range(101)]})
    assert result.is_error
    assert f"{what} must have at most 100 items" in read_text(result)
    assert watched.requests == []


async def test_progress_has_the_number_of_lists_read_and_their_total() -> None:
    received: list[tuple[float, float | None, str | None]] = []

    async def receive(progress: float, total: float | None, message: str | None) -> None:
        received.append((progress, total, message))

    async with connect(Watched()) as client:
        await client.call_tool(TOOL, {}, progress_callback=receive)
    assert [done for done, _, _ in received] == list(range(1, 20))
    totals = [total for _, total, _ in received]
    unknown = totals.index(19)
    assert totals == [None] * unknown + [19] * (19 - unknown)
    assert {what for _, _, what in received} >= {"installations", "sites", f"scripts of {HELP}"}


async def test_concurrent_calls_for_details_share_one_audit() -> None:
    watched = Watched(create_grown_sandbox(latency=0.01))
    async with connect(watched) as client, anyio.create_task_group() as group:
        for section in ("findings", "scripts", "installations"):
            group.start_soon(client.call_tool, TOOL, {"section": section})
    assert len(watched.reads) == 19


async def test_results_for_a_large_organization_are_short_and_take_the_fewest_requests() -> None:
    watched = Watched(create_grown_sandbox(BIG))
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {})
        assert len(watched.reads) == len(set(watched.reads)) == count_requests(watched.sandbox.state)
        assert count_tokens(read_text(result)) <= 4000
        assert count_tokens(json.dumps(result.structured_content)) <= 4000
        for section in ("findings", "installations", "access", "scripts", "coverage"):
            details = await client.call_tool(TOOL, {"section": section})
            assert count_tokens(read_text(details)) <= 6000
            assert count_tokens(json.dumps(details.structured_content)) <= 6000


@pytest.mark.parametrize("section", ["findings", "access", "coverage"])
async def test_a_section_names_the_organizations_not_audited(section: str) -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool(TOOL, {"section": section})
    content = result.structured_content
    assert content is not None
    assert f"Kestrel Collective ({OTHER})" in content["notAudited"]
    assert OTHER in read_text(result)


async def test_the_summary_names_the_installations_and_the_organizations_not_audited() -> None:
    watched = Watched()
    watched.sandbox.state.integrations["harbor-auth"].manifest["target"] = "organization"
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {})
    content, text = result.structured_content, read_text(result)
    assert content is not None
    lines = content["installations"]
    assert any(line.startswith("harbor-auth ") and line.endswith(": the organization") for line in lines)
    assert [line.partition(":")[0].partition(" ")[0] for line in lines] == [
        each.integration for each in list_installed(watched.sandbox.state)
    ]
    assert "heatlens (unverified, unlisted, writes nowhere yet, runs scripts): “Help Center”" in lines
    assert any(line.startswith("slack:") and "“Internal Handbook” (private, pending)" in line for line in lines)
    assert "mermaid: all spaces" in lines
    assert f"Kestrel Collective ({OTHER})" in content["notAudited"]
    for fact in (*lines, OTHER):
        assert fact in text


async def test_a_second_audit_names_what_changed_since_the_first() -> None:
    watched = Watched()
    async with connect(watched) as client:
        assert "changes" not in await call(client)
        del watched.sandbox.state.installations["Yh00V3IILptlqECPtsAf"]
        watched.sandbox.state.integrations["slack"].version += 1
        result = await client.call_tool(TOOL, {})
    content = result.structured_content
    assert content is not None
    assert (content["changes"]["removed"], content["changes"]["changed"]) == (3, 1)
    examples = content["changeExamples"]
    assert "removed: Heatlens (installation)" in examples
    assert any(example.startswith("changed: Slack, version: 63") for example in examples)
    assert all(example in read_text(result) for example in examples)


async def test_the_changes_of_one_integration_are_all_of_its_own_and_counted_alone() -> None:
    watched = Watched()
    async with connect(watched) as client:
        await call(client)
        state = watched.sandbox.state
        for name in ("googleanalytics", "mermaid"):
            [installed] = [one for one in list_installed(state) if one.integration == name]
            installed.enabled["site" if installed.enabled["site"] else "space"].popitem()
            installed.updated_at += 1
        every = (await call(client, section="changes", refresh=True, baseline="last"))["items"]
        result = await client.call_tool(TOOL, {"section": "changes", "integration": "googleanalytics"})
    content = result.structured_content or {}
    own = [one for one in every if re.match("“?google", one["title"], re.IGNORECASE)]
    assert {one.get("kind") for one in own} >= {"on site", "script", "installation"}
    assert content["items"] == own != every
    counts = {"new": "newFindings", "fixed": "fixed", "removed": "removed", "changed": "changed"}
    for kind, name in counts.items():
        assert content["changes"][name] == sum(one["change"] == kind for one in own)
    assert f" {content['changes']['removed']} removed," in read_text(result)


async def test_the_summary_of_40_installations_and_their_changes_is_short() -> None:
    watched = Watched(create_grown_sandbox(Size(integrations=40, spaces=100, sites=20, installations=400)))
    async with connect(watched) as client:
        content = await call(client)
        del watched.sandbox.state.installations["Yh00V3IILptlqECPtsAf"]
        watched.sandbox.state.integrations["slack"].verified = False
        result = await client.call_tool(TOOL, {})
    assert len(content["installations"]) == 40
    assert count_tokens(read_text(result)) <= 2000
    assert count_tokens(result.structured_content) <= 2000


async def test_access_shows_by_scope_who_reaches_which_places() -> None:
    async with connect(Watched()) as client:
        items = (await call(client, section="access"))["items"]
        writers = [item["integration"] for item in items if item["scope"] == "space:content:write"]
        slack = (await call(client, section="access", integration="slack"))["items"]
    assert writers == ["release-notes-bot", "heatlens"]
    assert [item["scope"] for item in items].index("space:content:write") == 0
    assert {item["scope"] for item in slack} == {"space:content:read", "space:metadata:read"}
    assert slack[0]["spaces"] == ["“Internal Handbook” (private, pending)", "“Help Articles”"]
    assert "sites" not in slack[0]
    signs_in = next(item for item in items if item["scope"] == "site:visitor:auth")
    assert signs_in["sites"][0] == "all sites, new ones too"
    assert (signs_in["status"], signs_in["verified"], signs_in["owner"]) == ("pending", True, "Harbor Identity")


async def test_access_shows_where_an_integration_without_scopes_is() -> None:
    async with connect(Watched()) as client:
        (mermaid,) = (await call(client, section="access", integration="mermaid"))["items"]
        last = (await call(client, section="access"))["items"][-1]
    assert (mermaid["scope"], mermaid["spaces"][0], mermaid["sites"]) == ("none", "all spaces, new ones too", [])
    assert last == mermaid


@pytest.mark.parametrize(("integration", "partly"), [("slack", True), (None, False)])
async def test_findings_say_that_not_every_rule_was_fully_checked(integration: str | None, partly: bool) -> None:
    limits = {"integrations": [integration]} if integration else {}
    async with connect(Watched()) as client:
        text = read_text(await client.call_tool(TOOL, {"section": "findings", **limits}))
        summary = read_text(await client.call_tool(TOOL, limits))
    assert ("not every rule was fully checked" in text) is partly
    assert ("not every rule was fully checked" in summary) is partly


async def test_a_change_to_nothing_shows_both_values() -> None:
    watched = Watched()
    installation = next(one for one in watched.sandbox.state.installations.values() if one.integration == "slack")
    async with connect(watched) as client:
        await client.call_tool(TOOL, {})
        installation.external_ids = []
        text = read_text(await client.call_tool(TOOL, {"section": "changes", "refresh": True}))
    assert "  - field: externalIds\n  - before: T02AURORA\n  - after: none" in text


async def test_access_has_the_scripts_of_what_is_not_installed_or_not_enabled_there() -> None:
    watched = Watched()
    portal = watched.sandbox.state.sites["site_vC2snV"]
    urls = ("https://i.gitbook.example/integrations/lumen-analytics/script.js", "https://cdn.somewhere.example/tag.js")
    portal.orphaned_scripts = [{"script": url, "cookies": False, "contentSecurityPolicy": ""} for url in urls]
    async with connect(watched) as client:
        items = (await call(client, section="access"))["items"]
        (crisp,) = (await call(client, section="access", integration="crisp"))["items"]
    injecting = {item["integration"]: item for item in items if item["scope"] == "site:script:inject"}
    assert [item["integration"] for item in items].count("crisp") == 1
    assert (crisp["sites"], crisp["owner"]) == (["“Help Center”"], "unknown")
    assert crisp["meaning"]
    assert "other scopes are unknown" in crisp["status"]
    assert injecting["cdn.somewhere.example"]["sites"] == injecting["lumen-analytics"]["sites"][:1]
    assert len(injecting["lumen-analytics"]["sites"]) == 2
    assert len(injecting["googleanalytics"]["sites"]) == 3


async def test_an_integration_of_the_organization_itself_is_marked_as_its_own() -> None:
    watched = Watched()
    watched.sandbox.state.integrations["heatlens"].owner = ORGANIZATION_ID
    async with connect(watched) as client:
        for section in ("access", "scripts", "installations"):
            items = (await call(client, section=section))["items"]
            own = {item.get("name", item.get("integration")) for item in items if item.get("own")}
            assert own == {"heatlens"} | ({"release-notes-bot"} if section != "scripts" else set())


async def test_the_text_of_a_section_names_people_and_places_and_repeats_nothing() -> None:
    watched = Watched()
    watched.sandbox.state.spaces[HANDBOOK].title = "Public” (public"
    async with connect(watched) as client:
        texts = {
            section: read_text(await client.call_tool(TOOL, {"section": section}))
            for section in ("findings", "installations", "access")
        }
        explanation = read_text(await client.call_tool(TOOL, {"explain": "script-not-installed:ac477a73c5"}))
    for text in (texts["findings"], explanation):  # nobody knows since when the problem exists
        assert "- firstSeen:" in text
        assert "- since:" not in text
    assert "- place: “Help Center” (site, site_qLN1io, public)" in texts["findings"]
    assert "- owner: “Heatlens Labs” (h3ATl6nSuV1pJxDq8ZrW)" in texts["findings"]
    assert "- rule:" not in texts["findings"]
    assert "Complete" not in texts["installations"]
    assert ": 0" not in texts["installations"]
    assert "- verified: no" in texts["installations"]
    assert "spaces and sites without a visibility are public." in texts["access"]
    assert "- owner: Heatlens Labs\n  - spaces: none" in texts["access"]
    assert "status: active" not in texts["access"]
    assert "- status: paused" in texts["access"]
    assert "“Public' (public” (private, pending)" in texts["access"]


async def test_a_place_of_unknown_visibility_is_not_taken_for_a_public_one() -> None:
    watched = Watched(fault=fail("/spaces", 500))
    async with connect(watched) as client:
        items = (await call(client, section="access", integration="slack"))["items"]
    assert all("visibility unknown" in place for place in items[0]["spaces"] if place != "more may be missing")


async def test_access_names_the_places_that_are_not_public_first_and_only_some() -> None:
    watched = Watched(create_grown_sandbox(BIG))
    async with connect(watched) as client:
        items = (await call(client, section="access"))["items"]
    spaces = max((item["spaces"] for item in items if "spaces" in item), key=len)
    assert re.fullmatch(r"and [\d,]+ more", spaces[-1])
    assert "(" in spaces[0]


async def test_scripts_have_owner_verification_visibility_and_policy() -> None:
    async with connect(Watched()) as client:
        items = (await call(client, section="scripts"))["items"]
    facts = {item["integration"]: (item["owner"], item.get("verified"), item["csp"]) for item in items}
    assert facts["heatlens"] == ("Heatlens Labs", False, "none")
    assert facts["crisp"] == ("unknown", None, "none")
    assert facts["googleanalytics"][:2] == ("GitBook", True)
    assert facts["googleanalytics"][2].startswith("script-src")
    assert {item["visibility"] for item in items} == {"public"}


async def test_a_later_finding_of_a_rule_has_its_own_advice_if_it_differs_from_the_first() -> None:
    watched = Watched()
    state = watched.sandbox.state
    state.integrations["lumen-analytics"].verified = False
    state.organizations[state.integrations["lumen-analytics"].owner].member = True
    async with connect(watched) as client:
        found = (await call(client, section="findings"))["items"]
    first, later = [one["remedy"] for one in found if one["rule"] == "unverified-script"]
    assert (first["tool"], later["tool"]) == ("get_integration_installation_by_id", "uninstall_integration")
    assert later["advice"] == RULES["unverified-script"].advice != first["advice"]


async def test_an_explanation_has_the_reason_the_evidence_and_a_valid_call() -> None:
    watched = Watched()
    async with connect(watched) as client:
        found = (await call(client, section="findings"))["items"]
        sent = len(watched.reads)
        for finding in found:
            result = await client.call_tool(TOOL, {"explain": finding["id"]})
            assert result.structured_content is not None, read_text(result)
            explained, text = result.structured_content["explanation"], read_text(result)
            assert (explained["id"], explained["summary"]) == (finding["id"], finding["summary"])
            assert explained["why"] == RULES[finding["rule"]].why
            assert explained["evidence"] == finding["evidence"]
            remedy = explained["remedy"]
            check_arguments(TOOLS[remedy["tool"]], remedy["arguments"])
            assert remedy["tool"] in text
            assert finding["id"] in text
        assert len(watched.reads) == sent
        rule = (await call(client, explain=found[0]["rule"]))["explanation"]
        assert rule["findings"] == [f"{found[0]['id']}: {found[0]['summary']}"]
        assert rule["call"] == {name: found[0]["remedy"][name] for name in ("tool", "arguments")}


async def test_the_explanation_of_a_rule_says_how_far_it_was_checked_and_that_it_has_no_findings() -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool(TOOL, {"explain": "same-kind", "integrations": ["slack"]})
    assert "- outcome: partly\n" in read_text(result)
    assert read_text(result).endswith("\n- findings: none\n\nOnly these integrations were audited: slack.")


async def test_the_explanation_of_a_rule_of_an_incomplete_audit_says_so() -> None:
    async with connect(Watched(fault=fail("/integration-scripts"))) as client:
        result = await client.call_tool(TOOL, {"explain": "script-without-csp"})
    assert "\nThe audit is INCOMPLETE; see section coverage." in read_text(result)


async def test_what_cannot_be_explained_is_an_error_that_says_why() -> None:
    watched = Watched()
    async with connect(watched) as client:
        found = (await call(client, section="findings"))["items"][0]["id"]
        for wrong, fact in (
            (found[:-1], found),
            ("weak-cps", "weak-csp"),
            ("WEAK-CSP", "mean weak-csp?"),
            ("nothing", "section: findings"),
        ):
            result = await client.call_tool(TOOL, {"explain": wrong})
            assert read_code(result) == "invalid_arguments"
            assert fact in read_text(result)
        assert read_code(await client.call_tool(TOOL, {"explain": found, "section": "scripts"})) == "invalid_arguments"
        watched.sandbox.state.integrations["heatlens"].verified = True
        result = await client.call_tool(TOOL, {"explain": found, "refresh": True})
        assert read_code(result) == "invalid_arguments"
        assert "does not have it any more" in read_text(result)


async def test_all_organizations_are_audited_side_by_side_without_a_request_twice() -> None:
    watched = Watched()
    for each in watched.sandbox.state.installations.values():
        if each.organization == OTHER:
            each.status = "paused"
            each.configuration = {"channel": "their-secret-value"}
    watched.sandbox.state.integrations["release-notes-bot"].verified = True
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {"organizations": "all"})
        assert len(watched.requests) == len(set(watched.requests))
        sent = len(watched.requests)
        details = await call(client, organizationId=OTHER, section="installations")
        assert len(watched.requests) == sent
    content, text = result.structured_content, read_text(result)
    assert content is not None
    assert content["complete"]
    assert [each["id"] for each in content["organizations"]] == [ORGANIZATION_ID, OTHER]
    assert content["organizations"][0]["findings"]["high"] == 5
    assert [item["name"] for item in details["items"]] == ["release-notes-bot"]
    only = {each["integration"]: (each["in"], each["notIn"]) for each in content["onlyIn"]}
    assert only["slack"] == (["Aurora Robotics"], ["Kestrel Collective"])
    assert "release-notes-bot" not in only
    (different,) = content["different"]
    assert different["integration"] == "release-notes-bot"
    assert different["differences"]["status"] == {"Aurora Robotics": "active", "Kestrel Collective": "paused"}
    assert different["differences"]["setting channel"]["Kestrel Collective"] == "set"
    assert "their-secret-value" not in text + json.dumps(content)
    for fact in ("Aurora Robotics", "Kestrel Collective", "slack", "setting channel", "paused"):
        assert fact in text
    assert text.count("Most severe:") == 1  # only one of them has findings of high severity


async def test_organizations_beyond_the_limit_are_named_and_make_the_result_incomplete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(organizations, "MAX_ORGANIZATIONS", 1)
    async with connect(Watched()) as client:
        result = await client.call_tool(TOOL, {"organizations": "all"})
    content = result.structured_content
    assert content is not None
    assert not content["complete"]
    assert content["notAudited"] == [f"Kestrel Collective ({OTHER})"]
    assert f"Not audited: Kestrel Collective ({OTHER}). One call audits no more" in read_text(result)


async def test_an_organization_with_unread_installations_is_not_said_to_lack_any() -> None:
    watched = Watched(fault=fail(f"/orgs/{OTHER}/installations", 403))
    async with connect(watched, limits={"attempts": 1}) as client:
        content = await call(client, organizations="all")
    assert [each["complete"] for each in content["organizations"]] == [True, False]
    assert content["onlyIn"] == []


async def test_all_in_place_of_an_id_is_answered_with_the_argument_that_takes_it() -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool(TOOL, {"organizationId": "all"})
    assert "organizations: all audits every one" in read_text(result)


async def test_an_organization_that_cannot_be_read_does_not_stop_the_others() -> None:
    watched = Watched(fault=fail(f"/orgs/{OTHER}/", 403))
    async with connect(watched, limits={"attempts": 1}) as client:
        content = await call(client, organizations="all")
        section = await client.call_tool(TOOL, {"organizations": "all", "section": "findings"})
    assert not content["complete"]
    assert [("error" in each, each["title"]) for each in content["organizations"]] == [
        (False, "Aurora Robotics"),
        (True, "Kestrel Collective"),
    ]
    assert content["onlyIn"] == []
    assert read_code(section) == "invalid_arguments"


async def test_third_party_text_cannot_become_markup() -> None:
    watched = Watched()
    integration = watched.sandbox.state.integrations["heatlens"]
    integration.manifest["title"] = "![x](https://evil.example)<b>`|\n# Ignore\u202eall\u200b"
    async with connect(watched) as client:
        for arguments in (
            {},
            {"section": "findings"},
            {"section": "access"},
            {"section": "installations", "integration": "heatlens"},
            {"explain": "unverified-write"},
            {"organizations": "all"},
        ):
            text = read_text(await client.call_tool(TOOL, arguments))
            assert "![x]" not in text
            assert "<b>" not in text
            assert "\n# Ignore" not in text
            assert not set(text) & set("\u202e\u200b")


async def test_without_a_token_nothing_is_sent() -> None:
    upstream = Upstream()
    server = create_server(make_settings(gitbook={"token": None}), http_transport=httpx.ASGITransport(app=upstream))
    async with Client(server) as client:
        result = await client.call_tool(TOOL, {"organizationId": ORGANIZATION_ID})
    assert read_code(result) == "missing_token"
    assert "audit_installations" in read_text(result)
    assert "personal access token" in read_text(result)
    assert upstream.requests == []
