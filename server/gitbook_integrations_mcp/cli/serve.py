"""The command `serve`: starts the MCP server."""

import sys
from argparse import Namespace

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.transports.serving import serve

BANNER = f"""\
This is an MCP server on standard input and output, which assistants start. It waits for their messages; Ctrl-C ends it.
For people: `{NAME} install ASSISTANT` connects an assistant, `{NAME} audit --sandbox` shows an audit,
`{NAME} --help` lists all commands."""


def run(settings: Settings, _arguments: Namespace) -> int:
    """Serve until the client or a signal ends it."""
    if "stdio" in settings.server.transport and sys.stdin.isatty():
        print(BANNER, file=sys.stderr)
    serve(settings)
    return SUCCESS
