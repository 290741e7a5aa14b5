"""Reports the progress of a call to a client that asked for it."""

from typing import Any

from mcp.server.context import ServerRequestContext


class Progress:
    """The progress of one call, for all protocol versions; does nothing if the client sent no progress token."""

    def __init__(self, context: ServerRequestContext[Any, Any]) -> None:
        self._context = context
        self._done = -1.0

    async def report(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report that `done` of `total` is done. MCP requires progress to increase, so other reports are not sent."""
        if done > self._done:
            self._done = done
            await self._context.session.report_progress(done, total, message)
