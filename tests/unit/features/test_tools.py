"""The results of calls, as they are on the wire in every version of the protocol."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    CallToolResult,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    TextContent,
)
from mcp_types.methods import serialize_server_result
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import Settings

VERSIONS = (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS)


async def call(version: str, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a call of the GitBook sandbox, as the server sends it."""
    server = create_server(Settings.model_validate({"server": {"sandbox": True}}))
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](8)
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](8)
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    async with anyio.create_task_group() as group, to_server, from_server:
        group.start_soon(server.run, incoming, outgoing, server.create_initialization_options())
        if version in MODERN_PROTOCOL_VERSIONS:
            params["_meta"] = {PROTOCOL_VERSION_META_KEY: version, CLIENT_CAPABILITIES_META_KEY: {}}
        else:
            hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
            await to_server.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=1, method="initialize", params=hello)))
            await from_server.receive()
            started = JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized")
            await to_server.send(SessionMessage(started))
        await to_server.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=2, method="tools/call", params=params)))
        answer = (await from_server.receive()).message
        group.cancel_scope.cancel()
    assert isinstance(answer, JSONRPCResponse), answer
    return answer.result


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("get_integration_by_name", {"integrationName": "slack"}), ("list_integrations", {"unknown": 1})],
)
async def test_a_result_has_the_form_that_the_sdk_gives_it(
    version: str, tool: str, arguments: Mapping[str, Any]
) -> None:
    result = await call(version, tool, arguments)
    whole = await call("2025-11-25", tool, arguments)
    text = result["content"][0]["text"]
    assert len(text) > 20
    expected = CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=whole["structuredContent"],
        is_error=tool == "list_integrations",
    )
    shaped = serialize_server_result("tools/call", version, expected.model_dump(by_alias=True, exclude_none=True))
    assert {name: value for name, value in result.items() if name not in {"_meta", "resultType"}} == {
        name: value for name, value in shaped.items() if name != "resultType"
    }
    assert ("resultType" in result) == ("_meta" in result) == (version in MODERN_PROTOCOL_VERSIONS)
