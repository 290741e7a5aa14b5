"""Read-only mode and toolset filters hold when listing and again when calling."""

from typing import Any

import pytest

from gitbook_integrations_api.catalog import TOOLS, TOOLSETS
from gitbook_integrations_api.endpoint import Risk
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from tests.support.elicitation_client import Human, meet
from tests.support.fake_gitbook import Upstream, connect, read_code, read_text
from tests.support.samples import OFFERED, make_arguments

READS = {name for name, tool in OFFERED.items() if tool.risk is Risk.READ}
SITES = {tool.name for tool in TOOLSETS["sites"]}
SPACES = {tool.name for tool in TOOLSETS["spaces"]}
SEND_NOTHING = {tool.name for tool in TOOLSETS["changes"]} | {
    "check_policy",  # without rules
    "copy_configuration",  # these two find the sample arguments invalid
    "set_installation_places",
}

CHOICES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "all": ({}, set(OFFERED)),
    "read-only": ({"read_only": True}, READS),
    "two toolsets": ({"toolsets": ["sites", "spaces"]}, SITES | SPACES),
    "single tools": ({"include": ["get_authenticated_user", "list_sites"]}, {"get_authenticated_user", "list_sites"}),
    "a toolset and a tool": ({"toolsets": ["sites"], "include": ["list_sites"]}, SITES | {"list_sites"}),
    "all but one": ({"exclude": ["unpublish_integration"]}, set(OFFERED) - {"unpublish_integration"}),
    "exclusion wins": ({"include": ["list_sites"], "exclude": ["list_sites"]}, set()),
    "read-only wins": ({"include": ["uninstall_integration"], "read_only": True}, set()),
    "no toolset": ({"toolsets": []}, set()),
}


@pytest.mark.parametrize("choice", list(CHOICES))
async def test_what_is_not_on_offer_is_neither_listed_nor_callable(choice: str) -> None:
    tools, expected = CHOICES[choice]
    upstream = Upstream(body=b"[]")
    async with connect(upstream, tools=tools) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == expected
        for name, tool in TOOLS.items():
            sent_before = len(upstream.requests)
            result = await client.call_tool(name, make_arguments(tool, optional=False))
            if name not in expected:
                assert read_code(result) == "tool_disabled"
                assert name in read_text(result)
            sends = name in expected and name not in SEND_NOTHING
            assert (len(upstream.requests) > sent_before) is sends


async def test_the_refusal_names_the_setting_that_decides() -> None:
    async with connect(Upstream(), tools={"read_only": True}) as client:
        text = read_text(await client.call_tool("uninstall_integration", {}))
    assert "tools.read_only" in text


@pytest.mark.parametrize(
    ("tools", "name", "arguments", "missing"),
    [
        ({"read_only": True}, "get_integration_installation_by_id", {"installationId": "x"}, "install_integration"),
        ({"read_only": True}, "audit_installations", {"section": "findings"}, "uninstall_integration"),
        ({"include": ["list_changes"]}, "list_changes", {}, "audit_installations"),
        ({"include": ["list_sites"]}, "list_sites", {}, None),
        ({}, "get_integration_installation_by_id", {"installationId": "x"}, None),
    ],
)
async def test_a_text_says_which_of_the_tools_that_it_names_are_not_offered(
    tools: dict[str, Any], name: str, arguments: dict[str, Any], missing: str | None
) -> None:
    server = create_server(load_settings({"server": {"sandbox": True}, "tools": tools}))
    named = {"integrationName": "heatlens"} if "installationId" in arguments else {}
    async with meet(server, None, "2026-07-28") as client:
        text = read_text(await client.call_tool(name, {**named, **arguments}))
    _, found, rest = text.partition("Not offered on this server: ")
    assert bool(found) is (missing is not None)
    assert missing is None or missing in rest


@pytest.mark.parametrize("excluded", ["undo_change", "list_changes"])
async def test_a_question_names_no_tool_that_is_not_offered(excluded: str) -> None:
    human = Human(confirm=False)
    server = create_server(load_settings({"server": {"sandbox": True}, "tools": {"exclude": [excluded]}}))
    async with meet(server, human, "2026-07-28") as client:
        await client.call_tool("uninstall_everywhere", {"integrationName": "heatlens"})
        where = {"integrationName": "heatlens", "installationId": "Yh00V3IILptlqECPtsAf"}
        await client.call_tool("uninstall_integration", where)
    assert len(human.texts) == 2
    for text in human.texts:
        assert "are deleted" in text
        assert ("undo_change" in text) is (excluded != "undo_change")
