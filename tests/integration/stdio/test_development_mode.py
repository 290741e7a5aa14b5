"""Development mode of a real server process: it ends at its time, when the server stops, and after a crash."""

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION
from tests.support.process import COMMAND, TIMEOUT
from tests.support.stdio_client import Conversation

PATH = f"/v1/integrations/{OWN_INTEGRATION}/dev"


@pytest.fixture
def sandbox() -> Iterator[dict[str, str]]:
    """The environment of clients of a real sandbox process."""
    with subprocess.Popen([*COMMAND, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield dict(process.stdout.readline().strip().split("=", 1) for _ in range(4))
        process.terminate()


def is_on(sandbox: dict[str, str]) -> bool:
    """Return whether development mode is on, by disabling it: GitBook answers 204 if there is nothing to disable."""
    headers = {"authorization": f"Bearer {sandbox['GITBOOK_TOKEN']}"}
    return httpx.delete(f"{sandbox['GITBOOK_ENDPOINT']}{PATH}", headers=headers).status_code == 205


class Server(Conversation):
    """A server in front of the sandbox, with a store at `url`, whose log can be awaited."""

    def __init__(self, sandbox: dict[str, str], url: str) -> None:
        self._log, theirs = os.pipe()
        variables = {
            **sandbox,
            "GITBOOK_MCP_STORE__URL": url,
            "GITBOOK_MCP_CONFIRMATION__ASK": "fallback",
            "GITBOOK_MCP_CONFIRMATION__FALLBACK": "two-step",
        }
        super().__init__(env=variables, stderr=theirs)
        os.close(theirs)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        os.close(self._log)

    def enable(self, duration: str) -> None:
        """Enable development mode, with the two steps of an approval."""
        call = {"integrationName": OWN_INTEGRATION, "tunnelUrl": "https://tunnel.example", "for": duration}
        name = "set_integration_development_mode"
        asked = self.await_answer(self.call(name, **call))["result"]["structuredContent"]
        done = self.await_answer(self.call(name, **call, confirmationId=asked["confirmationId"]))
        assert done["result"]["structuredContent"]["status"] == "done"

    def await_log(self, text: str) -> None:
        """Wait until the log has a text."""
        log = b""
        while text.encode() not in log:
            assert select.select([self._log], [], [], TIMEOUT)[0], log
            chunk = os.read(self._log, 4096)
            assert chunk, log
            log += chunk


@pytest.fixture
def url(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def start(sandbox: dict[str, str], url: str) -> Server:
    """Return a server that has answered its client."""
    server = Server(sandbox, url)
    server.greet("2026-07-28")
    return server


def test_it_ends_at_its_time(sandbox: dict[str, str], url: str) -> None:
    with start(sandbox, url) as server:
        server.enable("3s")
        server.await_log("was disabled")
        assert not is_on(sandbox)


@pytest.mark.parametrize("ending", ["the client leaves", signal.SIGTERM])
def test_it_ends_when_the_server_stops(ending: Any, sandbox: dict[str, str], url: str) -> None:
    with start(sandbox, url) as server:
        server.enable("1h")
        if isinstance(ending, str):
            server.hang_up()
        else:
            server.process.send_signal(ending)
        server.process.wait(TIMEOUT)
    assert not is_on(sandbox)


def test_after_a_crash_the_next_server_ends_it(sandbox: dict[str, str], url: str) -> None:
    with start(sandbox, url) as server:
        server.enable("1s")
        server.process.kill()
        server.process.wait()
    with start(sandbox, url) as server:
        server.await_log("was disabled")
        assert not is_on(sandbox)


def test_after_a_crash_doctor_and_the_next_server_report_it(sandbox: dict[str, str], url: str) -> None:
    with start(sandbox, url) as server:
        server.enable("1h")
        server.process.kill()
        server.process.wait()
    with start(sandbox, url) as server:
        server.await_log("is on until")
        shown = server.await_answer(server.call("get_integration_by_name", integrationName=OWN_INTEGRATION))
        assert shown["result"]["structuredContent"]["developmentMode"]["tunnelHost"] == "tunnel.example"
    variables = {**os.environ, **sandbox, "GITBOOK_MCP_STORE__URL": url}
    doctor = subprocess.run([*COMMAND, "doctor"], env=variables, capture_output=True, text=True, timeout=TIMEOUT)
    assert f"development mode: {OWN_INTEGRATION}: on until" in doctor.stdout
    assert is_on(sandbox)
