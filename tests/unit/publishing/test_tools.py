"""The tools for folders, as clients use them: what is offered, asked, sent and shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ListRootsResult, Root

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from tests.support.elicitation_client import GitBookSpy, Human, meet, read_status
from tests.support.fake_gitbook import Era, Upstream, connect, read_changes, read_code, read_text
from tests.support.gated_calls import each_era
from tests.support.http_server import serve
from tests.support.integration_folder import create_folder_server, write_folder

CHECK, PUBLISH = "check_integration_folder", "publish_integration_folder"
SECRET = "s3cr3t-value-of-the-folder"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "bot")


async def list_names(server: Any) -> set[str]:
    async with meet(server, None, "2026-07-28") as client:
        return {tool.name for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize(
    ("sections", "offered"),
    [
        ({}, True),
        ({"server": {"sandbox": True, "transport": ["streamable-http"]}}, True),
        ({"server": {"sandbox": True, "transport": ["sse"]}, "http": {"host": "0.0.0.0"}}, False),
        ({"server": {"sandbox": True, "transport": ["sse"]}, "http": {"public_url": "https://mcp.example"}}, False),
        ({"server": {"sandbox": True, "transport": ["sse"]}, "http": {"allowed_hosts": ["mcp.example"]}}, False),
        ({"publishing": {"roots": []}}, False),
        ({"tools": {"read_only": True}}, None),
    ],
)
async def test_folders_are_offered_only_to_this_machine_and_below_roots(
    tmp_path: Path, sections: dict[str, Any], offered: bool | None
) -> None:
    names = await list_names(create_folder_server(GitBookSpy(), tmp_path, **sections)) & {CHECK, PUBLISH}
    assert names == {True: {CHECK, PUBLISH}, False: set(), None: {CHECK}}[offered]


async def test_a_call_of_a_tool_that_is_not_offered_reads_nothing(folder: Path) -> None:
    async with meet(create_folder_server(GitBookSpy(), None), Human(), "2026-07-28") as client:
        for name in (CHECK, PUBLISH):
            assert read_code(await client.call_tool(name, {"path": str(folder)})) == "tool_disabled"


@each_era
async def test_a_folder_is_published_after_approval_with_sizes_and_digests(era: Era, tmp_path: Path) -> None:
    write_folder(tmp_path / "bot", {".env": f"KEY={SECRET}\n"}, secrets={"API": "${{ env.KEY }}"})
    spy, human = GitBookSpy(), Human()
    url = f"sqlite:///{tmp_path}/store.db"
    async with meet(create_folder_server(spy, tmp_path, store={"url": url}), human, era) as client:
        version = spy.sandbox.state.integrations[OWN_INTEGRATION].version
        result = await client.call_tool(PUBLISH, {"path": "bot"})
        changes = await client.call_tool("list_changes", {})
    content = result.structured_content
    assert read_status(result) == "done"
    assert content["version"] == version + 1
    assert content["secrets"] == ["API"]
    assert {one["role"]: one["bytes"] for one in content["files"]} == {"icon": 8, "script": 18}
    published = spy.sandbox.state.integrations[OWN_INTEGRATION]
    assert published.secrets == {"API": SECRET}
    [question] = human.texts
    assert "dist/script.js, 18 bytes" in question
    [change] = await read_changes(url)
    assert (change.tool, change.outcome, change.approval) == ("publish_integration", "done", "form")
    for shown in (question, read_text(result), json.dumps(content), read_text(changes), repr(change)):
        assert SECRET not in shown
    for shown in (question, read_text(result)):
        assert "export default" not in shown


@pytest.mark.parametrize("human", [Human(action="decline"), Human(action="cancel"), Human(confirm=False), None])
@each_era
async def test_nothing_is_sent_without_approval(era: Era, folder: Path, human: Human | None) -> None:
    spy = GitBookSpy()
    fallback = {"confirmation": {"fallback": "refuse"}}
    async with meet(create_folder_server(spy, folder, **fallback), human, era) as client:
        result = await client.call_tool(PUBLISH, {"path": str(folder)})
    assert read_status(result).startswith("confirmation_")
    assert spy.mutations == []


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "dist" / "script.js").write_text("export default {evil: 1};"),
        lambda folder: (folder / ".env").write_text("KEY=another"),
        lambda folder: write_folder(folder, scopes=["space:content:read", "space:content:write"]),
        lambda folder: (folder / "gitbook-manifest.yaml").unlink(),
    ],
    ids=["script", "secret", "scopes", "gone"],
)
@each_era
async def test_an_approval_is_only_for_the_folder_as_it_was_shown(
    era: Era, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = write_folder(tmp_path, {".env": "KEY=one"}, secrets={"API": "${{ env.KEY }}"})
    spy, human = GitBookSpy(), Human()

    def interfere() -> None:
        if len(human.requests) == 1:
            change(folder)
        else:
            human.action = "decline"

    human.before = interfere
    async with meet(create_folder_server(spy, folder), human, era) as client:
        result = await client.call_tool(PUBLISH, {"path": str(folder)})
    assert result.is_error or result.structured_content["status"] == "not_sent"
    assert spy.mutations == []


async def test_a_file_that_changed_once_is_not_reported_as_changing_again_and_again(folder: Path) -> None:
    spy, human = GitBookSpy(), Human()
    script = folder / "dist" / "script.js"

    def interfere() -> None:
        script.write_text("export default {evil: 1};", "utf-8")

    human.before = interfere
    async with meet(create_folder_server(spy, folder), human, "legacy") as client:
        result = await client.call_tool(PUBLISH, {"path": str(folder)})
    assert read_status(result) == "target_changed"
    assert "the target changed while confirmation was pending" in read_text(result)
    assert spy.mutations == []


@pytest.mark.parametrize("fallback", ["two-step", "browser"])
async def test_an_approval_by_a_second_call_is_for_the_folder_that_was_shown(folder: Path, fallback: str) -> None:
    spy = GitBookSpy()
    server = create_folder_server(spy, folder, confirmation={"ask": "fallback", "fallback": fallback})
    async with meet(server, None, "legacy") as client:
        first = await client.call_tool(PUBLISH, {"path": str(folder)})
        assert read_status(first) == "confirmation_required"
        confirmation = first.structured_content.get("confirmationId")
        write_folder(folder, {"dist/script.js": "export default {evil: 1};"})
        arguments = {"path": str(folder), **({"confirmationId": confirmation} if confirmation else {})}
        assert read_status(await client.call_tool(PUBLISH, arguments)) in {"target_changed", "confirmation_required"}
    assert spy.mutations == []


@each_era
async def test_a_dry_run_asks_nobody_and_sends_nothing(era: Era, folder: Path) -> None:
    spy, human = GitBookSpy(), Human()
    async with meet(create_folder_server(spy, folder), human, era) as client:
        result = await client.call_tool(PUBLISH, {"path": str(folder), "dryRun": True})
    assert read_status(result) == "dry_run"
    facts = {one["label"]: one["value"] for one in result.structured_content["facts"]}
    assert (facts["Integration name"], facts["Published version"]) == (OWN_INTEGRATION, "7, which is replaced")
    assert facts["File of script"].startswith("./dist/script.js, ")
    assert (human.requests, spy.mutations) == ([], [])


@each_era
async def test_a_dry_run_shows_everything_that_the_question_shows(era: Era, tmp_path: Path) -> None:
    unknown: dict[str, Any] = {"one": 1, "two": 2}
    folder = write_folder(tmp_path, **unknown)
    spy, human = GitBookSpy(), Human(action="decline")
    async with meet(create_folder_server(spy, folder), human, era) as client:
        shown = (await client.call_tool(PUBLISH, {"path": str(folder), "dryRun": True})).structured_content
        await client.call_tool(PUBLISH, {"path": str(folder)})
    lines = {shown["consequence"], *shown["notes"], *(f"{one['label']}: {one['value']}" for one in shown["facts"])}
    _, *asked = human.texts[0].splitlines()
    assert {line for line in asked if not line.startswith(("Asked for by: ", "In GitBook: ", "Valid until: "))} <= lines
    assert sum(one["label"] == "Note" for one in shown["facts"]) == len(unknown)


@each_era
async def test_a_dry_run_reports_what_the_policy_denies(era: Era, folder: Path) -> None:
    rule = {"name": "no-bots", "effect": "deny", "reason": "Only reviewed code.", "actions": ["publish"]}
    server = create_folder_server(GitBookSpy(), folder, policy={"rules": [rule]})
    async with meet(server, Human(), era) as client:
        for dry in (True, False):
            result = await client.call_tool(PUBLISH, {"path": str(folder), "dryRun": dry})
            assert read_code(result) == "denied_by_policy"


@each_era
@pytest.mark.parametrize("first", [True, False])
async def test_a_question_about_a_folder_says_each_thing_once(era: Era, folder: Path, first: bool) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    if first:
        del spy.sandbox.state.integrations[OWN_INTEGRATION]
    async with meet(create_folder_server(spy, folder), human, era) as client:
        await client.call_tool(PUBLISH, {"path": str(folder)})
    labels = [line.partition(": ")[0].casefold() for line in human.texts[0].splitlines()[2:]]
    assert "file of script" in labels
    assert ("Published version: none: this is the first publication" in human.texts[0]) == first
    assert f"Organization: {ORGANIZATION_ID} (“Aurora Robotics”)" in human.texts[0]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("tool", [CHECK, "get_integration_by_name"])
async def test_a_dry_run_shows_nothing_that_needs_approval(folder: Path, tool: str) -> None:
    server = create_folder_server(GitBookSpy(), folder, confirmation={"extra_tools": [tool]})
    async with meet(server, Human(action="decline"), "2026-07-28") as client:
        result = await client.call_tool(PUBLISH, {"path": str(folder), "dryRun": True})
        assert read_code(result) == "tool_disabled"
        checked = await client.call_tool(CHECK, {"path": str(folder)})
        assert (checked.structured_content.get("code") == "confirmation_declined") == (tool == CHECK)


@each_era
async def test_a_folder_with_problems_is_not_published(era: Era, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, title=None, scopes=["space:content:reed"])
    spy, human = GitBookSpy(), Human()
    async with meet(create_folder_server(spy, folder), human, era) as client:
        result = await client.call_tool(PUBLISH, {"path": str(folder)})
        checked = await client.call_tool(CHECK, {"path": str(folder)})
    assert read_code(result) == "invalid_folder"
    assert [one["line"] for one in checked.structured_content["problems"]] == [1, 8]
    assert not checked.structured_content["ok"]
    assert (human.requests, spy.mutations) == ([], [])


async def test_the_owner_is_the_argument_then_the_default_then_the_manifest(folder: Path) -> None:
    owners = []
    for default, argument in [(None, {}), ("of-the-settings", {}), ("of-the-settings", {"organization": "named"})]:
        publishing = {"roots": [str(folder)]}
        async with connect(Upstream(), gitbook={"organization": default}, publishing=publishing) as client:
            result = await client.call_tool(CHECK, {"path": str(folder), **argument})
            owners.append(result.structured_content["organization"])
    assert owners == [ORGANIZATION_ID, "of-the-settings", "named"]


def declare(*uris: str) -> Any:
    """Return what a client answers that declares these roots."""

    async def answer(_context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=uri) for uri in uris])

    return answer


async def test_the_roots_of_a_client_on_stdio_count(tmp_path: Path) -> None:
    write_folder(tmp_path / "open" / "bot")
    write_folder(tmp_path / "other" / "bot")
    spy, human = GitBookSpy(), Human()
    server = create_folder_server(spy, None)
    roots = declare((tmp_path / "open").as_uri(), "file://host/share", "file:///")
    async with Client(server, mode="legacy", elicitation_callback=human.answer, list_roots_callback=roots) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} >= {CHECK, PUBLISH}
        outside = await client.call_tool(PUBLISH, {"path": str(tmp_path / "other" / "bot")})
        assert read_code(outside) == "folder_not_allowed"
        assert spy.mutations == []
        assert read_status(await client.call_tool(PUBLISH, {"path": str(tmp_path / "open" / "bot")})) == "done"


async def test_a_client_that_does_not_answer_with_roots_gets_nothing(folder: Path) -> None:
    async def fail(_context: Any) -> ListRootsResult:
        raise MCPError(-32603, "no")

    answers: list[Any] = [fail, declare(), declare("file:///"), declare("file://host/share"), declare("http:///a")]
    for roots in answers:
        async with Client(create_folder_server(GitBookSpy(), None), mode="legacy", list_roots_callback=roots) as client:
            assert read_code(await client.call_tool(CHECK, {"path": str(folder)})) == "folder_not_allowed"


@pytest.mark.slow
async def test_the_roots_of_a_remote_client_do_not_count(folder: Path) -> None:
    roots = declare(folder.as_uri())
    async with serve(GitBookSpy()) as address, httpx2.AsyncClient(trust_env=False) as http:
        transport = streamable_http_client(f"{address}/mcp", http_client=http)
        async with Client(transport, mode="legacy", list_roots_callback=roots) as client:
            assert not {tool.name for tool in (await client.list_tools()).tools} & {CHECK, PUBLISH}
            assert read_code(await client.call_tool(CHECK, {"path": str(folder)})) == "tool_disabled"
