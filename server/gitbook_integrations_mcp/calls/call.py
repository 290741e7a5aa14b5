"""A validated call, as it passes through the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams

from gitbook_integrations_api.endpoint import Endpoint, Request, Tool
from gitbook_integrations_api.options import CONFIRMATION_ARGUMENT, Options
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.gitbook.session import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A validated call: the tool, its arguments, the caller, and the MCP request that it came in."""

    tool: Tool
    arguments: Mapping[str, Any] = field(repr=False)
    caller: Caller
    params: CallToolRequestParams = field(repr=False)
    context: ServerRequestContext[Any, Any] = field(repr=False)
    options: Options = field(default_factory=Options, repr=False)

    @property
    def confirmation_id(self) -> str | None:
        """The ID that the second call of a two-step confirmation carries."""
        return self.options.confirmationId

    @property
    def chosen_options(self) -> dict[str, Any]:
        """The options that the call sets, without the ID of a confirmation, which is no part of what is approved."""
        return {
            info.alias or name: getattr(self.options, name)
            for name, info in Options.model_fields.items()
            if name in self.options.model_fields_set and name != CONFIRMATION_ARGUMENT
        }

    @property
    def binding(self) -> str:
        """Digest of what an approval is valid for: tool, arguments, options and caller."""
        return digest_json([self.tool.name, self.arguments, self.chosen_options, self.caller.id])

    def derive(self, tool: Tool, arguments: Mapping[str, Any]) -> "Call":
        """Return a call of another tool by the same caller, that came in with the same MCP request."""
        return Call(tool=tool, arguments=arguments, caller=self.caller, params=self.params, context=self.context)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCall(Call):
    """A call of an endpoint: the request, its token, and the state of the target before the call, if it was read.

    `undoes` is the ID of the change that this call undoes. `change_id` is the ID under which it is recorded, if it is a
    part of a plan.
    """

    tool: Endpoint
    request: Request
    token: Token
    before: Mapping[str, Any] | None = field(default=None, repr=False)
    undoes: str | None = None
    change_id: str | None = None
