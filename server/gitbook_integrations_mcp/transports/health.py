"""What monitors ask: whether the server lives, and whether calls could succeed."""

import time
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.errors import UpstreamError
from gitbook_integrations_mcp.features.server import IntegrationsServer

_READY_SECONDS = 10
"""How long an answer of GitBook to the readiness check is good for."""


async def report_health(_request: Request) -> Response:
    """Answer that the process serves."""
    return JSONResponse({"status": "ok", "version": __version__})


class Readiness:
    """Whether calls could succeed: GitBook answers. Asked at most once in a while, however often others ask."""

    def __init__(self, server: IntegrationsServer) -> None:
        self._server = server
        self._known: tuple[float, dict[str, Any]] | None = None
        self._asking = anyio.Lock()

    async def report(self, _request: Request) -> Response:
        """Answer 200 where GitBook does, else 503 with the reason."""
        async with self._asking:
            if self._known is None or time.monotonic() - self._known[0] > _READY_SECONDS:
                self._known = (time.monotonic(), await self._ask())
            status = self._known[1]
        return JSONResponse(status, 200 if status["status"] == "ready" else 503)

    async def _ask(self) -> dict[str, Any]:
        try:
            reply = await self._server.gitbook.probe()
        except UpstreamError as error:
            return {"status": "unavailable", "reason": str(error)}
        if reply.status >= 500:
            return {"status": "unavailable", "reason": f"GitBook answers with {reply.status}"}
        return {"status": "ready"}
