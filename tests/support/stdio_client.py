"""The real command, spoken to byte by byte over its standard input and output."""

import json
import os
import select
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any, Literal, Self

from tests.support.fake_gitbook import Era
from tests.support.process import COMMAND, TIMEOUT

Plumbing = Literal["pipe", "socket"]
"""What standard input and output are: pipes, or the socket pairs of clients that run on Node."""


class Conversation:
    """Starts the command on entering, kills what is left of it on leaving.

    `stderr` is a file descriptor for its standard error, in place of a file.
    """

    def __init__(
        self, *words: str, plumbing: Plumbing = "pipe", env: Mapping[str, str] | None = None, stderr: int | None = None
    ) -> None:
        theirs_in, self._in = _open_pair() if plumbing == "socket" else os.pipe()
        self._out, theirs_out = _open_pair() if plumbing == "socket" else os.pipe()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._received = bytearray()
        self._meta: dict[str, Any] = {}
        self._count = 0
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            stdin=theirs_in,
            stdout=theirs_out,
            stderr=self._stderr if stderr is None else stderr,
            env={**os.environ, **(env or {})},
        )
        os.close(theirs_in)
        os.close(theirs_out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for fd in (self._in, self._out):
            if fd >= 0:
                os.close(fd)
        self._stderr.close()

    @property
    def stderr(self) -> str:
        """All that the server has written to standard error."""
        self._stderr.seek(0)
        return self._stderr.read().decode()

    def greet(self, era: Era, capabilities: Mapping[str, Any] | None = None) -> Self:
        """Open the conversation in one of the protocol's eras."""
        if era == "legacy":
            client = {"name": "test", "version": "1"}
            hello = {"protocolVersion": "2025-11-25", "capabilities": capabilities or {}, "clientInfo": client}
            assert self.await_answer(self.ask("initialize", hello))["result"]["serverInfo"]
            self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        else:
            prefix = "io.modelcontextprotocol/"
            self._meta = {f"{prefix}protocolVersion": era, f"{prefix}clientCapabilities": capabilities or {}}
            assert self.await_answer(self.ask("tools/list"))["result"]["tools"]
        return self

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> str:
        """Send a request and return its ID, which no other test's bytes hold."""
        line, name = self.encode(method, params)
        self.send(line)
        return name

    def call(self, tool: str, **arguments: Any) -> str:
        """Call a tool and return the request's ID."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def encode(self, method: str, params: Mapping[str, Any] | None = None) -> tuple[bytes, str]:
        """Return a request as a line, and its ID."""
        self._count += 1
        name = f"request {self._count}"
        content = {**(params or {}), **({"_meta": self._meta} if self._meta else {})}
        request = {"jsonrpc": "2.0", "id": name, "method": method, "params": content}
        return json.dumps(request).encode() + b"\n", name

    def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._in, rest) :]

    def receive(self) -> dict[str, Any]:
        """Return the next message.

        Raises:
            EOFError: the server has closed its output.
        """
        start = 0
        while (end := self._received.find(b"\n", start)) < 0:
            start = len(self._received)
            assert select.select([self._out], [], [], TIMEOUT)[0], f"silent: {self.stderr}"
            if not (chunk := os.read(self._out, 1 << 16)):
                assert not self._received
                raise EOFError
            self._received += chunk
        message: dict[str, Any] = json.loads(self._received[:end])
        del self._received[: end + 1]
        assert message["jsonrpc"] == "2.0"
        return message

    def await_answer(self, request: str) -> dict[str, Any]:
        """Return the answer to a request; what comes before it is dropped."""
        while (message := self.receive()).get("id") != request:
            pass
        return message

    def receive_rest(self) -> list[dict[str, Any]]:
        """Return all messages up to the end."""
        messages = []
        while True:
            try:
                messages.append(self.receive())
            except EOFError:
                return messages

    def hang_up(self) -> None:
        """Close the server's standard input."""
        os.close(self._in)
        self._in = -1

    def stop_reading(self) -> None:
        """Close the server's standard output."""
        os.close(self._out)
        self._out = -1


def _open_pair() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()
