"""Tools as clients see them: name, description, schemas and annotations, all derived from the endpoint."""

from mcp_types import Tool, ToolAnnotations

from gitbook_integrations.endpoint import Endpoint, Risk
from gitbook_integrations.schema import describe_model
from gitbook_integrations_mcp.answer import describe_output
from gitbook_integrations_mcp.arguments import ORGANIZATION
from gitbook_integrations_mcp.policy import Policy
from gitbook_integrations_mcp.verdict import TOKEN_ARGUMENT

WARNING = "A human must confirm."
"""How a description says that calls wait."""


def describe_tool(endpoint: Endpoint, organization: str | None = None) -> Tool:
    """Return what a client sees of an endpoint. A default `organization` makes `organizationId` optional."""
    schema = describe_model(endpoint.input)
    if organization and ORGANIZATION in endpoint.path_names:
        schema["required"] = [name for name in schema["required"] if name != ORGANIZATION]
    read = endpoint.risk is Risk.READ
    return Tool(
        name=endpoint.name,
        title=endpoint.title,
        description=endpoint.description,
        input_schema=schema,
        output_schema=describe_output(endpoint),
        annotations=ToolAnnotations(
            read_only_hint=read,
            # MCP's word for whatever is not a mere addition; PUT and PATCH replace what was there.
            destructive_hint=endpoint.risk is Risk.DESTROY or endpoint.method in {"PUT", "PATCH"},
            idempotent_hint=endpoint.method in {"GET", "PUT", "DELETE"},
            open_world_hint=True,
        ),
    )


def describe_tools(policy: Policy, organization: str | None, *, two_step: bool) -> dict[str, Tool]:
    """Return the tools that `policy` offers, by name.

    Those that wait for a human say so, also where only the operator made them; with `two_step`, they take the token of
    the second step.
    """
    tools = {name: describe_tool(endpoint, organization) for name, endpoint in policy.endpoints.items()}
    for name, tool in tools.items():
        if policy.is_gated(policy.endpoints[name], {}) and WARNING not in (tool.description or ""):
            tool.description = f"{tool.description} {WARNING}"
        if two_step and policy.may_be_gated(policy.endpoints[name]):
            _add_second_step(tool)
    return tools


def _add_second_step(tool: Tool) -> None:
    tool.input_schema["properties"][TOKEN_ARGUMENT] = {
        "type": "string",
        "description": "From this tool's answer",
    }
