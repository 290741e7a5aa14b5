"""Listing changes: filters, pages, moments."""

from typing import Any

import httpx
import pytest

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.calls.masking import MASK
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, ORGANIZATION_ID, OWN_INTEGRATION, USER_TOKEN
from tests.support.elicitation_client import Clock, GitBookSpy, Human, create_gated_server, meet
from tests.support.fake_gitbook import read_code, read_text
from tests.support.gated_calls import find_target
from tests.support.samples import SCRIPT

TASK = {"integrationName": OWN_INTEGRATION, "task": {}}


async def search(client: Any, **arguments: Any) -> dict[str, Any]:
    """Return the content of a result."""
    result = await client.call_tool("list_changes", arguments)
    assert not result.is_error
    content: dict[str, Any] = result.structured_content
    return content


async def test_changes_are_listed_newest_first_in_pages() -> None:
    clock = Clock(1_800_000_000.0)
    async with meet(create_gated_server(GitBookSpy(), clock), Human(), "2026-07-28") as client:
        for _ in range(5):
            await client.call_tool("queue_integration_task", TASK)
            clock.now += 1
        seen: list[str] = []
        page: dict[str, Any] = {}
        while True:
            content = await search(client, limit=2, **page)
            seen += [one["time"] for one in content["items"]]
            if "next" not in content:
                break
            page = content["next"]
    assert seen == [f"2027-01-15T08:00:0{second}.000Z" for second in (4, 3, 2, 1, 0)]


async def test_a_list_shows_long_arguments_in_part_and_a_single_change_shows_them_whole() -> None:
    spy = GitBookSpy()
    slack = next(one for one in spy.sandbox.state.installations.values() if one.integration == "slack")
    spaces = [one.id for one in spy.sandbox.state.get_places("space", ORGANIZATION_ID)]
    arguments = {"integrationName": "slack", "installationId": slack.id, "spaces": spaces}
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        await client.call_tool("set_installation_places", arguments)
        [listed] = (await search(client))["items"]
        [single] = (await search(client, changeId=listed["id"]))["items"]
    *shown, marker = listed["arguments"]["spaces"]
    assert shown == spaces[: len(shown)]
    assert f"{len(spaces) - len(shown)} more" in marker
    assert "changeId" in marker
    assert single["arguments"] == arguments


async def test_changes_are_found_by_tool_outcome_organization_and_time() -> None:
    clock = Clock(1_800_000_000.0)
    async with meet(create_gated_server(GitBookSpy(), clock, widening="off"), Human(), "2026-07-28") as client:
        await client.call_tool("queue_integration_task", TASK)
        clock.now += 2 * 86400
        install = {"integrationName": "mermaid", "organization": "nowhere"}
        await client.call_tool("install_integration", install)
        for found, filters in (
            (["install_integration"], {"since": "24h"}),
            (["install_integration"], {"since": "2027-01-16"}),
            (["queue_integration_task"], {"until": "1d"}),
            (["install_integration", "queue_integration_task"], {"since": "1w"}),
            (["queue_integration_task"], {"tool": "queue_integration_task"}),
            (["install_integration"], {"outcome": "failed"}),
            (["install_integration"], {"organizationId": "nowhere"}),
            (["queue_integration_task"], {"organizationId": ORGANIZATION_ID}),  # the default organization
        ):
            content = await search(client, **filters)
            assert [one["tool"] for one in content["items"]] == found, filters
        for wrong in ({"tool": "instal_integration"}, {"since": "yesterday"}, {"until": "soon"}, {"page": "2"}):
            assert read_code(await client.call_tool("list_changes", wrong)) == "invalid_arguments"
        assert "rollback_integration" in read_text(await client.call_tool("list_changes", {"tool": "rollback"}))


@pytest.mark.parametrize(
    ("period", "fact"),
    [
        ({"since": "2027-01-16"}, "2027-01-16 is in the future. It is 2027-01-15T08:00:00Z."),
        ({"since": "1h", "until": "2h"}, "since must be before until."),
        ({"since": "2027-01-10", "until": "2027-01-01"}, "since must be before until."),
    ],
)
async def test_a_period_in_which_nothing_can_be_is_refused(period: dict[str, str], fact: str) -> None:
    clock = Clock(1_800_000_000.0)
    async with meet(create_gated_server(GitBookSpy(), clock), Human(), "2026-07-28") as client:
        result = await client.call_tool("list_changes", period)
    assert read_code(result) == "invalid_arguments"
    assert fact in read_text(result)


