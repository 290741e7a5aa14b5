"""The command `gitbook-integrations-mcp`: parses its command line, loads the settings, and runs one of its commands."""

import gc
import io
import itertools
import sys
from collections.abc import Sequence

from gitbook_integrations_mcp.cli.console import print_error, print_warning
from gitbook_integrations_mcp.cli.flags import read_flags
from gitbook_integrations_mcp.cli.parser import parse
from gitbook_integrations_mcp.errors import CallError, ProgramError, SettingsError
from gitbook_integrations_mcp.process import FAILURE, INTERRUPTED, USAGE, configure_logging

_READS_TOKENS = frozenset({"serve", "call", "audit"})
"""Commands that send tokens to GitBook; `doctor` reports their problems in its own way."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    gc.disable()  # imported objects stay: searching them for garbage would take a tenth of the start
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; Python must not complain about it when it flushes at exit.
        sys.stdout = None
        return FAILURE
    finally:
        gc.enable()


def _run(words: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every console can show every character; none is worth a crash
    try:
        arguments = parse(words)
    except ProgramError as error:
        return _fail(error, as_json=_asks_for_json(words))
    as_json = getattr(arguments, "json", False) or getattr(arguments, "format", None) == "json"
    from gitbook_integrations_mcp.config.settings import load_settings

    try:
        settings = load_settings(read_flags(arguments), getattr(arguments, "config", None))
        configure_logging(settings.server.log_level)
        if arguments.command in _READS_TOKENS:
            for key in settings.gitbook.unset_references:
                print_warning(f"gitbook.{key} counts as not set: it is a reference that was not replaced by its value.")
        if arguments.command != "serve":  # which starts garbage collection itself
            gc.enable()
        code: int = arguments.run(settings, arguments)
    except ProgramError as error:
        if arguments.command == "doctor" and isinstance(error, SettingsError):
            from gitbook_integrations_mcp.cli.doctor import report_settings

            return report_settings(error, as_json=as_json)
        return _fail(error, as_json=as_json)
    return code


def _asks_for_json(words: Sequence[str]) -> bool:
    """Whether a command line that cannot be understood asks for JSON."""
    return "--json" in words or "--format=json" in words or ("--format", "json") in itertools.pairwise(words)


def _fail(error: ProgramError, *, as_json: bool) -> int:
    """Print an error and return its exit code."""
    print_error(error, as_json=as_json)
    return FAILURE if isinstance(error, CallError) else USAGE
