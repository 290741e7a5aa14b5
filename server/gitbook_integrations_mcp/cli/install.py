"""The command `install`: adds this server to the configuration of an assistant.

An entry refers to the variables that hold tokens and contains no token. The rest of the file stays unchanged.
"""

import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from argparse import Namespace
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomlkit

from gitbook_integrations_mcp import NAME as PROGRAM
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS, Assistant
from gitbook_integrations_mcp.cli.flags import format_flags
from gitbook_integrations_mcp.config.models import GitBookSection
from gitbook_integrations_mcp.config.settings import Settings, iterate_settings, name_variable
from gitbook_integrations_mcp.process import FAILURE, SUCCESS

NAME = "gitbook-integrations"
"""The name of this server's entry."""

_SECRETS: Mapping[str, str] = {
    "GITBOOK_TOKEN": "your personal access token",
    "GITBOOK_INTEGRATION_TOKEN": "your integration's token",
}
"""Variables that hold a token, each with the value it needs."""

_CARRIED = frozenset({"confirmation", "journal", "audit", "limits"})
"""Sections whose variables go into the entry: the assistant has no access to this shell's, and some are safeguards."""


def format_entries(settings: Settings, config: Path | None = None) -> dict[str, str]:
    """Return the entry to paste by assistant and file; for the sandbox, one without a token.

    It contains the flags and variables of this shell that limit the server, because an assistant has neither.
    """
    return {
        f"{assistant.title} ({_format_path(assistant.path)})": format_entry(assistant, settings, config)
        for assistant in ASSISTANTS.values()
    }


def format_entry(assistant: Assistant, settings: Settings, config: Path | None = None) -> str:
    """Return this server's part of the assistant's configuration as text."""
    return _dump(assistant, _add_entry({}, assistant, settings, config), indent=2).rstrip()


def run(settings: Settings, arguments: Namespace) -> int:
    """Add this server to the configuration of the assistant, print what was done, and return the exit code.

    The file is merged: other servers and settings stay, and so do a human's own additions to this server's entry, above
    all a token. A backup is kept beside it.

    Raises:
        SettingsError: a toolset or tool does not exist, so the assistant could not start the server.
    """
    Policy(settings.tools, settings.confirmation)
    assistant, config = ASSISTANTS[arguments.assistant], arguments.config
    fragment = format_entry(assistant, settings, config)
    if arguments.print:
        print(fragment)
        return SUCCESS
    path = (arguments.file or assistant.path).resolve()  # a file that is a link stays one
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        content = _parse(assistant, before)
        unchanged = _dump(assistant, content, _find_indent(before))
        merged = _dump(assistant, _add_entry(content, assistant, settings, config), _find_indent(before))
        if merged == unchanged and before:
            print(f"No change: {_format_path(path)} already has this entry.")
            return SUCCESS
        if arguments.dry_run:
            print(f"Dry run: nothing was written. The entry for {_format_path(path)}:\n{fragment}")
            return SUCCESS
        backup = _replace(path, merged)
    except (OSError, ValueError) as error:
        print(
            f"Could not edit {_format_path(path)}: {_describe_problem(error)}. Add this yourself:\n{fragment}",
            file=sys.stderr,
        )
        return FAILURE
    print(f"Added to {assistant.title}: {_format_path(path)}")
    if backup:
        print(f"Backup: {_format_path(backup)}")
    print(_format_next_step(assistant, settings))
    return SUCCESS


def _describe_problem(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} is not valid JSON (comments are not supported)"
    line = getattr(error, "line", None)  # of tomlkit, whose texts quote the file
    return f"line {line} is not valid TOML" if line else str(error)


