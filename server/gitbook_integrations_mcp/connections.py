"""Ready configurations with which assistants start this server. They name the token's variable, never a token."""

import json
import shlex
import shutil
import sys
import sysconfig
from typing import Any

NAME = "gitbook-integrations"


def describe_connections(*, sandbox: bool = False) -> dict[str, str]:
    """Return, by client, the configuration to paste; with `sandbox`, one that needs no token."""
    command, arguments = _find_command()
    if sandbox:
        arguments = [*arguments, "--sandbox"]
    server: dict[str, Any] = {"command": command, "args": arguments}
    token = {} if sandbox else {"env": {"GITBOOK_TOKEN": "<your personal access token>"}}
    prompted = {} if sandbox else {"env": {"GITBOOK_TOKEN": "${input:gitbook-token}"}}
    inputs = [{"type": "promptString", "id": "gitbook-token", "description": "GitBook token", "password": True}]
    vscode = {"servers": {NAME: {"type": "stdio", **server, **prompted}}, **({} if sandbox else {"inputs": inputs})}
    desktop = json.dumps({"mcpServers": {NAME: {**server, **token}}}, indent=2)
    variable = "" if sandbox else ' --env GITBOOK_TOKEN="$GITBOOK_TOKEN"'
    return {
        "Claude Code": f"claude mcp add {NAME}{variable} -- {' '.join(map(shlex.quote, [command, *arguments]))}",
        "Claude Desktop (claude_desktop_config.json)": desktop,
        "Cursor (~/.cursor/mcp.json)": desktop,
        "VS Code (.vscode/mcp.json)": json.dumps(vscode, indent=2),
        "Codex (~/.codex/config.toml)": "\n".join(
            [
                f"[mcp_servers.{NAME}]",
                f"command = {json.dumps(command)}",
                f"args = {json.dumps(arguments)}",
                *([] if sandbox else ['env_vars = ["GITBOOK_TOKEN"]']),
            ]
        ),
    }


def _find_command() -> tuple[str, list[str]]:
    """Return an absolute command, as clients start servers with another PATH than the shell's."""
    if command := shutil.which("gitbook-integrations-mcp", path=sysconfig.get_path("scripts")):
        return command, []
    return sys.executable, ["-m", "gitbook_integrations_mcp"]
