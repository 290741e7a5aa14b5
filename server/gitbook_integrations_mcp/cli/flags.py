"""The flags that stand for settings: each once, with its setting and the commands that take it."""

import argparse
import json
import os
from argparse import Namespace
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitbook_integrations_mcp.config.settings import Settings

CONFIG = "--config"
PROFILE = "--profile"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag, the `commands` that take it, and its `options` for argparse.

    `setting` is a section and a key; only the settings file and its profile have none.
    """

    name: str
    setting: tuple[str, str] | None
    commands: Collection[str]
    options: Mapping[str, Any]

    @property
    def attribute(self) -> str:
        """The name under which argparse keeps the value."""
        return self.name.removeprefix("--").replace("-", "_")


def read_path(text: str) -> Path:
    """Return a path for argparse, also if the shell left `~` as it was, for example in `--file=~/mcp.json`."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError("is in the home directory, and this user has none") from None


_OF_FOLDERS = frozenset({"publish", "check"})

_OF_TOOLS = frozenset({"serve", "tools", "call", "doctor", "install", "config", "login", "whoami"})
"""Commands that offer tools, or show or write how."""

AUDIT_ACTIONS = frozenset({"audit accept", "audit withdraw", "audit explain"})
"""Commands of two words."""

_WITH_SETTINGS = frozenset(
    {"accounts", "audit", "changes", "events", "schedule", "store", "new", "logout"}
    | _OF_TOOLS
    | _OF_FOLDERS
    | AUDIT_ACTIONS
)
"""Commands that read the settings file."""

FLAGS = (
    Flag(
        CONFIG,
        None,
        _WITH_SETTINGS,
        {"type": read_path, "metavar": "FILE", "help": "settings file (JSON)"},
    ),
    Flag(
        PROFILE,
        None,
        _WITH_SETTINGS,
        {"metavar": "NAME", "help": "profile in the settings file, for example one for each organization"},
    ),
    Flag("--toolsets", ("tools", "toolsets"), _OF_TOOLS, {"metavar": "A,B", "help": "offer only these toolsets"}),
    Flag(
        "--tools",
        ("tools", "include"),
        _OF_TOOLS,
        {"metavar": "A,B", "help": "offer only these tools, and those of --toolsets"},
    ),
    Flag("--exclude-tools", ("tools", "exclude"), _OF_TOOLS, {"metavar": "A,B", "help": "never offer these tools"}),
    Flag(
        "--read-only",
        ("tools", "read_only"),
        _OF_TOOLS,
        {"action": "store_true", "help": "offer only tools that change nothing"},
    ),
    Flag(
        "--roots",
        ("publishing", "roots"),
        _OF_TOOLS | _OF_FOLDERS,
        {"metavar": "A,B", "help": "folders below which integrations and their files may be read"},
    ),
    Flag(
        "--build",
        ("publishing", "build"),
        _OF_TOOLS | _OF_FOLDERS,
        {"action": "store_true", "help": "bundle scripts with the esbuild in the folder's own node_modules"},
    ),
    # An assistant starts the server over stdio: `install` has no use for these four.
    Flag(
        "--transport",
        ("server", "transport"),
        {"serve", "doctor"},
        {"metavar": "A,B", "help": "stdio, or one or both of sse and streamable-http, short: http (default: stdio)"},
    ),
    Flag(
        "--host",
        ("http", "host"),
        {"serve", "doctor", "sandbox"},
        {"help": "address to listen on over HTTP (default: 127.0.0.1)"},
    ),
    Flag(
        "--port",
        ("http", "port"),
        {"serve", "sandbox"},
        {"type": int, "help": "port to listen on over HTTP; 0 chooses a free one (default: 8000, sandbox: 8787)"},
    ),
    Flag(
        "--workers",
        ("http", "workers"),
        {"serve"},
        {
            "type": int,
            "metavar": "N",
            "help": "worker processes over HTTP; they share the store (default: 1)",
        },
    ),
    Flag(
        "--sandbox",
        ("server", "sandbox"),
        _OF_TOOLS - {"whoami"} | AUDIT_ACTIONS | {"audit", "events", "publish"},
        {"action": "store_true", "help": "use the built-in GitBook sandbox; needs no token and no network"},
    ),
    Flag(
        "--log-level",
        ("server", "log_level"),
        {"serve", "call", "doctor", "install", "audit", "events", "publish"} | AUDIT_ACTIONS,
        {
            "choices": ("debug", "info", "warning", "error"),
            "metavar": "LEVEL",
            "help": "log to standard error from this level: debug, info, warning (default) or error",
        },
    ),
)


