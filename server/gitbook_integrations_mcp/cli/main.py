"""The command line: `gitbook-integrations-mcp`, which serves, and its subcommands, which help people.

Only what a command needs is imported, when it runs: the MCP SDK alone takes a second.
"""

import argparse
import gc
import hashlib
import io
import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.process import FAILURE, SUCCESS, USAGE, configure_logging

if TYPE_CHECKING:
    from gitbook_integrations_mcp.config.settings import Settings

PROGRAM = "gitbook-integrations-mcp"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    gc.disable()  # what is imported stays: to look for garbage in it would take a tenth of the start
    try:
        return _run(_parse(argv))
    finally:
        gc.enable()


def _run(arguments: argparse.Namespace) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every console can show every character; none is worth a crash
    from gitbook_integrations_mcp.config.settings import load_settings
    from gitbook_integrations_mcp.errors import SettingsError

    try:
        settings = load_settings(_read_flags(arguments), arguments.config)
        configure_logging(settings.server.log_level)
        return _dispatch(arguments, settings)
    except SettingsError as error:
        if arguments.command == "doctor":
            from gitbook_integrations_mcp.cli.doctor import report_settings

            return report_settings(error, as_json=arguments.json)
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return 130  # as shells report an interrupt
    except BrokenPipeError:
        # The reader of our output has gone; Python must not complain about it when it flushes at exit.
        sys.stdout = None
        return FAILURE


def _dispatch(arguments: argparse.Namespace, settings: "Settings") -> int:
    if arguments.command not in {None, "serve"}:  # which begins to look by itself, once it has started
        gc.enable()
    match arguments.command:
        case None | "serve":
            from gitbook_integrations_mcp.transports.serving import serve

            serve(settings)
            return SUCCESS
        case "tools":
            from gitbook_integrations_mcp.cli.listing import print_tools

            print_tools(settings, as_json=arguments.json)
            return SUCCESS
        case "call":
            from gitbook_integrations_mcp.cli.call import call

            return call(settings, arguments.tool, arguments.arguments, as_json=arguments.json)
        case "doctor":
            from gitbook_integrations_mcp.cli.doctor import examine

            return examine(settings, arguments.config, as_json=arguments.json)
        case "install":
            from gitbook_integrations_mcp.cli.install import connect

            return connect(
                arguments.assistant,
                settings,
                arguments.config,
                arguments.file,
                dry_run=arguments.dry_run,
                print_only=arguments.print,
            )
        case "audit":
            return _audit(arguments, settings)
        case "token":
            return _make_token(arguments.name)
        case "journal":
            from gitbook_integrations_mcp.cli.listing import print_journal

            return print_journal(arguments.path or settings.journal.path, as_json=arguments.json)
        case _:
            from gitbook_integrations_mcp.sandbox import create_sandbox, serve_sandbox

            host = arguments.host or "127.0.0.1"  # not that of the settings, which is meant for the real server
            try:
                serve_sandbox(create_sandbox(), host, arguments.port or 0)
            except OSError as error:
                reason = (error.strerror or "no such address").partition(" (while ")[0]
                print(f"{PROGRAM}: cannot listen on {host}: {reason}", file=sys.stderr)
                return FAILURE
            return SUCCESS


def _audit(arguments: argparse.Namespace, settings: "Settings") -> int:
    from gitbook_integrations_api.report import Narrowing
    from gitbook_integrations_mcp.cli.audit import AuditOptions, run

    confined = {name: getattr(arguments, name) for name in Narrowing.model_fields}
    return run(
        settings,
        AuditOptions(
            organization=arguments.organization,
            narrowing=Narrowing(**{name: tuple(text.split(",")) for name, text in confined.items() if text}),
            format=arguments.format,
            table=arguments.table,
            output=arguments.output,
            baseline=arguments.baseline,
            fail_on=arguments.fail_on,
        ),
    )


