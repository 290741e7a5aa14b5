"""Servers that share a store, for several tokens of several users."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from mcp import Client
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.support.audit_fixtures import Watched
from tests.support.elicitation_client import Clock

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC).timestamp()
USERS = {"ada-1": "ada", "ada-2": "ada", "bob-1": "bob"}


@dataclass
class ManyUsers:
    """A sandbox whose user has several tokens, as if they were those of several users of one organization."""

    watched: Watched = field(default_factory=Watched)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whose the token is, and serve everything else as for the sandbox's user."""
        token = next(value for name, value in scope["headers"] if name == b"authorization").decode().split()[1]
        if scope["path"].endswith("/user"):
            body = json.dumps({"id": USERS[token], "displayName": USERS[token].title()}).encode()
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
            )
            await send({"type": "http.response.body", "body": body})
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        await self.watched(
            {**scope, "headers": [*headers, (b"authorization", f"Bearer {USER_TOKEN}".encode())]}, receive, send
        )


@dataclass
class Place:
    """A store, a clock, and servers that share both."""

    url: str
    clock: Clock = field(default_factory=lambda: Clock(NOW))
    gitbook: ManyUsers = field(default_factory=ManyUsers)

    @asynccontextmanager
    async def serve(self, token: str = "ada-1", **sections: Any) -> AsyncIterator[Client]:  # noqa: S107
        """Run a new server until the context ends; yield its client."""
        gitbook = {"token": token, "organization": ORGANIZATION_ID}
        settings = load_settings(
            {"gitbook": gitbook, "store": {"url": self.url}, "limits": {"attempts": 1}, **sections}
        )
        server = create_server(settings, http_transport=httpx.ASGITransport(app=self.gitbook), clock=self.clock)
        async with Client(server) as client:
            yield client
