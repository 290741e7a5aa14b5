"""The gate: what is destructive runs only after a human's yes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mcp_types import CallToolRequestParams, InputRequiredResult
from pydantic import SecretStr

from gitbook_integrations.endpoint import Endpoint, Request
from gitbook_integrations_mcp.errors import UnconfirmedError


@dataclass(frozen=True, slots=True)
class Call:
    """One validated call on its way: what will be sent, with which token, and the MCP request it came in."""

    endpoint: Endpoint
    arguments: Mapping[str, Any] = field(repr=False)
    request: Request
    token: SecretStr
    params: CallToolRequestParams = field(repr=False)


class Gate(Protocol):
    """Decides over calls that `Endpoint.is_gated` says wait for a human."""

    async def confirm(self, call: Call) -> InputRequiredResult | None:
        """Return None when a human said yes to exactly this call, or the question to put to them.

        Raises:
            UnconfirmedError: nobody said yes.
        """


class ClosedGate:
    """Lets nothing through, for want of a way to ask."""

    async def confirm(self, call: Call) -> InputRequiredResult | None:
        """Refuse."""
        raise UnconfirmedError(
            f"{call.endpoint.name} waits for a human's yes, and this version of the server has no way to ask for one. "
            "Nothing was sent."
        )