async def test_a_note_says_that_a_change_without_approval_was_sent_without_asking() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration_from_space")
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
        assert "note" not in await search(client)
        again = {name: value for name, value in target.arguments.items() if name != "spaceId"}
        await client.call_tool("install_integration_on_space", {**again, "space": target.arguments["spaceId"]})
        found = await search(client)
    assert {one["tool"]: one.get("approval") for one in found["items"]} == {
        target.name: "form",
        "install_integration_on_space": None,
    }
    assert found["note"] == "A change without approval was sent without asking a human."


async def test_the_id_of_a_change_with_white_space_is_refused_and_not_called_unknown() -> None:
    async with meet(create_gated_server(GitBookSpy()), Human(), "2026-07-28") as client:
        await client.call_tool("queue_integration_task", TASK)
        [change] = (await search(client))["items"]
        for tool in ("list_changes", "undo_change"):
            result = await client.call_tool(tool, {"changeId": f" {change['id']}"})
            assert read_code(result) == "invalid_arguments"
            assert "changeId has the wrong form." in read_text(result)


async def test_a_note_says_that_records_hide_values_and_where_they_are_shown() -> None:
    spy = GitBookSpy()
    own = spy.sandbox.state.get_installations(integration=OWN_INTEGRATION)[0]
    kept = {name: MASK for name in own.configuration if name in {"webhook_url", "api_key"}}
    update = {"integrationName": OWN_INTEGRATION, "installationId": own.id}
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        await client.call_tool("queue_integration_task", TASK)
        assert "note" not in await search(client)
        result = await client.call_tool("update_integration_installation", {**update, "configuration": kept})
        assert not result.is_error, read_text(result)
        listed = await search(client)
        whole = await search(client, changeId=listed["items"][0]["id"])
    for content in (listed, whole):
        assert content["note"].startswith(f"{MASK}: records hide all texts")


async def test_a_plan_is_one_change_and_its_calls_are_read_by_its_id() -> None:
    spy = GitBookSpy()
    mermaid = next(one for one in spy.sandbox.state.installations.values() if one.integration == "mermaid")
    kept, *removed = mermaid.enabled["space"]
    where = {"integrationName": "mermaid", "installationId": mermaid.id}
    clock = Clock()
    async with meet(create_gated_server(spy, clock), Human(), "2026-07-28") as client:
        await client.call_tool("queue_integration_task", TASK)
        clock.now += 1
        await client.call_tool("set_installation_places", {**where, "spaces": [kept]})
        plan, task = (await search(client))["items"]
        assert (plan["tool"], task["tool"]) == ("set_installation_places", "queue_integration_task")
        assert plan["undo"] == ["install_integration_on_space", "update_integration_installation"]
        assert "lost" not in plan
        [whole] = (await search(client, changeId=plan["id"]))["items"]
        assert [text.partition(" that ")[0] for text in whole["lost"]] == ["Data"]
        selection, *calls = whole["calls"]
        assert selection["arguments"] == {"space_selection": "selected"}
        assert [one["arguments"] for one in calls] == [{"spaceId": one} for one in removed]
        first = (await search(client, tool="uninstall_integration_from_space", limit=1))["items"][0]
        assert (first["plan"], first["id"]) == (plan["id"], calls[-1]["id"])
        assert "plan" in (await search(client, outcome="done", limit=1))["items"][0]


async def test_an_undone_change_names_its_undo_until_that_is_undone() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration_from_space")
    clock = Clock()
    async with meet(create_gated_server(spy, clock), Human(), "2026-07-28") as client:
        change = (await client.call_tool(target.name, target.arguments)).structured_content["receipt"]["changeId"]
        clock.now += 1
        undone = (await client.call_tool("undo_change", {"changeId": change})).structured_content["changeId"]
        *_, first = (await search(client))["items"]
        assert (first["id"], first["undoneBy"], "undo" in first) == (change, undone, False)
        [whole] = (await search(client, changeId=change))["items"]
        assert whole["undoneBy"] == undone
        clock.now += 1
        await client.call_tool("undo_change", {"changeId": undone})
        latest, second, first = (await search(client))["items"]
        assert (second["id"], second["undoneBy"]) == (undone, latest["id"])
        assert "undoneBy" not in first
        assert "undo" in first


async def test_changes_are_found_by_integration_also_those_of_a_plan_that_does_not_name_it() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        await client.call_tool("disable_integration_development_mode", {"integrationName": "style-linter"})
        receipt = (await client.call_tool(target.name, target.arguments)).structured_content["receipt"]
        await client.call_tool("undo_change", {"changeId": receipt["changeId"]})
        found = await search(client, integrationName=target.arguments["integrationName"])
        assert {one["tool"] for one in found["items"]} == {"undo_change", target.name}
        assert (await search(client, integrationName="slack"))["items"] == []


