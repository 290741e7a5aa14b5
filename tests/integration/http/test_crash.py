"""A server that is killed during a change leaves a row that tells no lie, and an approval that is used."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.support.elicitation_client import GitBookSpy, read_status
from tests.support.fake_gitbook import read_changes
from tests.support.gated_calls import find_target
from tests.support.http_server import connect
from tests.support.loopback import listen, open_listener
from tests.support.process import COMMAND, SOON
from tests.support.stores import KEYS, find_url

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@dataclass
class Deadly(GitBookSpy):
    """A GitBook that kills its client when it receives a change, before it makes the change or after it."""

    makes_change: bool = False
    victim: int = field(default=0, kw_only=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Kill the client, whose connection then ends without a response."""
        if scope["type"] != "http" or scope["method"] == "GET":
            await super().__call__(scope, receive, send)
            return

        async def lose(_message: Any) -> None:
            """Lose the response."""

        if self.makes_change:
            await super().__call__(scope, receive, lose)
        os.kill(self.victim, signal.SIGKILL)
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def serve(config: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a server process that may be killed, and its address."""
    words = [*COMMAND, "serve", "--config", str(config)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        yield process, process.stderr.readline().split()[-1].removesuffix("/mcp")
        process.kill()


@pytest.mark.parametrize("makes_change", [False, True])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_server_that_is_killed_during_a_change_leaves_its_outcome_unknown(
    kind: str, makes_change: bool, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = find_url(request, kind)
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", url)
    spy = Deadly(makes_change=makes_change)
    target = find_target(spy, "uninstall_integration")
    config = tmp_path / "config.json"
    with open_listener() as (listener, endpoint):
        content = {
            "gitbook": {"token": USER_TOKEN, "organization": ORGANIZATION_ID, "endpoint": endpoint},
            "server": {"transport": ["streamable-http"]},
            "http": {"port": 0},
            "confirmation": {"fallback": "two-step", "keys": KEYS},
        }
        config.write_text(json.dumps(content))
        async with listen(spy, load_settings().http, listener):
            with serve(config) as (process, address):
                spy.victim = process.pid
                with suppress(Exception), anyio.fail_after(SOON):
                    async with connect(address, "streamable-http", "2026-07-28") as client:
                        asked = (await client.call_tool(target.name, target.arguments)).structured_content or {}
                        approved = {**target.arguments, "confirmationId": asked["confirmationId"]}
                        await client.call_tool(target.name, approved)
                assert process.wait() == -signal.SIGKILL
            (change,) = await read_changes(url)
            assert (change.outcome, change.status, change.approval) == ("unknown", None, "two-step")
            assert change.undo is not None
            assert len(spy.mutations) == int(makes_change)
            with serve(config) as (_, address):
                async with connect(address, "streamable-http", "2026-07-28") as client:
                    listed = (await client.call_tool("list_changes", {})).structured_content or {}
                    assert [one["outcome"] for one in listed["items"]] == ["unknown"]
                    again = await client.call_tool(target.name, approved)
                    assert again.is_error or read_status(again) == "confirmation_expired"
    assert len(spy.mutations) == int(makes_change)
