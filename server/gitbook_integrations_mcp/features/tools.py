"""Tools as clients see them: name, description, schemas and annotations, all derived from the table."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import mcp_types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gitbook_integrations_api.endpoint import Risk, Tool
from gitbook_integrations_api.instructions import write_instructions
from gitbook_integrations_api.options import CONFIRMATION_ARGUMENT, Options, name_options
from gitbook_integrations_api.schema import describe_arguments
from gitbook_integrations_mcp.auth.callers import Callers
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.arguments import ORGANIZATION_NAMES
from gitbook_integrations_mcp.calls.response import describe_output
from gitbook_integrations_mcp.features.subscriptions import Subscriptions
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline

WARNING = "Requires human approval."
"""Last sentence of the description of a tool whose every call needs confirmation."""

_OPTIONS = describe_arguments(Options)["properties"]

Context = ServerRequestContext[Any, Any]

_EMPTY = mcp_types.CallToolResult(content=[], structured_content={})
"""Stands for a result while the SDK gives it the form of the connection's protocol version."""

_results: ContextVar[list[mcp_types.CallToolResult]] = ContextVar("results")
"""Receives the result of the call that this task runs."""


class Tools:
    """Serves the tools of each caller. `published` are all offered tools by name; calls run through `pipeline`."""

    def __init__(
        self, published: dict[str, mcp_types.Tool], pipeline: Pipeline, callers: Callers, subscriptions: Subscriptions
    ) -> None:
        self._subscriptions = subscriptions
        self._published = published
        self._pipeline = pipeline
        self._callers = callers

    def register(self, server: Server[Any]) -> None:
        """Register tools with `server`."""
        server.add_request_handler("tools/list", mcp_types.PaginatedRequestParams, self.list)
        server.add_request_handler("tools/call", mcp_types.CallToolRequestParams, self.call)
        server.middleware.append(_fill_in_result)
        server.middleware.append(self._add_instructions)

    def find_schema(self, name: str) -> dict[str, Any] | None:
        """Return the input schema of a tool. Without this lookup, the SDK lists all tools on every call over HTTP."""
        return self._published[name].input_schema if name in self._published else None

    async def list(
        self, context: Context, _params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListToolsResult:
        """Handle tools/list."""
        if self._subscriptions.announces_tools and context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            self._subscriptions.follow_tools(context)
        offered = self._callers.identify(context).policy.tools
        return mcp_types.ListToolsResult(tools=[self._published[name] for name in offered])

    async def call(
        self, context: Context, params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult | mcp_types.InputRequiredResult:
        """Handle tools/call."""
        result = await self._pipeline.run(params, context, self._callers.identify(context))
        if isinstance(result, mcp_types.InputRequiredResult) or any(one.type != "text" for one in result.content):
            return result
        _results.get().append(result)
        return _EMPTY

    async def _add_instructions(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Add the instructions for the offered tools to the answer that opens a connection. This is a middleware."""
        result = await call_next(ctx)
        if ctx.method not in {"initialize", "server/discover"}:
            return result
        assert isinstance(result, Mapping)
        return {**result, "instructions": write_instructions(self._callers.identify(ctx).policy.tools.keys())}


async def _fill_in_result(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Fill in the result of a call after the SDK. This is a middleware of the SDK's server.

    The SDK copies a result three times to validate it, which takes longer than to read it from GitBook.
    """
    if ctx.method != "tools/call":
        return await call_next(ctx)
    results: list[mcp_types.CallToolResult] = []
    token = _results.set(results)
    try:
        empty = await call_next(ctx)
    finally:
        _results.reset(token)
    if not results:
        return empty
    assert isinstance(empty, Mapping)
    return {**empty, **_write_result(results[0], with_structure="structuredContent" in empty)}


def _write_result(result: mcp_types.CallToolResult, *, with_structure: bool) -> dict[str, Any]:
    """Return what differs from an empty result. Old versions of the protocol have no structured content."""
    written: dict[str, Any] = {
        "content": [{"type": "text", "text": block.text} for block in result.content if block.type == "text"]
    }
    if with_structure:
        written["structuredContent"] = result.structured_content
    if result.is_error:
        written["isError"] = True
    return written


def describe_tool(tool: Tool, organization: str | None = None) -> mcp_types.Tool:
    """Return a tool as clients see it. A default `organization` makes its argument optional."""
    schema = describe_arguments(tool.input)
    schema["properties"] |= {name: _OPTIONS[name] for name in name_options(tool)}
    if organization and "required" in schema:
        schema["required"] = [name for name in schema["required"] if name not in ORGANIZATION_NAMES]
    return mcp_types.Tool(
        name=tool.name,
        title=tool.title,
        description=f"{tool.description} {WARNING}" if tool.needs_confirmation({}) else tool.description,
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

    The description of a tool that always needs confirmation says so. With `two_step`, every tool that may need
    confirmation takes the ID of the confirmation.
    """
    described = {name: describe_tool(tool, organization) for name, tool in policy.tools.items()}
    for name, tool in policy.tools.items():
        shown = described[name]
        if policy.needs_confirmation(tool, {}) and not tool.needs_confirmation({}):  # a tool that the operator added
            shown.description = f"{shown.description} {WARNING}"
        if two_step and policy.may_need_confirmation(tool):
            shown.input_schema["properties"][CONFIRMATION_ARGUMENT] = _OPTIONS[CONFIRMATION_ARGUMENT]
    return described
