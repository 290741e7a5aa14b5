"""How assistants start this server: the entry for their configuration, to paste or to have written into its file.

An entry names the variables that hold tokens, never a token. Whatever else a file holds stays there.
"""

import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS, Assistant
from gitbook_integrations_mcp.config.models import GitBookSection
from gitbook_integrations_mcp.config.settings import PREFIX, Settings, iterate_settings, name_variable

NAME = "gitbook-integrations"

_SECRETS: Mapping[str, str] = {
    "GITBOOK_TOKEN": "your personal access token",
    "GITBOOK_INTEGRATION_TOKEN": "your integration's token",
}
"""Variables that hold a token, each with what to put there."""

_KEPT = frozenset({"confirmation", "journal", "audit", "limits"})
"""Sections whose variables are carried over: an assistant has not this shell's, and some of them are safeguards."""


def describe_connections(settings: Settings, config: Path | None = None) -> dict[str, str]:
    """Return, by assistant and file, the configuration to paste; for the sandbox, one that needs no token.

    It carries over what limits the server (`tools`), as an assistant starts it without this shell's flags and
    environment.
    """
    return {
        f"{assistant.title} ({_shorten(assistant.path)})": write_fragment(assistant, settings, config)
        for assistant in ASSISTANTS.values()
    }


def write_fragment(assistant: Assistant, settings: Settings, config: Path | None = None) -> str:
    """Return the part of the assistant's configuration that is about this server, as text."""
    return _dump(assistant, _add_entry({}, assistant, settings, config), indent=2).rstrip()


def connect(
    name: str, settings: Settings, config: Path | None, file: Path | None, *, dry_run: bool, print_only: bool
) -> int:
    """Put this server into the configuration of the assistant `name`, tell what was done, and return the exit code.

    The file is merged, not replaced: other servers and settings stay, and so does what a human has put into this
    server's entry, a token above all. A copy of it as it was is kept beside it.

    Raises:
        SettingsError: a toolset or tool that does not exist; the assistant could not start the server.
    """
    Policy(settings.tools, settings.confirmation)
    assistant = ASSISTANTS[name]
    fragment = write_fragment(assistant, settings, config)
    if print_only:
        print(fragment)
        return 0
    path = (file or assistant.path).resolve()  # a file that is a link stays one
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        content = _parse(assistant, before)
        kept = _dump(assistant, content, _find_indent(before))
        merged = _dump(assistant, _add_entry(content, assistant, settings, config), _find_indent(before))
        if merged == kept and before:
            print(f"{_shorten(path)} has it already; nothing was changed.")
            return 0
        if dry_run:
            print(f"{_shorten(path)} would get this; nothing was changed.\n{fragment}")
            return 0
        backup = _replace(path, merged)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not what this program can merge"
        print(f"{_shorten(path)} was not changed: {reason}. Add this by hand:\n{fragment}", file=sys.stderr)
        return 1
    print(f"{assistant.title} starts this server from now on: {_shorten(path)}")
    if backup:
        print(f"As it was: {_shorten(backup)}")
    print(_tell_next(assistant, settings))
    return 0


def _add_entry(
    content: MutableMapping[str, Any], assistant: Assistant, settings: Settings, config: Path | None
) -> MutableMapping[str, Any]:
    """Add the entry to what a file holds, in place.

    Raises:
        ValueError: there is something else in its place.
    """
    servers = content.setdefault(assistant.servers, {})
    if not isinstance(servers, MutableMapping):
        raise ValueError(assistant.servers)  # noqa: TRY004
    entry = servers.setdefault(NAME, {})
    if not isinstance(entry, MutableMapping):
        raise ValueError(NAME)  # noqa: TRY004
    command, arguments = _find_command()
    plain, secret = _list_variables(settings)
    if assistant.typed:
        entry["type"] = "stdio"
    entry["command"], entry["args"] = command, [*arguments, *_spell_flags(settings, config)]
    if assistant.format == "toml":
        if secret:  # it passes variables on by name
            entry["env_vars"] = [*plain, *secret]
        return content
    given = entry.get("env")
    refer = assistant.reference or "<{what}>"
    references = {variable: refer.format(name=variable, what=what) for variable, what in secret.items()}
    if env := {**references, **(given if isinstance(given, dict) else {}), **plain}:
        entry["env"] = env
    if assistant.prompts and secret:
        inputs = content.setdefault("inputs", [])
        known = {one.get("id") for one in inputs if isinstance(one, dict)}
        inputs += [
            {"type": "promptString", "id": variable, "description": what, "password": True}
            for variable, what in secret.items()
            if variable not in known
        ]
    return content