def _make_token(name: str) -> int:
    """Print a new bearer token, which is kept nowhere, and its digest, which the settings keep."""
    token = secrets.token_urlsafe(32)
    entry = {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest()}
    print(
        f"Give to {name}, and keep nowhere else:\n{token}\n\nAdd to http.tokens of the settings:\n{json.dumps(entry)}"
    )
    return SUCCESS


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line. argparse takes positionals in one run only; `call` takes them after flags too."""
    parser = _build_parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and (arguments.command != "call" or any(word.startswith("-") and word != "-" for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.arguments += rest
    if arguments.command == "audit" and arguments.table and arguments.format not in {"table", "csv"}:
        parser.error(f"--format {arguments.format} has all tables; --table is for table and csv")
    return arguments


def _build_parser() -> argparse.ArgumentParser:
    # The same flags are taken before and after the subcommand; after it, an absent flag must not undo one before.
    # Abbreviated flags would change their meaning, or become ambiguous, with every flag that is added.
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="GitBook's Integrations API for AI assistants, over MCP.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    _add_settings(parser, default=None)
    common = argparse.ArgumentParser(add_help=False)
    _add_settings(common, default=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def add_command(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=summary, description=summary, parents=[common], allow_abbrev=False)

    from gitbook_integrations_mcp.cli.assistants import ASSISTANTS

    add_command("serve", "Serve MCP (what happens without a command, too).")
    install = add_command("install", "Put this server, with the flags given here, into an assistant's configuration.")
    install.add_argument("assistant", choices=ASSISTANTS, help=", ".join(ASSISTANTS), metavar="ASSISTANT")
    install.add_argument("--file", type=Path, help="another file than the user's own, a project's for example")
    install.add_argument("--dry-run", action="store_true", help="only tell what would be written")
    install.add_argument("--print", action="store_true", help="only print the entry, to paste it")
    token = add_command(
        "token", "Make a bearer token for a caller of the HTTP transports, and its entry of the settings."
    )
    token.add_argument("name", help="whose it is")
    tools = add_command("tools", "List the tools on offer: toolset, risk, endpoint and what each costs in tokens.")
    tools.add_argument("--json", action="store_true", help="print JSON")
    call = add_command("call", "Run one tool and print its result.")
    call.add_argument("tool", help="name of the tool")
    call.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="key=value …, one JSON object, or - to read it")
    call.add_argument("--json", action="store_true", help="print the structured result as JSON")
    doctor = add_command("doctor", "Check settings, tokens and the way to GitBook, and print client configurations.")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    audit = add_command("audit", "Audit an organization: what is installed where, and what is questionable.")
    audit.add_argument("organization", nargs="?", help="its ID (default: gitbook.organization of the settings)")
    for name in ("integrations", "spaces", "sites"):
        audit.add_argument(f"--{name}", metavar="A,B", help=f"audit only these {name}")
    audit.add_argument(
        "--format", choices=["table", "markdown", "json", "csv", "html"], default="table", help="default: table"
    )
    tables = ["installations", "places", "scripts", "findings"]
    audit.add_argument("--table", choices=tables, help="only this one, as table or csv; csv is of findings by default")
    audit.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to standard output")
    audit.add_argument("--baseline", type=Path, metavar="FILE", help="earlier report (--format json) to compare with")
    audit.add_argument(
        "--fail-on", choices=["high", "medium", "low"], help="exit with 3 if a new finding is that grave"
    )
    journal = add_command("journal", "Show what this server has changed, or tried to.")
    journal.add_argument("path", type=Path, nargs="?", help="the file (default: journal.path of the settings)")
    journal.add_argument("--json", action="store_true", help="print JSON, complete")
    add_command("sandbox", "Serve the embedded GitBook over HTTP, for any client; on a free port by default.")
    return parser


def _add_settings(parser: argparse.ArgumentParser, default: Any) -> None:
    group = parser.add_argument_group("settings (they win over the environment, and that over the file)")
    flags: dict[str, dict[str, Any]] = {
        "--config": {"type": Path, "metavar": "PATH", "help": "settings file, JSON"},
        "--toolsets": {"metavar": "A,B", "help": "toolsets to offer"},
        "--tools": {"metavar": "A,B", "help": "single tools to offer"},
        "--exclude-tools": {"metavar": "A,B", "help": "tools never to offer"},
        "--read-only": {"action": "store_true", "help": "offer only tools that change nothing"},
        "--transport": {"metavar": "A,B", "help": "stdio, or one or both of sse and streamable-http"},
        "--host": {"help": "address to listen on, over HTTP (default: 127.0.0.1)"},
        "--port": {"type": int, "help": "port to listen on, over HTTP; 0 takes a free one (default: 8000)"},
        "--workers": {"type": int, "help": "worker processes, over HTTP (default: 1); more need confirmation.store"},
        "--sandbox": {"action": "store_true", "help": "use the embedded GitBook; no token, no network"},
        "--log-level": {"choices": ["debug", "info", "warning", "error"], "help": "what to log to standard error"},
    }
    for flag, options in flags.items():
        group.add_argument(flag, default=default, **options)


def _read_flags(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the flags that were given as settings."""
    places = {
        "toolsets": ("tools", "toolsets"),
        "tools": ("tools", "include"),
        "exclude_tools": ("tools", "exclude"),
        "read_only": ("tools", "read_only"),
        "transport": ("server", "transport"),
        "sandbox": ("server", "sandbox"),
        "log_level": ("server", "log_level"),
        "host": ("http", "host"),
        "port": ("http", "port"),
        "workers": ("http", "workers"),
    }
    flags: dict[str, dict[str, Any]] = {}
    for flag, (section, key) in places.items():
        if (value := getattr(arguments, flag, None)) is not None:
            flags.setdefault(section, {})[key] = value
    return flags
