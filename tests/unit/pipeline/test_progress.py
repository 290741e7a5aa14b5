"""What a client hears while a call is running."""

from typing import Any

import pytest
from mcp import Client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

from gitbook_integrations_mcp.pipeline.progress import Progress
from tests.support.fake_gitbook import ERAS, Era

Context = ServerRequestContext[Any, Any]
each_era = pytest.mark.parametrize("era", ERAS)


async def list_tools(_context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=[])


async def work(context: Context, _params: CallToolRequestParams) -> CallToolResult:
    progress = Progress(context)
    for done in (0, 2, 2, 1, 3):
        await progress.report(done, 3, f"{done} of 3")
    return CallToolResult(content=[])


def create_worker() -> Server[Any]:
    return Server("test", on_list_tools=list_tools, on_call_tool=work)


@each_era
async def test_a_client_with_a_progress_token_gets_each_advance_once(era: Era) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with Client(create_worker(), mode=era) as client:
        await client.call_tool("work", {}, progress_callback=hear)
    assert heard == [(done, 3, f"{done} of 3") for done in (0, 2, 3)]


@each_era
async def test_a_client_without_a_progress_token_gets_no_progress(era: Era) -> None:
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    async with Client(create_worker(), mode=era, message_handler=hear) as client:
        await client.call_tool("work", {})
    assert heard == []
