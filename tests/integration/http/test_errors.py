"""Every error over HTTP has the same shape: a stable code and a description."""

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import Response

import gitbook_integrations_mcp
from gitbook_integrations_mcp.auth.access_tokens import AccessTokens
from gitbook_integrations_mcp.auth.bearer import BearerError, BearerGuard
from gitbook_integrations_mcp.auth.issuer import PAUSE_SECONDS
from gitbook_integrations_mcp.errors import ErrorCode
from tests.support.elicitation_client import GitBookSpy
from tests.support.fake_gitbook import Upstream
from tests.support.http_server import CALLERS, serve
from tests.support.loopback import open_client

RFC_6750 = {ErrorCode.INVALID_TOKEN, ErrorCode.INSUFFICIENT_SCOPE}
PACKAGE = Path(gitbook_integrations_mcp.__file__).parent
SOURCES = ("auth/hosts.py", "auth/bearer.py", "auth/access_tokens.py", "net/timeouts.py", "transports/health.py")


@dataclass(frozen=True)
class Answer:
    """An error response, over whatever client."""

    status: int
    body: Any
    challenge: str = ""

    @classmethod
    def of(cls, response: httpx.Response) -> "Answer":
        """Return what a client read."""
        assert response.headers["content-type"] == "application/json"
        return cls(response.status_code, response.json(), response.headers.get("www-authenticate", ""))


def post(*, path: str = "/mcp", http: Any = None, headers: Any = ()) -> Callable[[], Awaitable[Answer]]:
    """Return a function that posts a request to a server with these settings."""

    async def send() -> Answer:
        async with (
            serve(GitBookSpy(), http=http or {}) as address,
            open_client() as client,
        ):
            return Answer.of(await client.post(address + path, headers=headers, json={}))

    return send


async def be_late() -> Answer:
    async with serve(GitBookSpy(), http={"request_seconds": 0.1}) as address:
        parts = urlsplit(address)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
        writer.close()
    assert b"application/json" in head
    return Answer(int(head.split()[1]), json.loads(body))


async def many_connections() -> Answer:
    async with serve(GitBookSpy(), http={"connections": 1}) as address, contextlib.AsyncExitStack() as stack:
        parts = urlsplit(address)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        stack.callback(writer.close)
        client = await stack.enter_async_context(open_client())
        return Answer.of(await client.post(f"{address}/mcp", json={}))


async def check_readiness() -> Answer:
    async with serve(Upstream(500, b"{}")) as address, open_client() as client:
        return Answer.of(await client.get(f"{address}/ready"))


def bear(error: BearerError) -> Callable[[], Awaitable[Answer]]:
    """Return a function that shows a bearer token for which the verifier raises `error`."""

    class Verifier(AccessTokens):
        def __init__(self) -> None:
            pass

        async def verify_token(self, token: str) -> None:
            raise error

    async def send() -> Answer:
        guard = BearerGuard(Response(), [Verifier()], scopes=["read"])
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return Answer.of(await client.get("/", headers={"Authorization": "Bearer x"}))

    return send


NO_KEYS = BearerError(503, ErrorCode.TEMPORARILY_UNAVAILABLE, "No keys.", retry_after=PAUSE_SECONDS)
NO_SCOPE = BearerError(403, ErrorCode.INSUFFICIENT_SCOPE, "The access token lacks required scopes: read.")

CASES: dict[str, tuple[int, ErrorCode, Callable[[], Awaitable[Answer]]]] = {
    "two origins": (400, ErrorCode.DUPLICATE_HEADER, post(headers=[("Origin", "a"), ("Origin", "b")])),
    "host": (421, ErrorCode.HOST_NOT_ALLOWED, post(headers={"Host": "other.example"})),
    "origin": (403, ErrorCode.ORIGIN_NOT_ALLOWED, post(headers={"Origin": "https://other.example"})),
    "toolset": (400, ErrorCode.UNKNOWN_TOOLSET, post(headers={"X-MCP-Toolsets": "nope"})),
    "no token": (401, ErrorCode.AUTHENTICATION_REQUIRED, post(http={"tokens": CALLERS})),
    "not a bearer": (
        401,
        ErrorCode.AUTHENTICATION_REQUIRED,
        post(http={"tokens": CALLERS}, headers={"Authorization": "Basic eDp5"}),
    ),
    "unknown token": (
        401,
        ErrorCode.INVALID_TOKEN,
        post(path="/messages/", http={"tokens": CALLERS}, headers={"Authorization": "Bearer x"}),
    ),
    "scope": (403, ErrorCode.INSUFFICIENT_SCOPE, bear(NO_SCOPE)),
    "no keys": (503, ErrorCode.TEMPORARILY_UNAVAILABLE, bear(NO_KEYS)),
    "late": (408, ErrorCode.REQUEST_TIMEOUT, be_late),
    "crowd": (503, ErrorCode.TEMPORARILY_UNAVAILABLE, many_connections),
    "not ready": (503, ErrorCode.TEMPORARILY_UNAVAILABLE, check_readiness),
}


@pytest.mark.parametrize("case", CASES)
async def test_every_error_over_http_has_a_code_and_a_description(case: str) -> None:
    status, code, provoke = CASES[case]
    answer = await provoke()
    assert answer.status == status
    assert answer.body.keys() == {"error", "error_description"}
    assert answer.body["error"] == code
    assert answer.body["error_description"]
    # RFC 6750: a challenge has an error only where the request had a bearer token.
    assert answer.challenge.startswith("Bearer ") is (status == 401 or code in RFC_6750)
    assert (f'error="{code}"' in answer.challenge) is (code in RFC_6750)
    assert ("error=" in answer.challenge) is (code in RFC_6750)


def test_every_code_in_the_source_is_provoked() -> None:
    text = "".join((PACKAGE / name).read_text(encoding="utf-8") for name in SOURCES)
    assert {ErrorCode[name] for name in re.findall(r"ErrorCode\.([A-Z_]+)", text)} == {
        code for _, code, _ in CASES.values()
    }
