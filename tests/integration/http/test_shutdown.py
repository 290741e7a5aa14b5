"""A server that gets SIGTERM finishes what runs, and does not wait for streams on which nothing runs."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.support.elicitation_client import GitBookSpy
from tests.support.fake_gitbook import Era
from tests.support.http_server import WAYS, Kind, connect
from tests.support.loopback import listen, open_listener
from tests.support.process import TIMEOUT, run

STATELESS: list[tuple[Kind, Era, bool]] = [("streamable-http", "legacy", True)]


@pytest.mark.parametrize(("kind", "era", "stateless"), [*((*way, False) for way in WAYS), *STATELESS])
async def test_a_server_that_gets_sigterm_finishes_a_call_and_ends_idle_streams(
    kind: Kind, era: Era, stateless: bool, tmp_path: Path
) -> None:
    spy, running, results = GitBookSpy(), anyio.Event(), list[CallToolResult]()
    original = spy.sandbox

    async def answer_slowly(scope: Any, receive: Any, send: Any) -> None:
        running.set()
        await anyio.sleep(2)
        await original(scope, receive, send)

    async def call(address: str) -> None:
        async with connect(address, kind, era) as client:
            await client.list_tools()
            spy.sandbox = answer_slowly  # type: ignore[assignment]
            results.append(await client.call_tool("list_sites", {}))

    with open_listener() as (listener, endpoint):
        content = {
            "gitbook": {"token": USER_TOKEN, "organization": ORGANIZATION_ID, "endpoint": endpoint},
            "server": {"transport": ["streamable-http", "sse"]},
            "http": {"port": 0, "stateless": stateless},
            "store": {"url": "memory"},
        }
        config = tmp_path / "config.json"
        config.write_text(json.dumps(content))
        async with listen(spy, load_settings().http, listener):
            with run("serve", "--config", str(config)) as process:
                assert process.stderr is not None
                address = process.stderr.readline().split()[-1].removesuffix("/mcp")
                async with connect(address, "sse", "legacy") as idle, anyio.create_task_group() as group:
                    await idle.list_tools()
                    group.start_soon(call, address)
                    with anyio.fail_after(TIMEOUT):
                        await running.wait()
                    process.terminate()
                assert not results[0].is_error
                with anyio.fail_after(TIMEOUT):
                    await anyio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
                assert "ERROR" not in process.stderr.read()
