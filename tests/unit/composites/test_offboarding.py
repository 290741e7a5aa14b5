"""Uninstalling an integration everywhere, and bringing it back."""

from typing import Any

import pytest

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.altered_gitbook import AlteredGitBook, Change
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import Era, read_code, read_text
from tests.support.gated_calls import APPROVAL, Target, call_once, each_era, find_target, start_call

TOOL = "uninstall_everywhere"
SECRET = "xoxb-1234567890-the-secret-of-the-installation"
SLACK = {"integrationName": "slack", "organizationId": ORGANIZATION_ID}


def find(spy: GitBookSpy) -> list[Any]:
    """Return the installations of Slack."""
    return [one for one in spy.sandbox.state.installations.values() if one.integration == "slack"]


@each_era
async def test_everything_is_removed_by_one_approval_and_returns_by_one_undo(era: Era, file: str) -> None:
    spy, human = GitBookSpy(), Human()
    [old] = find(spy)
    old.configuration, old.external_ids = {"api_key": SECRET}, ["T012"]
    places = {space: dict(setup.configuration) for space, setup in old.enabled["space"].items()}
    async with meet(create_gated_server(spy, url=file), human, era) as client:
        result = await client.call_tool(TOOL, SLACK)
        assert read_status(result) == "done", read_text(result)
        assert find(spy) == []
        content = result.structured_content or {}
        assert content["calls"][0]["changed"]["spaces"] == {"from": len(places), "to": 0}
        undone = await client.call_tool("undo_change", {"changeId": content["changeId"]})
        assert read_status(undone) == "done", read_text(undone)
    [new] = find(spy)
    assert undone.structured_content["calls"][0] == {"tool": "install_integration", "installationId": new.id}
    assert (new.configuration, new.external_ids, new.selection) == (old.configuration, old.external_ids, old.selection)
    assert {space: setup.configuration for space, setup in new.enabled["space"].items()} == places
    for question in human.texts:
        for space in places:
            assert f"{space} (“{spy.sandbox.state.spaces[space].title}”)" in question
    assert "Configuration that is lost: api_key" in human.texts[0]
    assert human.texts[0].partition("?")[0].endswith(" everywhere in “Aurora Robotics”")
    assert "verified by GitBook" in human.texts[0]
    assert content["credentialsToRevoke"] == ["api_key"]
    assert "Credentials to revoke where they were issued: api_key" in human.texts[0]
    assert SECRET not in "".join([*human.texts, read_text(result), read_text(undone)])


async def test_an_undo_of_the_undo_uninstalls_it_by_one_call(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    [old] = find(spy)
    old.configuration = {"channel": "#releases"}
    async with meet(create_gated_server(spy, url=file), human, "2026-07-28") as client:
        content: dict[str, Any] = (await client.call_tool(TOOL, SLACK)).structured_content or {}
        for number in range(3):
            content = (
                await client.call_tool("undo_change", {"changeId": content["changeId"]})
            ).structured_content or {}
            assert content["status"] == "done"
            assert len(find(spy)) == (number + 1) % 2
            assert (len(content["calls"]) == 1) == bool(number % 2)
            assert "Changed since" not in human.texts[-1]
        [new] = find(spy)
        new.configuration = {"channel": "#other"}
        await client.call_tool("undo_change", {"changeId": content["changeId"]})
    assert "Changed since: configuration" in human.texts[-1]


async def test_an_integration_that_is_not_installed_needs_no_approval() -> None:
    spy, human = GitBookSpy(), Human()
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**SLACK, "integrationName": "webhook"})
    assert read_status(result) == "unchanged"
    assert "Sites can still load a script of it" in read_text(result)
    assert (human.requests, spy.mutations) == ([], [])


@pytest.mark.parametrize(("name", "meant"), [("slak", "slack"), ("Slack", "slack"), ("google", "googleanalytics")])
async def test_a_misspelt_name_is_an_error_and_not_something_that_is_gone(name: str, meant: str) -> None:
    spy, human = GitBookSpy(), Human()
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**SLACK, "integrationName": name})
    assert read_code(result) == "invalid_arguments"
    assert f"Did you mean {meant} (“" in read_text(result)
    assert (human.requests, spy.mutations) == ([], [])


async def test_the_human_learns_that_visitors_sign_in_with_it_and_that_it_is_on_all_sites() -> None:
    human = Human(action="decline")
    async with meet(create_gated_server(GitBookSpy()), human, "2026-07-28") as client:
        await client.call_tool(TOOL, {**SLACK, "integrationName": "harbor-auth"})
    assert "Sign-in: Visitors of sites sign in with this integration." in human.texts[0]
    assert "Affected sites: 0; all, also future ones, are selected" in human.texts[0]


