"""Seals the state that a client gets with a question and returns with the answer (protocol 2026-07-28)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp_types.methods import is_input_required

from gitbook_integrations_mcp import NAME


class StateSeal:
    """The middleware of the SDK that seals and checks states, made for the first state.

    It needs cryptography, which takes 8 MiB of memory, and most connections never see a question.
    """

    def __init__(self, keys: Sequence[str], *, seconds: float) -> None:
        self._keys = keys
        self._seconds = seconds

    @cached_property
    def _boundary(self) -> ServerMiddleware[Any]:
        from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity

        security = RequestStateSecurity(keys=self._keys, ttl=self._seconds)
        return RequestStateBoundary(security, default_audience=NAME)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Run a request. A state in it, or in its result, is for the middleware of the SDK."""
        if (ctx.params or {}).get("requestState") is not None:
            return await self._boundary(ctx, call_next)
        result = await call_next(ctx)
        if not is_input_required(result):
            return result

        async def give(_: ServerRequestContext[Any, Any]) -> HandlerResult:
            return result

        return await self._boundary(ctx, give)
