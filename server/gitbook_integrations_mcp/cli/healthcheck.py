"""The health check of the container image: `python -m gitbook_integrations_mcp.cli.healthcheck`.

It asks the server of its container at the address in the settings. It reads them like the server: from the command line
of the container's first process, the environment and the settings file.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.cli.flags import read_flags
from gitbook_integrations_mcp.cli.parser import parse
from gitbook_integrations_mcp.config.settings import Settings, load_settings
from gitbook_integrations_mcp.errors import ProgramError
from gitbook_integrations_mcp.process import FAILURE, SUCCESS

_TIMEOUT = 4
_PROGRAMS = {NAME, "gitbook_integrations_mcp"}
_SHELL_OPERATOR = re.compile(r"[;&|\n]|\d*[<>]")
_COMMAND_LINE = Path("/proc/1/cmdline")
_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""Addresses to ask in place of those that stand for all addresses."""


def main(command_line: Path = _COMMAND_LINE) -> int:
    """Return 0 if the server responds, or if it serves stdio, whose client notices its end; otherwise 1."""
    try:
        arguments = parse(_read_words(command_line))
        settings = load_settings(read_flags(arguments), getattr(arguments, "config", None))
    except ProgramError as error:
        return _fail(str(error))
    return SUCCESS if settings.server.transport == ("stdio",) else _ask(settings)


def _read_words(command_line: Path) -> Sequence[str]:
    """Return the arguments of the server; none if the container's first process is another program."""
    try:
        words = command_line.read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []
    commands = [words, *(command for word in words if " " in word for command in _split_commands(word))]
    for command in commands:
        for place, word in enumerate(command):
            if Path(word).name in _PROGRAMS:
                return command[place + 1 :]
    return []


def _split_commands(script: str) -> Iterator[Sequence[str]]:
    """Yield the words of each command in a script that a shell got as a word, without redirections."""
    for command in _SHELL_OPERATOR.split(os.path.expandvars(script)):
        with suppress(ValueError):  # a quote that does not close
            yield shlex.split(command)


def _ask(settings: Settings) -> int:
    host, port = settings.http.host, settings.http.port
    # Not urllib, which would use HTTP_PROXY.
    connection = HTTPConnection(_HOSTS.get(host, host), port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return _fail(f"{host}, port {port}: {error}")
    finally:
        connection.close()
    return SUCCESS if status == 200 else _fail(f"{host}, port {port}: the server responded with {status}")


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return FAILURE


if __name__ == "__main__":
    sys.exit(main())
