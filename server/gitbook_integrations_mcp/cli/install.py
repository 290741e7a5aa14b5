"""The command `install`: adds this server to the configuration of an assistant.

An entry refers to the variables that hold tokens and contains no token. The rest of the file stays unchanged.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import sysconfig
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gitbook_integrations_mcp import NAME as PROGRAM
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.cli.assistant_file import MASK, Document, compare, read_document, read_file, replace_file
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS, Assistant
from gitbook_integrations_mcp.cli.flags import format_flags
from gitbook_integrations_mcp.config.json_text import parse_json
from gitbook_integrations_mcp.config.models import GitBookSection
from gitbook_integrations_mcp.config.settings import PREFIX, Settings, iterate_settings, name_variable
from gitbook_integrations_mcp.config.types import is_reference
from gitbook_integrations_mcp.process import FAILURE, SUCCESS

NAME = "gitbook"
"""The name of this server's entry. Assistants put it before the name of each tool, and limit the length of both."""

OLD_NAME = "gitbook-integrations"
"""The name of the entry in earlier releases. `install` renames it."""

SECRETS: Mapping[str, str] = {
    "GITBOOK_TOKEN": "your personal access token",
    "GITBOOK_INTEGRATION_TOKEN": "your integration's token",
}
"""Variables that hold a token, each with the value it needs."""

_PLAIN = frozenset(
    {"GITBOOK_ENDPOINT", "GITBOOK_ORGANIZATION"}
    | {
        name_variable(section, key)
        for section, key, field in iterate_settings()
        if section != "gitbook" and "Secret" not in repr(field.annotation)
    }
)
"""Variables that hold no secret."""

_CARRIED = frozenset({"confirmation", "store", "audit", "limits"})
"""Sections whose variables go into the entry: the assistant has no access to this shell's, and some are safeguards."""


def format_entries(settings: Settings, config: Path | None = None) -> dict[str, str]:
    """Return the entry to paste by assistant and file; for the sandbox, one without a token.

    It contains the flags and variables of this shell that limit the server, because an assistant has neither.
    """
    return {
        f"{assistant.title} ({format_path(assistant)})": format_entry(assistant, settings, config)
        for assistant in ASSISTANTS.values()
    }


def format_entry(assistant: Assistant, settings: Settings, config: Path | None = None) -> str:
    """Return this server's part of the assistant's configuration as text."""
    document = read_document(assistant, "")
    _add_entry(document, assistant, settings, config)
    return document.text.strip()


def run(settings: Settings, arguments: Namespace) -> int:
    """Add this server to the configuration of the assistant, print what was done, and return the exit code.

    The file is edited: other servers and settings stay. This server's own entry is replaced, except for the variables
    that a human put there, above all a token. A backup is kept beside the file.

    Raises:
        SettingsError: a toolset or tool does not exist, so the assistant could not start the server.
    """
    Policy(settings.tools, settings.confirmation)
    assistant, config = ASSISTANTS[arguments.assistant], arguments.config
    if arguments.print:
        print(format_entry(assistant, settings, config))
        return SUCCESS

    def add(document: Document) -> None:
        if assistant.prompts and arguments.file and arguments.file.name != "mcp.json":
            raise ValueError(f"is not named mcp.json, the only file in which {assistant.title} looks for servers")
        _add_entry(document, assistant, settings, config)

    try:
        edit = Edit(assistant, arguments.file, add)
        if not edit.changes:
            print(f"No change: {edit.name} already has this entry.")
            return SUCCESS
        if arguments.dry_run:
            print(f"Dry run: nothing was written. The changes to {edit.name}:\n{edit.describe()}")
            return SUCCESS
        backup = edit.write()
    except EditError as error:
        print(f"{error} Add this yourself:\n{format_entry(assistant, settings, config)}", file=sys.stderr)
        return FAILURE
    print(f"Added to {assistant.title}: {edit.name}")
    report_backup(backup)
    print(_format_next_step(assistant, settings, edit.after.content[assistant.servers][NAME].get("env", {})))
    return SUCCESS


def _locate(assistant: Assistant) -> Path:
    try:
        return assistant.path
    except RuntimeError:
        raise ValueError("is in the home directory, and this user has none. Pass --file") from None


