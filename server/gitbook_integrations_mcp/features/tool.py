"""Tools as clients see them: name, description, schemas and annotations, all derived from the table."""

import mcp_types

from gitbook_integrations.endpoint import Risk, Tool
from gitbook_integrations.options import TOKEN_ARGUMENT, Options, name_options
from gitbook_integrations.schema import describe_model
from gitbook_integrations_mcp.pipeline.answer import describe_output
from gitbook_integrations_mcp.pipeline.arguments import ORGANIZATION
from gitbook_integrations_mcp.policy import Policy

WARNING = "A human must confirm."
"""How a description says that calls wait."""

_OPTIONS = describe_model(Options)["properties"]


def describe_tool(tool: Tool, organization: str | None = None) -> mcp_types.Tool:
    """Return what a client sees of a tool. A default `organization` makes `organizationId` optional."""
    schema = describe_model(tool.input)
    schema["properties"] |= {name: _OPTIONS[name] for name in name_options(tool)}
    if organization and ORGANIZATION in schema["properties"]:
        schema["required"] = [name for name in schema["required"] if name != ORGANIZATION]
    return mcp_types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema,
        output_schema=describe_output(tool),
        annotations=mcp_types.ToolAnnotations(
            read_only_hint=tool.risk is Risk.READ,
            destructive_hint=tool.is_destructive,
            idempotent_hint=tool.is_idempotent,
            open_world_hint=True,
        ),
        _meta={"ui": {"resourceUri": tool.view}} if tool.view else None,
    )


def describe_tools(policy: Policy, organization: str | None, *, two_step: bool) -> dict[str, mcp_types.Tool]:
    """Return the tools that `policy` offers, by name.

    Those that wait for a human say so, also where only the operator made them; with `two_step`, they take the token of
    the second step.
    """
    described = {name: describe_tool(tool, organization) for name, tool in policy.tools.items()}
    for name, tool in policy.tools.items():
        shown = described[name]
        if policy.is_gated(tool, {}) and WARNING not in (shown.description or ""):
            shown.description = f"{shown.description} {WARNING}"
        if two_step and policy.may_be_gated(tool):
            shown.input_schema["properties"][TOKEN_ARGUMENT] = _OPTIONS[TOKEN_ARGUMENT]
    return described
