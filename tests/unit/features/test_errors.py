"""Every JSON-RPC error of the features has a stable code in its data, and the URI where a resource is concerned."""

import ast
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference

import gitbook_integrations_mcp.features
from gitbook_integrations_api.resources import SCHEME
from gitbook_integrations_mcp.errors import ErrorCode
from tests.support.fake_gitbook import ERAS, Era, Upstream, connect

FEATURES = Path(gitbook_integrations_mcp.features.__file__).parent
SLACK = f"{SCHEME}://integrations/slack"
NOTHING = f"{SCHEME}://nothing"
TEMPLATE = ResourceTemplateReference(uri=f"{SCHEME}://nothing/{{x}}")
ARGUMENT = {"name": "siteId", "value": ""}

Request = Callable[[Client], Awaitable[Any]]
CASES: dict[str, tuple[ErrorCode, str | None, dict[str, Any], Request]] = {
    "unknown resource": (ErrorCode.UNKNOWN_RESOURCE, NOTHING, {}, lambda client: client.read_resource(NOTHING)),
    "invalid variable": (
        ErrorCode.INVALID_ARGUMENTS,
        f"{SCHEME}://integrations/..",
        {},
        lambda client: client.read_resource(f"{SCHEME}://integrations/.."),
    ),
    "disabled resource": (
        ErrorCode.TOOL_DISABLED,
        SLACK,
        {"tools": {"exclude": ["get_integration_by_name"]}},
        lambda client: client.read_resource(SLACK),
    ),
    "resource with confirmation": (
        ErrorCode.TOOL_DISABLED,
        SLACK,
        {"confirmation": {"extra_tools": ["get_integration_by_name"]}},
        lambda client: client.read_resource(SLACK),
    ),
    "error of GitBook": (ErrorCode.GITBOOK_FAILED, SLACK, {}, lambda client: client.read_resource(SLACK)),
    "error in a list": (ErrorCode.GITBOOK_FAILED, None, {}, lambda client: client.list_resources()),
    "invalid cursor": (ErrorCode.INVALID_ARGUMENTS, None, {}, lambda client: client.list_resources(cursor="x")),
    "unknown prompt": (ErrorCode.UNKNOWN_PROMPT, None, {}, lambda client: client.get_prompt("nope")),
    "disabled prompt": (
        ErrorCode.UNKNOWN_PROMPT,
        None,
        {"tools": {"read_only": True}},
        lambda client: client.get_prompt("offboard_integration", {"integrationName": "x"}),
    ),
    "invalid argument": (
        ErrorCode.INVALID_ARGUMENTS,
        None,
        {},
        lambda client: client.get_prompt("review_site_scripts", {"siteId": "x\ny"}),
    ),
    "completion of an unknown prompt": (
        ErrorCode.UNKNOWN_PROMPT,
        None,
        {},
        lambda client: client.complete(PromptReference(name="nope"), ARGUMENT),
    ),
    "completion of an unknown template": (
        ErrorCode.UNKNOWN_PROMPT,
        None,
        {},
        lambda client: client.complete(TEMPLATE, ARGUMENT),
    ),
}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("case", CASES)
async def test_every_json_rpc_error_has_a_code(era: Era, case: str) -> None:
    code, uri, sections, request = CASES[case]
    async with connect(Upstream(500), era, **sections) as client:
        with pytest.raises(MCPError) as caught:
            await request(client)
    assert caught.value.data == {"code": code} | ({} if uri is None else {"uri": uri})
    assert caught.value.message


def test_no_error_is_raised_without_data() -> None:
    calls = [
        (path.name, node)
        for path in sorted(FEATURES.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "MCPError"
    ]
    assert calls
    assert [name for name, node in calls if len(node.args) != 3] == []
