"""The AI assistants that can start this server: where each keeps its list of MCP servers, and how an entry looks there.

Adding an assistant is adding a row to `ASSISTANTS`.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Assistant:
    """An assistant's configuration file.

    `folder` finds the folder of `file` for the current user. `servers` is the key of the file below which servers stand
    by name. `reference` is how the file refers to a variable of the environment; without it, what is secret has to be
    put into the file by hand. `typed` entries say over which transport their server speaks.
    """

    title: str
    folder: Callable[[], Path]
    file: str
    servers: str = "mcpServers"
    format: Literal["json", "toml"] = "json"
    reference: str | None = None
    typed: bool = False
    prompts: bool = False
    """Whether it asks its user for secrets itself (VS Code's `inputs`)."""

    @property
    def path(self) -> Path:
        """The file that holds for all of the user's projects."""
        return self.folder() / self.file


def _in_home(*parts: str) -> Callable[[], Path]:
    return lambda: Path.home().joinpath(*parts)


def _in_application_data(*parts: str) -> Callable[[], Path]:
    """Where desktop applications of this operating system keep what is theirs."""

    def find() -> Path:
        if sys.platform == "darwin":
            return Path.home().joinpath("Library", "Application Support", *parts)
        if sys.platform == "win32":
            return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming").joinpath(*parts)
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config").joinpath(*parts)

    return find


ASSISTANTS: Mapping[str, Assistant] = MappingProxyType(
    {
        # With an empty default, as a variable that is not set would be passed on as the reference itself.
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
"""Assistants by the name under which the command line knows them."""
