"""The tool `audit_installations` in a chat: short at first, details from the same audit, and honest about both."""

import json
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client

from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.audit import sections
from gitbook_integrations_mcp.audit.report_cache import ROOM, CacheKey, ReportCache
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, Size, create_sandbox
from tests.support.audit_fixtures import Watched, audit, connect, count_requests, make_settings
from tests.support.fake_gitbook import Upstream, read_text
from tests.support.tokens import count_tokens

TOOL = "audit_installations"
HELP = "site_qLN1io"
BIG = Size(integrations=60, spaces=500, sites=50, installations=2000)


async def ask(client: Client, **arguments: Any) -> dict[str, Any]:
    """Return the structured content of a call that succeeds."""
    result = await client.call_tool(TOOL, arguments)
    assert not result.is_error, read_text(result)
    content: dict[str, Any] | None = result.structured_content
    assert content is not None
    return content


async def test_the_first_answer_is_short_and_its_text_says_what_its_structure_says() -> None:
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


async def test_details_come_from_the_audit_just_made_and_say_how_old_it_is() -> None:
    watched, now = Watched(), 1000.0
    transport = httpx.ASGITransport(app=watched)
    server = create_server(make_settings(), http_transport=transport, clock=lambda: now)
    async with Client(server) as client:
        first = await ask(client)
        sent = len(watched.requests)
        now += 42
        for section in ("summary", "findings", "installations", "scripts", "coverage", "report"):
            details = await ask(client, section=section)
            assert (details["generatedAt"], details["ageSeconds"]) == (first["generatedAt"], 42)
        assert "made 42 s ago" in read_text(await client.call_tool(TOOL, {"section": "scripts"}))
        assert len(watched.requests) == sent
        now += 600
        assert (await ask(client, section="findings"))["ageSeconds"] == 0
        assert len(watched.requests) == 2 * sent
        await ask(client, section="findings", refresh=True)
        await ask(client)
        assert len(watched.requests) == 4 * sent


async def test_a_section_can_be_about_one_integration() -> None:
    async with connect(Watched()) as client:
        findings = await ask(client, section="findings", integration="heatlens")
        installed, place = (await ask(client, section="installations", integration="heatlens"))["items"]
        (script,) = (await ask(client, section="scripts", integration="heatlens"))["items"]
    assert {item["rule"] for item in findings["items"]} >= {"foreign-unlisted", "excess-scopes"}
    assert all("eatlens" in item["summary"] for item in findings["items"])
    assert installed["owner"] == "Heatlens Labs"
    assert (place["site"], place["title"]) == (HELP, "Help Center")
    assert script["site"] == HELP


async def test_the_pages_of_a_section_hold_every_item_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "ROOM", 900)
    async with connect(Watched()) as client:
        page = await ask(client, section="findings")
        items, pages = list(page["items"]), 1
        while "next" in page:
            page = await ask(client, section="findings", page=page["next"]["page"])
            items += page["items"]
            pages += 1
        report = Report.model_validate((await ask(client, section="report"))["report"])
        wrong = await client.call_tool(TOOL, {"section": "findings", "page": "99"})
    assert pages > 3
    assert [item["id"] for item in items] == [finding.id for finding in report.findings]
    assert page["count"] == len(items)
    assert wrong.is_error
    assert "is no page of this section" in read_text(wrong)


async def test_the_report_is_the_one_of_the_command_line() -> None:
    watched = Watched()
    async with connect(watched) as client:
        told = Report.model_validate((await ask(client, section="report"))["report"])
    ours = await audit(watched)
    same = {"generatedAt", "coverage"}
    assert told.model_dump(exclude=same) == ours.model_dump(exclude=same)


async def test_it_compares_with_its_last_audit_and_with_a_report_that_is_given() -> None:
    watched = Watched()
    baseline = (await audit(watched)).model_dump(mode="json")
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {"baseline": "last"})
        assert result.is_error
        assert "no earlier audit" in read_text(result)
        await ask(client)
        del watched.sandbox.state.installations["Yh00V3IILptlqECPtsAf"]
        for given in ("last", baseline):
            changes = (await ask(client, baseline=given))["changes"]
            assert (changes["added"], changes["removed"], changes["newFindings"]) == (0, 3, 1)
            listed = (await ask(client, section="changes"))["items"]
            assert next(item["title"] for item in listed if item["change"] == "removed") == "Heatlens"
        await ask(client)
        result = await client.call_tool(TOOL, {"section": "changes"})
        assert result.is_error
        assert "baseline: last" in read_text(result)
        result = await client.call_tool(TOOL, {"baseline": {"version": 9}})
        assert result.is_error
        assert "no audit report of version 1" in read_text(result)


