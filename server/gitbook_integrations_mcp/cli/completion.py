"""The command `completion`: prints a script with which a shell completes commands, options and tools."""

from argparse import Namespace

import shtab

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_mcp.cli.parser import build_parser
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.process import SUCCESS


def run(_settings: Settings, arguments: Namespace) -> int:
    """Print the script for a shell."""
    parser, commands = build_parser()
    for command in commands.values():
        for action in command._actions:
            if action.dest == "tool":
                action.choices = [*TOOLS]
            elif action.metavar == "FILE":
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))
    return SUCCESS
