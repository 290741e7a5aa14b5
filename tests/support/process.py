"""The real command as a process."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import anyio
import pytest


def find_program(name: str) -> str:
    """Return where a real program is, from the Debian package of its name.

    Without it, the test is skipped with a message; in CI it fails.
    """
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is not None:
        return found
    reason = f"{name} is not installed (Debian: {name})"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


TIMEOUT = 120.0
"""Seconds after which something counts as hung, also on a busy machine."""

SOON = 40.0
"""Seconds within which something happens that the default time-outs of the server, 55 s and more, would not bring."""

COMMAND = [sys.executable, "-m", "gitbook_integrations_mcp"]


@contextlib.contextmanager
def run(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Yield the command while it runs; stop it afterwards, come what may."""
    with subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process
        finally:
            running = process.poll() is None
            process.terminate()
            process.stderr.read()
    assert not running or process.returncode in {0, -15}


@contextlib.contextmanager
def start(*words: str, lines: int = 1) -> Iterator[list[str]]:
    """Yield the first `lines` that a serving command writes to standard error while it runs."""
    with run(*words) as process:
        assert process.stderr is not None
        yield [process.stderr.readline().strip() for _ in range(lines)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    with anyio.fail_after(SOON):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a server, which sets no event
            await anyio.sleep(0.005)