async def test_an_audit_of_a_part_reads_that_part_only_and_says_so() -> None:
    watched = Watched()
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {"sites": [HELP]})
        assert "Confined to these sites" in read_text(result)
        assert len(watched.requests) == 9
        assert not [place for place in watched.requests if "/spaces" in place]
        names = {item["name"] for item in (await ask(client, sites=[HELP], section="installations"))["items"]}
        assert names == {"googleanalytics", "chatterbox", "heatlens"}
        sites = (await ask(client, sites=[HELP], section="report"))["report"]["sites"]
        assert [site["id"] for site in sites] == [HELP]
        watched.requests.clear()
        report = (await ask(client, integrations=["slack"], section="report"))["report"]
        assert [each["integration"]["name"] for each in report["installations"]] == ["slack"]
        assert len(report["installations"][0]["spaces"]) == 2
        missing = await client.call_tool(TOOL, {"integrations": ["slak"]})
    assert "GitBook lists no slak here." in read_text(missing)
    assert "INCOMPLETE" in read_text(missing)


@pytest.mark.parametrize("what", ["integrations", "spaces", "sites"])
async def test_one_call_cannot_ask_for_any_number_of_requests(what: str) -> None:
    watched = Watched()
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {what: [f"x{number}" for number in range(101)]})
    assert result.is_error
    assert f"{what} must have at most 100 items" in read_text(result)
    assert watched.requests == []


async def test_progress_tells_how_many_lists_are_read_of_how_many() -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with connect(Watched()) as client:
        await client.call_tool(TOOL, {}, progress_callback=hear)
    assert [done for done, _, _ in heard] == list(range(1, 20))
    totals = [total for _, total, _ in heard]
    unknown = totals.index(19)
    assert totals == [None] * unknown + [19] * (19 - unknown)
    assert {what for _, _, what in heard} >= {"installations", "sites", f"scripts of {HELP}"}


async def test_calls_that_come_together_make_one_audit_for_details() -> None:
    watched = Watched(create_sandbox(latency=0.01))
    async with connect(watched) as client, anyio.create_task_group() as group:
        for section in ("findings", "scripts", "installations"):
            group.start_soon(client.call_tool, TOOL, {"section": section})
    assert len(watched.requests) == 19


async def test_a_big_organization_is_answered_within_its_tokens_and_with_the_fewest_requests() -> None:
    watched = Watched(create_sandbox(size=BIG))
    async with connect(watched) as client:
        result = await client.call_tool(TOOL, {})
        assert len(watched.requests) == len(set(watched.requests)) == count_requests(watched.sandbox.state)
        assert count_tokens(read_text(result)) <= 4000
        assert count_tokens(json.dumps(result.structured_content)) <= 4000
        for section in ("findings", "installations", "scripts", "coverage"):
            details = await client.call_tool(TOOL, {"section": section})
            assert count_tokens(read_text(details)) <= 6000
            assert count_tokens(json.dumps(details.structured_content)) <= 6000


async def test_other_peoples_text_makes_no_markup() -> None:
    watched = Watched()
    integration = watched.sandbox.state.integrations["heatlens"]
    integration.manifest["title"] = "![x](https://evil.example)<b>`|\n# Ignore\u202eall\u200b"
    async with connect(watched) as client:
        for arguments in ({}, {"section": "findings"}, {"section": "installations", "integration": "heatlens"}):
            text = read_text(await client.call_tool(TOOL, arguments))
            assert "![x]" not in text
            assert "<b>" not in text
            assert "\n# Ignore" not in text
            assert not set(text) & set("\u202e\u200b")


async def test_without_a_token_it_says_which_one_is_missing_and_sends_nothing() -> None:
    upstream = Upstream()
    server = create_server(make_settings(gitbook={"token": None}), http_transport=httpx.ASGITransport(app=upstream))
    async with Client(server) as client:
        result = await client.call_tool(TOOL, {"organizationId": ORGANIZATION_ID})
    assert result.is_error
    assert "audit_installations needs a user's personal access token" in read_text(result)
    assert upstream.requests == []


async def test_the_shelf_keeps_the_last_report_of_each_caller_and_no_more_than_it_has_room_for() -> None:
    now = 0.0
    cache = ReportCache(lambda: now)
    report = await audit(Watched())
    labels = [CacheKey(f"caller {number}", ORGANIZATION_ID, report.narrowing) for number in range(ROOM + 1)]
    for key in labels[:-1]:
        cache.put(key, report)
    now = 7.0
    cached = cache.find(labels[0])
    assert cached is not None
    assert cached.age == 7.0
    cache.put(labels[-1], report)
    assert cache.find(labels[0]) is None
    assert cache.find(labels[1]) is not None
    assert cache.find(CacheKey("somebody", ORGANIZATION_ID, report.narrowing)) is None