@pytest.mark.parametrize("level", ["installation", "space"])
async def test_an_approval_is_not_for_another_state(level: str) -> None:
    spy = GitBookSpy()
    [installation] = find(spy)
    setup = installation if level == "installation" else next(iter(installation.enabled["space"].values()))
    target = Target(TOOL, SLACK)
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        state = await start_call(client, target)
        setup.configuration = {"by": "another person"}
        assert not hasattr(await call_once(client, target, state, APPROVAL), "structured_content")  # it asks again
    assert spy.mutations == []


def _blind(item: dict[str, Any]) -> None:
    item["integration"] = "slack"


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item.update(integration=None),
        _blind,
        lambda item: item["integration"].update(name=None),
        lambda item: item["installation"].pop("id"),
    ],
)
async def test_an_installation_that_cannot_be_read_is_not_called_absent(change: Change) -> None:
    def change_all(data: Any) -> None:
        for item in data["items"]:
            if item["integration"]["name"] == "slack":
                change(item)

    spy = GitBookSpy()
    gitbook = AlteredGitBook(spy, {f"/orgs/{ORGANIZATION_ID}/installations": change_all})
    async with meet(create_gated_server(gitbook), human := Human(), "2026-07-28") as client:
        assert read_code(await client.call_tool(TOOL, SLACK)) == "invalid_response"
    assert (human.texts, spy.mutations) == ([], [])


class Hiding(GitBookSpy):
    """A GitBook that lists installations, but refuses to show one."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith(find(self)[0].id):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await super().__call__(scope, receive, send)


async def test_a_refusal_to_show_an_installation_says_which_call_was_refused_and_whom_to_ask() -> None:
    spy = Hiding()
    async with meet(create_gated_server(spy), human := Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, SLACK)
    assert read_code(result) == "target_unreadable"
    assert "get_integration_installation_by_id with 403" in read_text(result)
    assert (human.texts, spy.mutations) == ([], [])


@pytest.mark.parametrize("cursor", ["abc", {"cursor": "x"}, {"page": None}, {"page": 7}, ["x"], True, {}])
async def test_a_list_whose_rest_cannot_be_read_is_not_complete(cursor: Any) -> None:
    def hide(data: Any) -> None:
        data["items"] = [item for item in data["items"] if item["integration"]["name"] != "slack"]
        data["next"] = cursor

    gitbook = AlteredGitBook(GitBookSpy(), {f"/orgs/{ORGANIZATION_ID}/installations": hide})
    async with meet(create_gated_server(gitbook), Human(), "2026-07-28") as client:
        assert read_code(await client.call_tool(TOOL, SLACK)) == "invalid_response"
        where = {"organizationId": ORGANIZATION_ID, "fetchAll": True}
        listed = await client.call_tool("list_organization_installations", where)
    assert (listed.structured_content or {})["complete"] is False


async def test_an_installation_that_is_listed_twice_is_uninstalled_once() -> None:
    def repeat(data: Any) -> None:
        data["items"] += [item for item in data["items"] if item["integration"]["name"] == "slack"]

    spy = GitBookSpy()
    gitbook = AlteredGitBook(spy, {f"/orgs/{ORGANIZATION_ID}/installations": repeat})
    async with meet(create_gated_server(gitbook), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, SLACK)
    assert read_status(result) == "done", read_text(result)
    assert find(spy) == []


async def test_a_question_names_the_blocks_that_pages_lose_only_if_they_lose_them() -> None:
    spy, human = GitBookSpy(), Human("decline")
    tools = {
        "uninstall_integration": True,
        "uninstall_integration_from_space": True,
        "uninstall_integration_from_site": False,
        "unpublish_integration": True,
        "disable_integration_development_mode": False,
    }
    for integration in spy.sandbox.state.integrations.values():
        integration.manifest["blocks"] = [{"id": "note", "title": "Note"}]
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        for tool in tools:
            await client.call_tool(tool, find_target(spy, tool).arguments)
    asked = dict(zip(tools, human.texts, strict=True))
    assert {tool: "Blocks that pages lose: 1: note (“Note”)" in text for tool, text in asked.items()} == tools


async def test_an_installation_of_another_organization_is_not_uninstalled() -> None:
    def list_another(data: Any) -> None:
        for item in data["items"]:
            if item["installation"]["id"] == own.id:
                item["installation"]["id"] = other.id

    spy, human = GitBookSpy(), Human()
    installations = [one for one in spy.sandbox.state.installations.values() if one.integration == "release-notes-bot"]
    own, other = sorted(installations, key=lambda one: one.organization != ORGANIZATION_ID)
    gitbook = AlteredGitBook(spy, {f"/orgs/{ORGANIZATION_ID}/installations": list_another})
    arguments = {"organizationId": ORGANIZATION_ID, "integrationName": "release-notes-bot"}
    async with meet(create_gated_server(gitbook), human, "2026-07-28") as client:
        assert read_code(await client.call_tool(TOOL, arguments)) == "invalid_response"
    assert (human.requests, spy.mutations) == ([], [])
