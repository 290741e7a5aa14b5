"""Ready configurations with which assistants start this server. They name the token's variable, never a token."""

import json
import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from gitbook_integrations_mcp.settings import PREFIX, GitBookSection, Settings

NAME = "gitbook-integrations"


def describe_connections(settings: Settings, config: Path | None = None) -> dict[str, str]:
    """Return, by client, the configuration to paste; for the sandbox, one that needs no token.

    It carries over what limits the server (`tools`), as a client starts it without this shell's flags and environment.
    """
    command, arguments = _find_command()
    arguments = [*arguments, *_spell_flags(settings, config)]
    plain = {} if settings.server.sandbox else _list_variables(settings.gitbook)
    secrets = {} if settings.server.sandbox else _list_secrets(settings.gitbook)
    server: dict[str, Any] = {"command": command, "args": arguments}
    pasted = {**plain, **{name: f"<{what}>" for name, what in secrets.items()}}
    prompted = {**plain, **{name: f"${{input:{name}}}" for name in secrets}}
    inputs = [
        {"type": "promptString", "id": name, "description": what, "password": True} for name, what in secrets.items()
    ]
    vscode = {
        "servers": {NAME: {"type": "stdio", **server, **({"env": prompted} if prompted else {})}},
        **({"inputs": inputs} if inputs else {}),
    }
    desktop = json.dumps({"mcpServers": {NAME: {**server, **({"env": pasted} if pasted else {})}}}, indent=2)
    variables = [f" --env {shlex.quote(f'{name}={value}')}" for name, value in plain.items()]
    variables += [f' --env {name}="${name}"' for name in secrets]
    return {
        "Claude Code": f"claude mcp add {NAME}{''.join(variables)} -- {shlex.join([command, *arguments])}",
        "Claude Desktop (claude_desktop_config.json)": desktop,
        "Cursor (~/.cursor/mcp.json)": desktop,
        "VS Code (.vscode/mcp.json)": json.dumps(vscode, indent=2),
        "Codex (~/.codex/config.toml)": "\n".join(
            [
                f"[mcp_servers.{NAME}]",
                f"command = {json.dumps(command)}",
                f"args = {json.dumps(arguments)}",
                *([f"env_vars = {json.dumps([*plain, *secrets])}"] if secrets else []),
            ]
        ),
    }


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


def _list_variables(settings: GitBookSection) -> dict[str, str]:
    """Return the variables that are no secret and do not have their default."""
    default = GitBookSection()
    variables = {"GITBOOK_ENDPOINT": settings.endpoint if settings.endpoint != default.endpoint else None}
    variables["GITBOOK_ORGANIZATION"] = settings.organization
    return {name: value for name, value in variables.items() if value}


def _list_secrets(settings: GitBookSection) -> dict[str, str]:
    """Return the variables that hold a token, each with what to put there."""
    integration = {"GITBOOK_INTEGRATION_TOKEN": "your integration's token"} if settings.integration_token else {}
    return {"GITBOOK_TOKEN": "your personal access token", **integration}


def _find_command() -> tuple[str, list[str]]:
    """Return an absolute command, as clients start servers with another PATH than the shell's."""
    if command := shutil.which("gitbook-integrations-mcp", path=sysconfig.get_path("scripts")):
        return command, []
    return sys.executable, ["-m", "gitbook_integrations_mcp"]
