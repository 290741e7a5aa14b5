"""A server that is killed in the middle of a change leaves a row that says nothing untrue."""

import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gitbook_integrations_mcp.store.change import Change
from tests.support.fake_gitbook import read_changes
from tests.support.process import TIMEOUT
from tests.support.stdio_client import Conversation
from tests.support.stores import find_url

ROUNDS = 12
LATEST = 1.3
"""Times what a call takes, after which the server is killed at the latest."""


@dataclass
class GitBook:
    """Installs whatever it is asked to. While it is `silent`, it does not answer."""

    silent: bool = False
    received: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    arrival: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Yield the address while this is served."""
        gitbook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                gitbook.received.add(body["organization"])
                gitbook.arrival.set()
                if gitbook.silent:
                    gitbook.release.wait(TIMEOUT)
                    return
                content = json.dumps({"id": "installation"}).encode()
                gitbook.answered.add(body["organization"])
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the client is killed
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                self.release.set()
                server.shutdown()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store."""
    return find_url(request, request.param)


@contextmanager
def start_call(url: str, address: str, organization: str) -> Iterator[tuple[Conversation, str]]:
    """Yield a server that was just asked to install something, and the ID of the request."""
    variables = {"GITBOOK_ENDPOINT": address, "GITBOOK_TOKEN": "gb_api_test", "GITBOOK_MCP_STORE__URL": url}
    variables["GITBOOK_MCP_CONFIRMATION__WIDENING"] = "off"
    with Conversation(env=variables) as talk:
        talk.greet("2026-07-28")
        yield talk, talk.call("install_integration", integrationName="slack", organization=organization)


async def read_by_organization(url: str) -> dict[str | None, Change]:
    """Return the changes in the store."""
    return {one.organization: one for one in await read_changes(url)}


async def test_a_server_killed_while_gitbook_works_leaves_an_unknown_outcome(url: str) -> None:
    gitbook = GitBook(silent=True)
    with gitbook.serve() as address, start_call(url, address, "acme") as (talk, _):
        assert gitbook.arrival.wait(TIMEOUT)
        talk.process.kill()
        talk.process.wait()
    [change] = await read_changes(url)
    assert (change.organization, change.outcome, change.status) == ("acme", "unknown", None)


async def test_a_server_killed_after_its_answer_leaves_the_outcome(url: str) -> None:
    gitbook = GitBook()
    with gitbook.serve() as address, start_call(url, address, "acme") as (talk, request):
        assert "result" in talk.await_answer(request)
        talk.process.kill()
        talk.process.wait()
    [change] = await read_changes(url)
    assert (change.organization, change.outcome, change.status) == ("acme", "done", 201)
    assert change.undo is not None


async def test_a_server_killed_at_any_moment_leaves_a_true_row(url: str) -> None:
    gitbook, seeded = GitBook(), random.Random(15)  # noqa: S311
    with gitbook.serve() as address:
        with start_call(url, address, "whole") as (talk, request):
            started = time.monotonic()
            talk.await_answer(request)
            seconds = time.monotonic() - started
        for number in range(ROUNDS):
            with start_call(url, address, str(number)) as (talk, _):
                try:
                    talk.process.wait(seeded.uniform(0, LATEST * seconds))
                except subprocess.TimeoutExpired:
                    talk.process.kill()
                talk.process.wait()
    rows = await read_by_organization(url)
    assert gitbook.received <= rows.keys(), "what was sent is recorded"
    for organization, change in rows.items():
        assert change.outcome in {"unknown", "done"}
        if change.outcome == "done":
            assert organization in gitbook.answered
