"""The sandbox as an ASGI application: from an HTTP request to the operation it means, and back.

Each request passes the same checks in the same order: quota, route, token, kind of token, arguments. Whatever fails
answers in GitBook's error shape, and every answer carries the rate-limit headers.
"""

import itertools
import time
from collections.abc import Callable
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.sandbox.call import Answer, Call, FailureError
from gitbook_integrations_mcp.sandbox.credentials import Caller, recognize
from gitbook_integrations_mcp.sandbox.quota import Allowance, Quota
from gitbook_integrations_mcp.sandbox.route import Route
from gitbook_integrations_mcp.sandbox.seed import plant
from gitbook_integrations_mcp.sandbox.state import State

RATE_LIMIT = 1000
"""Requests that a token may make in a minute, unless the sandbox is created with another number."""

KINDS = {"user": "a user", "integration": "an integration", "integration-installation": "an installation"}


class Sandbox:
    """GitBook in memory. `state` is what it knows; whatever a test changes there, the next request sees."""

    def __init__(self, state: State, clock: Callable[[], float], rate_limit: int) -> None:
        self.state = state
        self.clock = clock
        self._quota = Quota(rate_limit)
        self._routes = [Route(endpoint) for endpoint in ENDPOINTS.values()]
        self._request_numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError("the sandbox speaks HTTP only")  # how an application tells a server so
        request = Request(scope, receive)
        body = await request.body()
        response = self._respond(request, body)
        await response(scope, receive, send)

    def _respond(self, request: Request, body: bytes) -> Response:
        now = self.clock()
        token = _read_token(request)
        caller = recognize(self.state, token, now)
        allowance = self._quota.spend(token if caller else "", now)
        try:
            answer = self._answer(request, body, caller, now, allowance)
        except FailureError as failure:
            answer = Answer(failure.status, {"error": {"code": failure.status, "message": failure.message}})
        has_body = answer.status not in {204, 205}
        response = JSONResponse(answer.body, answer.status) if has_body else Response(status_code=answer.status)
        response.headers.update(allowance.as_headers())
        response.headers["X-Request-Id"] = f"sandbox-{next(self._request_numbers):06}"
        response.headers["Date"] = formatdate(now, usegmt=True)
        if answer.location:
            response.headers["Location"] = answer.location
        return response

    def _answer(self, request: Request, body: bytes, caller: Caller | None, now: float, allowance: Allowance) -> Answer:
        if allowance.exceeded:
            raise FailureError(429, "Too many requests")
        route, segments = self._find_route(request)
        if caller is None:
            raise FailureError(401, "Authentication is required: the bearer token is missing, unknown or expired")
        if caller.kind not in route.endpoint.credentials:
            raise FailureError(403, f"This endpoint does not accept the token of {KINDS[caller.kind]}")
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
    """Return a fresh GitBook in memory, as an ASGI application.

    `clock` returns the time in seconds since 1970; `rate_limit` is how many requests a token may make in a minute.
    """
    return Sandbox(plant(), clock, rate_limit)


def _read_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
