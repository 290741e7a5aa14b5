"""One server process and a raw JSON-RPC conversation with it over its stdin and stdout.

Not the SDK's client: that would share the machine with the server and cost more than it. Here a request is bytes made
beforehand, and an answer one `json.loads`.
"""

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from tests.benchmarks import vitals
from tests.benchmarks.subject import ROOT, Subject, environment

PATIENCE = 60.0
"""Seconds without a byte after which a server counts as hung."""


class ServerError(RuntimeError):
    """The server ended, hung or answered with an error; the text ends with what it wrote to stderr."""


class Session:
    """Spawns the subject on entering, ends it on leaving."""

    def __init__(self, subject: Subject, endpoint: str, settings: Mapping[str, str] | None = None) -> None:
        self.subject = subject
        self.full: dict[str, Any] = {}
        """Arguments with which a list shows all of its items; some servers know nothing less."""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self.spawned = time.perf_counter()
        self._process = subprocess.Popen(
            subject.argv,
            bufsize=0,
            cwd=ROOT,
            env={**environment(endpoint), **(settings or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin = self._process.stdin
        self._stdout = self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._buffer = bytearray()
        self._next_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        self._stderr.close()

    def initialize(self) -> None:
        client = {"name": "benchmark", "version": "0"}
        self.request(
            "initialize", {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": client}
        )
        self._send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def list_tools(self) -> list[dict[str, Any]]:
        answer = self.request("tools/list", {})
        tools: list[dict[str, Any]] = answer["tools"]
        while cursor := answer.get("nextCursor"):
            answer = self.request("tools/list", {"cursor": cursor})
            tools += answer["tools"]
        return tools

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return next(self.exchange([self.encode(method, params)], in_flight=1))

    def call(self, tool: str, arguments: Iterable[dict[str, Any]], in_flight: int) -> None:
        """Call `tool` with each of `arguments`, never more than `in_flight` at once; every call has to succeed."""
        name = self.subject.name_tool(tool)
        requests = [self.encode("tools/call", {"name": name, "arguments": given}) for given in arguments]
        for result in self.exchange(requests, in_flight):
            if result.get("isError") or not result.get("content"):
                raise self._failure(f"{tool} answered {json.dumps(result)[:500]}")

    def read(self, tool: str, arguments: dict[str, Any]) -> str:
        """Call `tool` once, whatever comes of it, and return the text of its result."""
        called = {"name": self.subject.name_tool(tool), "arguments": arguments}
        content = self.request("tools/call", called)["content"]
        return "".join(block["text"] for block in content)

    def exchange(self, requests: list[bytes], in_flight: int) -> Iterator[dict[str, Any]]:
        """Send `requests`, keeping `in_flight` of them unanswered, and yield the results in the order they come."""
        followers = iter(requests[in_flight:])
        self._send(b"".join(requests[:in_flight]))
        for _ in requests:
            result = self._receive()
            if follower := next(followers, None):
                self._send(follower)
            yield result

    def encode(self, method: str, params: dict[str, Any]) -> bytes:
        self._next_id += 1
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        return json.dumps(message, separators=(",", ":")).encode() + b"\n"

    def cpu_seconds(self) -> float:
        return vitals.cpu_seconds(self._process.pid)

    def resident_bytes(self) -> int:
        return vitals.resident_bytes(self._process.pid)

    def peak_bytes(self) -> int:
        return vitals.peak_bytes(self._process.pid)

    def _send(self, data: bytes) -> None:
        try:
            self._stdin.write(data)
        except BrokenPipeError:
            raise self._failure("closed its stdin") from None

    def _receive(self) -> dict[str, Any]:
        while True:
            message = json.loads(self._read_line())
            if "method" in message:
                continue  # A notification, as logging or progress.
            if "error" in message:
                raise self._failure(f"answered {message['error']}")
            result: dict[str, Any] = message["result"]
            return result

    def _read_line(self) -> bytes:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if not self._poll.poll(PATIENCE * 1000):
                raise self._failure(f"was silent for {PATIENCE:.0f} s")
            chunk = os.read(self._stdout.fileno(), 1 << 18)
            if not chunk:
                raise self._failure("ended")
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _failure(self, what: str) -> ServerError:
        self._process.kill()
        self._process.wait()
        self._stderr.seek(0)
        said = self._stderr.read().decode(errors="replace")[-2000:].strip()
        return ServerError(f"{self.subject.name} ({' '.join(self.subject.argv)}) {what}\n{said}".rstrip())
