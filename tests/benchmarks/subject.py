"""What is measured: a command that serves MCP, and the upstream it is pointed at."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.baseline_tools import write_operations

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / ".cache" / "benchmarks" / "operations.json"
PROXIES = {"http_proxy", "https_proxy", "all_proxy"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A server under test: a column of the table."""

    name: str
    argv: tuple[str, ...]
    dashed: bool = False
    """Whether it writes the names of tools with dashes."""

    def name_tool(self, name: str) -> str:
        return name.replace("_", "-") if self.dashed else name


def product(command: str | None, *words: str) -> Subject:
    """The server this repository is about, or another `command` in its place, called with `words`."""
    argv = _module("gitbook_integrations_mcp") if command is None else tuple(shlex.split(command))
    return Subject("product", (*argv, *words))


def baseline(python: str = sys.executable, module: str = "tests.benchmarks.baseline_server") -> Subject:
    """The bare server, with the packages of this environment or of another `python`. Writes the file of its tools."""
    name = "baseline" if python == sys.executable else "bare baseline"
    return Subject(name, (*_module(module, python), str(write_operations(OPERATIONS))))


def _module(name: str, python: str = sys.executable) -> tuple[str, ...]:
    return python, "-m", name


def environment(endpoint: str) -> dict[str, str]:
    """The caller's environment without settings and proxies of its own, pointed at `endpoint`.

    Python may keep its byte code, as everywhere else: without it, every start would compile what it imports.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GITBOOK_") and name.lower() not in PROXIES | {"pythondontwritebytecode"}
    }
    return kept | {"GITBOOK_ENDPOINT": endpoint, "GITBOOK_TOKEN": "gb_api_benchmark"}


@contextmanager
def upstream(latency_ms: float = 0, certificate: Path | None = None) -> Iterator[str]:
    """Run the fake GitBook and yield its endpoint. With the file of a certificate, it is reached over TLS."""
    argv = [*_module("tests.benchmarks.upstream"), "--latency", str(latency_ms)]
    if certificate:
        argv += ["--certificate", str(certificate)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()
        if not port:
            raise RuntimeError("the fake GitBook did not start")
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
