"""Tables for people: the tools on offer with what they cost a model to know, and the journal."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitbook_integrations_api.catalog import TOOLSET_OF
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.cli.console import print_json, print_table
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.features.tools import describe_tool
from gitbook_integrations_mcp.pipeline.journal import read_journal
from gitbook_integrations_mcp.tokens import estimate_tool


def estimate_cost(tool: Mapping[str, Any]) -> int:
    """Return about how many tokens the model-visible part of a tool costs: name, description and input schema."""
    visible = {key: tool[key] for key in ("name", "description", "inputSchema")}
    return estimate_tool(json.dumps(visible, ensure_ascii=False, separators=(",", ":")))


def list_tools(settings: Settings) -> list[dict[str, Any]]:
    """Return a row for each tool on offer, in the order in which clients get them."""
    policy = Policy(settings.tools, settings.confirmation)
    return [
        {
            "toolset": TOOLSET_OF[tool.name],
            "tool": tool.name,
            "risk": str(tool.risk),
            "asks": policy.may_need_confirmation(tool),
            "method": tool.method if isinstance(tool, Endpoint) else None,
            "path": tool.path if isinstance(tool, Endpoint) else None,
            "tokens": estimate_cost(
                describe_tool(tool, settings.gitbook.organization).model_dump(by_alias=True, exclude_none=True)
            ),
        }
        for tool in policy.tools.values()
    ]


def print_tools(settings: Settings, *, as_json: bool) -> None:
    """Print the table, for a person or as JSON."""
    rows = list_tools(settings)
    total = sum(row["tokens"] for row in rows)
    if as_json:
        print_json({"tools": rows, "tokens": total})
    else:
        print_table(rows, footer=f"{len(rows)} tools, about {total:,} tokens")


def print_journal(path: Path | None, *, as_json: bool) -> int:
    """Print the journal at `path`, for a person or as JSON, and return the exit code."""
    if path is None:
        print("No journal is kept: set journal.path, or name a file.", file=sys.stderr)
        return 2
    try:
        records = list(read_journal(path))
    except FileNotFoundError:
        print(f"{path} does not exist: nothing has been recorded there yet.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The journal {path} cannot be read: {error.strerror}.", file=sys.stderr)
        return 1
    if as_json:
        print_json(records)
        return 0
    columns = ("time", "tool", "confirmation", "outcome", "status", "requestId", "principal", "arguments")
    rows = [{name: record.get(name) for name in columns} for record in records]
    for row in rows:
        row["arguments"] = json.dumps(row["arguments"], ensure_ascii=False)
    print_table(rows, footer=f"{len(records)} calls")
    return 0
