"""A server process that listens on loopback, for as long as it is measured."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.benchmarks.subject import ROOT, Subject, environment

PATIENCE = 60.0
"""Seconds a server may take to answer the first time."""


@dataclass(frozen=True, slots=True)
class Listener:
    subject: Subject
    pid: int
    port: int


@contextmanager
def listen(subject: Subject, endpoint: str) -> Iterator[Listener]:
    """Spawn the subject on a free port and end it on leaving; an error shows what it wrote to stderr."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile() as said:
        argv = [*subject.argv, "--port", str(port)]
        process = subprocess.Popen(argv, cwd=ROOT, env=environment(endpoint), stdout=said, stderr=said)
        try:
            _wait(process, port)
            yield Listener(subject, process.pid, port)
        except BaseException as error:
            said.seek(0)
            error.add_note(f"{subject.name} said: {said.read().decode(errors='replace')[-2000:]}")
            raise
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when the server has answered a request, whatever the answer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                if connection.recv(1):
                    return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
