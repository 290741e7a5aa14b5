"""Somebody who starts the bare command in a terminal learns what to do instead."""

import os
import subprocess
import sys

import pytest

from tests.support.process import TIMEOUT


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_terminal_gets_a_hint_and_a_pipe_does_not() -> None:
    import pty

    here, there = pty.openpty()
    try:
        command = [sys.executable, "-m", "gitbook_integrations_mcp"]
        with subprocess.Popen(command, stdin=there, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            first = process.stderr.readline()
            process.kill()
        assert b"MCP server" in first
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
        assert ended.stderr == b""
    finally:
        os.close(here)
        os.close(there)
