"""The command `tools`: lists the offered tools and what each costs a model."""

import json
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from gitbook_integrations_api.catalog import TOOLSET_OF
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.cli.console import print_json, print_table
from gitbook_integrations_mcp.cli.launcher import show_commands
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.validation import offers_folders
from gitbook_integrations_mcp.features.tools import describe_tool
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.text import format_count
from gitbook_integrations_mcp.tokens import estimate_tool


def run(settings: Settings, arguments: Namespace) -> int:
    """Print the tools as a table or as JSON."""
    rows = list_tools(settings)
    total = sum(row["tokens"] for row in rows)
    if arguments.json:
        print_json({"tools": rows, "tokens": total})
    else:
        notes = [
            f"{format_count(len(rows), 'tool')}, about {total:,} tokens",
            show_commands(f"`{NAME} call TOOL --help` shows the arguments of a tool."),
        ]
        print_table(rows, notes)
    return SUCCESS


def list_tools(settings: Settings) -> list[dict[str, Any]]:
    """Return a row for each offered tool, in the order in which clients get them."""
    policy = Policy(settings.tools, settings.confirmation, folders=offers_folders(settings))
    _, credentials, _ = open_gitbook(settings)
    return [
        {
            "tool": tool.name,
            "risk": str(tool.risk),
            "approval": policy.may_need_confirmation(tool),
            "toolset": TOOLSET_OF[tool.name],
            "method": tool.method if isinstance(tool, Endpoint) else None,
            "path": tool.path if isinstance(tool, Endpoint) else None,
            "scopes": list(tool.scopes),
            "credential": credentials.choose(tool),
            "tokens": estimate_cost(
                describe_tool(tool, settings.gitbook.organization).model_dump(by_alias=True, exclude_none=True)
            ),
        }
        for tool in policy.tools.values()
    ]


def estimate_cost(tool: Mapping[str, Any]) -> int:
    """Return about how many tokens the model reads of a tool: name, description and input schema."""
    visible = {key: tool[key] for key in ("name", "description", "inputSchema")}
    return estimate_tool(json.dumps(visible, ensure_ascii=False, separators=(",", ":")))
