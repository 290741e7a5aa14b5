"""Real PostgreSQL servers for tests, from the programs of the system's package."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import psycopg
import pytest

from tests.support.process import TIMEOUT

NAME = "gitbook"


def find_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, or None if it is not installed."""
    if program := shutil.which("initdb"):
        return Path(program).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)


@dataclass(frozen=True)
class PostgresServer:
    """A server with its files in `folder`, and one database."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The URL for `store.url`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{NAME}"

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return Path(self.folder, "postmaster.pid").exists()

    def run(self, program: str, *words: str) -> None:
        """Run one of PostgreSQL's programs, which refuse to run as root."""
        programs = find_programs()
        assert programs is not None
        user = "postgres" if os.name == "posix" and os.geteuid() == 0 else None
        subprocess.run([programs / program, *words], check=True, capture_output=True, user=user, cwd="/")

    def start(self, *options: str) -> None:
        """Start the server, and wait until it accepts connections."""
        listen = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {' '.join(options)}"
        log = self.folder.parent / f"{self.folder.name}.log"
        self.run("pg_ctl", "start", "--wait", "-D", str(self.folder), "-o", listen, "-l", str(log))

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` closes connections, `immediate` is a crash."""
        self.run("pg_ctl", "stop", "--wait", "-m", mode, "-D", str(self.folder))

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Let all its processes accept bytes without responding."""
        first = int(Path(self.folder, "postmaster.pid").read_text().split()[0])
        pids = [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def count_connections(self) -> int:
        """Return how many connections to the database others have."""
        others = f"datname = '{NAME}' AND pid <> pg_backend_pid()"
        [(count,)] = self.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")  # noqa: S608 - a constant
        assert isinstance(count, int)
        return count

    async def await_connections(self, count: int) -> None:
        """Return when others have that many connections to the database."""
        with anyio.fail_after(TIMEOUT):
            while self.count_connections() != count:  # noqa: ASYNC110 - PostgreSQL notifies nobody of this
                await anyio.sleep(0.05)


@contextmanager
def start_postgres() -> Iterator[PostgresServer]:
    """Run a new server until the context ends; skip the test where PostgreSQL is not installed."""
    if find_programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory() as folder:  # pytest's folders are for the user alone
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server = PostgresServer(Path(folder, "data"), find_free_port())
        server.run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "-D", str(server.folder))
        server.start()
        try:
            with psycopg.connect(server.url.replace(f"/{NAME}", "/postgres"), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {NAME}".encode())
            yield server
        finally:
            if server.is_running:
                server.stop("immediate")


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
