"""The command `gitbook-integrations-mcp`: parses its command line, loads the settings, and runs one of its commands."""

import errno
import gc
import io
import itertools
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.cli.console import print_error, print_warning
from gitbook_integrations_mcp.cli.flags import AUDIT_ACTIONS, read_flags
from gitbook_integrations_mcp.cli.parser import parse
from gitbook_integrations_mcp.errors import CallError, ProgramError, SettingsError, UsageError
from gitbook_integrations_mcp.process import FAILURE, INTERRUPTED, USAGE, configure_logging

if TYPE_CHECKING:
    from gitbook_integrations_mcp.config.models import GitBookSection

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of writing that are not a defect."""

_READS_TOKENS = frozenset({"serve", "call", "audit", "events", "publish"}) | AUDIT_ACTIONS
"""Commands that send tokens to GitBook; `doctor` reports their problems in its own way."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    closed = _replace_closed_streams()
    try:
        code = _run(sys.argv[1:] if argv is None else argv, closed)
        sys.stdout.flush()
        return code  # noqa: TRY300 - a failure to write is one of the errors below
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; Python must not complain about it when it flushes at exit.
        sys.stdout = None
        return FAILURE
    except OSError as error:
        if error.errno not in _FULL:
            raise
        sys.stdout = None
        print(f"{NAME}: Cannot write to standard output: {error.strerror}.", file=sys.stderr)
        return FAILURE
    finally:
        gc.enable()


def _replace_closed_streams() -> Collection[str]:
    """Open the null device for each closed standard stream, and return their names.

    Otherwise Python has no stream, and the next file or connection that opens would get its number.
    """
    names = ("stdin", "stdout", "stderr")
    closed = [name for name in names if getattr(sys, name) is None]
    for name in closed:
        number = names.index(name)
        null = os.open(os.devnull, os.O_RDWR)
        try:
            os.fstat(number)
        except OSError:
            null = os.dup2(null, number)
        setattr(sys, name, open(null, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    return closed


def _run(words: Sequence[str], closed: Collection[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every console can show every character; none is worth a crash
    if isinstance(sys.stdin, io.TextIOWrapper):
        with suppress(io.UnsupportedOperation):  # something was read before
            sys.stdin.reconfigure(errors="surrogateescape")  # the check of arguments refuses what is not Unicode
    try:
        arguments = parse(words)
    except ProgramError as error:
        return _fail(error, as_json=_asks_for_json(words))
    as_json = getattr(arguments, "json", False) or getattr(arguments, "format", None) == "json"
    from gitbook_integrations_mcp.config.settings import PROFILE_VARIABLE, load_settings

    if profile := getattr(arguments, "profile", None):
        os.environ[PROFILE_VARIABLE] = profile  # worker processes read the settings, too

    try:
        settings = load_settings(read_flags(arguments), getattr(arguments, "config", None))
        configure_logging(settings.server.log_level)
        if arguments.command == "serve" and "stdio" in settings.server.transport and {"stdin", "stdout"} & {*closed}:
            raise UsageError("Standard input or output is closed, but stdio needs both. Start this from an MCP client.")
        if arguments.command in _READS_TOKENS:
            _warn_of_missing_tokens(settings.gitbook)
        if arguments.command != "serve":  # which starts garbage collection itself
            gc.enable()
        code: int = arguments.run(settings, arguments)
    except ProgramError as error:
        if arguments.command == "doctor" and isinstance(error, SettingsError):
            from gitbook_integrations_mcp.cli.doctor import report_settings

            return report_settings(error, as_json=as_json)
        return _fail(error, as_json=as_json)
    return code


def _warn_of_missing_tokens(gitbook: "GitBookSection") -> None:
    for key in gitbook.unset_references:
        print_warning(f"gitbook.{key} counts as not set: it is a reference that was not replaced by its value.")
    if gitbook.cli_problem:
        print_warning(gitbook.cli_problem)


def _asks_for_json(words: Sequence[str]) -> bool:
    """Whether a command line that cannot be understood asks for JSON."""
    return "--json" in words or "--format=json" in words or ("--format", "json") in itertools.pairwise(words)


def _fail(error: ProgramError, *, as_json: bool) -> int:
    """Print an error and return its exit code."""
    print_error(error, as_json=as_json)
    return FAILURE if isinstance(error, CallError) else USAGE
