"""The stated baseline: a bare server on the SDK's low-level API with a pooled, plain httpx client.

No validation, confirmation or error texts: the least that makes every tool work. It is ordinary code, neither
handicapped nor tuned; what the product does besides must fit into the ratios the benchmark allows.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import anyio
import httpx
from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent, Tool

from tests.benchmarks.baseline_tools import Operation, read_operations

Context = ServerRequestContext[httpx.AsyncClient]


@asynccontextmanager
async def lifespan(_: Server[httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """Hold one client, and with it one pool of connections, as long as the server runs."""
    endpoint = os.environ.get("GITBOOK_ENDPOINT", "https://api.gitbook.com")
    headers = {"Authorization": f"Bearer {os.environ.get('GITBOOK_TOKEN', '')}"}
    async with httpx.AsyncClient(base_url=f"{endpoint}/v1", headers=headers, timeout=30) as client:
        yield client


async def call(context: Context, operation: Operation, params: CallToolRequestParams) -> CallToolResult:
    """Send the request that `operation` describes, and return the response as it is."""
    arguments = params.arguments or {}
    path = operation.path.format_map({name: quote(str(value), safe="") for name, value in arguments.items()})
    query = {name: arguments[name] for name in operation.query if name in arguments}
    body = {
        name: value for name, value in arguments.items() if name not in query and f"{{{name}}}" not in operation.path
    }
    response = await context.lifespan_context.request(operation.method, path, params=query or None, json=body or None)
    text = response.text
    if not response.is_success:
        return CallToolResult(content=[TextContent(text=f"{response.status_code} {text}")], is_error=True)
    data = response.json() if text else {}
    return CallToolResult(
        content=[TextContent(text=text)], structured_content=data if isinstance(data, dict) else {"items": data}
    )


def create_server(operations: Path) -> Server[httpx.AsyncClient]:
    """Return a server of the tools in a file."""
    by_name = {row.name: row for row in read_operations(operations)}
    tools = [
        Tool(name=row.name, description=row.description, input_schema=row.input_schema) for row in by_name.values()
    ]

    async def list_tools(_: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        return await call(context, by_name[params.name], params)

    return Server("gitbook-baseline", lifespan=lifespan, on_list_tools=list_tools, on_call_tool=call_tool)


async def main() -> None:
    server = create_server(Path(sys.argv[1]))
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
