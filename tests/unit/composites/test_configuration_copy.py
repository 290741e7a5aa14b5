"""Copying a configuration: credentials move unseen, the target's schema decides, and an undo restores the old one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION
from gitbook_integrations_mcp.sandbox.state import Setup
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import Era, read_code, read_text
from tests.support.gated_calls import each_era

TOOL = "copy_configuration"
SECRET, OLD = "xoxb-1234567890-the-secret-that-moves", "xoxb-1234567890-the-secret-before"


NOWHERE = {"integrationName": "slack", "installationId": "nowhere"}


class Case:
    """An integration without a schema on two spaces, of which one has a credential."""

    def __init__(self, spy: GitBookSpy | None = None) -> None:
        self.spy = spy or GitBookSpy()
        state = self.spy.sandbox.state
        self.installation = next(one for one in state.installations.values() if one.integration == "slack")
        state.integrations["slack"].manifest.pop("configurations", None)
        first, second = list(self.installation.enabled["space"])[:2]
        self.spaces = {"source": first, "target": second}
        enabled: dict[str, Setup] = self.installation.enabled["space"]
        self.setups = {name: enabled[space] for name, space in self.spaces.items()}
        self.setups["source"].configuration = {"channel": "#docs", "api_key": SECRET}
        self.setups["target"].configuration = {"channel": "#old", "api_key": OLD, "own": True}

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the call."""
        own = {"integrationName": "slack", "installationId": self.installation.id}
        return {name: {**own, "spaceId": space} for name, space in self.spaces.items()}


@each_era
async def test_a_credential_moves_unseen_and_an_undo_brings_the_old_one_back(
    era: Era, file: str, tmp_path: Path
) -> None:
    case, human = Case(), Human()
    async with meet(create_gated_server(case.spy, url=file), human, era) as client:
        result = await client.call_tool(TOOL, case.arguments)
        assert read_status(result) == "done", read_text(result)
        assert case.setups["target"].configuration == {"channel": "#docs", "api_key": SECRET, "own": True}
        content = result.structured_content or {}
        assert content["calls"][0]["changed"] == {
            "configuration.channel": {"from": "#old", "to": "#docs"},
            "configuration.api_key": {"from": "[masked]", "to": "[masked]"},
            "status": {"from": "pending", "to": "active"},
        }
        undone = await client.call_tool("undo_change", {"changeId": content["undo"]["changeId"]})
        listed = await client.call_tool("list_changes", {})
    assert case.setups["target"].configuration == {"channel": "#old", "api_key": OLD, "own": True}
    assert "Settings replaced: channel, api_key" in human.texts[0]
    assert "Settings kept: own" in human.texts[0]
    place = f"; on {case.spaces['target']} "
    assert f"configuration channel: “#old” → “#docs”{place}" in human.texts[0]
    credential = "a credential (not shown)"
    assert f"configuration api_key: {credential} → {credential}, possibly the same{place}" in human.texts[0]
    assert f"configuration channel: “#docs” → “#old”{place}" in human.texts[1]  # what an undo brings back
    for space in case.spaces.values():
        assert f"{space} (“{case.spy.sandbox.state.spaces[space].title}”)" in human.texts[0]
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    shown = "".join([*human.texts, *map(read_text, (result, undone, listed))])
    for secret in (SECRET, OLD):
        assert secret not in shown
        assert secret.encode() not in stored


@pytest.mark.parametrize("crosses", [True, False])
async def test_the_question_says_that_settings_go_to_another_organization(crosses: bool) -> None:
    case, human = Case(), Human()
    state = case.spy.sandbox.state
    source, other = (one for one in state.installations.values() if one.integration == OWN_INTEGRATION)
    assert source.organization != other.organization
    if not crosses:
        other.organization = source.organization
    where = [{"integrationName": OWN_INTEGRATION, "installationId": one.id} for one in (source, other)]
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        await client.call_tool(TOOL, dict(zip(("source", "target"), where, strict=True)))
    leaves = f"Leaves organization: {source.organization} (“{state.organizations[source.organization].title}”)"
    assert (leaves in human.texts[0]) is crosses


