"""Read-only mode and toolset filters hold when listing and again when calling."""

from typing import Any

import pytest

from gitbook_integrations_api.catalog import TOOLS, TOOLSETS
from gitbook_integrations_api.endpoint import Risk
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