def _add_entry(
    content: MutableMapping[str, Any], assistant: Assistant, settings: Settings, config: Path | None
) -> MutableMapping[str, Any]:
    """Add the entry to the content of a file, in place.

    Raises:
        ValueError: the file has something else there.
    """
    servers = content.setdefault(assistant.servers, {})
    if not isinstance(servers, MutableMapping):
        raise ValueError(f"{assistant.servers} is not an object")  # noqa: TRY004
    entry = servers.setdefault(NAME, {})
    if not isinstance(entry, MutableMapping):
        raise ValueError(f"{NAME} is not an object")  # noqa: TRY004
    command, arguments = _find_command()
    plain, secret = _list_variables(settings)
    if assistant.typed:
        entry["type"] = "stdio"
    entry["command"], entry["args"] = command, [*arguments, *_format_flags(settings, config)]
    if assistant.format == "toml":
        if secret:  # the assistant passes variables on by name
            entry["env_vars"] = [*plain, *secret]
        return content
    given = entry.get("env")
    reference = assistant.reference or "<{value}>"
    references = {variable: reference.format(name=variable, value=value) for variable, value in secret.items()}
    if env := {**references, **(given if isinstance(given, dict) else {}), **plain}:
        entry["env"] = env
    if assistant.prompts and secret:
        inputs = content.setdefault("inputs", [])
        known = {one.get("id") for one in inputs if isinstance(one, dict)}
        inputs += [
            {"type": "promptString", "id": variable, "description": value, "password": True}
            for variable, value in secret.items()
            if variable not in known
        ]
    return content


def _parse(assistant: Assistant, text: str) -> MutableMapping[str, Any]:
    """Return the content of a file.

    Raises:
        ValueError: it cannot be read, or cannot be written again without loss, for example of its comments.
    """
    if assistant.format == "toml":
        return tomlkit.parse(text)
    content = json.loads(text.removeprefix("\ufeff")) if text.strip() else {}
    if not isinstance(content, dict):
        raise ValueError("it is not an object")  # noqa: TRY004
    return content


def _dump(assistant: Assistant, content: Mapping[str, Any], indent: int | str) -> str:
    if assistant.format == "toml":
        return tomlkit.dumps(content)
    return json.dumps(content, indent=indent, ensure_ascii=False) + "\n"


def _find_indent(text: str) -> int | str:
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return found.group(1) if found else 2


def _replace(path: Path, text: str) -> Path | None:
    """Write a whole file, and return the backup of the file that it replaces, if there was one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = None
    if path.exists():
        backup = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.bak")
        shutil.copy2(path, backup)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as new:
        new.write(text)
    if backup:
        shutil.copymode(backup, new.name)
    Path(new.name).replace(path)
    return backup


def _format_next_step(assistant: Assistant, settings: Settings) -> str:
    _, secret = _list_variables(settings)
    restart = f"Restart {assistant.title} if it is running."
    if not secret:
        return restart
    names = " and ".join(secret)
    if assistant.prompts:
        return f"{restart} It prompts you for {names} when it starts the server."
    if assistant.reference or assistant.format == "toml":
        return f"{restart} It reads {names} from its environment: set it where you start {assistant.title}."
    return f"Put {names} into that file, and keep the file private. {restart}"


def _format_flags(settings: Settings, config: Path | None) -> list[str]:
    words = format_flags(settings, config, "install")
    return words if settings.server.transport == ("stdio",) else [*words, "--transport", "stdio"]


def _list_variables(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables without secrets that differ from their default, and those that hold a token."""
    carried = {
        name: value
        for section, key, field in iterate_settings()
        if section in _CARRIED and "Secret" not in repr(field.annotation)
        if (value := os.environ.get(name := name_variable(section, key)))
    }
    if settings.server.sandbox:
        return carried, {}
    gitbook, default = settings.gitbook, GitBookSection()
    plain = {
        "GITBOOK_ENDPOINT": gitbook.endpoint if gitbook.endpoint != default.endpoint else None,
        "GITBOOK_ORGANIZATION": gitbook.organization,
    }
    secret = {name: value for name, value in _SECRETS.items() if name == "GITBOOK_TOKEN" or gitbook.integration_token}
    return {name: value for name, value in plain.items() if value} | carried, secret


def _find_command() -> tuple[str, list[str]]:
    """Return an absolute command, because the PATH of assistants differs from the shell's."""
    if command := shutil.which(PROGRAM, path=sysconfig.get_path("scripts")):
        return command, []
    return sys.executable, ["-m", "gitbook_integrations_mcp"]


def _format_path(path: Path) -> str:
    """Return a path, with `~` for the home directory."""
    return f"~/{path.relative_to(Path.home()).as_posix()}" if path.is_relative_to(Path.home()) else str(path)
