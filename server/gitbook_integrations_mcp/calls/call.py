"""One call on its way through the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams
from pydantic import SecretStr

from gitbook_integrations_api.endpoint import Endpoint, Request, Tool
from gitbook_integrations_api.options import Options
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.digest import digest_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One validated call on its way: of which tool, with which arguments, for whom, and the MCP request it came in."""

    tool: Tool
    arguments: Mapping[str, Any] = field(repr=False)
    caller: Caller
    params: CallToolRequestParams = field(repr=False)
    context: ServerRequestContext[Any, Any] = field(repr=False)
    options: Options = field(default_factory=Options, repr=False)

    @property
    def confirmation_id(self) -> str | None:
        """ID of the confirmation that a second call refers to."""
        return self.options.confirmationId

    @property
    def digest(self) -> str:
        """Digest of tool and arguments."""
        return digest_json([self.tool.name, self.arguments])

    @property
    def binding(self) -> str:
        """Digest of what an approval covers: tool, arguments and caller."""
        return digest_json([self.tool.name, self.arguments, self.caller.id])


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCall(Call):
    """A call of an endpoint: what will be sent, with which token, and what it changes as it was read before."""

    tool: Endpoint
    request: Request
    token: SecretStr
    before: Mapping[str, Any] | None = field(default=None, repr=False)
