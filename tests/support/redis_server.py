"""A real Redis for tests: Debian's redis-server on its own socket, without files on disk."""

import contextlib
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis, RedisError

from gitbook_integrations_mcp.confirmation.redis_store import PREFIX
from tests.support.process import find_program

KEYS = ["a key of the tests that is long enough"]


@dataclass
class RedisServer:
    """A server that can be stopped and started again, and whose confirmations can expire sooner."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The URL of its socket."""
        return f"unix://{self.folder}/redis.sock"

    @property
    def confirmation(self) -> dict[str, Any]:
        """The `confirmation` settings of a server that uses this Redis."""
        return {"store": self.url, "keys": KEYS}

    def start(self) -> None:
        """Start it and wait until it responds."""
        options = ("--port", "0", "--unixsocket", f"{self.folder}/redis.sock", "--dir", str(self.folder), "--save", "")
        command = ["redis-server", *options, "--loglevel", "warning"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with self.connect() as redis:
            while True:
                with contextlib.suppress(RedisError):
                    redis.ping()
                    return
                assert self.process.poll() is None, "redis-server ended at once"

    def stop(self) -> None:
        """Kill it. All its data is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @contextlib.contextmanager
    def freeze(self) -> Iterator[None]:
        """Make it accept connections without responding."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        yield
        self.process.send_signal(signal.SIGCONT)

    def connect(self) -> Redis:
        """Return a new client."""
        return Redis.from_url(self.url, decode_responses=True)

    def pass_time(self, seconds: float) -> None:
        """Make every confirmation expire sooner by this many seconds."""
        with self.connect() as redis:
            for identifier, _ in redis.zscan_iter(f"{PREFIX}expiries"):
                redis.zincrby(f"{PREFIX}expiries", -1000 * seconds, identifier)

    def dump(self) -> str:
        """Return all its data as text."""
        with self.connect() as redis:
            return repr([(key, _read(redis, key)) for key in redis.scan_iter()])


def _read(redis: Redis, key: str) -> Any:
    return redis.hgetall(key) if redis.type(key) == "hash" else redis.zrange(key, 0, -1)


def start_redis() -> Iterator[RedisServer]:
    """Yield a running server."""
    find_program("redis-server")
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()