def _parse(assistant: Assistant, text: str) -> MutableMapping[str, Any]:
    """Return what a file holds.

    Raises:
        ValueError: it cannot be read, or not be written again without losing something, its comments for example.
    """
    if assistant.format == "toml":
        import tomlkit

        return tomlkit.parse(text)
    content = json.loads(text.removeprefix("\ufeff")) if text.strip() else {}
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004
    return content


def _dump(assistant: Assistant, content: Mapping[str, Any], indent: int | str) -> str:
    if assistant.format == "toml":
        import tomlkit

        return tomlkit.dumps(content)
    return json.dumps(content, indent=indent, ensure_ascii=False) + "\n"


def _find_indent(text: str) -> int | str:
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return found.group(1) if found else 2


def _replace(path: Path, text: str) -> Path | None:
    """Write a file as a whole, and return the copy of what was there before, if anything was."""
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


def _tell_next(assistant: Assistant, settings: Settings) -> str:
    _, secret = _list_variables(settings)
    restart = f"Restart {assistant.title}, if it runs."
    if not secret:
        return restart
    names = " and ".join(secret)
    if assistant.prompts:
        return f"{restart} It asks for {names} when it starts the server."
    if assistant.reference or assistant.format == "toml":
        return f"{restart} It takes {names} from its environment: set it where {assistant.title} is started."
    return f"Put {names} into that file, which you should keep to yourself. {restart}"


def _spell_flags(settings: Settings, config: Path | None) -> list[str]:
    tools = settings.tools
    if config is None and (named := os.environ.get(f"{PREFIX}CONFIG")):
        config = Path(named)
    names = {"--toolsets": tools.toolsets, "--tools": tools.include, "--exclude-tools": tools.exclude or None}
    return [
        *(["--config", str(config.absolute())] if config else []),
        *(word for flag, value in names.items() if value is not None for word in (flag, ",".join(value))),
        *(["--read-only"] if tools.read_only else []),
        *([] if settings.server.transport == ("stdio",) else ["--transport", "stdio"]),
        *(["--sandbox"] if settings.server.sandbox else []),
    ]


def _list_variables(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables that are no secret and do not have their default, and those that hold a token."""
    kept = {
        name: value
        for section, key, field in iterate_settings()
        if section in _KEPT and "Secret" not in repr(field.annotation)
        if (value := os.environ.get(name := name_variable(section, key)))
    }
    if settings.server.sandbox:
        return kept, {}
    ours, default = settings.gitbook, GitBookSection()
    plain = {
        "GITBOOK_ENDPOINT": ours.endpoint if ours.endpoint != default.endpoint else None,
        "GITBOOK_ORGANIZATION": ours.organization,
    }
    secret = {name: what for name, what in _SECRETS.items() if name == "GITBOOK_TOKEN" or ours.integration_token}
    return {name: value for name, value in plain.items() if value} | kept, secret


def _find_command() -> tuple[str, list[str]]:
    """Return an absolute command, as assistants start servers with another PATH than the shell's."""
    if command := shutil.which("gitbook-integrations-mcp", path=sysconfig.get_path("scripts")):
        return command, []
    return sys.executable, ["-m", "gitbook_integrations_mcp"]


def _shorten(path: Path) -> str:
    """Return a path as its owner would write it."""
    return f"~/{path.relative_to(Path.home()).as_posix()}" if path.is_relative_to(Path.home()) else str(path)
