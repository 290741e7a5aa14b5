"""Receipts: every call that changes something says what it changed, under which ID, and how to undo it."""

from typing import Any

import pytest

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from tests.support.altered_gitbook import AlteredGitBook
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet
from tests.support.fake_gitbook import Era, connect, read_text
from tests.support.gated_calls import each_era, find_target

SECRET = "xoxb-1234567890-the-secret"


async def call(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the receipt of a call, and check that it undoes this call."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, read_text(result)
    receipt: dict[str, Any] = result.structured_content["receipt"]
    assert SECRET not in str(receipt)
    listed = await client.call_tool("list_changes", {"changeId": receipt["changeId"]})
    assert listed.structured_content["items"][0]["tool"] == tool
    return receipt


@each_era
async def test_an_update_says_what_was_there_and_what_is_there_now(era: Era) -> None:
    spy = GitBookSpy()
    where = find_target(spy, "uninstall_integration").arguments
    installation = spy.sandbox.state.installations[where["installationId"]]
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest.pop("configurations", None)
    installation.configuration, installation.external_ids = {"channel": "#old", "api_key": SECRET}, ["a"]
    async with meet(create_gated_server(spy), Human(), era) as client:
        new = {"channel": "#new", "api_key": "[masked]", "more": "text " * 100}
        update = "update_integration_installation"
        receipt = await call(client, update, **where, configuration=new, externalIds=["a"], space_selection="all")
        assert receipt["changed"].pop("configuration.more")["to"].startswith("text " * 16 + "[cut: 420 more characters")
        assert receipt["changed"] == {
            "configuration.channel": {"from": "#old", "to": "#new"},
            "space_selection": {"from": "selected", "to": "all"},
        }
        assert receipt["undo"] == {"tool": "undo_change", "changeId": receipt["changeId"]}
        for guess in (SECRET, f"{SECRET}-other"):  # right or wrong, a guess gets the same receipt
            installation.configuration = {"channel": "#new", "api_key": SECRET}
            receipt = await call(client, update, **where, configuration={"channel": "#new", "api_key": guess})
            assert receipt["changed"] == {"configuration.api_key": {"from": "[masked]", "to": "[masked]"}}
        installation.status = "pending"
        receipt = await call(client, update, **where, configuration={"channel": "#new", "api_key": "[masked]"})
        assert receipt["changed"] == {"status": {"from": "pending", "to": "active"}}
        assert receipt["lost"][0].startswith("Its status changed from pending to active. Only GitBook sets the status.")


@each_era
async def test_a_deletion_says_what_is_gone(era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    installation.configuration, installation.external_ids = {"api_key": SECRET}, ["a"]
    count, human = len(installation.enabled["space"]), Human()
    async with meet(create_gated_server(spy), human, era) as client:
        receipt = await call(client, target.name, **target.arguments)
    assert receipt["credentialsToRevoke"] == ["api_key"]
    assert "Credentials to revoke where they were issued: api_key" in human.texts[0]
    assert receipt["changed"]["configuration.api_key"] == {"from": "[masked]", "to": None}
    assert receipt["changed"]["externalIds"] == {"from": ["a"], "to": None}
    assert receipt["changed"]["spaces"] == {"from": count, "to": 0}


async def test_credentials_of_a_place_are_to_be_revoked_only_with_the_installation() -> None:
    spy, human = GitBookSpy(), Human()
    place = find_target(spy, "uninstall_integration_from_space").arguments
    where = {name: place[name] for name in ("integrationName", "installationId")}
    spy.sandbox.state.installations[place["installationId"]].configuration = {}
    setup = spy.sandbox.state.installations[place["installationId"]].enabled["space"][place["spaceId"]]
    setup.configuration = {"api_key": SECRET}
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        receipt = await call(client, "uninstall_integration_from_space", **place)
        assert "credentialsToRevoke" not in receipt
        await client.call_tool("undo_change", {"changeId": receipt["changeId"]})
        receipt = await call(client, "uninstall_integration", **where)
        assert receipt["credentialsToRevoke"] == ["api_key"]
    assert ["Credentials to revoke" in text for text in human.texts] == [False, False, True]


async def test_a_call_that_nothing_undoes_says_so() -> None:
    async with meet(create_gated_server(GitBookSpy()), Human(), "2026-07-28") as client:
        receipt = await call(client, "queue_integration_task", integrationName=OWN_INTEGRATION, task={})
        assert receipt["undo"] == "Nothing undoes this call."


@pytest.mark.parametrize(
    ("excluded", "instead"),
    [
        ([], "undo_change cannot undo it. Use set_integration_development_mode."),
        (["set_integration_development_mode"], "Nothing undoes this call."),
    ],
)
async def test_a_call_that_only_another_tool_reverts_names_it_if_it_is_offered(
    excluded: list[str], instead: str
) -> None:
    async with connect(GitBookSpy(), server={"sandbox": True}, tools={"exclude": excluded}) as client:
        receipt = await call(client, "disable_integration_development_mode", integrationName="style-linter")
        assert receipt["undo"] == instead
        refused = read_text(await client.call_tool("undo_change", {"changeId": receipt["changeId"]}))
        assert refused.endswith("Use set_integration_development_mode.") == (not excluded)


async def test_a_deletion_says_what_its_undo_does_not_restore() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create_gated_server(spy), Human(), "2026-07-28") as client:
        receipt = await call(client, target.name, **target.arguments)
    assert receipt["lost"][0].startswith("The installation gets a new ID.")


async def test_an_undo_that_the_server_does_not_offer_is_not_offered() -> None:
    async with connect(GitBookSpy(), server={"sandbox": True}, tools={"exclude": ["undo_change"]}) as client:
        receipt = await call(
            client, "install_integration", integrationName="harbor-people", organization=ORGANIZATION_ID
        )
        assert receipt["undo"] == "undo_change is disabled on this server."


@pytest.mark.parametrize("extra", [["get_integration_installation_by_id"]])
async def test_a_receipt_does_not_show_what_only_an_approved_call_may_read(extra: list[str]) -> None:
    spy = GitBookSpy()
    where = find_target(spy, "uninstall_integration").arguments
    async with meet(create_gated_server(spy, extra_tools=extra), Human(), "2026-07-28") as client:
        receipt = await call(client, "update_integration_installation", **where, externalIds=["new"])
    assert "changed" not in receipt


@pytest.mark.parametrize("configuration", ["text", 5, ["a"]])
async def test_a_configuration_that_is_no_object_does_not_cost_the_receipt(configuration: Any) -> None:
    spy = GitBookSpy()
    where = find_target(spy, "uninstall_integration").arguments
    spy.sandbox.state.integrations[where["integrationName"]].manifest.pop("configurations", None)
    gitbook = AlteredGitBook(
        spy, {f"/installations/{where['installationId']}": lambda data: data.update(configuration=configuration)}
    )
    async with meet(create_gated_server(gitbook), Human(), "2026-07-28") as client:
        result = await client.call_tool("update_integration_installation", {**where, "externalIds": ["new"]})
        assert not result.is_error, read_text(result)
        assert "receipt" in (result.structured_content or {})
        result = await client.call_tool("update_integration_installation", {**where, "configuration": {}})
    assert not result.is_error, read_text(result)
    assert "receipt" in (result.structured_content or {})
