"""The command `install`: adds this server to the configuration of an assistant.

An entry contains no token. It refers to the variables of tokens that are set here; without any, the server uses the
login with GitBook. The rest of the file stays unchanged.
"""

import contextlib
import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gitbook_integrations_mcp import NAME as PROGRAM
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.cli.assistant_file import MASK, Document, compare, read_document, read_file, replace_file
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS, ENTRY, Assistant
from gitbook_integrations_mcp.cli.flags import format_flags, list_variables
from gitbook_integrations_mcp.cli.launcher import find_command, name_command
from gitbook_integrations_mcp.cli.private_files import find_settings_file, is_exposed, make_private, suggest_private
from gitbook_integrations_mcp.config.settings import Settings, is_secret, iterate_settings, name_variable
from gitbook_integrations_mcp.config.types import is_reference
from gitbook_integrations_mcp.config.variables import CLI_VARIABLES
from gitbook_integrations_mcp.process import FAILURE, SUCCESS

OLD_NAME = "gitbook-integrations"
"""The name of the entry in earlier releases. `install` renames it."""

SECRETS: Mapping[str, str] = {
    "GITBOOK_TOKEN": "your personal access token",
    "GITBOOK_INTEGRATION_TOKEN": "your integration's token",
}
"""Variables that hold a token, each with the value it needs."""

_PLAIN = frozenset({*CLI_VARIABLES} - {*SECRETS}) | {
    name_variable(section, key) for section, key, field in iterate_settings() if not is_secret(field)
}
"""Variables that hold no secret."""

_NAMES = re.compile(
    rf"(?:.*[/\\](?:bin|Scripts)[/\\]|(?:[\w.:-]+/)*){PROGRAM.replace('-', '[-_]')}(?:\.exe|[:@=<>~\[].*)?",
    re.IGNORECASE,
)
"""This program, module, package or image, with a version or without. A folder of this name is none of these."""

_CARRIED = frozenset({section for section, _, _ in iterate_settings()} - {"http", "oauth"})
"""Sections whose variables go into the entry: the assistant has no access to this shell's, and some are safeguards."""

_OWN_MEMBERS = frozenset({"command", "args", "env", "env_vars", "type", "url", "serverUrl", "httpUrl", "headers"})
"""Members of an entry that say how the server is started or reached."""


def format_entry(
    assistant: Assistant,
    settings: Settings,
    config: Path | None = None,
    name: str = ENTRY,
    command: Sequence[str] = (),
) -> str:
    """Return this server's part of the assistant's configuration as text. `command` replaces this installation's."""
    document = read_document(assistant, "")
    _add_entry(document, assistant, settings, config, name, command)
    return document.text.strip()


def run(settings: Settings, arguments: Namespace) -> int:
    """Add this server to the configuration of the assistant, print what was done, and return the exit code.

    The file is edited: other servers and settings stay. In this server's own entry, the variables that a human put
    there stay, above all a token, and so do all members that do not say how the server is started. A backup is kept
    beside the file.

    Raises:
        SettingsError: a toolset or tool does not exist, so the assistant could not start the server.
    """
    Policy(settings.tools, settings.confirmation)
    assistant, config, name = ASSISTANTS[arguments.assistant], arguments.config, arguments.name
    if arguments.print:
        print(format_entry(assistant, settings, config, name))
        return SUCCESS

    def add(document: Document) -> None:
        if assistant.prompts and arguments.file and arguments.file.name != "mcp.json":
            raise ValueError(f"is not named mcp.json, the only file in which {assistant.title} looks for servers")
        _add_entry(document, assistant, settings, config, name)

    try:
        edit = Edit(assistant, arguments.file, add, name)
        if not edit.changes:
            print(f"No change: {edit.name} already has this entry.")
        elif arguments.dry_run:
            print(f"Dry run: nothing was written. The changes to {edit.name}:\n{edit.describe()}")
        else:
            backup = edit.write()
            print(f"Added to {assistant.title}: {edit.name}")
            report_backup(backup)
            print(_format_next_step(assistant, settings, edit.entry.get("env", {})))
            _save_answers(settings, config, edit.entry.get("env", {}))
    except EditError as error:
        print(f"{error} Add this yourself:\n{format_entry(assistant, settings, config, name)}", file=sys.stderr)
        return FAILURE
    if holds_token(edit.entry) and edit.is_exposed:
        _warn_of_exposed(edit.path)
    if (file := find_settings_file(config)) and is_exposed(file):
        if not arguments.dry_run and make_private(file):
            print(f"Other users could read the secrets in {_shorten(file)}. Now only the owner of the file can.")
        else:
            _warn_of_exposed(file)
    return SUCCESS


