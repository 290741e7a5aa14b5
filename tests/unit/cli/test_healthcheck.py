"""The health check of the image follows host, port and transport of the server."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gitbook_integrations_mcp.cli.healthcheck import main


class Server(ThreadingHTTPServer):
    """A server that responds with `status`."""

    status = 200
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        """Respond to a health check."""
        self.send_response(self.server.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@contextlib.contextmanager
def serve(family: socket.AddressFamily = socket.AF_INET, status: int = 200) -> Iterator[int]:
    """Yield the port of a server on loopback."""

    class Listener(Server):
        address_family = family

    with Listener(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), Handler) as server:
        server.status = status
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(autouse=True)
def _image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_MCP_SERVER__TRANSPORT", "streamable-http,sse")
    monkeypatch.setenv("GITBOOK_MCP_HTTP__HOST", "0.0.0.0")


def write(folder: Path, *words: str) -> Path:
    """Return the file of a process with this command line."""
    path = folder / "cmdline"
    path.write_bytes(b"".join(word.encode() + b"\0" for word in words))
    return path


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_port_of_the_variable_is_asked(
    status: int, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serve(status=status) as port:
        monkeypatch.setenv("GITBOOK_MCP_HTTP__PORT", str(port))
        assert main(tmp_path / "nothing") == code
    assert main(tmp_path / "nothing") == 1


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::", "[::1]"])
def test_ipv6_is_asked(host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serve(socket.AF_INET6) as port:
        monkeypatch.setenv("GITBOOK_MCP_HTTP__PORT", str(port))
        monkeypatch.setenv("GITBOOK_MCP_HTTP__HOST", host)
        assert main(tmp_path / "nothing") == 0


def test_flags_of_the_containers_first_process_count(tmp_path: Path) -> None:
    program = ("/sbin/docker-init", "--", "/opt/venv/bin/python", "/opt/venv/bin/gitbook-integrations-mcp")
    assert main(write(tmp_path, *program, "--transport", "stdio")) == 0
    with serve() as port:
        assert main(write(tmp_path, *program, "serve", "--port", str(port))) == 0
    assert main(write(tmp_path, *program, "serve", "--port", str(port))) == 1


@pytest.mark.parametrize(
    "program",
    [
        ("python", "-m", "gitbook_integrations_mcp", "serve", "--port", "{port}"),
        ("sh", "-c", "gitbook-integrations-mcp serve --port {port}"),
        ("bash", "-ec", "umask 077 && exec gitbook-integrations-mcp serve --port '{port}' 2>&1 | tee log"),
        ("sh", "-c", "echo don't; /opt/venv/bin/python -m gitbook_integrations_mcp --port $PORT"),
    ],
)
def test_flags_count_however_the_server_was_started(
    program: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serve() as port:
        monkeypatch.setenv("PORT", str(port))
        words = [word.format(port=port) for word in program]
        assert main(write(tmp_path, *words)) == 0


def test_stdio_is_always_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITBOOK_MCP_SERVER__TRANSPORT", "stdio")
    assert main(write(tmp_path, "/sbin/init", "--port", "1")) == 0


def test_wrong_settings_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITBOOK_MCP_HTTP__PORT", "no")
    assert main(tmp_path / "nothing") == 1
    assert "http.port" in capsys.readouterr().err
