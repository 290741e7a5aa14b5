"""What clients see of all tools is short, complete and true. `.ci/generate.py` writes it to `tests/snapshots`."""

from typing import Any

import pytest

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.instructions import INSTRUCTIONS
from gitbook_integrations_mcp.features.tools import describe_tool
from tests.support.fake_gitbook import Upstream, connect
from tests.support.tokens import count_tokens


async def list_published(**sections: Any) -> list[dict[str, Any]]:
    """Return the tools as a client gets them."""
    async with connect(Upstream(), "legacy", **sections) as client:
        tools = (await client.list_tools()).tools
    return [tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in tools]


@pytest.mark.parametrize(
    "sections",
    [{}, {"gitbook": {"organization": "WxR7pNq2bTzK4mVs9LhC"}}, {"confirmation": {"fallback": "two-step"}}],
    ids=["by default", "with an organization", "with two steps"],
)
async def test_the_tools_cost_few_tokens(sections: dict[str, Any]) -> None:
    published = await list_published(**sections)
    visible = [{key: tool[key] for key in ("name", "description", "inputSchema")} for tool in published]
    assert count_tokens({"tools": published}) <= 12_000
    assert sum(count_tokens(tool) for tool in visible) <= 7_500


def test_the_instructions_cost_few_tokens_and_name_tools_that_exist() -> None:
    assert count_tokens(INSTRUCTIONS) <= 350
    words = {word.strip(".,;:→()") for word in INSTRUCTIONS.split()}
    named = {word for word in words if "_" in word}
    assert named
    assert named <= set(TOOLS)


def test_a_human_reads_what_every_gated_call_would_do() -> None:
    for tool in TOOLS.values():
        if tool.needs_confirmation(dict(tool.confirm_if)) and (tool.confirm_if or tool.risk in {"destroy", "secret"}):
            assert tool.consequence, tool.name


def test_an_undo_names_a_tool_and_arguments_that_exist() -> None:
    for endpoint in ENDPOINTS.values():
        if endpoint.undo:
            undoing = TOOLS[endpoint.undo.tool]
            given = {name for name, _ in endpoint.undo.arguments}
            required = {name for name, info in undoing.input.model_fields.items() if info.is_required()}
            assert required <= given <= set(undoing.input.model_fields), endpoint.name


def test_a_title_and_a_description_are_there_for_every_tool() -> None:
    for declared in TOOLS.values():
        tool = describe_tool(declared)
        assert tool.title
        assert tool.description
        assert tool.description.endswith(".")


async def test_tools_that_the_operator_makes_wait_say_so() -> None:
    published = await list_published(confirmation={"extra_tools": ["queue_integration_task"]})
    (tool,) = [tool for tool in published if tool["name"] == "queue_integration_task"]
    assert tool["description"].endswith("A human must confirm.")
