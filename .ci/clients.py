"""How each assistant gets this server: install links, commands and pages, made from the program's own table."""

import base64
import json
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import metadata
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

from jinja2 import Template

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS, ENTRY, Assistant
from gitbook_integrations_mcp.cli.install import SECRETS, format_entry, format_path
from gitbook_integrations_mcp.config.settings import Settings

COMMAND = ("uvx", NAME)
"""Starts the released program without an installation."""

TOKEN = "GITBOOK_TOKEN"  # noqa: S105
AUTHOR = {"name": f"The authors of {NAME}"}
TEMPLATE = Path(__file__).with_name("client.md.jinja")


def _link_cursor() -> str:
    entry = {"command": COMMAND[0], "args": [*COMMAND[1:]], "env": {TOKEN: f"${{env:{TOKEN}}}"}}
    config = base64.b64encode(json.dumps(entry).encode()).decode()
    return f"https://cursor.com/en/install-mcp?name={ENTRY}&config={quote(config, safe='')}"


def _link_vscode() -> str:
    entry = {"type": "stdio", "command": COMMAND[0], "args": [*COMMAND[1:]], "env": {TOKEN: f"${{input:{TOKEN}}}"}}
    inputs = [{"type": "promptString", "id": TOKEN, "description": SECRETS[TOKEN], "password": True}]
    encoded = [quote(json.dumps(one), safe="") for one in (inputs, entry)]
    return f"https://insiders.vscode.dev/redirect/mcp/install?name={ENTRY}&inputs={encoded[0]}&config={encoded[1]}"


LINKS: Mapping[str, Callable[[], str]] = {"cursor": _link_cursor, "vscode": _link_vscode}
"""Pages that open an assistant and add the server there."""

COMMANDS: Mapping[str, str] = {
    "claude-code": f"claude mcp add {ENTRY} -- {' '.join(COMMAND)}",
}
"""Commands of assistants that add a server which gets `GITBOOK_TOKEN`."""

REPOSITORY = "https://github.com/gitbook-integrations-mcp/gitbook-integrations-mcp"

PACKAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "claude-code": (
        "Or install the plugin of this repository:",
        (
            f"claude plugin marketplace add {REPOSITORY.removeprefix('https://github.com/')}",
            f"claude plugin install {ENTRY}@{NAME}",
        ),
    ),
    "claude-desktop": (f"Or open the bundle (`.mcpb`) of a [release]({REPOSITORY}/releases) with a double-click.", ()),
    "gemini-cli": ("Or install the extension of this repository:", (f"gemini extensions install {REPOSITORY}",)),
}
"""Ways to install what this repository publishes for an assistant: a sentence, and commands."""


def build_client_table() -> str:
    """Return the table of the README: how to add the server to each assistant."""
    lines = ["| Assistant | Install |", "| --- | --- |"]
    for name, assistant in ASSISTANTS.items():
        ways = [f"[Add to {assistant.title}]({LINKS[name]()})"] if name in LINKS else []
        ways += [f"`{COMMANDS[name]}`"] if name in COMMANDS else []
        ways += [] if ways else [f"`uvx {NAME} install {name}`"]
        lines.append(f"| [{assistant.title}](docs/install/{name}.md) | {' '.join(ways)} |")
    return "\n".join(lines)


def build_page(name: str) -> str:
    """Return the page of one assistant."""
    assistant = ASSISTANTS[name]
    page: str = Template(TEMPLATE.read_text(encoding="utf-8"), keep_trailing_newline=True).render(
        name=name,
        assistant=assistant,
        command=" ".join(COMMAND),
        place=_name_place(assistant),
        link=LINKS[name]() if name in LINKS else None,
        own_command=COMMANDS.get(name),
        package=PACKAGES.get(name),
        entry=format_entry(assistant, Settings.model_validate({"gitbook": {"token": TOKEN}}), command=COMMAND),
    )
    return page


def _name_place(assistant: Assistant) -> str:
    """Return the path of the assistant's file, on each operating system if it differs."""
    paths = {}
    for system, platform in {"macOS": "darwin", "Linux": "linux", "Windows": "win32"}.items():
        with patch.object(sys, "platform", platform):
            paths[system] = format_path(assistant)
    if len({*paths.values()}) == 1:
        return f"`{paths['Linux']}`"
    paths["Windows"] = paths["Windows"].replace("~/AppData/Roaming", "%APPDATA%").replace("/", "\\")
    *others, last = [f"`{path}` ({system})" for system, path in paths.items()]
    return f"{', '.join(others)} or {last}"


def describe_plugin() -> dict[str, object]:
    """Return the manifest of the plugin for Claude Code: `.claude-plugin/plugin.json`."""
    about = metadata(NAME)
    return {
        "name": ENTRY,
        "version": about["Version"],
        "description": about["Summary"],
        "author": AUTHOR,
        "license": about["License-Expression"],
        "mcpServers": {
            ENTRY: {"command": COMMAND[0], "args": [*COMMAND[1:]], "env": {TOKEN: f"${{{TOKEN}:-}}"}},
        },
    }


def describe_marketplace() -> dict[str, object]:
    """Return the list of this repository's plugins for Claude Code: `.claude-plugin/marketplace.json`."""
    summary = metadata(NAME)["Summary"]
    plugin = {"name": ENTRY, "source": "./", "description": summary}
    return {"name": NAME, "owner": AUTHOR, "description": summary, "plugins": [plugin]}


def describe_extension() -> dict[str, object]:
    """Return the manifest of the extension for Gemini CLI: `gemini-extension.json`."""
    about = metadata(NAME)
    return {
        "name": ENTRY,
        "version": about["Version"],
        "description": about["Summary"],
        "mcpServers": {ENTRY: {"command": COMMAND[0], "args": [*COMMAND[1:]], "env": {TOKEN: f"${TOKEN}"}}},
    }
