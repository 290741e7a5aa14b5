"""Several workers behind one socket: which settings they need, and that they live and die as one server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.config.validation import check_keys, check_workers
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.support.elicitation_client import GitBookSpy, Human, read_status
from tests.support.fake_gitbook import read_changes
from tests.support.gated_calls import APPROVAL, call_once, find_target, start_call
from tests.support.http_server import connect
from tests.support.loopback import listen, open_client, open_listener
from tests.support.process import TIMEOUT, run
from tests.support.stores import KEYS, find_url

FILE = {"url": "sqlite:////var/lib/store.db"}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"store": {"url": "memory"}, "server": {"transport": ["streamable-http"]}}, "Set store.url to a SQLite file"),
        ({"store": FILE, "server": {"transport": ["streamable-http", "sse"]}}, "streamable-http alone"),
        ({"store": FILE, "server": {"transport": ["streamable-http"], "sandbox": True}}, "its own sandbox"),
        ({"store": FILE, "server": {"transport": ["streamable-http"]}}, None),
    ],
)
def test_workers_that_would_not_act_as_one_server_do_not_start(sections: dict[str, Any], expected: str | None) -> None:
    settings = load_settings({**sections, "http": {"workers": 2}})
    if expected is None:
        check_workers(settings)
    else:
        with pytest.raises(SettingsError, match=r"http\.workers 2: ") as caught:
            check_workers(settings)
        assert expected in str(caught.value)
    check_workers(load_settings({**sections, "http": {"workers": 1}}))


def test_without_a_setting_workers_share_the_file_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITBOOK_MCP_STORE__URL")
    check_workers(load_settings({"server": {"transport": ["streamable-http"]}, "http": {"workers": 2}}))


def test_replicas_that_share_a_database_need_keys() -> None:
    shared = {"url": "postgresql://localhost/gitbook"}
    with pytest.raises(SettingsError, match=r"^confirmation\.keys: "):
        check_keys(load_settings({"store": shared}))
    check_keys(load_settings({"store": shared, "confirmation": {"keys": KEYS}}))
    check_keys(load_settings({"store": FILE}))


@dataclass(frozen=True)
class Team:
    """A serving command with two workers, its address, and the GitBook behind it."""

    process: subprocess.Popen[str]
    address: str
    spy: GitBookSpy
    store: str

    @property
    def workers(self) -> set[int]:
        """The workers that live (Linux tells), without the process that tracks what Python's processes share."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()}

    async def await_workers(self, condition: Callable[[set[int]], bool]) -> set[int]:
        """Return the workers once they are as `condition` says."""
        with anyio.fail_after(TIMEOUT):
            while not condition(workers := self.workers):  # noqa: ASYNC110  # the kernel tells nobody
                await anyio.sleep(0.1)
        return workers

    async def get_health(self) -> int:
        """Ask for the server's health over a new connection."""
        async with open_client(timeout=TIMEOUT) as http:
            return (await http.get(f"{self.address}/health")).status_code


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads from /proc which processes there are")


@pytest.fixture
async def team(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Team]:
    """A team that shares a file and keys of its own, or a database and configured keys."""
    kind = getattr(request, "param", "sqlite")
    url = find_url(request, kind)
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", url)
    spy = GitBookSpy()
    with open_listener() as (listener, endpoint):
        content = {
            "gitbook": {"token": USER_TOKEN, "organization": ORGANIZATION_ID, "endpoint": endpoint},
            "server": {"transport": ["streamable-http"]},
            "http": {"port": 0, "workers": 2},
            "confirmation": {"keys": KEYS if kind == "postgres" else []},
        }
        config = tmp_path / "config.json"
        config.write_text(json.dumps(content))
        async with listen(spy, load_settings().http, listener):
            with run("serve", "--config", str(config)) as process:
                assert process.stderr is not None
                line = process.stderr.readline()
                assert line.startswith("Serving streamable-http at http://127.0.0.1:")
                team = Team(process, line.split()[-1].removesuffix("/mcp"), spy, url)
                assert await team.get_health() == 200
                yield team


@linux
@pytest.mark.parametrize("team", ["sqlite", "postgres"], indirect=True)
async def test_workers_share_what_a_human_said(team: Team) -> None:
    """Which worker gets a connection is the kernel's choice, so there are many."""
    target = find_target(team.spy, "uninstall_integration")
    statuses: list[str] = []
    async with connect(team.address, "streamable-http", "2026-07-28", Human()) as client:
        state = await start_call(client, target)

    async def answer() -> None:
        async with connect(team.address, "streamable-http", "2026-07-28", Human()) as client:
            result = await call_once(client, target, state, APPROVAL)
            assert isinstance(result, CallToolResult)
            statuses.append(read_status(result))

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(answer)
    assert sorted(statuses) == ["confirmation_expired"] * 11 + ["done"]
    assert len(team.spy.mutations) == 1
    (change,) = await read_changes(team.store)
    assert change.outcome == "done"


@linux
async def test_a_worker_that_dies_is_replaced_and_the_others_go_on(team: Team) -> None:
    before = await team.await_workers(lambda workers: len(workers) == 2)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    assert await team.get_health() == 200
    after = await team.await_workers(lambda workers: len(workers) == 2 and victim not in workers)
    assert before - {victim} < after


@linux
async def test_told_to_stop_the_workers_finish_what_runs_and_no_secret_was_in_their_environment(team: Team) -> None:
    target = find_target(team.spy, "uninstall_integration")
    workers = await team.await_workers(lambda workers: len(workers) == 2)
    for pid in workers:
        seen = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        assert USER_TOKEN.encode() not in seen
    running = anyio.Event()
    original = team.spy.sandbox

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        running.set()
        await anyio.sleep(1)
        await original(scope, receive, send)

    results: list[CallToolResult] = []

    async def call() -> None:
        async with connect(team.address, "streamable-http", "2026-07-28") as client:
            await client.list_tools()
            team.spy.sandbox = slow  # type: ignore[assignment]
            results.append(await client.call_tool(target.name, target.arguments))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await running.wait()
        team.process.terminate()
    assert read_status(results[0]) == "confirmation_required"
    assert await anyio.to_thread.run_sync(team.process.wait) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@linux
async def test_workers_do_not_outlive_a_supervisor_that_was_killed(team: Team) -> None:
    workers = await team.await_workers(lambda workers: len(workers) == 2)
    team.process.kill()
    with anyio.fail_after(TIMEOUT):
        while any(Path(f"/proc/{pid}").exists() for pid in workers):  # noqa: ASYNC110  # the kernel tells nobody
            await anyio.sleep(0.1)
    team.process.wait()


def test_workers_that_cannot_start_end_the_command() -> None:
    program = """
import socket, uvicorn
from gitbook_integrations_mcp.transports import workers
from gitbook_integrations_mcp.config.settings import load_settings
class Broken(workers.WorkerConfig):
    def __reduce__(self):
        return uvicorn.Config, ("nowhere:application",)
workers.WorkerConfig = Broken
with socket.create_server(("127.0.0.1", 0)) as listener:
    workers.run_workers(load_settings({"http": {"workers": 2}}), listener)
"""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert ended.returncode == 1, ended.stderr
    assert time.monotonic() - began < 100