def _save_answers(settings: Settings, config: Path | None, given: Mapping[str, Any]) -> None:
    """Make the first start as fast as any other, with the variables of this shell or without: assistants differ."""
    from gitbook_integrations_mcp.cli.answers import save_answers

    words = _format_flags(settings, config)
    environ = {name: value for name, value in os.environ.items() if not name.upper().startswith("GITBOOK")}
    given = {name: str(value) for name, value in given.items()}
    settings = settings.model_copy(update={"server": settings.server.model_copy(update={"transport": ("stdio",)})})
    with contextlib.suppress(OSError):
        save_answers(settings, [(words, {**environ, **given}), (words, {**os.environ, **given})])


def _warn_of_exposed(path: Path) -> None:
    print(f"Warning: other users can read the secrets in {_shorten(path)}. {suggest_private(path)}", file=sys.stderr)


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

    def __init__(self, assistant: Assistant, file: Path | None, change: Callable[[Document], None], entry: str) -> None:
        self.name = str(file) if file else format_path(assistant)
        self._assistant = assistant
        self._entry = entry
        with self._explain():
            self.path = (file or _locate(assistant)).resolve()  # a file that is a link stays one
            self._before = read_file(self.path)
            self.before = read_document(assistant, self._before or "")
            self.after = read_document(assistant, self._before or "")
            change(self.after)
            if read_document(assistant, self.after.text).content != self.after.content:
                raise ValueError("has a layout that cannot be edited without loss")

    @property
    def changes(self) -> bool:
        """Whether the edit changes the file."""
        return self.after.text != self._before

    @property
    def entry(self) -> Mapping[str, Any]:
        """This server's entry after the edit."""
        entry: Mapping[str, Any] = self.after.content.get(self._assistant.servers, {}).get(self._entry, {})
        return entry

    @property
    def is_exposed(self) -> bool:
        """Whether other users can read the file."""
        return self.path.exists() and is_exposed(self.path)

    def describe(self) -> str:
        """Return a unified diff without secrets."""
        is_hidden = _hide_secrets(self._assistant, self.after.content, self._entry)
        before = self.before.mask(is_hidden, MASK) if self._before else ""
        return compare(self.path, before, self.after.mask(is_hidden, MASK))

    def write(self) -> Path | None:
        """Replace the file, and return the backup of the old one, if there was one."""
        with self._explain():
            return replace_file(self.path, self._before, self.after.text)

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


def remove_entry(document: Document, assistant: Assistant, name: str) -> None:
    """Remove this server's entry; for the usual name, also one with the old name. Entries of other servers stay.

    Raises:
        ValueError: the file has something else there.
    """
    for one in (ENTRY, OLD_NAME) if name == ENTRY else (name,):
        if _is_own(_list_servers(document, assistant).get(one)):
            document.remove((assistant.servers, one))


def find_entry(document: Document, assistant: Assistant) -> Mapping[str, Any] | None:
    """Return this server's entry, if there is one: that with the usual name, or else the first.

    Raises:
        ValueError: the file has something else there.
    """
    servers = _list_servers(document, assistant)
    return next((entry for entry in (servers.get(ENTRY), *servers.values()) if _is_own(entry)), None)


def holds_token(entry: Mapping[str, Any]) -> bool:
    """Whether an entry contains a token, not only a reference to one."""
    return any(not is_reference(token) for token in _list_tokens(entry).values())


def find_placeholder(entry: Mapping[str, Any]) -> str | None:
    """Return the variable of a token in an entry that still has the text of `install`, if there is one."""
    return next((name for name, token in _list_tokens(entry).items() if token == f"<{SECRETS[name]}>"), None)


