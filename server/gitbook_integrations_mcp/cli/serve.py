"""The command `serve`: starts the MCP server."""

import sys
from argparse import Namespace

from gitbook_integrations_mcp.cli.flags import find_given
from gitbook_integrations_mcp.cli.launcher import name_command
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import UsageError
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.transports.serving import serve

_BANNER = """\
This is an MCP server. An assistant starts it and talks to it on standard input
and output. It now waits for messages; Ctrl-C ends it.

You probably want one of these:
  {command} install ASSISTANT  connect an assistant
  {command} audit --sandbox    see an example audit
  {command} --help             list all commands"""


def run(settings: Settings, arguments: Namespace) -> int:
    """Serve until the client or a signal ends it.

    Raises:
        UsageError: a flag of HTTP is given, but nothing is served over HTTP.
    """
    if settings.server.transport == ("stdio",) and (flag := find_given(arguments, "http")):
        raise UsageError(f"{flag} is only for HTTP. Add --transport http.")
    if "stdio" in settings.server.transport and sys.stdin.isatty():
        print(_BANNER.format(command=name_command()), file=sys.stderr)
    serve(settings)
    return SUCCESS
