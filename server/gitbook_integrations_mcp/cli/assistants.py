"""The AI assistants that can start this server: the file with each one's MCP servers, and the form of an entry.

To add an assistant, add a row to `ASSISTANTS`.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

ENTRY = "gitbook"
"""The usual name of this server's entry. Assistants put it before the name of each tool, and limit both together."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """An assistant's configuration file.

    `folder` returns the folder of `file` for the current user. `servers` is the key of the servers by name.
    `reference` is the form of a reference to an environment variable; without it, the user has to write secrets into
    the file. `typed` entries name their transport.
    """

    title: str
    folder: Callable[[], Path]
    file: str
    servers: str = "mcpServers"
    format: Literal["json", "toml"] = "json"
    reference: str | None = None
    typed: bool = False
    prompts: bool = False
    """Whether it prompts its user for secrets (VS Code's `inputs`)."""

    @property
    def path(self) -> Path:
        """The file for all of the user's projects."""
        return self.folder() / self.file


def _in_home(*parts: str) -> Callable[[], Path]:
    return lambda: Path.home().joinpath(*parts)


def _in_application_data(*parts: str) -> Callable[[], Path]:
    """Return a function for a folder among the application data of this operating system."""

    def find() -> Path:
        if sys.platform == "darwin":
            return Path.home().joinpath("Library", "Application Support", *parts)
        if sys.platform == "win32":
            return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming").joinpath(*parts)
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config").joinpath(*parts)

    return find


ASSISTANTS: Mapping[str, Assistant] = MappingProxyType(
    {
        # The empty default: Claude Code would pass on the reference itself if the variable is not set.
        "claude-code": Assistant("Claude Code", _in_home(), ".claude.json", reference="${{{name}:-}}", typed=True),
        "claude-desktop": Assistant("Claude Desktop", _in_application_data("Claude"), "claude_desktop_config.json"),
        "cursor": Assistant("Cursor", _in_home(".cursor"), "mcp.json", reference="${{env:{name}}}"),
        "vscode": Assistant(
            "VS Code",
            _in_application_data("Code", "User"),
            "mcp.json",
            servers="servers",
            reference="${{input:{name}}}",
            typed=True,
            prompts=True,
        ),
        "windsurf": Assistant(
            "Windsurf", _in_home(".codeium", "windsurf"), "mcp_config.json", reference="${{env:{name}}}"
        ),
        "codex": Assistant("Codex", _in_home(".codex"), "config.toml", servers="mcp_servers", format="toml"),
        "gemini-cli": Assistant("Gemini CLI", _in_home(".gemini"), "settings.json", reference="${name}"),
    }
)
"""Assistants by their name on the command line."""
