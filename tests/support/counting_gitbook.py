"""A GitBook that counts requests and holds them until a test lets them go."""

import asyncio
from typing import Any

import anyio
from starlette.types import Receive, Scope, Send


class Counter:
    """An upstream that counts requests and holds them until `open` is set. It responds as `inner` does."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner
        self.open = asyncio.Event()
        self.paths: list[str] = []
        self.statuses: list[int] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 200
        self.in_flight = self.most = self.cancelled = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request and respond to it."""
        self.paths.append(scope["path"].removeprefix("/v1"))
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)

        async def note(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])
            await send(message)

        try:
            await self.open.wait()
            await anyio.lowlevel.checkpoint()
            if self.inner:
                await self.inner(scope, receive, note)
                return
            await note({"type": "http.response.start", "status": self.status, "headers": self.headers})
            await note({"type": "http.response.body", "body": b"{}"})
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    async def wait_for(self, number: int) -> None:
        """Wait until so many requests have come, and no more that were under way."""
        while len(self.paths) < number:
            await anyio.lowlevel.checkpoint()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
