"""A GitBook sandbox that records requests and injects faults, and helpers that audit it."""

import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
from mcp import Client
from starlette.types import Receive, Scope, Send

from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_api.report import Narrowing, Report
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.audit import list_reader
from gitbook_integrations_mcp.audit.auditor import Auditor
from gitbook_integrations_mcp.config.settings import Settings, load_settings
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN, Sandbox, create_sandbox
from gitbook_integrations_mcp.sandbox.state import Installation, State

Sleep = Callable[[float], Awaitable[None]]

Fault = Callable[[str, Scope], tuple[int, bytes] | Exception | None]
"""Takes the path and query of a request. Returns the status and body of the fault, an exception to raise, or None."""


@dataclass
class Watched:
    """A sandbox that records requests and their concurrency, with the failures of `fault`."""

    sandbox: Sandbox = field(default_factory=create_sandbox)
    fault: Fault | None = None
    requests: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0

    @property
    def reads(self) -> list[str]:
        """The requests of audits, without the one that asks whose the token is."""
        return [place for place in self.requests if place != "/user"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        query = scope["query_string"].decode()
        place = scope["path"].removeprefix("/v1") + (f"?{query}" if query else "")
        self.requests.append(place)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            wrong = self.fault(place, scope) if self.fault else None
            if isinstance(wrong, Exception):
                raise wrong
            if wrong is None:
                await self.sandbox(scope, receive, send)
            else:
                headers = [(b"content-type", b"application/json")]
                await send({"type": "http.response.start", "status": wrong[0], "headers": headers})
                await send({"type": "http.response.body", "body": wrong[1]})
        finally:
            self.running -= 1


def make_settings(**sections: Any) -> Settings:
    """Return settings with the sandbox's token and organization."""
    gitbook = {"token": USER_TOKEN, "organization": ORGANIZATION_ID}
    return load_settings({"gitbook": gitbook, **sections})


@asynccontextmanager
async def connect(watched: Any, **sections: Any) -> AsyncIterator[Client]:
    """Yield a client of a server in front of `watched`, an ASGI app."""
    server = create_server(make_settings(**sections), http_transport=httpx.ASGITransport(app=watched))
    async with Client(server) as client:
        yield client


async def audit(
    watched: Any,
    *,
    clock: Callable[[], float] = time.time,
    wall_clock: Callable[[], float] | None = None,
    sleep: Sleep = anyio.sleep,
    **options: Any,
) -> Report:
    """Return a report, without MCP. Options named like a narrowing are one; others are sections of settings."""
    wall_clock = wall_clock or clock
    narrowing = Narrowing(**{name: options.pop(name) for name in Narrowing.model_fields if name in options})
    development = options.pop("development", {})
    settings = make_settings(**options)
    transport = httpx.ASGITransport(app=watched)
    gitbook = GitBook(
        settings.gitbook.endpoint, settings.limits, transport, clock=clock, wall_clock=wall_clock, sleep=sleep
    )
    auditor = Auditor(gitbook, settings, clock, sleep, wall_clock)
    try:
        credentials = Credentials.from_settings(settings.gitbook)
        return (await auditor.audit(ORGANIZATION_ID, narrowing, credentials, _ignore, development=development)).report
    finally:
        await gitbook.close()


async def _ignore(*_progress: Any) -> None:
    pass


def fail(part: str, status: int = 500, body: Any = None) -> Fault:
    """Return a fault of all requests with `part` in path or query."""
    content = json.dumps(body if body is not None else {"error": {"code": status, "message": "Not today"}}).encode()
    return lambda place, _scope: (status, content) if part in place else None


def list_installed(state: State) -> list[Installation]:
    """Return the installations of the audited organization."""
    return state.get_installations(organization=ORGANIZATION_ID)


def count_requests(state: State, page: int = list_reader.PAGE_SIZE) -> int:
    """Return the smallest possible number of requests, computed from the state."""

    def pages(items: int) -> int:
        return max(1, math.ceil(items / page))

    public = [each for each in state.integrations.values() if each.visibility == "public"]
    organizations = [each for each in state.organizations.values() if each.member]
    own = {level: len(state.get_places(level, ORGANIZATION_ID)) for level in LEVELS}
    on = {
        level: [len(each.enabled[level]) for each in list_installed(state) if each.enabled[level]] for level in LEVELS
    }
    whole = [len(organizations), len(public), len(list_installed(state)), *own.values(), sum(on["site"])]
    return sum(map(pages, whole + on["space"] + on["site"])) + own["site"]
