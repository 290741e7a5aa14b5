"""The question of a plan shows no part of the caller's own token, also where a text that contains one is cut."""

from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.integration_folder import create_folder_server, write_folder
from tests.support.samples import SCRIPT

PART = 8
"""Characters of a token that may not be shown."""


def write_across(limit: int, mark: str = "q") -> str:
    """Return a text with a token across the position `limit`, most of it before."""
    return (f"{mark} and " * limit)[: limit - len(USER_TOKEN) + 2].replace(" ", "-") + USER_TOKEN


def check(question: str, *texts: str) -> None:
    """Check that the question shows the texts, and no part of a token."""
    for text in texts:
        assert text[:40] in question
    for start in range(len(USER_TOKEN) - PART + 1):
        assert USER_TOKEN[start : start + PART] not in question


class Case:
    """An installation with two spaces, whose titles and settings contain a token."""

    def __init__(self) -> None:
        self.spy = GitBookSpy()
        state = self.spy.sandbox.state
        self.installation = next(one for one in state.installations.values() if one.integration == "slack")
        self.own = {"integrationName": "slack", "installationId": self.installation.id}
        state.integrations["slack"].manifest.pop("configurations", None)
        state.integrations["slack"].manifest["title"] = write_across(60, "i")
        self.spaces = list(self.installation.enabled["space"])[:2]
        self.setups = [self.installation.enabled["space"][one] for one in self.spaces]
        self.title, self.key = write_across(80, "t"), write_across(60, "k")
        self.label, self.value, self.external = write_across(100, "l"), write_across(120, "v"), write_across(60, "e")
        for space in state.get_places("space", self.installation.organization):
            space.title = self.title
        for setup in self.setups:
            setup.external_ids = [self.external]
            setup.configuration = {self.key: "old", "channel": "old"}

    async def ask(self, tool: str, **arguments: Any) -> str:
        """Return the question of a call."""
        human = Human()
        async with meet(create_gated_server(self.spy), human, "2026-07-28") as client:
            result = await client.call_tool(tool, arguments)
            assert read_status(result) == "done", result
            if "changeId" in (result.structured_content or {}):
                undo = await client.call_tool("undo_change", {"changeId": result.structured_content["changeId"]})
                assert read_status(undo) == "done", undo
                check(human.texts[1], self.title)
        return human.texts[0]


async def test_the_question_about_places_shows_no_part_of_a_token() -> None:
    case = Case()
    check(await case.ask("set_installation_places", **case.own, spaces=[]), case.title, case.key, case.external)


async def test_the_question_about_a_copied_configuration_shows_no_part_of_a_token() -> None:
    case = Case()
    source, target = ({**case.own, "spaceId": one} for one in case.spaces)
    case.setups[0].configuration |= {"channel": case.value, case.label: "new", write_across(60, "n"): "new"}
    question = await case.ask("copy_configuration", source=source, target=target)
    check(question, case.title, case.key, case.label, case.value, write_across(60, "n"))


async def test_the_question_about_uninstalling_everywhere_shows_no_part_of_a_token() -> None:
    case = Case()
    case.installation.configuration, case.installation.external_ids = {case.key: "old"}, [case.external]
    question = await case.ask("uninstall_everywhere", integrationName="slack", organizationId=ORGANIZATION_ID)
    check(question, case.title, case.key, case.external)


@pytest.mark.parametrize("dry", [False, True])
async def test_the_question_about_a_folder_shows_no_part_of_a_token(tmp_path: Path, dry: bool) -> None:
    name = write_across(198, "f") + ".js"
    unknown: dict[str, Any] = {write_across(64, "m"): 1}
    folder, human = write_folder(tmp_path, {name: SCRIPT}, **unknown), Human()
    async with meet(create_folder_server(GitBookSpy(), folder), human, "2026-07-28") as client:
        arguments = {"path": str(folder), "scriptFile": name, "dryRun": dry}
        result = await client.call_tool("publish_integration_folder", arguments)
    check(str(result.structured_content["facts"]) if dry else human.texts[0], name, write_across(64, "m"))