class EditError(Exception):
    """A file that cannot be edited without loss. The file and its folder are unchanged."""


class Edit:
    """A change of an assistant's file, before it is written.

    Raises:
        EditError: the file cannot be read, or cannot be edited without loss.
    """

    def __init__(self, assistant: Assistant, file: Path | None, change: Callable[[Document], None]) -> None:
        self.name = str(file) if file else format_path(assistant)
        self._assistant = assistant
        with self._explain():
            self._path = (file or _locate(assistant)).resolve()  # a file that is a link stays one
            self._before = read_file(self._path)
            self.before = read_document(assistant, self._before or "")
            self.after = read_document(assistant, self._before or "")
            change(self.after)
            read_document(assistant, self.after.text)

    @property
    def changes(self) -> bool:
        """Whether the edit changes the file."""
        return self.after.text != self._before

    def describe(self) -> str:
        """Return a unified diff without secrets."""
        is_hidden = _hide_secrets(self._assistant, self.after.content)
        before = self.before.mask(is_hidden, MASK) if self._before else ""
        return compare(self._path, before, self.after.mask(is_hidden, MASK))

    def write(self) -> Path | None:
        """Replace the file, and return the backup of the old one, if there was one."""
        with self._explain():
            return replace_file(self._path, self._before, self.after.text)

    @contextlib.contextmanager
    def _explain(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EditError(f"Could not edit {self.name}: {error.strerror}.") from None
        except ValueError as error:
            raise EditError(f"Could not edit {self.name}: it {error}.") from None
        except RuntimeError:
            raise EditError(f"Could not edit {self.name}: it is a link to itself.") from None


def report_backup(backup: Path | None) -> None:
    """Print where the backup is, if there is one."""
    if backup:
        print(f"Backup: {_shorten(backup)}")


def remove_entry(document: Document, assistant: Assistant) -> None:
    """Remove this server's entry, also one with the old name.

    Raises:
        ValueError: the entry is of another server.
    """
    for name in (NAME, OLD_NAME):
        if _find_entry(document, assistant, name) is not None:
            document.remove((assistant.servers, name))


def find_entry(document: Document, assistant: Assistant) -> Mapping[str, Any] | None:
    """Return this server's entry, also one with the old name, if there is one.

    Raises:
        ValueError: the file has something else there.
    """
    found = _find_entry(document, assistant, NAME)
    return _find_entry(document, assistant, OLD_NAME) if found is None else found


def _find_entry(document: Document, assistant: Assistant, name: str) -> Mapping[str, Any] | None:
    servers = document.content.get(assistant.servers, {})
    if not isinstance(servers, Mapping):
        raise ValueError(f"has something else as {assistant.servers}")  # noqa: TRY004
    entry = servers.get(name)
    if entry is None and name not in servers:
        return None
    if not isinstance(entry, Mapping):
        raise ValueError(f"has something else as {name}")  # noqa: TRY004
    words = json.dumps([entry.get("command"), entry.get("args")])
    if "command" in entry and PROGRAM not in words.replace("_", "-"):
        raise ValueError(f"has another server with the name {name}. Rename it first")
    return entry


def _add_entry(document: Document, assistant: Assistant, settings: Settings, config: Path | None) -> None:
    """Add the entry to a document.

    Raises:
        ValueError: the file has something else there.
    """
    place = (assistant.servers, NAME)
    current, old = (_find_entry(document, assistant, name) for name in (NAME, OLD_NAME))
    given: dict[str, Any] = {}
    for entry in (old, current):
        if entry and isinstance(entry.get("env"), Mapping):
            given |= entry["env"]
    entry = _make_entry(assistant, settings, config, given)
    if old is not None and current is None:
        document.rename((assistant.servers, OLD_NAME), NAME)
    elif old is not None:
        document.remove((assistant.servers, OLD_NAME))
    if current != entry:
        document.set(place, entry)
    _, secret = _list_variables(settings)
    if not (assistant.prompts and secret):
        return
    inputs = document.content.get("inputs")
    if inputs is None:
        document.set(("inputs",), [])
    elif not isinstance(inputs, list):
        raise ValueError("has something else as inputs")
    known = {one.get("id") for one in inputs or [] if isinstance(one, dict)}
    for variable, value in secret.items():
        if variable not in known:
            document.append(
                ("inputs",), {"type": "promptString", "id": variable, "description": value, "password": True}
            )


def _make_entry(
    assistant: Assistant, settings: Settings, config: Path | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return this server's entry, with the variables that a human put into it."""
    command, arguments = _find_command()
    plain, secret = _list_variables(settings)
    entry: dict[str, Any] = {"type": "stdio"} if assistant.typed else {}
    entry |= {"command": command, "args": [*arguments, *_format_flags(settings, config)]}
    kept = {name: value for name, value in given.items() if name not in SECRETS or not is_reference(str(value))}
    if assistant.format == "toml":  # this assistant passes variables on by name
        if secret:
            entry["env_vars"] = [*secret]
        env = {**kept, **plain}
    else:
        reference = assistant.reference or "<{value}>"
        references = {variable: reference.format(name=variable, value=value) for variable, value in secret.items()}
        env = {**references, **kept, **plain}
    return {**entry, "env": env} if env else entry


def _hide_secrets(assistant: Assistant, after: Any) -> Callable[[tuple[str, ...], str], bool]:
    """Return whether to hide a text of the file: everything outside this server's entry, and tokens in it."""
    entry = after.get(assistant.servers, {}).get(NAME, {})
    ours = {entry.get("type"), entry.get("command"), *entry.get("args", ())}

    def is_hidden(path: tuple[str, ...], value: str) -> bool:
        if path[0] == "inputs":
            return "id" not in path and value not in {"promptString", *SECRETS, *SECRETS.values()}
        if len(path) < 3 or path[0] != assistant.servers or path[1] not in {NAME, OLD_NAME}:
            return True
        if path[2] == "env":
            return not (is_reference(value) or path[-1] in _PLAIN)
        return not (value in ours or value in SECRETS or re.fullmatch("--[a-z-]+", value))

    return is_hidden


def _format_next_step(assistant: Assistant, settings: Settings, env: Mapping[str, Any]) -> str:
    _, secret = _list_variables(settings)
    restart = f"Restart {assistant.title} if it is running."
    missing = [name for name in secret if name not in env or is_reference(str(env[name]))]
    if not missing:
        return restart
    names = " and ".join(missing)
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
    carried = dict(_list_carried())
    if settings.server.sandbox:
        return carried, {}
    gitbook, default = settings.gitbook, GitBookSection()
    plain = {
        "GITBOOK_ENDPOINT": gitbook.endpoint if gitbook.endpoint != default.endpoint else None,
        "GITBOOK_ORGANIZATION": gitbook.organization,
    }
    secret = {name: value for name, value in SECRETS.items() if name == "GITBOOK_TOKEN" or gitbook.integration_token}
    return {name: value for name, value in plain.items() if value} | carried, secret


def _list_carried() -> Iterator[tuple[str, str]]:
    """Yield the variables of this shell that the entry needs, with absolute paths: assistants use another folder."""
    variables = {name.upper(): value for name, value in os.environ.items()}
    for section, key, field in iterate_settings():
        annotation = repr(field.annotation)
        if section not in _CARRIED or "Secret" in annotation:
            continue
        whole = variables.get(f"{PREFIX}{section}".upper())
        value = variables.get(name := name_variable(section, key)) or (parse_json(whole).get(key) if whole else None)
        if value is None or value == "":
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        yield name, str(Path(text).absolute()) if "Path" in annotation else text


def _find_command() -> tuple[str, list[str]]:
    """Return an absolute command, because the PATH of assistants differs from the shell's."""
    if command := shutil.which(PROGRAM, path=sysconfig.get_path("scripts")):
        return command, []
    return sys.executable, ["-m", "gitbook_integrations_mcp"]


def format_path(assistant: Assistant) -> str:
    """Return the path of an assistant's file for people, also where there is no home directory."""
    try:
        return _shorten(assistant.path)
    except RuntimeError:
        return f"~/{assistant.file}"


def _shorten(path: Path) -> str:
    """Return a path, with `~` for the home directory."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(path)
