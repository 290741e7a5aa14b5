"""Undoing a change: the plan, its approval, what it restores, and what it refuses."""

import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import InputRequiredResult
from sqlalchemy import update

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from gitbook_integrations_mcp.store.schema import changes as table
from gitbook_integrations_mcp.store.store import Store
from tests.support.altered_gitbook import AlteredGitBook
from tests.support.elicitation_client import Clock, GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import Era, Upstream, connect, read_changes, read_code, read_text
from tests.support.gated_calls import APPROVAL, Target, call_once, each_era, find_target, start_call
from tests.support.stores import find_url

SECRET = "xoxb-the-secret-of-the-installation"


def create(spy: Any, url: str, **sections: Any) -> Any:
    """Return a server with a store."""
    store = {"url": url, **sections.pop("store", {})}
    settings = load_settings({"server": {"sandbox": True}, "store": store, **sections})
    return create_server(settings, http_transport=httpx.ASGITransport(app=spy))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store; a SQLite file seals with a key file, PostgreSQL with none."""
    return find_url(request, request.param)


def find_installation(spy: GitBookSpy) -> Any:
    """Return the installation of the sandbox's own integration on its organization."""
    [found] = [
        one
        for one in spy.sandbox.state.installations.values()
        if (one.integration, one.organization) == (OWN_INTEGRATION, ORGANIZATION_ID)
    ]
    return found


async def list_changes(client: Any, **arguments: Any) -> list[dict[str, Any]]:
    """Return the changes that the tool lists."""
    result = await client.call_tool("list_changes", arguments)
    assert not result.is_error, read_text(result)
    items: list[dict[str, Any]] = result.structured_content["items"]
    return items


async def uninstall(client: Any, spy: GitBookSpy) -> str:
    """Uninstall the sandbox's own integration, and return the ID of the change."""
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    installation.configuration = {"channel": "#docs", "api_key": SECRET}
    assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
    change_id: str = (await list_changes(client))[0]["id"]
    return change_id


@each_era
async def test_an_uninstalled_integration_returns_with_its_credentials_and_places(era: Era, url: str) -> None:
    spy, human = GitBookSpy(), Human()
    target = find_target(spy, "uninstall_integration")
    old = spy.sandbox.state.installations[target.arguments["installationId"]]
    places = {level: set(old.enabled[level]) for level in ("space", "site")}
    keys = {"keys": ["a key of the tests that is long enough"]}
    async with meet(create(spy, url, store=keys), human, era) as client:
        change_id = await uninstall(client, spy)
        result = await client.call_tool("undo_change", {"changeId": change_id})
        assert read_status(result) == "done", read_text(result)
        listed = await list_changes(client)
        content = result.structured_content or {}
        assert [one["id"] for one in listed if one.get("undoes") == change_id] == [content["changeId"]]
    new = find_installation(spy)
    assert new.id != old.id
    assert new.configuration == {"channel": "#docs", "api_key": SECRET}
    assert new.external_ids == old.external_ids
    assert {level: set(new.enabled[level]) for level in ("space", "site")} == places
    assert "Not restored" in human.texts[-1]
    assert SECRET not in "".join(human.texts) + read_text(result)


@each_era
@pytest.mark.parametrize("human", [None, Human(action="decline"), Human(action="cancel"), Human(confirm=False)])
async def test_nothing_is_undone_without_approval(human: Human | None, era: Era, file: str) -> None:
    spy = GitBookSpy()
    async with meet(create(spy, file), Human(), era) as client:
        change_id = await uninstall(client, spy)
    sent = len(spy.mutations)
    async with meet(create(spy, file, confirmation={"fallback": "refuse"}), human, era) as client:
        result = await client.call_tool("undo_change", {"changeId": change_id})
        assert read_status(result).startswith("confirmation_")
    assert len(spy.mutations) == sent


async def test_an_approval_of_an_undo_is_used_once_and_only_for_that_change(file: str) -> None:
    spy = GitBookSpy()
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        slack = next(one for one in spy.sandbox.state.installations.values() if one.integration == "slack")
        where = {"integrationName": "slack", "installationId": slack.id}
        await client.call_tool("update_integration_installation", {**where, "externalIds": ["a"]})
        other = (await list_changes(client))[0]["id"]
        change_id = await uninstall(client, spy)
    sent = len(spy.mutations)
    async with meet(create(spy, file, confirmation={"fallback": "two-step"}), None, "2026-07-28") as client:
        asked = (await client.call_tool("undo_change", {"changeId": change_id})).structured_content or {}
        confirmed = {"confirmationId": asked["confirmationId"]}
        wrong = await client.call_tool("undo_change", {"changeId": other, **confirmed})
        assert read_status(wrong) == "confirmation_expired"
        assert len(spy.mutations) == sent
        assert read_status(await client.call_tool("undo_change", {"changeId": change_id, **confirmed})) == "done"
        again = await client.call_tool("undo_change", {"changeId": change_id, **confirmed})
        assert read_code(again) == "change_not_undoable"


