"""Health checks: whether the process runs, and whether calls can succeed."""

import time

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.errors import ErrorCode, UpstreamError
from gitbook_integrations_mcp.features.server import IntegrationsServer
from gitbook_integrations_mcp.net.responses import create_error_response

_READY_SECONDS = 10
"""How long the result of a readiness check is reused."""


async def report_health(_request: Request) -> Response:
    """Respond that the process is running."""
    return JSONResponse({"status": "ok", "version": __version__})


class Readiness:
    """Checks whether GitBook responds, at most once in `_READY_SECONDS` however often monitors ask."""

    def __init__(self, server: IntegrationsServer) -> None:
        self._server = server
        self._checked_at = float("-inf")
        self._problem: str | None = None
        self._lock = anyio.Lock()

    async def report(self, _request: Request) -> Response:
        """Respond with 200 if GitBook responds, else with 503 and the reason."""
        async with self._lock:
            if time.monotonic() - self._checked_at > _READY_SECONDS:
                self._problem = await self._find_problem()
                self._checked_at = time.monotonic()
            problem = self._problem
        if problem is None:
            return JSONResponse({"status": "ready"})
        return create_error_response(503, ErrorCode.TEMPORARILY_UNAVAILABLE, problem)

    async def _find_problem(self) -> str | None:
        try:
            response = await self._server.gitbook.probe()
        except UpstreamError as error:
            return str(error)
        return f"GitBook responded with {response.status}." if response.status >= 500 else None
