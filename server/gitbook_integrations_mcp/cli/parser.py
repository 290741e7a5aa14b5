"""The command line's grammar: commands, their arguments, and errors in one line.

Only this module and `flags` are imported before a command runs: the MCP SDK alone takes a second.
"""

import argparse
import importlib
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gitbook_integrations_api.choices import EXPORT_FORMATS, OUTCOMES, SEVERITIES, TABLE_NAMES
from gitbook_integrations_mcp import NAME, __version__
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS, ENTRY
from gitbook_integrations_mcp.cli.console import read_word
from gitbook_integrations_mcp.cli.flags import AUDIT_ACTIONS, FLAGS, add_flags, find_misplaced, read_path
from gitbook_integrations_mcp.errors import UsageError
from gitbook_integrations_mcp.spelling import find_nearest, suggest

if TYPE_CHECKING:
    from gitbook_integrations_mcp.config.settings import Settings

_EPILOG = f"""\
examples:
  {NAME} audit --sandbox      audit an example organization
  {NAME} install claude-code  add this server to an assistant
  {NAME} doctor               check settings and connection

exit codes:
  0    success
  1    the command failed
  2    wrong usage or settings
  3    `audit --fail-on`: new findings of this severity or higher
  4    `audit --fail-on`: the audit is incomplete
  130  interrupted
"""

_AUDIT_EPILOG = """\
exit codes:
  0  success
  1  the audit failed
  2  wrong usage or settings
  3  with --fail-on: new findings of this severity or higher
  4  with --fail-on: none of these, but the audit is incomplete
"""


_WORDS = {"help": "--help", "version": "--version"}
"""Commands of other programs that people try, each with the option that it stands for here."""