async def test_only_the_chosen_settings_are_copied() -> None:
    case = Case()
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        await client.call_tool(TOOL, {**case.arguments, "keys": ["channel"]})
    assert case.setups["target"].configuration == {"channel": "#docs", "api_key": OLD, "own": True}


async def test_equal_settings_need_no_call_but_whether_credentials_are_equal_stays_hidden() -> None:
    case, human = Case(), Human(action="decline")
    case.setups["target"].configuration = {**case.setups["source"].configuration}
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, "keys": ["channel"]})
        assert read_status(result) == "unchanged"
        assert human.requests == []
        assert read_status(await client.call_tool(TOOL, case.arguments)) == "confirmation_declined"
    assert case.spy.mutations == []


async def test_a_source_without_settings_is_not_called_a_target_that_has_them() -> None:
    case, human = Case(), Human()
    case.setups["source"].configuration = {}
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        result = await client.call_tool(TOOL, case.arguments)
    assert read_status(result) == "unchanged"
    assert "the source has no settings" in read_text(result)
    assert human.requests == []


@pytest.mark.parametrize("name", ["source", "target"])
async def test_an_error_says_which_of_both_does_not_exist(name: str) -> None:
    case = Case()
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, name: NOWHERE})
    assert read_text(result).startswith(f"{name}: GitBook answered ")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"keys": ["chanel"]}, "invalid_configuration"),
        ({"keys": []}, "invalid_arguments"),
        ({"source": {"integrationName": "slack", "installationId": ".."}}, "invalid_arguments"),
        ({"target": {**NOWHERE, "spaceId": "a", "siteId": "b"}}, "invalid_arguments"),
        ({"target": NOWHERE}, "not_found"),
    ],
)
async def test_a_copy_that_cannot_be_made_is_an_error_before_anybody_is_asked(
    changes: dict[str, Any], code: str
) -> None:
    case, human = Case(), Human()
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        assert read_code(await client.call_tool(TOOL, {**case.arguments, **changes})) == code
    assert (human.requests, case.spy.mutations) == ([], [])


def install_pendo(spy: GitBookSpy) -> tuple[Setup, dict[str, Any]]:
    """Install an integration whose script has `api_key`. Return its settings on a site, and how calls name the site."""
    state = spy.sandbox.state
    state.integrations["pendo"] = replace(state.integrations.pop("googleanalytics"), name="pendo")
    state.integrations["pendo"].manifest["configurations"] = {"site": {"componentId": "settings"}}
    installation = next(one for one in state.installations.values() if one.integration == "googleanalytics")
    installation.integration = "pendo"
    site, setup = next(iter(installation.enabled["site"].items()))
    return setup, {"integrationName": "pendo", "installationId": installation.id, "siteId": site}


async def test_a_credential_is_not_copied_to_where_everybody_can_read_it() -> None:
    case, human = Case(), Human()
    setup, target = install_pendo(case.spy)
    setup.configuration = {}
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, "target": target, "keys": ["api_key"]})
    assert read_code(result) == "invalid_configuration"
    assert "public" in read_text(result)
    assert SECRET not in read_text(result)
    assert (human.requests, case.spy.mutations) == ([], [])


SHAPELESS = "hunter2-hidden"
"""A credential that only its name identifies."""

NAMED = {"name": "api_key", "value": SHAPELESS}