def add_flags(parser: argparse.ArgumentParser, command: str, default: Any = None) -> None:
    """Add the flags that `command` takes; a flag that is not given gets `default`.

    The others are added without help, for `find_misplaced`: unknown flags with values would look like other arguments.
    """
    title = "settings (override environment variables, which override the settings file)"
    group = parser if command == "sandbox" else parser.add_argument_group(title)  # the sandbox reads no settings
    for flag in FLAGS:
        hidden = {} if command in flag.commands else {"help": argparse.SUPPRESS}
        group.add_argument(flag.name, default=default, **{**flag.options, **hidden})


def find_misplaced(arguments: Namespace) -> str | None:
    """Return a flag that was given and that the command does not take, if there is one."""
    given = (flag for flag in FLAGS if getattr(arguments, flag.attribute, None) is not None)
    return next((flag.name for flag in given if arguments.command not in flag.commands), None)


def find_given(arguments: Namespace, section: str) -> str | None:
    """Return a flag that was given and that stands for a setting of `section`, if there is one."""
    of_section = (flag for flag in FLAGS if flag.setting and flag.setting[0] == section)
    return next((flag.name for flag in of_section if getattr(arguments, flag.attribute, None) is not None), None)


def read_flags(arguments: Namespace) -> dict[str, dict[str, Any]]:
    """Return the flags that were given, as sections of settings."""
    sections: dict[str, dict[str, Any]] = {}
    for flag in FLAGS:
        value = getattr(arguments, flag.attribute, None)
        if flag.setting and value is not None:
            section, key = flag.setting
            sections.setdefault(section, {})[key] = value
    return sections


def format_flags(settings: "Settings", config: Path | None, command: str) -> list[str]:
    """Return the flags of `command` as arguments that lead to the same settings.

    `config` is the settings file; without it, the one that the environment names counts.
    """
    from gitbook_integrations_mcp.config.settings import PROFILE_VARIABLE, locate_settings_file

    config = locate_settings_file(config)
    words = [] if config is None else [CONFIG, str(config.absolute())]
    if profile := os.environ.get(PROFILE_VARIABLE):
        words += [PROFILE, profile]
    for flag in FLAGS:
        if flag.setting and command in flag.commands:
            section = getattr(settings, flag.setting[0])
            value = getattr(section, flag.setting[1])
            if value != type(section).model_fields[flag.setting[1]].default:
                words += [flag.name] if value is True else [flag.name, _format_value(value)]
    return words


def list_variables(settings: "Settings", sections: Collection[str], *, has_file: bool = True) -> dict[str, str]:
    """Return the settings of `sections` that have no flag, as variables without secrets and with absolute paths.

    A command that runs elsewhere needs those that the environment sets here, and without the settings file also those
    that the file sets.
    """
    from gitbook_integrations_mcp.config.settings import find_variable, is_secret, iterate_settings, name_variable
    from gitbook_integrations_mcp.config.variables import CLI_VARIABLES
    from gitbook_integrations_mcp.store.location import SQLITE, locate_store

    short = {place: name for name, place in CLI_VARIABLES.items()}
    flags = {flag.setting for flag in FLAGS}
    variables: dict[str, str] = {}
    for section, key, field in iterate_settings():
        value = getattr(getattr(settings, section), key)
        if section not in sections or (section, key) in flags or value == field.get_default():
            continue
        if has_file and find_variable(section, key) is None:
            continue
        if (section, key) == ("store", "url"):
            location = locate_store(settings)
            if location.url:  # which can contain a password
                continue
            value = f"{SQLITE}{location.path}" if location.path else "memory"
        elif is_secret(field):
            continue
        variables[short.get((section, key)) or name_variable(section, key)] = _format_value(value)
    return variables


def _format_value(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, str):
        return value
    if isinstance(value, tuple) and all(isinstance(one, str | Path) for one in value):
        return ",".join(map(str, value))
    from pydantic_core import to_jsonable_python

    return json.dumps(to_jsonable_python(value, exclude_none=True))
