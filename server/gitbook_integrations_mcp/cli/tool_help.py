"""The help of one tool: `call TOOL --help`."""

import json
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.cli.console import COMMAND, print_lines
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import ErrorCode, UsageError
from gitbook_integrations_mcp.features.tools import describe_tool
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.spelling import suggest


def run(settings: Settings, arguments: Namespace) -> int:
    """Print the description of a tool, and its arguments with type, default and whether they are required.

    Raises:
        UsageError: an unknown tool.
    """
    name: str = arguments.tool
    if name not in TOOLS:
        text = f"{name}: unknown tool.{suggest(name, TOOLS)} `{NAME} tools` lists the tools."
        raise UsageError(text, ErrorCode.UNKNOWN_TOOL)
    tool = describe_tool(TOOLS[name], settings.gitbook.organization)
    required = tool.input_schema.get("required", [])
    properties = tool.input_schema.get("properties", {})
    print_lines([[(f"usage: {NAME} call {name}{' ARGUMENT=VALUE ...' if properties else ''}", COMMAND)], []])
    print_lines([[(str(tool.description), "")], [], [("arguments:" if properties else "It has no arguments.", "")]])
    for argument, schema in properties.items():
        facts = [_describe_type(schema), *(["required"] if argument in required else [])]
        if schema.get("default") is not None:
            facts.append(f"default: {json.dumps(schema['default'])}")
        print_lines([[(f"  {argument}", "bold"), (f"  {', '.join(facts)}", "dim")]])
        if description := schema.get("description"):
            print_lines([[(f"    {description}", "")]])
    return SUCCESS


def _describe_type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(map(_describe_type, schema[key]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_describe_type(schema.get('items', {}))}"
    return " | ".join(kind) if isinstance(kind, list) else str(kind)
