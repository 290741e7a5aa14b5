"""The tools as clients see them, reviewed like code: every change is a deliberate change of the snapshot."""

import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.instructions import write_instructions
from gitbook_integrations_mcp.features.tools import WARNING, describe_tool
from tests.support.elicitation_client import GitBookSpy
from tests.support.fake_gitbook import ERAS, Era, Upstream, connect, read_instructions
from tests.support.http_server import connect as reach
from tests.support.http_server import serve
from tests.support.tokens import count_tokens

MOST = 280
"""Tokens that one tool may cost a model: name, description and input schema."""
TYPICAL = 140
"""Tokens of the median tool."""
LARGE = {
    "publish_integration": 920,
    "list_organization_integrations": 460,
    "list_integrations": 430,
    "audit_installations": 360,
}
"""Budgets of the tools that need more: a whole manifest, eight filters, a report."""

SNAPSHOT = Path(__file__).parents[2] / "snapshots" / "tools.json"


async def list_published(**sections: Any) -> list[dict[str, Any]]:
    """Return the tools as a client gets them."""
    sections["confirmation"] = {"widening": "ask", **sections.get("confirmation", {})}
    async with connect(Upstream(), "legacy", **sections) as client:
        tools = (await client.list_tools()).tools
    return [tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in tools]


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"gitbook": {"organization": "WxR7pNq2bTzK4mVs9LhC"}},
        {"confirmation": {"fallback": "two-step"}},
        {"publishing": {"roots": ["/integrations"]}},
    ],
    ids=["by default", "with an organization", "with two steps", "with folders"],
)
async def test_the_tools_cost_few_tokens(sections: dict[str, Any]) -> None:
    published = await list_published(**sections)
    costs = {
        tool["name"]: count_tokens({key: tool[key] for key in ("name", "description", "inputSchema")})
        for tool in published
    }
    assert {name: cost for name, cost in costs.items() if cost > LARGE.get(name, MOST)} == {}
    assert median(costs.values()) <= TYPICAL
    assert sum(costs.values()) <= 8_950
    assert count_tokens({"tools": published}) <= 13_500


def test_large_tools_exist_and_need_a_budget_of_their_own() -> None:
    assert LARGE.keys() <= TOOLS.keys()
    assert min(LARGE.values()) > MOST


def list_named(instructions: str) -> set[str]:
    """Return the names of tools in a text: the words with an underscore."""
    return set(re.findall(r"\w+_\w+", instructions))


def test_the_instructions_cost_few_tokens_and_name_tools_that_exist() -> None:
    instructions = write_instructions(TOOLS.keys())
    assert count_tokens(instructions) <= 355
    assert list_named(instructions)
    assert list_named(instructions) <= set(TOOLS)


def split(instructions: str) -> list[str]:
    """Return the sentences of instructions."""
    return re.split(r"(?<=\.)\s+", instructions)


@pytest.mark.parametrize("tool", sorted(list_named(write_instructions(TOOLS.keys()))))
def test_the_instructions_leave_out_only_what_needs_a_tool_that_is_not_offered(tool: str) -> None:
    every, fewer = map(split, (write_instructions(TOOLS.keys()), write_instructions(TOOLS.keys() - {tool})))
    assert fewer == [sentence for sentence in every if tool not in sentence]


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_gets_instructions_for_the_tools_that_it_gets(era: Era) -> None:
    async with connect(Upstream(), era, tools={"read_only": True}) as client:
        named = list_named(await read_instructions(client))
        offered = {tool.name for tool in (await client.list_tools()).tools}
    assert "audit_installations" in named
    assert named <= offered


@pytest.mark.parametrize("era", ERAS)
async def test_over_http_a_client_that_asks_for_fewer_tools_gets_fewer_instructions(era: Era) -> None:
    async with (
        serve(GitBookSpy()) as address,
        reach(address, "streamable-http", era, headers={"X-MCP-Readonly": "true"}) as client,
    ):
        named = list_named(await read_instructions(client))
    assert "audit_installations" in named
    assert "undo_change" not in named


def test_every_call_that_needs_approval_has_a_consequence() -> None:
    for tool in TOOLS.values():
        configures = isinstance(tool, Endpoint) and tool.configures
        if tool.widens or configures or tool.needs_confirmation(dict.fromkeys(tool.confirm_with)):
            assert tool.consequence, tool.name
            assert not isinstance(tool, Endpoint) or tool.act, tool.name


def test_an_undo_names_a_tool_and_arguments_that_exist() -> None:
    for endpoint in ENDPOINTS.values():
        for step in endpoint.undo.steps if endpoint.undo else ():
            undoing = TOOLS[step.tool]
            given = {name for name, _ in step.arguments}
            required = {name for name, info in undoing.input.model_fields.items() if info.is_required()}
            assert required <= given <= set(undoing.input.model_fields), endpoint.name


def test_a_call_to_which_gitbook_returns_nothing_says_what_is_the_case_now() -> None:
    for endpoint in ENDPOINTS.values():
        assert bool(endpoint.effect) == (endpoint.result.shape == "nothing"), endpoint.name


def test_what_reverts_a_call_is_another_tool_for_calls_without_an_undo() -> None:
    reverted = {endpoint.name: endpoint for endpoint in ENDPOINTS.values() if endpoint.reverted_by}
    assert reverted
    for name, endpoint in reverted.items():
        assert endpoint.undo is None, name
        assert endpoint.reverted_by in TOOLS.keys() - {name}, name


def test_every_tool_has_a_title_and_a_description() -> None:
    for declared in TOOLS.values():
        tool = describe_tool(declared)
        assert tool.title
        assert tool.description
        assert tool.description.endswith(".")


async def test_a_description_says_once_that_the_tool_requires_approval() -> None:
    for tool in await list_published(confirmation={"extra_tools": ["uninstall_integration"]}):
        declared = TOOLS[tool["name"]]
        always = declared.needs_confirmation({}) or (declared.widens is not None and declared.widens.always_asks)
        assert tool["description"].count(WARNING) == always, tool["name"]


async def test_tools_that_the_operator_adds_to_confirmation_say_so() -> None:
    published = await list_published(confirmation={"extra_tools": ["queue_integration_task"]})
    (tool,) = [tool for tool in published if tool["name"] == "queue_integration_task"]
    assert tool["description"].endswith(WARNING)
