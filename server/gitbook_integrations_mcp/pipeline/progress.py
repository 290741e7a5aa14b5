"""How far a call has come, told to a client that asked to be told."""

from typing import Any

from mcp.server.context import ServerRequestContext


class Progress:
    """The progress of one call, in both protocol eras; silent where the client sent no progress token."""

    def __init__(self, context: ServerRequestContext[Any, Any]) -> None:
        self._context = context
        self._done = -1.0

    async def report(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell that `done` of `total` is done. What is no advance on the last report is not told, as MCP demands."""
        if done > self._done:
            self._done = done
            await self._context.session.report_progress(done, total, message)
