"""Serving MCP to a client."""

import anyio
from mcp.server.stdio import stdio_server

from gitbook_integrations_mcp.server import create_server
from gitbook_integrations_mcp.settings import Settings


def serve_stdio(settings: Settings) -> None:
    """Serve one client over standard input and output, until it closes them.

    Raises:
        SettingsError: the settings name tools or toolsets that do not exist.
    """
    server = create_server(settings)

    async def serve() -> None:
        async with stdio_server() as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())

    anyio.run(serve)
