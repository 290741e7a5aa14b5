"""The command `serve`: starts the MCP server."""

from argparse import Namespace

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.transports.serving import serve


def run(settings: Settings, _arguments: Namespace) -> int:
    """Serve until the client or a signal ends it."""
    serve(settings)
    return SUCCESS