@pytest.mark.parametrize(
    ("source", "target", "key"),
    [(NAMED, {"own": 1}, "value"), (NAMED, {"name": "channel"}, "value"), ({"name": "channel"}, NAMED, "name")],
)
async def test_a_credential_that_only_the_name_beside_it_identifies_is_not_parted_from_it(
    source: dict[str, Any], target: dict[str, Any], key: str
) -> None:
    case, human = Case(), Human()
    case.setups["source"].configuration, case.setups["target"].configuration = source, target
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        refused = await client.call_tool(TOOL, {**case.arguments, "keys": [key]})
        assert (human.requests, case.spy.mutations) == ([], [])
        copied = await client.call_tool(TOOL, {**case.arguments, "keys": [*source]})
    assert read_code(refused) == "invalid_configuration"
    if key == "value":
        assert read_status(copied) == "done"
        assert case.setups["target"].configuration == {**target, **NAMED}
    assert SHAPELESS not in "".join([*human.texts, read_text(refused), read_text(copied)])


async def test_the_question_of_a_copy_does_not_depend_on_whether_a_credential_is_guessed() -> None:
    case, human = Case(), Human(action="decline")
    case.setups["target"].configuration = {"name": "api_key", "value": SHAPELESS}
    texts = []
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        for guess in (SHAPELESS, "hunter3-hidden"):
            case.setups["source"].configuration = {"value": guess}
            result = await client.call_tool(TOOL, {**case.arguments, "keys": ["value"]})
            texts.append((read_status(result), human.texts.pop().partition("Valid until")[0]))
    assert texts[0] == texts[1]


async def test_a_setting_that_is_kept_is_not_compared_with_the_schema() -> None:
    case = Case()
    schema = {"properties": {"channel": {"type": "string"}, "pin": {"type": "string"}}}
    case.spy.sandbox.state.integrations["slack"].manifest["configurations"] = {"space": schema}
    case.setups["target"].configuration = {"pin": 4711}
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, "keys": ["channel"]})
    assert read_status(result) == "done", read_text(result)
    assert case.setups["target"].configuration == {"channel": "#docs", "pin": 4711}


async def test_the_schema_of_the_target_decides_which_settings_are_copied() -> None:
    case, human = Case(), Human()
    schema = {"properties": {"channel": {"type": "string"}}}
    case.spy.sandbox.state.integrations["slack"].manifest["configurations"] = {"space": schema}
    case.setups["target"].configuration = {}
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        result = await client.call_tool(TOOL, case.arguments)
        assert read_code(result) == "invalid_configuration"
        assert SECRET not in read_text(result)
        assert read_status(await client.call_tool(TOOL, {**case.arguments, "keys": ["channel"]})) == "done"
    assert case.setups["target"].configuration == {"channel": "#docs"}


async def test_a_copy_and_its_undo_are_found_among_the_changes_of_the_organization() -> None:
    case = Case()
    organization = case.installation.organization
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        content = (await client.call_tool(TOOL, case.arguments)).structured_content or {}
        await client.call_tool("undo_change", {"changeId": content["changeId"]})
        listed = await client.call_tool("list_changes", {"organizationId": organization})
    assert {one["tool"] for one in (listed.structured_content or {})["items"]} == {"undo_change", TOOL}
    assert {one["organization"] for one in (listed.structured_content or {})["items"]} == {organization}


async def test_no_question_shows_a_credential_that_comes_among_public_settings() -> None:
    case, human, secret = Case(), Human(), "plain words"
    case.setups["source"].configuration = {"client_secret": secret}
    setup, target = install_pendo(case.spy)
    setup.configuration = {"api_key": "in-the-script"}
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, "target": target})
        assert setup.configuration == {"api_key": "in-the-script", "client_secret": secret}
        removal = {**target, "configuration": {"api_key": "in-the-script", "client_secret": None}}
        removed = await client.call_tool("update_integration_site_installation", removal)
        change = {"changeId": (removed.structured_content or {})["receipt"]["changeId"]}
        setup.configuration = {"api_key": "in-the-script"}
        undone = await client.call_tool("undo_change", change)
    assert setup.configuration["client_secret"] == secret
    shown = "".join([*human.texts, *map(read_text, (result, removed, undone))])
    assert shown.count("configuration client_secret: nothing → a credential (not shown)") == 2
    assert secret not in shown