async def test_a_target_that_changes_after_the_approval_is_asked_about_again(file: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool("update_integration_installation", {**target.arguments, "externalIds": ["a"]})
        change_id = (await list_changes(client))[0]["id"]
    async with meet(create(spy, file, confirmation={"fallback": "two-step"}), None, "2026-07-28") as client:
        asked = (await client.call_tool("undo_change", {"changeId": change_id})).structured_content or {}
        installation.external_ids = ["changed by another person"]
        arguments = {"changeId": change_id, "confirmationId": asked["confirmationId"]}
        assert read_status(await client.call_tool("undo_change", arguments)) == "target_changed"
    assert installation.external_ids == ["changed by another person"]


async def test_an_undo_is_refused_where_there_is_nothing_to_undo(file: str) -> None:
    spy = GitBookSpy()
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool("install_integration", {"integrationName": "mermaid", "organization": "nowhere"})
        await client.call_tool("queue_integration_task", {"integrationName": OWN_INTEGRATION, "task": {}})
        sent = len(spy.mutations)
        for change in await list_changes(client):
            result = await client.call_tool("undo_change", {"changeId": change["id"]})
            assert read_code(result) == "change_not_undoable"
        assert read_code(await client.call_tool("undo_change", {"changeId": "chg_0"})) == "unknown_change"
        assert read_code(await client.call_tool("list_changes", {"changeId": "chg_0"})) == "unknown_change"
    assert len(spy.mutations) == sent


async def test_a_change_of_another_caller_is_unknown(file: str) -> None:
    spy = GitBookSpy()
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        change_id = await uninstall(client, spy)
    async with connect(Upstream(), store={"url": file}) as client:  # with another token
        assert await list_changes(client) == []
        assert read_code(await client.call_tool("undo_change", {"changeId": change_id})) == "unknown_change"


async def test_without_kept_values_the_receipt_and_the_undo_say_what_is_not_restored(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    async with meet(create(spy, file, store={"keep_values": False}), human, "2026-07-28") as client:
        old = {"integrationName": OWN_INTEGRATION, "installationId": find_installation(spy).id}
        receipt = ((await client.call_tool("uninstall_integration", old)).structured_content or {})["receipt"]
        result = await client.call_tool("undo_change", {"changeId": receipt["changeId"]})
        assert read_status(result) == "done"
    assert {text.split()[0] for text in receipt["lost"] if "not restored" in text} == {"configuration"}
    assert (result.structured_content or {})["lost"] == receipt["lost"]  # each once
    new = find_installation(spy)
    assert "api_key" not in new.configuration
    assert "configuration is not restored" in human.texts[-1]
    assert any("configuration is not restored" in text for text in (result.structured_content or {})["lost"])


async def test_without_kept_values_a_receipt_offers_no_undo_that_restores_nothing(file: str) -> None:
    spy = GitBookSpy()
    installation = find_installation(spy)
    installation.configuration = {"webhook_url": "https://hooks.example/old"}
    where = {"integrationName": OWN_INTEGRATION, "installationId": installation.id}
    arguments = {**where, "configuration": {"webhook_url": "https://hooks.example/new"}}
    async with meet(create(spy, file, store={"keep_values": False}), Human(), "2026-07-28") as client:
        changed = await client.call_tool("update_integration_installation", arguments)
        receipt = (changed.structured_content or {})["receipt"]
        assert isinstance(receipt["undo"], str)
        (listed,) = await list_changes(client)
        assert "undo" not in listed
        result = await client.call_tool("undo_change", {"changeId": receipt["changeId"]})
        assert read_code(result) == "change_not_undoable"
        assert "unknown" in read_text(result)


async def test_values_that_cannot_be_decrypted_are_an_error_before_anybody_is_asked(file: str, tmp_path: Path) -> None:
    spy, human = GitBookSpy(), Human()
    async with meet(create(spy, file), human, "2026-07-28") as client:
        change_id = await uninstall(client, spy)
    (tmp_path / "store.key").write_text("another key")
    sent, asked = len(spy.mutations), len(human.requests)
    async with meet(create(spy, file), human, "2026-07-28") as client:
        assert read_code(await client.call_tool("undo_change", {"changeId": change_id})) == "store_key_unknown"
    assert (len(spy.mutations), len(human.requests)) == (sent, asked)


class Failing(GitBookSpy):
    """A GitBook that refuses to install on spaces."""

    fails = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.fails and scope["method"] == "POST" and scope["path"].endswith("/spaces"):
            scope = {**scope, "path": "/v1/nowhere", "raw_path": b"/v1/nowhere"}
        await super().__call__(scope, receive, send)


async def test_a_plan_stops_at_the_first_failure_and_reports_what_was_done(file: str) -> None:
    spy = Failing()
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        change_id = await uninstall(client, spy)
        result = await client.call_tool("undo_change", {"changeId": change_id})
        [listed] = (await client.call_tool("list_changes", {"changeId": change_id})).structured_content["items"]
    assert "undoneBy" not in listed
    content = result.structured_content or {}
    assert content["status"] == "incomplete"
    assert [one["tool"] for one in content["calls"]] == ["install_integration", "install_integration_on_space"]
    assert content["calls"][1]["code"] == "not_found"
    assert [one.outcome for one in await read_changes(file)] == ["done", "incomplete", "done", "failed"]


@pytest.mark.parametrize("wrong", [True, 7.5, ["x"]])
async def test_a_plan_stops_if_what_it_created_has_no_readable_id(wrong: Any, file: str) -> None:
    spy = GitBookSpy()
    gitbook = AlteredGitBook(spy, {"/installations": lambda data: data.update(id=wrong)}, "POST")
    async with meet(create(gitbook, file), Human(), "2026-07-28") as client:
        change_id = await uninstall(client, spy)
        result = await client.call_tool("undo_change", {"changeId": change_id})
    content = result.structured_content or {}
    assert content["status"] == "incomplete"
    assert [one.get("code") for one in content["calls"]] == [None, "invalid_arguments"]
    assert [one.outcome for one in await read_changes(file)] == ["done", "incomplete", "done"]


async def test_an_incomplete_undo_starts_again_after_it_was_undone(file: str) -> None:
    spy = Failing()
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        change_id = await uninstall(client, spy)
        incomplete = (await client.call_tool("undo_change", {"changeId": change_id})).structured_content or {}
        assert incomplete["undo"] == {"tool": "undo_change", "changeId": incomplete["changeId"]}
        assert read_code(await client.call_tool("undo_change", {"changeId": change_id})) == "change_not_undoable"
        await undo(client, incomplete["changeId"])
        spy.fails = False
        await undo(client, change_id)
    assert find_installation(spy).configuration == {"channel": "#docs", "api_key": SECRET}
    assert find_installation(spy).enabled["space"]


async def test_an_undo_whose_outcome_stays_unknown_can_be_repeated_later(file: str) -> None:
    spy, human, clock = GitBookSpy(), Human(), Clock(1_800_000_000.0)
    installation = find_installation(spy)
    where = {"integrationName": OWN_INTEGRATION, "installationId": installation.id}
    before = list(installation.external_ids)
    async with meet(create_gated_server(spy, clock, url=file), human, "2026-07-28") as client:
        await client.call_tool("update_integration_installation", {**where, "externalIds": ["new"]})
        change_id = await find_change(client, "update_integration_installation")
        undoing = (await undo(client, change_id))["changeId"]
        store = Store(load_settings({"store": {"url": file}}))
        await store.changes.complete(undoing, {"outcome": "unknown"})  # as if the server had been killed
        await store.close()
        installation.external_ids = ["new"]
        again = await client.call_tool("undo_change", {"changeId": change_id})
        assert read_code(again) == "change_not_undoable"
        clock.now += 601
        await undo(client, change_id)
        assert f"Earlier undo: {undoing}" in human.texts[-1]
    assert installation.external_ids == before


async def test_a_tool_that_the_server_does_not_offer_is_not_used_by_an_undo(file: str) -> None:
    spy = GitBookSpy()
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        change_id = await uninstall(client, spy)
    sent = len(spy.mutations)
    async with meet(create(spy, file, tools={"exclude": ["install_integration"]}), Human(), "2026-07-28") as client:
        assert read_code(await client.call_tool("undo_change", {"changeId": change_id})) == "tool_disabled"
    assert len(spy.mutations) == sent


async def undo(client: Any, change_id: str) -> dict[str, Any]:
    """Undo a change, and return the content of the result."""
    result = await client.call_tool("undo_change", {"changeId": change_id})
    assert read_status(result) == "done"
    content: dict[str, Any] = result.structured_content
    return content


async def find_change(client: Any, tool: str) -> str:
    """Return the ID of the latest change by a tool."""
    change_id: str = (await list_changes(client, tool=tool))[0]["id"]
    return change_id


@each_era
async def test_an_update_is_undone_and_the_undo_can_be_undone_and_so_on(era: Era, url: str) -> None:
    spy, human = GitBookSpy(), Human()
    installation = find_installation(spy)
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest.pop("configurations", None)  # any key is allowed
    old = {"channel": "#old", "api_key": SECRET}
    new = {"channel": "#new", "api_key": f"{SECRET}-new"}
    installation.configuration, installation.external_ids = dict(old), ["a"]
    where = {"integrationName": OWN_INTEGRATION, "installationId": installation.id}
    keys = {"keys": ["a key of the tests that is long enough"]}
    async with meet(create(spy, url, store=keys), human, era) as client:
        arguments = {**where, "configuration": new, "externalIds": ["b"], "space_selection": "all"}
        await client.call_tool("update_integration_installation", arguments)
        change_id = await find_change(client, "update_integration_installation")
        for expected in (old, new, old):
            content = await undo(client, change_id)
            assert installation.configuration == expected
            assert installation.external_ids == (["a"] if expected == old else ["b"])
            assert installation.selection["space"] == ("selected" if expected == old else "all")
            [call] = content["calls"]
            assert call["restored"] == ["configuration", "externalIds", "space_selection"]
            assert content["changeId"] == await find_change(client, "update_integration_installation")
            change_id = content["changeId"]
        first = await find_change(client, "update_integration_installation")
        listed = await list_changes(client)
    assert first == change_id
    assert "Changed since" not in "".join(human.texts)
    assert SECRET not in "".join([*human.texts, str(listed)])


async def test_a_change_is_undone_again_only_after_its_undo_was_undone(file: str) -> None:
    spy = GitBookSpy()
    installation = find_installation(spy)
    where = {"integrationName": OWN_INTEGRATION, "installationId": installation.id}
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool("update_integration_installation", {**where, "externalIds": ["new"]})
        change_id = await find_change(client, "update_integration_installation")
        undoing = (await undo(client, change_id))["changeId"]
        again = await client.call_tool("undo_change", {"changeId": change_id})
        assert read_code(again) == "change_not_undoable"
        assert undoing in read_text(again)
        await undo(client, undoing)
        assert installation.external_ids == ["new"]
        await undo(client, change_id)
        assert installation.external_ids != ["new"]


async def test_the_result_of_an_undo_says_that_it_undid_a_later_change_too(file: str) -> None:
    spy = GitBookSpy()
    where = {"integrationName": OWN_INTEGRATION, "installationId": find_installation(spy).id}
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool("update_integration_installation", {**where, "externalIds": ["first"]})
        change_id = await find_change(client, "update_integration_installation")
        await client.call_tool("update_integration_installation", {**where, "externalIds": ["first", "second"]})
        content = (await client.call_tool("undo_change", {"changeId": change_id})).structured_content or {}
    assert [one.partition(":")[0] for one in content["notes"]] == ["Changed since", "Later changes"]


@pytest.mark.parametrize("kept", [True, False])
async def test_what_changed_since_is_in_the_question(kept: bool, file: str) -> None:
    spy, human = GitBookSpy(), Human()
    installation = find_installation(spy)
    where = {"integrationName": OWN_INTEGRATION, "installationId": installation.id}
    async with meet(create(spy, file, store={"keep_values": kept}), human, "2026-07-28") as client:
        await client.call_tool("update_integration_installation", {**where, "externalIds": ["a"]})
        change_id = await find_change(client, "update_integration_installation")
        human.action = "decline"
        await client.call_tool("undo_change", {"changeId": change_id})
        assert "Changed since" not in human.texts[-1]
        installation.external_ids = ["changed by another person"]
        await client.call_tool("undo_change", {"changeId": change_id})
        assert "Changed since: externalIds" in human.texts[-1]
        assert "External IDs that are lost: changed by another person" in human.texts[-1]
        human.action = "accept"
        await client.call_tool("update_integration_installation", {**where, "space_selection": "all"})
        human.action = "decline"
        await client.call_tool("undo_change", {"changeId": change_id})
        assert "Later changes: 1 " in human.texts[-1]
        del spy.sandbox.state.installations[installation.id]
        assert read_code(await client.call_tool("undo_change", {"changeId": change_id})) == "change_not_undoable"


@pytest.mark.parametrize("level", ["space", "site"])
async def test_only_later_changes_of_the_same_installation_or_place_count(level: Any, file: str) -> None:
    spy, human = GitBookSpy(), Human()
    own = {"integrationName": OWN_INTEGRATION, "installationId": find_installation(spy).id}
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest["target"] = "all"
    argument = {"space": "space", "site": "siteId"}[level]
    taken = find_installation(spy).enabled[level]
    one, other = [place.id for place in spy.sandbox.state.get_places(level, ORGANIZATION_ID) if place.id not in taken][
        :2
    ]
    async with meet(create(spy, file), human, "2026-07-28") as client:

        async def change(tool: str, **arguments: Any) -> None:
            assert not (await client.call_tool(tool, arguments)).is_error

        async def count(change_id: str) -> str:
            human.action = "decline"
            await client.call_tool("undo_change", {"changeId": change_id})
            human.action = "accept"
            return human.texts[-1].partition("Later changes: ")[2][:2]

        await change(f"install_integration_on_{level}", **own, **{argument: one})
        place = await find_change(client, f"install_integration_on_{level}")
        await change(f"install_integration_on_{level}", **own, **{argument: other})
        await change("update_integration_installation", **own, externalIds=["a"])
        await client.call_tool(f"install_integration_on_{level}", {**own, argument: one})  # fails
        assert await count(place) == ""
        await change(f"update_integration_{level}_installation", **own, **{f"{level}Id": one}, externalIds=["b"])
        assert await count(place) == "1 "
        await change("uninstall_integration", **own)
        await change("install_integration", integrationName=OWN_INTEGRATION, organization=ORGANIZATION_ID)
        whole = await find_change(client, "install_integration")
        tunnel = "https://tunnel.example.com"
        await change("set_integration_development_mode", integrationName=OWN_INTEGRATION, tunnelUrl=tunnel)
        assert await count(whole) == ""
        new = {**own, "installationId": find_installation(spy).id}
        await change("update_integration_installation", **new, externalIds=["c"])
        assert await count(whole) == "1 "


async def test_an_undo_is_refused_before_anybody_is_asked_if_the_integration_was_installed_again(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    async with meet(create(spy, file), human, "2026-07-28") as client:
        change_id = await uninstall(client, spy)
        where = {"integrationName": OWN_INTEGRATION, "organization": ORGANIZATION_ID}
        await client.call_tool("install_integration", where)
        asked, sent = len(human.requests), len(spy.mutations)
        result = await client.call_tool("undo_change", {"changeId": change_id})
        assert read_code(result) == "change_not_undoable"
        new = find_installation(spy).id
        assert new in read_text(result)
        assert (len(human.requests), len(spy.mutations)) == (asked, sent)
        own = {"integrationName": OWN_INTEGRATION, "installationId": new}
        assert read_status(await client.call_tool("uninstall_integration", own)) == "done"
        await undo(client, change_id)
    assert find_installation(spy).configuration == {"channel": "#docs", "api_key": SECRET}


@pytest.mark.parametrize("level", ["space", "site"])
async def test_an_undo_is_refused_if_the_integration_was_installed_on_the_place_again(level: Any, file: str) -> None:
    spy, human = GitBookSpy(), Human()
    target = find_target(spy, f"uninstall_integration_from_{level}")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    setup = installation.enabled[level][target.arguments[f"{level}Id"]]
    async with meet(create(spy, file), human, "2026-07-28") as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
        installation.enabled[level][target.arguments[f"{level}Id"]] = setup
        result = await client.call_tool("undo_change", {"changeId": await find_change(client, target.name)})
    assert read_code(result) == "change_not_undoable"
    assert len(human.requests) == 1


async def test_a_change_of_an_installation_that_has_a_new_id_is_not_undone_and_the_new_id_is_named(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    where = {"integrationName": OWN_INTEGRATION, "installationId": find_installation(spy).id}
    async with meet(create(spy, file), human, "2026-07-28") as client:
        await client.call_tool("update_integration_installation", {**where, "externalIds": ["new"]})
        earlier = await find_change(client, "update_integration_installation")
        await undo(client, await uninstall(client, spy))
        asked = len(human.requests)
        result = await client.call_tool("undo_change", {"changeId": earlier})
    assert read_code(result) == "change_not_undoable"
    assert find_installation(spy).id in read_text(result)
    assert len(human.requests) == asked


async def test_an_undo_does_not_say_of_what_it_removes_that_it_stays(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    installation = find_installation(spy)
    installation.status, installation.configuration = "pending", {}
    async with meet(create(spy, file), human, "2026-07-28") as client:
        content = await undo(client, await uninstall(client, spy))
        [listed] = await list_changes(client, changeId=content["changeId"])
        assert "Its status changed from pending to active" in str(listed["lost"])
        await undo(client, content["changeId"])
    assert "Its status changed" not in human.texts[-1]
    assert "Call 1: uninstall_integration" in human.texts[-1]


async def test_an_undo_that_uninstalls_is_shown_as_such_and_can_be_undone_with_all_places(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    for installation in list(spy.sandbox.state.installations.values()):
        if installation.integration == OWN_INTEGRATION:
            del spy.sandbox.state.installations[installation.id]
    async with meet(create(spy, file), human, "2026-07-28") as client:
        arguments = {"integrationName": OWN_INTEGRATION, "organization": ORGANIZATION_ID}
        await client.call_tool("install_integration", arguments)
        change_id = await find_change(client, "install_integration")
        installation = find_installation(spy)
        installation.configuration = {"api_key": SECRET}
        space = next(one.id for one in spy.sandbox.state.spaces.values() if one.organization == ORGANIZATION_ID)
        where = {"integrationName": OWN_INTEGRATION, "installationId": installation.id, "space": space}
        await client.call_tool("install_integration_on_space", where)
        installation.enabled["space"][space].configuration = {"token": SECRET}
        undoing = (await undo(client, change_id))["changeId"]
        assert "Configuration that is lost" in human.texts[-1]
        assert "Changed since: configuration" in human.texts[-1]
        assert installation.id not in spy.sandbox.state.installations
        await undo(client, undoing)
    new = find_installation(spy)
    assert new.configuration == {"api_key": SECRET}
    assert new.enabled["space"][space].configuration == {"token": SECRET}
    assert SECRET not in "".join(human.texts)


class Partial(GitBookSpy):
    """A GitBook that does not list spaces."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET" and scope["path"].endswith("/spaces"):
            scope = {**scope, "path": "/v1/nowhere", "raw_path": b"/v1/nowhere"}
        await super().__call__(scope, receive, send)


async def test_places_that_could_not_be_read_are_said_to_stay_lost(file: str) -> None:
    spy, human = Partial(), Human()
    async with meet(create(spy, file), human, "2026-07-28") as client:
        change_id = await uninstall(client, spy)
        content = await undo(client, change_id)
    assert any(text.startswith("The spaces are not restored") for text in content["lost"])
    assert "Not restored: The spaces are not restored" in human.texts[-1]
    assert find_installation(spy).enabled["space"] == {}


class Unsure(GitBookSpy):
    """A GitBook whose gateway answers deletions instead of it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "DELETE":
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await super().__call__(scope, receive, send)


async def test_a_deletion_that_never_took_effect_is_not_undone(file: str) -> None:
    spy = Unsure()
    target = find_target(spy, "uninstall_integration")
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
        [change] = await list_changes(client)
        assert change["outcome"] == "unknown"
        result = await client.call_tool("undo_change", {"changeId": change["id"]})
        assert read_code(result) == "change_not_undoable"
    assert spy.mutations == []


async def test_an_approval_of_an_undo_cannot_be_replayed_or_moved(file: str) -> None:
    spy = GitBookSpy()
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        where = {"integrationName": OWN_INTEGRATION, "installationId": find_installation(spy).id}
        await client.call_tool("update_integration_installation", {**where, "externalIds": ["a"]})
        other = Target("undo_change", {"changeId": await find_change(client, "update_integration_installation")})
        this = Target("undo_change", {"changeId": await uninstall(client, spy)})
        states = [await start_call(client, this) for _ in range(2)]
        sent = len(spy.mutations)
        for target, state, answer in ((other, states[0], APPROVAL), (this, states[0], None), (this, None, APPROVAL)):
            with contextlib.suppress(MCPError):  # another call than the state is for
                refused: Any = await call_once(client, target, state, answer)
                assert getattr(refused, "is_error", False) or read_unsent(refused)
        assert len(spy.mutations) == sent
        done: Any = await call_once(client, this, states[1], APPROVAL)
        assert read_status(done) == "done"
        sent = len(spy.mutations)
        for state in states:
            replayed: Any = await call_once(client, this, state, APPROVAL)
            assert read_code(replayed) == "change_not_undoable"
    assert len(spy.mutations) == sent


def read_unsent(result: Any) -> bool:
    """Whether a call was not sent: it asks, or says why."""
    return isinstance(result, InputRequiredResult) or read_status(result).startswith("confirmation_")


@each_era
async def test_of_two_approved_undos_of_one_change_only_one_runs(era: Era, file: str) -> None:
    spy = GitBookSpy()
    server = create(spy, file)
    async with meet(server, Human(), "2026-07-28") as first:
        change_id = await uninstall(first, spy)
        this = Target("undo_change", {"changeId": change_id})
        state = await start_call(first, this)

        class Slow(Human):
            """Approves only after the other undo has run."""

            async def answer(self, context: Any, params: Any) -> Any:
                done: Any = await call_once(first, this, state, APPROVAL)
                assert read_status(done) == "done"
                return await super().answer(context, params)

        async with meet(server, Slow(), era) as second:
            result = await second.call_tool("undo_change", {"changeId": change_id})
            assert read_code(result) == "change_not_undoable"
    installed = [path for _, path in spy.mutations if path.endswith(f"/{OWN_INTEGRATION}/installations")]
    assert len(installed) == 1


async def test_no_file_of_the_store_contains_a_secret(file: str, tmp_path: Path) -> None:
    spy = GitBookSpy()
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await undo(client, await uninstall(client, spy))
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"uninstall_integration" in content
    assert SECRET.encode() not in content


async def test_a_sealed_value_that_was_moved_to_another_change_is_not_used(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    async with meet(create(spy, file), human, "2026-07-28") as client:
        first = await uninstall(client, spy)
        await undo(client, first)
        second = await uninstall(client, spy)
        store = Store(load_settings({"store": {"url": file}}))
        sealed = {one.id: one.sealed for one in await store.changes.search(None)}
        await store.changes.complete(second, {"sealed": sealed[first]})
        await store.close()
        sent, asked = len(spy.mutations), len(human.requests)
        assert read_code(await client.call_tool("undo_change", {"changeId": second})) == "store_key_unknown"
    assert (len(spy.mutations), len(human.requests)) == (sent, asked)


@each_era
@pytest.mark.parametrize("level", ["space", "site"])
async def test_a_place_returns_with_its_configuration(level: Any, era: Era, file: str) -> None:
    spy, human = GitBookSpy(), Human()
    target = find_target(spy, f"uninstall_integration_from_{level}")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    place = target.arguments[f"{level}Id"]
    installation.enabled[level][place].configuration = {"api_key": SECRET}
    installation.enabled[level][place].external_ids = ["a"]
    async with meet(create(spy, file), human, era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
        assert place not in installation.enabled[level]
        await undo(client, await find_change(client, target.name))
    assert installation.enabled[level][place].configuration == {"api_key": SECRET}
    assert installation.enabled[level][place].external_ids == ["a"]
    assert f"External IDs added: a; on {place}" in human.texts[-1]
    assert SECRET not in "".join(human.texts)


@pytest.mark.parametrize("level", ["space", "site"])
async def test_a_removal_from_one_place_and_its_undo_say_that_a_selection_of_all_ends(level: Any, file: str) -> None:
    spy, human = GitBookSpy(), Human()
    target = find_target(spy, f"uninstall_integration_from_{level}")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    installation.selection[level] = "all"
    async with meet(create(spy, file), human, "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
        await undo(client, await find_change(client, target.name))
    assert installation.selection[level] == "selected"
    assert [f"all {level}s" in text for text in human.texts] == [True, True]


async def test_the_question_says_that_a_paused_integration_becomes_active(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    installation = find_installation(spy)
    installation.status = "paused"
    async with meet(create(spy, file), human, "2026-07-28") as client:
        change_id = await uninstall(client, spy)
        await undo(client, change_id)
    assert f"Not restored: It was paused: installation {installation.id}." in human.texts[-1]


@pytest.mark.parametrize("level", ["space", "site"])
async def test_enabling_and_configuring_a_place_is_undone(level: Any, file: str) -> None:
    spy, human = GitBookSpy(), Human()
    target = find_target(spy, f"uninstall_integration_from_{level}")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    place = target.arguments[f"{level}Id"]
    updating, installing = f"update_integration_{level}_installation", f"install_integration_on_{level}"
    own = {name: target.arguments[name] for name in ("integrationName", "installationId")}
    installation.enabled[level][place].external_ids = ["old"]
    async with meet(create(spy, file), human, "2026-07-28") as client:
        await client.call_tool(updating, {**target.arguments, "externalIds": ["new"]})
        await undo(client, await find_change(client, updating))
        assert installation.enabled[level][place].external_ids == ["old"]
        del installation.enabled[level][place]
        await client.call_tool(installing, {**own, "space" if level == "space" else "siteId": place})
        assert place in installation.enabled[level]
        await undo(client, await find_change(client, installing))
        assert place not in installation.enabled[level]
        assert place in human.texts[-1]


async def test_development_mode_is_switched_off_again(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    target = find_target(spy, "set_integration_development_mode")
    async with meet(create(spy, file), human, "2026-07-28") as client:
        assert not (await client.call_tool(target.name, target.arguments)).is_error
        content = await undo(client, await find_change(client, target.name))
    assert spy.sandbox.state.integrations[OWN_INTEGRATION].development is None
    assert [one.partition(".")[0] for one in content["lost"]] == ["An earlier tunnel is not restored"]


async def read_undo(client: Any, change_id: str, *, single: bool) -> Any:
    """Return what list_changes says about the undo of a change: that of the list, or that of the single change."""
    listed = await list_changes(client, **({"changeId": change_id} if single else {}))
    found = next(one for one in listed if one["id"] == change_id)
    return found.get("undo") or found.get("noUndo")


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("then", ["uninstall", "install again", "remove the target", "disable the tool", "deny"])
async def test_an_undo_is_offered_only_where_it_is_possible(then: str, single: bool, file: str) -> None:
    spy = GitBookSpy()
    installation = find_installation(spy)
    where = {"integrationName": OWN_INTEGRATION, "installationId": installation.id}
    sections: dict[str, Any] = {}
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        if then in {"install again", "disable the tool", "deny"}:
            change_id = await uninstall(client, spy)
        else:
            await client.call_tool("update_integration_installation", {**where, "externalIds": ["new"]})
            change_id = await find_change(client, "update_integration_installation")
        assert isinstance(await read_undo(client, change_id, single=single), list)
        if then == "uninstall":
            await uninstall(client, spy)
        elif then == "install again":
            new = {"integrationName": OWN_INTEGRATION, "organization": ORGANIZATION_ID}
            await client.call_tool("install_integration", new)
        elif then == "remove the target":
            del spy.sandbox.state.installations[installation.id]
        elif then == "disable the tool":
            sections = {"tools": {"exclude": ["install_integration_on_space"]}}
        else:
            rule = {"name": "none", "effect": "deny", "reason": "Reviewed only.", "integrations": [OWN_INTEGRATION]}
            sections = {"policy": {"rules": [rule]}}
    async with meet(create(spy, file, **sections), Human(), "2026-07-28") as client:
        offered = await read_undo(client, change_id, single=single)
        result = await client.call_tool("undo_change", {"changeId": change_id})
    assert result.is_error
    if then == "remove the target" and not single:  # GitBook is not read for a list
        assert isinstance(offered, list)
    else:
        assert isinstance(offered, str)


async def test_an_undo_is_offered_again_for_what_was_removed_again(file: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration_from_space")
    own = {name: target.arguments[name] for name in ("integrationName", "installationId")}
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
        first = await find_change(client, target.name)
        await client.call_tool("install_integration_on_space", {**own, "space": target.arguments["spaceId"]})
        again = f"installed again on the space {target.arguments['spaceId']}."
        assert again in await read_undo(client, first, single=False)
        await client.call_tool(target.name, target.arguments)
        assert isinstance(await read_undo(client, first, single=False), list)
        await undo(client, first)


@pytest.mark.parametrize("single", [False, True])
async def test_no_undo_is_offered_on_a_space_of_an_installation_that_was_removed(single: bool, file: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration_from_space")
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
        first = await find_change(client, target.name)
        own = {name: target.arguments[name] for name in ("integrationName", "installationId")}
        assert not (await client.call_tool("uninstall_integration", own)).is_error
        assert "The installation was removed" in await read_undo(client, first, single=single)
        result = await client.call_tool("undo_change", {"changeId": first})
    assert read_code(result) == "change_not_undoable"


async def test_no_undo_is_offered_of_the_calls_of_a_plan_whose_target_was_removed_later(file: str) -> None:
    spy = GitBookSpy()
    mermaid = next(one for one in spy.sandbox.state.installations.values() if one.integration == "mermaid")
    where = {"integrationName": "mermaid", "installationId": mermaid.id}
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        kept = list(mermaid.enabled["space"])[:1]
        done = await client.call_tool("set_installation_places", {**where, "spaces": kept})
        change_id = (done.structured_content or {})["changeId"]
        [plan] = await list_changes(client, changeId=change_id)
        assert all("undo" in one for one in [plan, *plan["calls"]])
        assert not (await client.call_tool("uninstall_integration", where)).is_error
        [plan] = await list_changes(client, changeId=change_id)
    assert all("noUndo" in one for one in [plan, *plan["calls"]])


async def test_an_undo_of_a_part_of_a_plan_says_where_what_changed_and_not_that_nothing_was_sent(file: str) -> None:
    spy, human = GitBookSpy(), Human()
    mermaid = next(one for one in spy.sandbox.state.installations.values() if one.integration == "mermaid")
    where = {"integrationName": "mermaid", "installationId": mermaid.id}
    kept, one, other, gone = list(mermaid.enabled["space"])[:4]
    async with meet(create(spy, file), human, "2026-07-28") as client:
        await client.call_tool("set_installation_places", {**where, "spaces": [kept]})
        done = await client.call_tool("set_installation_places", {**where, "spaces": [kept, one, other, gone]})
        del mermaid.enabled["space"][gone]
        mermaid.enabled["space"][one].external_ids = ["new"]
        content = await undo(client, (done.structured_content or {})["changeId"])
    assert list(mermaid.enabled["space"]) == [kept]
    [note] = [text for text in content["notes"] if text.startswith("Changed since: externalIds")]
    assert one in note
    assert note.rstrip(".") in human.texts[-1]
    assert "no longer exists" in content["lost"][0]
    assert "Nothing was sent" not in str(content) + human.texts[-1]


async def test_an_id_that_only_an_approved_call_may_show_is_in_no_reason_against_an_undo(file: str) -> None:
    spy = GitBookSpy()
    hidden = {"extra_tools": ["list_organization_installations"]}
    async with meet(create(spy, file, confirmation=hidden), Human(), "2026-07-28") as client:
        change_id = await uninstall(client, spy)
        new = {"integrationName": OWN_INTEGRATION, "organization": ORGANIZATION_ID}
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool("install_integration", new)
        identifier = find_installation(spy).id
        assert identifier in await read_undo(client, change_id, single=True)
    async with meet(create(spy, file, confirmation=hidden), Human(action="decline"), "2026-07-28") as client:
        assert identifier not in str(await read_undo(client, change_id, single=True))
        assert identifier not in read_text(await client.call_tool("undo_change", {"changeId": change_id}))


@pytest.mark.parametrize("changed", [0, 1])
async def test_a_record_of_a_tool_that_this_version_lacks_hides_no_other_change(changed: int, file: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration_from_space")
    own = {name: target.arguments[name] for name in ("integrationName", "installationId")}
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
        await client.call_tool("install_integration_on_space", {**own, "space": target.arguments["spaceId"]})
        ids = [one["id"] for one in await list_changes(client)][::-1]
        store = Store(load_settings({"store": {"url": file}}))
        unknown = [{"tool": "unknown", "arguments": {}, "created": {}, "masked": []}]
        async with store.database.write() as connection:
            await connection.execute(update(table).where(table.c.id == ids[changed]).values(undo=unknown))
        await store.close()
        assert "no tool unknown" in await read_undo(client, ids[changed], single=False)
        assert await read_undo(client, ids[1 - changed], single=False)
        assert read_code(await client.call_tool("undo_change", {"changeId": ids[changed]})) == "change_not_undoable"
