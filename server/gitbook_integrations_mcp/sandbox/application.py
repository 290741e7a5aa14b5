"""The GitBook sandbox as an ASGI application: runs the operation that an HTTP request names.

Each request passes the same checks in the same order: quota, route, token, kind of token, scopes, arguments. Errors
have the form of GitBook's errors, and every response has rate-limit headers.
"""

import itertools
import time
from collections.abc import Callable
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import CredentialKind
from gitbook_integrations_mcp.sandbox.authorization import AuthorizationServer
from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call, FailureError
from gitbook_integrations_mcp.sandbox.credentials import Caller, authenticate
from gitbook_integrations_mcp.sandbox.quota import Allowance, Quota
from gitbook_integrations_mcp.sandbox.route import Route
from gitbook_integrations_mcp.sandbox.seed import create_state
from gitbook_integrations_mcp.sandbox.state import State

RATE_LIMIT = 1000
"""Default number of requests that a token may make in a minute."""

KINDS = {
    "user": "a user",
    "integration": "an integration",
    "integration-installation": "an installation",
    "oauth": "an OAuth client",
}


class Sandbox:
    """GitBook in memory. Tests may change its `state`; the next request sees the change."""

    def __init__(self, state: State, clock: Callable[[], float], rate_limit: int) -> None:
        self.state = state
        self.clock = clock
        self.authorization = AuthorizationServer(state, lambda: self.clock())
        self._quota = Quota(rate_limit)
        self._routes = [Route(endpoint) for endpoint in ENDPOINTS.values()]
        self._request_numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError("the GitBook sandbox supports HTTP only")  # servers expect an exception for that
        request = Request(scope, receive)
        body = await request.body()
        response = self.authorization.respond(request, body) or self._create_response(request, body)
        await response(scope, receive, send)

    def _create_response(self, request: Request, body: bytes) -> Response:
        now = self.clock()
        token = _read_token(request)
        caller = authenticate(self.state, token, now)
        allowance = self._quota.use(token if caller else "", now)
        try:
            result = self._run(request, body, caller, now, allowance)
        except FailureError as failure:
            result = ApiResponse(failure.status, {"error": {"code": failure.status, "message": failure.message}})
        has_body = result.status not in {204, 205}
        response = JSONResponse(result.body, result.status) if has_body else Response(status_code=result.status)
        response.headers.update(allowance.as_headers())
        response.headers["X-Request-Id"] = f"sandbox-{next(self._request_numbers):06}"
        response.headers["Date"] = formatdate(now, usegmt=True)
        if result.location:
            response.headers["Location"] = result.location
        return response

    def _run(
        self, request: Request, body: bytes, caller: Caller | None, now: float, allowance: Allowance
    ) -> ApiResponse:
        if allowance.exceeded:
            raise FailureError(429, "Too many requests")
        route, segments = self._find_route(request)
        if caller is None:
            raise FailureError(401, "Authentication is required: the bearer token is missing, unknown or expired")
        if caller.kind not in route.endpoint.credentials:
            raise FailureError(403, f"This endpoint does not accept the token of {KINDS[caller.kind]}")
        if caller.kind is CredentialKind.OAUTH and (missing := [*{*route.endpoint.scopes} - caller.scopes]):
            raise FailureError(403, f"The token lacks the scope {', '.join(sorted(missing))}")
        arguments = route.read_arguments(segments, request.query_params, body)
        return route.operation(Call(self.state, route.endpoint, caller, arguments, now))

    def _find_route(self, request: Request) -> tuple[Route, dict[str, str]]:
        path = request.scope["raw_path"].decode("ascii", errors="replace")
        for route in self._routes:
            segments = route.match(request.method, path)
            if segments is not None:
                return route, segments
        raise FailureError(404, "Not found")


def create_sandbox(*, clock: Callable[[], float] = time.time, rate_limit: int = RATE_LIMIT) -> Sandbox:
    """Return a new GitBook sandbox, as an ASGI application.

    `clock` returns the time in seconds since 1970; `rate_limit` is how many requests a token may make in a minute.
    """
    return Sandbox(create_state(), clock, rate_limit)


def _read_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