_ENDINGS = {".md": "markdown", ".json": "json", ".csv": "csv", ".html": "html", ".sarif": "sarif"}
"""Endings of a file with an audit, each with the format that it gets without --format."""


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError` with a short text, and suggests the nearest valid value."""

    def error(self, message: str) -> NoReturn:
        missing = message.removeprefix("the following arguments are required: ")
        text = message if missing == message else f"Missing: {missing}.{self._list_choices(missing)}"
        if number := re.fullmatch(r"argument (\S+): invalid (?:int|float) value: '(.*)'", message):
            text = f"{number[1]} {number[2]}: must be a number."
        raise UsageError(f"{text}\nTry `{self.prog} --help`.")

    def _list_choices(self, missing: str) -> str:
        """Return a sentence with the valid values of the first missing argument, if there are only some."""
        for action in self._actions:
            if action.choices and missing.partition(", ")[0] == action.metavar:
                return f" Valid: {', '.join(map(str, action.choices))}."
        return ""

    def format_help(self) -> str:
        """Return the help. Its first line has no options: they are listed below it."""
        required = [_spell_option(action) for action in self._actions if action.option_strings and action.required]
        positional = [_spell_argument(action) for action in self._actions if not action.option_strings]
        self._positionals.title = "arguments"
        self.usage = " ".join(["%(prog)s", *positional, *required, "[OPTION ...]"])
        return super().format_help()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            valid = list(action.choices)
            option = "".join(action.option_strings)
            noun = "value" if option else str(action.metavar).lower()
            problem = f"{option} {value}: unknown {noun}.".lstrip()
            meant = suggest(str(value), valid)
            self.error(f"{problem}{meant}" if meant or noun == "command" else f"{problem} Valid: {', '.join(valid)}.")


class _ToolHelp(argparse.Action):
    """The help of the tool that stands before this option, or else of the command."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Namespace, *_: object) -> None:
        if namespace.tool is None:
            parser.print_help()
            parser.exit()
        namespace.run = partial(_run, "tool_help")


def _spell_option(action: argparse.Action) -> str:
    return f"{action.option_strings[0]} {action.metavar}"


def _spell_argument(action: argparse.Action) -> str:
    match action.nargs:
        case "*":
            return f"[{action.metavar} ...]"
        case None:
            return str(action.metavar)
        case _:
            return f"[{action.metavar}]"


def parse(argv: Sequence[str] | None) -> Namespace:
    """Return the parsed command line; its `run` runs the command.

    Raises:
        UsageError: it cannot be understood.
    """
    parser, commands = build_parser()
    argv = _join_actions(sys.argv[1:] if argv is None else argv)
    if argv and argv[0] in _WORDS:
        argv = [*argv[1:], _WORDS[argv[0]]]
    arguments, rest = parser.parse_known_args(argv)
    of_command = commands[arguments.command] if arguments.command in argv else parser
    # argparse takes positionals in one run only; `call` takes them after flags, too.
    if arguments.command == "call" and not any(_is_flag(word) for word in rest):
        arguments.arguments = [*arguments.arguments, *rest]
    elif rest:
        of_command.error(_describe_unknown(rest, of_command))
    _check_texts(arguments, of_command)
    if misplaced := find_misplaced(arguments):
        of_command.error(f"{misplaced} is not an option of the command {arguments.command}.")
    if arguments.command == "audit" and arguments.format is None:
        ending = arguments.output.suffix.lower() if arguments.output else ""
        arguments.format = _ENDINGS.get(ending, "table")
    if arguments.command == "audit" and arguments.table and arguments.format not in {"table", "csv"}:
        of_command.error(f"--table is only for the formats table and csv; {arguments.format} has all tables.")
    return arguments


def _check_texts(arguments: Namespace, parser: Parser) -> None:
    """Refuse empty texts, which would count as not given, and make all texts valid Unicode."""
    settings = {flag.attribute for flag in FLAGS if flag.setting}  # an empty one means its default
    options = {action.dest: "".join(action.option_strings[:1]) for action in parser._actions}
    for name, value in vars(arguments).items():
        if isinstance(value, str) and name not in settings:
            if not value.strip():
                parser.error(f"{options.get(name) or name.upper()}: must not be empty.")
            setattr(arguments, name, read_word(value))


def _join_actions(words: Sequence[str]) -> list[str]:
    """Return the words with `audit accept` and the like as one: a command of its own, beside `audit ORGANIZATION`."""
    joined = [*words]
    if "audit" in words:
        place = joined.index("audit")
        if (command := " ".join(joined[place : place + 2])) in AUDIT_ACTIONS:
            joined[place : place + 2] = [command]
    return joined


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _describe_unknown(rest: Sequence[str], parser: argparse.ArgumentParser) -> str:
    word = next(filter(_is_flag, rest), rest[0]).partition("=")[0]
    if not _is_flag(word):
        return f"{word}: unexpected argument."
    visible = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    valid = [option for action in visible for option in action.option_strings]
    # Without the dashes, which make all options look alike.
    nearest = find_nearest(word.lstrip("-"), [option.lstrip("-") for option in valid])
    meant = next((f" Did you mean {option}?" for option in valid if option.lstrip("-") in nearest), "")
    return f"{word}: unknown option.{meant}"


def build_parser() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser, and those of its commands by name."""
    # Flags are taken before and after the command; after it, an absent flag must not undo one before.
    # Abbreviated flags would change their meaning, or become ambiguous, with every flag that is added.
    parser = Parser(
        prog=NAME,
        description="Connect AI assistants to GitBook's Integrations API over MCP.\n"
        "Without a command, this starts the server over stdio.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    add_flags(parser, "serve")
    parsers: dict[str, Parser] = {}

    def add_command(name: str, summary: str, epilog: str | None = None) -> Parser:
        parsers[name] = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=name != "call",
        )
        parsers[name].set_defaults(run=partial(_run, name.partition(" ")[0]))
        return parsers[name]

    add_command("serve", "Start the MCP server (default command).")
    _add_login(add_command("login", "Log in with GitBook in a browser, with only the scopes of the offered tools."))
    _add_json(add_command("logout", "End the login with GitBook."))
    _add_json(add_command("whoami", "Show the login with GitBook, and the tools that it does not serve."))
    _add_install(add_command("install", "Add this server, with the given options, to an assistant's configuration."))
    _add_file(add_command("uninstall", "Remove this server from an assistant's configuration."))
    _add_json(add_command("doctor", "Check the settings, tokens, connection and assistants."))
    _add_audit(
        add_command("audit", "Audit an organization: installations, scopes, site scripts, risks.", _AUDIT_EPILOG)
    )
    _add_audit_actions(add_command)
    _add_schedule(add_command("schedule", "Print a file that runs the audit every week, with the current settings."))
    _add_json(add_command("tools", "List the offered tools: risk, approval, toolset, endpoint, tokens."))
    _add_call(add_command("call", "Call one tool and print its result. `call TOOL --help` shows its arguments."))
    _add_events(add_command("events", "Group an integration's events by type and error, or follow new ones."))
    _add_publish(add_command("publish", "Publish an integration from a folder. Asks for approval."))
    _add_folder(add_command("check", "Check an integration's folder before it is published. Sends nothing."))
    _add_new(add_command("new", "Write a minimal integration into a new folder."))
    _add_changes(add_command("changes", "Show the changes that were made through this server, newest first."))
    _add_store(add_command("store", "Show the store and what it keeps; export it, prune it, forget an organization."))
    _add_accounts(add_command("accounts", "Show the GitBook accounts that callers over HTTP linked; remove one."))
    _add_token(add_command("token", "Create a bearer token for a caller over HTTP, and its entry for http.tokens."))
    _add_config(add_command("config", "Show the current settings and their sources, or write a settings file."))
    _add_completion(add_command("completion", "Print a script that completes commands and options in a shell."))
    _add_sandbox(add_command("sandbox", "Serve the built-in GitBook sandbox over HTTP, for any client."))
    for name, command in parsers.items():
        add_flags(command, name, argparse.SUPPRESS)
    parser.set_defaults(command="serve", run=partial(_run, "serve"))
    return parser, parsers


def _add_call(parser: Parser) -> None:
    parser.add_argument("-h", "--help", action=_ToolHelp, nargs=0, help="show this help, or that of TOOL, and exit")
    parser.add_argument("tool", metavar="TOOL", help="name of the tool")
    words = "key=value pairs, one JSON object, or - to read it from stdin"
    parser.add_argument("arguments", nargs="*", default=[], metavar="ARGUMENT", help=words)
    _add_json(parser)


def _add_publish(parser: Parser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only show what would be approved, and send nothing")
    _add_folder(parser)


def _add_new(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the integration and of the folder")
    parser.add_argument("--organization", metavar="ORGANIZATION", help="its owner (default: GITBOOK_ORGANIZATION)")
    _add_json(parser)


def _add_token(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the caller")
    _add_json(parser)


def _add_completion(parser: Parser) -> None:
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"], metavar="SHELL", help="bash, zsh or tcsh")


def _add_sandbox(parser: Parser) -> None:
    words = "only print the environment of clients, for a shell: sh (default) or powershell"
    parser.add_argument("--print-env", nargs="?", const="sh", choices=["sh", "powershell"], metavar="SHELL", help=words)


def _add_events(parser: Parser) -> None:
    parser.add_argument("name", metavar="INTEGRATION", help="name of the integration")
    parser.add_argument("--status", choices=["success", "failed"], help="only events with this status")
    parser.add_argument("--type", metavar="TYPE", help="only events of this type, for example fetch")
    parser.add_argument(
        "--since", metavar="WHEN", help="only since then: 30min, 24h, 7d, 4w, or a date; not with --follow"
    )
    parser.add_argument("--until", metavar="WHEN", help="only until then, or the end of that day; not with --follow")
    parser.add_argument("--follow", action="store_true", help="print new events with their logs, until Ctrl-C")
    _add_json(parser)


def _add_changes(parser: Parser) -> None:
    parser.add_argument("--since", metavar="WHEN", help="only since then: 30min, 24h, 7d, 4w, or a date")
    parser.add_argument("--until", metavar="WHEN", help="only until then, or the end of that day")
    parser.add_argument("--tool", metavar="TOOL", help="only calls of this tool")
    parser.add_argument("--organization", metavar="ID", help="only changes of this organization")
    parser.add_argument("--outcome", choices=OUTCOMES, help="only with this outcome")
    parser.add_argument(
        "--limit",
        type=_create_reader(int, 1, 1_000_000),
        default=50,
        metavar="N",
        help="at most this many (default: 50)",
    )
    parser.add_argument("--follow", action="store_true", help="print new changes as they happen, until Ctrl-C")
    _add_json(parser)


def _add_folder(parser: Parser) -> None:
    words = "folder with gitbook-manifest.yaml, or that file (default: this folder)"
    parser.add_argument("path", nargs="?", type=read_path, default=Path(), metavar="PATH", help=words)
    parser.add_argument("--env", metavar="ENVIRONMENT", help="environment in envs of the manifest (default: default)")
    parser.add_argument("--organization", metavar="ORGANIZATION", help="the owner, in place of the manifest's")
    parser.add_argument(
        "--script", metavar="FILE", help="bundled file in the folder, in place of the manifest's script"
    )
    _add_json(parser)


def _add_store(parser: Parser) -> None:
    _add_json(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions (default: show)")
    actions.add_parser("show", help="show where the store is, its size, and its tables")
    actions.add_parser("export", help="print all rows as JSON lines, without encrypted values")
    actions.add_parser("prune", help="delete what is older than the settings keep it")
    forget = actions.add_parser("forget", help="delete everything about an organization")
    forget.add_argument("organization", metavar="ORGANIZATION", help="its ID")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    _complete_actions(actions, "store")


def _add_config(parser: Parser) -> None:
    _add_json(parser)
    parser.add_argument("--all", action="store_true", help="show settings with their default, too")
    words = "show: the current settings; schema: the JSON Schema of settings files; init: write a settings file"
    parser.add_argument(
        "action", nargs="?", choices=["show", "schema", "init"], default="show", metavar="ACTION", help=words
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=read_path,
        metavar="FILE",
        help="file that init writes (default: gitbook-mcp.json)",
    )


def _add_accounts(parser: Parser) -> None:
    _add_json(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions (default: list)")
    actions.add_parser("list", help="show callers, GitBook users and scopes")
    remove = actions.add_parser("remove", help="delete the tokens of an account, and revoke them")
    remove.add_argument("account", metavar="ID", help="its ID in the list")
    _complete_actions(actions, "accounts")


def _complete_actions(actions: "argparse._SubParsersAction[Parser]", command: str) -> None:
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, errors too")
        add_flags(action, command, argparse.SUPPRESS)


def _add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, errors too")


def _add_login(parser: Parser) -> None:
    parser.add_argument("--add", metavar="A,B", help="ask for the scopes of these tools and those of the last login")
    parser.add_argument("--no-browser", action="store_true", help="open no browser: paste the redirected address")
    parser.add_argument(
        "--redirect-port",
        type=_create_reader(int, 0, 65535),
        default=0,
        metavar="N",
        help="port that the browser returns to",
    )
    parser.add_argument(
        "--seconds",
        type=_create_reader(float, 0, 86_400),
        default=300,
        metavar="N",
        help="time to approve (default: 300)",
    )
    _add_json(parser)


def _add_install(parser: Parser) -> None:
    _add_file(parser)
    parser.add_argument("--print", action="store_true", help="print the entry, to paste it")


def _add_file(parser: Parser) -> None:
    parser.add_argument("assistant", choices=list(ASSISTANTS), help=", ".join(ASSISTANTS), metavar="ASSISTANT")
    parser.add_argument(
        "--file", type=read_path, help="edit this file instead of the user's own, for example a project's"
    )
    parser.add_argument("--name", type=_read_name, default=ENTRY, help=f"name of the entry (default: {ENTRY})")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")


def _create_reader(kind: type[int] | type[float], least: int, most: int) -> Callable[[str], float]:
    """Return a type for argparse: numbers from `least` to `most`."""

    def read(text: str) -> float:
        try:
            if least <= (number := kind(text)) <= most:
                return number
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}")

    return read


def _read_name(text: str) -> str:
    """Return the name of an entry. Assistants put it before the names of tools, and limit the length of both."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,16}", text):
        raise argparse.ArgumentTypeError("must have 1 to 16 letters, digits, hyphens or underscores")
    return text


def _add_audit(parser: Parser) -> None:
    parser.add_argument(
        "organization", nargs="?", metavar="ORGANIZATION", help="its ID (default: GITBOOK_ORGANIZATION)"
    )
    for name in ("integrations", "spaces", "sites"):
        parser.add_argument(f"--{name}", metavar="A,B", help=f"audit only these {name}")
    parser.add_argument(
        "--format", choices=["table", *EXPORT_FORMATS], help="default: by the ending of --output, else table"
    )
    parser.add_argument(
        "--json",
        action="store_const",
        dest="format",
        const="json",
        help="the same as --format json; errors are JSON too",
    )
    parser.add_argument("--table", choices=TABLE_NAMES, help="print only this table (csv: findings by default)")
    parser.add_argument(
        "--output", type=read_path, metavar="FILE", help="write to this file instead of standard output"
    )
    parser.add_argument(
        "--baseline",
        metavar="WHEN|FILE",
        help="compare with an earlier audit: last; at least 24h, 7d or 4w old; up to a date (2026-11-18); or a file "
        "with a report of --format json",
    )
    parser.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        help="exit with 3 if there is a new finding of this severity or higher; without --baseline, every open finding "
        "counts as new",
    )
    parser.add_argument(
        "--details", action="store_true", help="show every finding with its fix, and the scripts on sites"
    )
    parser.add_argument("--open", action="store_true", help="open the report as a page in a browser, too")
    parser.add_argument(
        "--notify",
        metavar="slack[:URL]",
        help="send new findings to an incoming webhook of Slack; without URL, to that in SLACK_WEBHOOK_URL",
    )


def _add_schedule(parser: Parser) -> None:
    systems = {"github": "a workflow of GitHub Actions", "cron": "a crontab", "systemd": "a service and a timer"}
    words = "; ".join(f"{name}: {meaning}" for name, meaning in systems.items())
    parser.add_argument("system", choices=list(systems), metavar="SYSTEM", help=words)
    parser.add_argument(
        "organization", nargs="?", metavar="ORGANIZATION", help="its ID (default: GITBOOK_ORGANIZATION)"
    )
    parser.add_argument("--fail-on", choices=SEVERITIES, default="high", help="as for `audit` (default: high)")
    parser.add_argument(
        "--notify", action="store_true", help="send new findings to Slack; the file says where its URL belongs"
    )


def _add_audit_actions(add_command: Callable[[str, str], Parser]) -> None:
    accept = add_command("audit accept", "Accept a finding, or all findings of a rule. Asks for approval.")
    withdraw = add_command("audit withdraw", "Withdraw the acceptance of a finding or a rule. Asks for approval.")
    explain = add_command("audit explain", "Explain a rule, or a finding of your latest audit.")
    accept.add_argument("--reason", required=True, metavar="TEXT", help="why the risk is acceptable")
    accept.add_argument("--until", metavar="WHEN", help="last day of the acceptance: 2027-06-30, 30d or 4w")
    for parser in (accept, withdraw, explain):
        parser.add_argument("finding", metavar="ID", help="ID of a finding or a rule")
        parser.add_argument("--organization", metavar="ORGANIZATION", help="its ID (default: GITBOOK_ORGANIZATION)")
        _add_json(parser)


def _run(name: str, settings: "Settings", arguments: Namespace) -> int:
    """Run a command, whose module is imported only now."""
    code: int = importlib.import_module(f"{__package__}.{name}").run(settings, arguments)
    return code
