"""Eight processes share a login: its token is renewed once, and a process that is killed meanwhile harms no other."""

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.gitbook.login import open_logins
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.login import log_in
from tests.support.process import TIMEOUT
from tests.support.sandbox_server import serve_in_thread

PROGRAM = (
    "import sys; sys.stdin.readline(); from gitbook_integrations_mcp.cli.main import main; sys.exit(main(sys.argv[1:]))"
)
CALL = ("call", "list_sites", f"organizationId={ORGANIZATION_ID}", "--json", "--log-level", "debug")
PROCESSES = 8


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("GITBOOK_") and name != "GITBOOK_MCP_STORE__URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_a_process_that_is_killed_while_it_replaces_tokens_changes_nothing() -> None:
    program = """
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.gitbook.login import open_logins
with open_logins(load_settings()).lock() as locked:
    login, tokens = locked.read()
    locked.write(login, type(tokens)(tokens.access))
    print("written", flush=True)
    input()
"""
    with serve_in_thread() as (_, address), pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITBOOK_ENDPOINT", address)
        anyio.run(log_in, load_settings())
        with open_logins(load_settings()).lock() as locked:
            before = locked.read()
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "written\n"
            process.kill()
        with open_logins(load_settings()).lock() as locked:
            assert locked.read() == before


def test_eight_processes_renew_a_token_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_in_thread() as (sandbox, address):
        monkeypatch.setenv("GITBOOK_ENDPOINT", address)
        anyio.run(log_in, load_settings())
        with open_logins(load_settings()).lock() as locked:
            found = locked.read()
            assert found
            login, tokens = found
            locked.write(login, type(tokens)(tokens.access, tokens.refresh, 0.0))
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *CALL],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(PROCESSES)
        ]
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        ended = [(*process.communicate(timeout=TIMEOUT), process.returncode) for process in processes]
        assert [code for _, _, code in ended] == [0] * PROCESSES, ended[0][1]
        assert sandbox.authorization.renewals == 1
        shown = "".join(out + err for out, err, _ in ended)
        assert not [token for token in sandbox.state.access_tokens if token in shown]