def _list_tokens(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of tokens in an entry that are not empty."""
    env = entry.get("env")
    return {name: str(env[name]) for name in SECRETS if env.get(name)} if isinstance(env, Mapping) else {}


def _list_servers(document: Document, assistant: Assistant) -> Mapping[str, Any]:
    """Return the entries of all servers by name.

    Raises:
        ValueError: the file has something else there.
    """
    servers = document.content.get(assistant.servers, {})
    if not isinstance(servers, Mapping):
        raise ValueError(f"has something else as {assistant.servers}")  # noqa: TRY004
    return servers


def _is_own(entry: Any) -> bool:
    """Whether an entry starts this program. A remote entry does not, and could be of any server."""
    if not isinstance(entry, Mapping) or "command" not in entry:
        return False
    program = re.split(r"[/\\]", str(entry["command"]))[-1]
    arguments = entry.get("args")
    words = " ".join(map(str, arguments)).split() if isinstance(arguments, list) else []
    return any(map(_NAMES.fullmatch, (program, *words)))


def _add_entry(
    document: Document,
    assistant: Assistant,
    settings: Settings,
    config: Path | None,
    name: str,
    command: Sequence[str] = (),
) -> None:
    """Add the entry to a document.

    Raises:
        ValueError: the file has something else there, or the entry of another server.
    """
    place = (assistant.servers, name)
    servers = _list_servers(document, assistant)
    if name in servers and not _is_own(servers[name]):
        raise ValueError(f"has another server with the name {name}. Choose another name for this one with --name")
    current = servers.get(name)
    old = servers.get(OLD_NAME) if name == ENTRY and _is_own(servers.get(OLD_NAME)) else None
    given: dict[str, Any] = {}
    for entry in (old, current):
        given |= _list_given(entry or {})
    entry = _make_entry(assistant, settings, config, given, command or find_command())
    if old is not None and current is None:
        document.rename((assistant.servers, OLD_NAME), name)
    elif old is not None:
        document.remove((assistant.servers, OLD_NAME))
    # People add other members, for example to disable tools.
    entry |= {key: value for key, value in (current or old or {}).items() if key not in _OWN_MEMBERS}
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


def _list_given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of an entry, also those that an assistant passes on by name."""
    passed, env = entry.get("env_vars"), entry.get("env")
    references = {name: f"${{{name}}}" for name in passed if name in SECRETS} if isinstance(passed, list) else {}
    return references | dict(env) if isinstance(env, Mapping) else references


def _make_entry(
    assistant: Assistant, settings: Settings, config: Path | None, given: Mapping[str, Any], command: Sequence[str]
) -> dict[str, Any]:
    """Return this server's entry, with the variables that a human put into it."""
    plain, secret = _list_variables(settings)
    secret |= {name: value for name, value in SECRETS.items() if name in given}  # what the entry uses stays
    entry: dict[str, Any] = {"type": "stdio"} if assistant.typed else {}
    entry |= {"command": command[0], "args": [*command[1:], *_format_flags(settings, config)]}
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


def _hide_secrets(assistant: Assistant, after: Any, name: str) -> Callable[[tuple[str, ...], str], bool]:
    """Return whether to hide a text of the file: everything outside this server's entry, and tokens in it."""
    entry = after.get(assistant.servers, {}).get(name, {})
    ours = {entry.get("type"), entry.get("command"), *entry.get("args", ())}

    def is_hidden(path: tuple[str, ...], value: str) -> bool:
        if path[0] == "inputs":
            return "id" not in path and value not in {"promptString", *SECRETS, *SECRETS.values()}
        if len(path) < 3 or path[0] != assistant.servers or path[1] not in {name, OLD_NAME}:
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
        given = settings.server.sandbox or env.get("GITBOOK_TOKEN") or env.get("GITBOOK_INTEGRATION_TOKEN")
        if given:
            return restart
        return (
            f"{restart}\nThe entry has no token, so log in with GitBook: {name_command()} login\n"
            "Audits need a token: set GITBOOK_TOKEN to one, and run this command again."
        )
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
    sandbox, gitbook = settings.server.sandbox, settings.gitbook
    plain = list_variables(settings, _CARRIED - {"gitbook"} if sandbox else _CARRIED)
    if sandbox:
        return plain, {}
    used = {"GITBOOK_TOKEN": gitbook.token, "GITBOOK_INTEGRATION_TOKEN": gitbook.integration_token}
    unset = {f"GITBOOK_{key}".upper() for key in gitbook.unset_references}
    secret = {name: value for name, value in SECRETS.items() if used[name] or name in unset}
    return plain, secret


def format_path(assistant: Assistant) -> str:
    """Return the path of an assistant's file for people, also where there is no home directory."""
    try:
        return _shorten(assistant.path)
    except RuntimeError:
        return assistant.file


def _shorten(path: Path) -> str:
    """Return a path, with `~` for the home directory."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(path)