async def test_a_tool_whose_single_calls_are_listed_as_such_says_where_they_are() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration_from_space")
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        receipt = (await client.call_tool(target.name, target.arguments)).structured_content["receipt"]
        await client.call_tool("undo_change", {"changeId": receipt["changeId"]})
        note = (await search(client, tool="undo_change"))["note"]
        assert "install_integration_on_space" in note
        assert note.endswith("disable_integration_development_mode.")
        found = await search(client, tool="rollback_integration")
        assert found["items"] == []
        assert found["note"].endswith("that call is listed: publish_integration.")
        assert "note" not in await search(client, tool="uninstall_integration_from_space")


async def test_a_plan_of_one_call_is_found_by_its_own_tool_and_undone_by_its_id() -> None:
    spy = GitBookSpy()
    clock = Clock()
    async with meet(create_gated_server(spy, clock), Human(), "2026-07-28") as client:
        done = (await client.call_tool("uninstall_everywhere", {"integrationName": "heatlens"})).structured_content
        found = await search(client, tool="uninstall_everywhere")
        assert [one["id"] for one in found["items"]] == [done["changeId"]]
        assert "note" not in found
        [call] = (await search(client, changeId=done["changeId"]))["items"][0]["calls"]
        assert call["tool"] == "uninstall_integration"
        clock.now += 1
        undone = (await client.call_tool("undo_change", {"changeId": done["changeId"]})).structured_content
        latest, first = (await search(client))["items"]
        assert (latest["id"], first["undoneBy"]) == (undone["changeId"], undone["changeId"])


async def test_an_empty_list_does_not_read_as_if_nobody_had_changed_anything() -> None:
    async with meet(create_gated_server(GitBookSpy()), Human(), "2026-07-28") as client:
        assert "through this server" in (await search(client))["note"]
        await client.call_tool("queue_integration_task", TASK)
        assert "note" not in await search(client)
        note = (await search(client, integrationName="release-note-bot"))["note"]
        assert "through this server" in note
        assert "Nothing matches integrationName; without that" in note
        assert note.endswith(f"Did you mean {TASK['integrationName']}?")


async def test_a_filter_that_no_change_has_is_named_with_the_values_that_changes_have() -> None:
    clock = Clock()
    server = create_gated_server(GitBookSpy(), clock, widening="off")
    async with meet(server, Human(), "2026-07-28") as client:
        note = (await search(client, integrationName="Slack", organizationId="docs-of-nobody"))["note"]
        assert "has this integrationName" in note
        assert "has this organizationId" in note
        await client.call_tool("disable_integration_development_mode", {"integrationName": "style-linter"})
        clock.now += 1
        await client.call_tool("install_integration", {"integrationName": "slack", "organization": ORGANIZATION_ID})
        assert "Did you mean slack?" in (await search(client, integrationName="Slack"))["note"]
        assert "These occur: slack, style-linter." in (await search(client, integrationName="GA4"))["note"]
        note = (await search(client, organizationId="aurora-robotics"))["note"]
        assert f"has this organizationId. These occur: {ORGANIZATION_ID}." in note
        assert "has this" not in (await search(client, organizationId=ORGANIZATION_ID)).get("note", "")
        assert "has this" not in (await search(client, integrationName="slack", tool="undo_change")).get("note", "")


async def test_changes_of_an_unknown_organization_do_not_look_like_all_changes_of_a_misspelt_one() -> None:
    tokens = {"token": USER_TOKEN, "integration_token": INTEGRATION_TOKEN}
    settings = load_settings({"gitbook": tokens, "store": {"url": "memory"}, "confirmation": {"widening": "off"}})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=GitBookSpy()))
    async with meet(server, Human(), "2026-07-28") as client:
        await client.call_tool("queue_integration_task", TASK)
        await client.call_tool("install_integration", {"integrationName": "slack", "organization": ORGANIZATION_ID})
        found = await search(client, organizationId="aurora-robotics")
        assert [one["tool"] for one in found["items"]] == ["queue_integration_task"]
        assert f"has this organizationId. These occur: {ORGANIZATION_ID}." in found["note"]
        assert "Nothing matches" not in found["note"]
        assert "has this" not in (await search(client, organizationId=ORGANIZATION_ID))["note"]


async def test_long_texts_of_a_change_are_cut() -> None:
    async with meet(create_gated_server(GitBookSpy()), Human(), "2026-07-28") as client:
        manifest = {"title": "Long", "description": "-", "scopes": [], "script": SCRIPT, "summary": "x " * 900}
        await client.call_tool("publish_integration", {"integrationName": "long", **manifest})
        for filters in ({}, {"tool": "publish_integration"}):
            [change] = (await search(client, **filters))["items"]
            assert change["arguments"]["summary"].endswith("`gitbook-integrations-mcp changes --json` shows it]")
            assert len(change["arguments"]["summary"]) < 400
            assert "export" not in change["arguments"]["script"]
