"""Saves the first answers of a server on stdio before its first start.

`python -m gitbook_integrations_mcp.cli.answers [ARGUMENTS]` saves those of a start with these arguments and this
environment. The container image runs it when it is built.
"""

import os
import sys
from collections.abc import Mapping, Sequence

import anyio

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.cli.flags import read_flags
from gitbook_integrations_mcp.cli.parser import parse
from gitbook_integrations_mcp.config.settings import Settings, load_settings
from gitbook_integrations_mcp.front import find_file
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.transports.saved_answers import prepare_answers


def save_answers(settings: Settings, starts: Sequence[tuple[Sequence[str], Mapping[str, str]]]) -> None:
    """Save the answers for `starts`, each with its arguments and environment, that lead to `settings`.

    Raises:
        OSError: they cannot be written.
    """
    files = {file.path: file for words, environ in starts if (file := find_file(words, environ))}
    if settings.server.save_answers:
        for file in files.values():
            anyio.run(prepare_answers, create_server(settings), file)


def main() -> int:
    """Save the answers, and return the exit code."""
    arguments = parse(sys.argv[1:])
    settings = load_settings(read_flags(arguments), getattr(arguments, "config", None))
    save_answers(settings, [(sys.argv[1:], os.environ)])
    return SUCCESS


if __name__ == "__main__":
    raise SystemExit(main())
