"""The documented reverse proxies, run for real: only names, ports and certificates differ from what is documented."""

import contextlib
import re
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.process import TIMEOUT, find_program
from tests.support.repository import DOCS

NAME = "mcp.example.com"
"""What the proxy is called, in the documentation and here."""
REPLICAS = ("127.0.0.1:8001", "127.0.0.1:8002")
"""What stands behind it in the documentation."""


def read_example(name: str) -> str:
    """Return the block of the page on proxies that is marked with `name`."""
    page = (DOCS / "operate" / "proxies.md").read_text("utf-8")
    found = re.search(rf"^<!-- {name} -->\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def substitute(text: str, changes: Mapping[str, str]) -> str:
    """Return `text` with every key replaced by its value; each must be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def write_caddyfile(port: int, replicas: Sequence[str], folder: Path) -> list[str]:
    """Write what Caddy is configured with, and return the command that runs it."""
    site = f"https://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {folder}/certificate.pem {folder}/key.pem"
    example = substitute(read_example("caddy"), {f"{NAME} {{": site, **dict(zip(REPLICAS, replicas, strict=True))})
    if _read_caddy_version() < (2, 6, 3):
        example = substitute(example, {"request_buffers 16MiB": "buffer_requests"})  # as the page says
    file = folder / "Caddyfile"
    # Without a period of grace, Caddy would wait for streams, whose other end is in the very process that waits for it.
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tgrace_period 100ms\n"
    file.write_text(options + example.removeprefix("{\n"))
    return [find_program("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]


def _read_caddy_version() -> tuple[int, ...]:
    said = subprocess.run([find_program("caddy"), "version"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", said)
    assert found is not None, said
    return tuple(int(part) for part in found.groups())


def write_nginx_conf(port: int, replicas: Sequence[str], folder: Path) -> list[str]:
    """Write what nginx is configured with, and return the command that runs it."""
    certificates = f"/etc/letsencrypt/live/{NAME}"
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f"{certificates}/fullchain.pem": f"{folder}/certificate.pem",
        f"{certificates}/privkey.pem": f"{folder}/key.pem",
        **dict(zip(REPLICAS, replicas, strict=True)),
    }
    file = folder / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    http = f"http {{\naccess_log {folder}/access.log;\n{temporary}{substitute(read_example('nginx'), changes)}}}\n"
    file.write_text(f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n{http}")
    return [find_program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(file)]


Configure = Callable[[int, Sequence[str], Path], list[str]]
PROXIES: Mapping[str, Configure] = {"caddy": write_caddyfile, "nginx": write_nginx_conf}


@contextlib.contextmanager
def make_certificate() -> Iterator[Path]:
    """Yield a folder with a certificate that its own key signed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's workers are nobody
        files = ("-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem")
        names = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}")
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
        subprocess.run(
            [find_program("openssl"), "req", "-x509", *kind, *files, *names], check=True, capture_output=True
        )
        yield folder


@contextlib.contextmanager
def run_proxy(configure: Configure, port: int, replicas: Sequence[str], folder: Path) -> Iterator[None]:
    """Run a proxy before `replicas` meanwhile, with the certificate in `folder`."""
    command = configure(port, replicas, folder)
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "said").open("w+") as said, subprocess.Popen(command, env=home, stderr=said) as process:
        try:
            context = ssl.create_default_context(cafile=folder / "certificate.pem")
            deadline = time.monotonic() + TIMEOUT
            while not _answers(port, context):
                assert process.poll() is None, (folder / "said").read_text()
                assert time.monotonic() < deadline, (folder / "said").read_text()
            yield
        finally:
            process.terminate()


def _answers(port: int, context: ssl.SSLContext) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), 5) as connection,
        context.wrap_socket(connection, server_hostname=NAME),
    ):
        return True
    return False
