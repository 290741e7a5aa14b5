"""Clients are notified that the list of tools changed when the user logs in or out, in another process."""

import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp_types import ToolListChangedNotification

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.gitbook.login import log_out
from gitbook_integrations_mcp.sandbox import create_sandbox
from tests.support.fake_gitbook import ERAS, Era
from tests.support.login import log_in
from tests.support.process import SOON


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("GITBOOK_") and name != "GITBOOK_MCP_STORE__URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("gitbook_integrations_mcp.features.login_watch.SECONDS", 0.01)


class Follower:
    """A client that is notified about the list of tools."""

    def __init__(self, client: Client, notified: anyio.Event) -> None:
        self.client = client
        self.notified = notified

    async def list_again(self) -> set[str]:
        """Return the names of the tools after the next notification."""
        with anyio.fail_after(SOON):
            await self.notified.wait()
        self.notified = anyio.Event()
        return {tool.name for tool in (await self.client.list_tools(cache_mode="bypass")).tools}


@contextlib.asynccontextmanager
async def follow(server: Any, era: Era) -> AsyncIterator[Follower]:
    follower: Follower

    async def handle(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            follower.notified.set()

    async with Client(server, mode=era, message_handler=handle) as client:
        follower = Follower(client, anyio.Event())
        await client.list_tools()
        if era == "legacy":
            yield follower
            return
        async with anyio.create_task_group() as group, client.listen(tools_list_changed=True) as events:

            async def read() -> None:
                async for _ in events:
                    follower.notified.set()

            group.start_soon(read)
            yield follower
            group.cancel_scope.cancel()


@pytest.mark.parametrize("era", ERAS)
async def test_the_list_of_tools_follows_logins(era: Era) -> None:
    transport = httpx.ASGITransport(app=create_sandbox(clock=time.time))
    settings = load_settings()
    async with follow(create_server(settings, http_transport=transport), era) as follower:
        await log_in(settings, "site:read", transport=transport)
        first = await follower.list_again()
        assert "list_sites" in first
        assert "list_spaces_in_organization_by_id" not in first
        await log_in(settings, "site:read", "space:read", transport=transport)
        assert "list_spaces_in_organization_by_id" in await follower.list_again()
        await log_out(settings, transport)
        assert "uninstall_integration" in await follower.list_again()
