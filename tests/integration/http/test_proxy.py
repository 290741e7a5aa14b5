"""Behind the documented proxies, over TLS and before two replicas that share a database, all works as without."""

import contextlib
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client

from gitbook_integrations_api.resources import RESOURCES
from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.features.addresses import write_uri
from gitbook_integrations_mcp.sandbox import create_sandbox
from tests.support.elicitation_client import GitBookSpy, Human, read_status
from tests.support.fake_gitbook import ERAS, Era
from tests.support.gated_calls import find_target
from tests.support.http_server import Kind, connect, each_way, serve
from tests.support.postgres_server import PostgresServer
from tests.support.process import TIMEOUT
from tests.support.proxy import NAME, PROXIES, make_certificate, read_example, run_proxy
from tests.support.samples import SCRIPT, make_png
from tests.support.stores import KEYS
from tests.support.subscriber import Subscriber, find_installation, handle_updates, update, watch

NAMES = [f"caller-{number}" for number in range(16)]
CALLERS = [{"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()} for name in NAMES]


@pytest.fixture(scope="module")
def certificate() -> Iterator[Path]:
    with make_certificate() as folder:
        yield folder


@dataclass(frozen=True)
class Front:
    """A proxy as the world sees it, and what each replica behind it changed in the one GitBook."""

    address: str
    trust: ssl.SSLContext
    spies: tuple[GitBookSpy, GitBookSpy]

    def connect(
        self, kind: Kind, era: Era, human: Human | None = None, caller: str = NAMES[0]
    ) -> AbstractAsyncContextManager[Client]:
        """Return a client."""
        headers = {"Authorization": f"Bearer {caller}"}
        return connect(self.address, kind, era, human, headers, verify=self.trust)

    @property
    def mutations(self) -> list[tuple[str, str]]:
        """What both changed."""
        return self.spies[0].mutations + self.spies[1].mutations


@pytest.fixture(params=PROXIES)
async def front(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, certificate: Path, postgres: PostgresServer
) -> AsyncIterator[Front]:
    """Two replicas behind a proxy, which is found by its name."""
    resolve = socket.getaddrinfo

    def resolve_here(host: Any, *rest: Any, **more: Any) -> Any:
        return resolve("127.0.0.1" if host in {NAME, NAME.encode()} else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_here)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    address = f"https://{NAME}:{port}"
    sections: dict[str, Any] = {
        "http": {"public_url": address, "tokens": CALLERS},
        "store": {"url": postgres.url},
        "confirmation": {"keys": KEYS, "widening": "off"},
    }
    sandbox = create_sandbox()
    spies = GitBookSpy(sandbox), GitBookSpy(sandbox)
    async with serve(spies[0], **sections) as one, serve(spies[1], **sections) as other:
        replicas = [one.removeprefix("http://"), other.removeprefix("http://")]
        with run_proxy(PROXIES[request.param], port, replicas, certificate):
            yield Front(address, ssl.create_default_context(cafile=certificate / "certificate.pem"), spies)


@each_way
async def test_tools_are_listed_called_and_confirmed_by_a_form(front: Front, kind: Kind, era: Era) -> None:
    human, target = Human(), find_target(front.spies[0], "uninstall_integration")
    with anyio.fail_after(TIMEOUT):
        async with front.connect(kind, era, human) as client:
            assert len((await client.list_tools()).tools) >= 40
            for _ in range(5):  # a session that wandered between replicas would break
                assert not (await client.call_tool("list_sites", {})).is_error
            # Where the server asks within the call, the question arrives before the answer can exist.
            assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
    assert len(human.requests) == len(front.mutations) == 1


@each_way
async def test_what_is_streamed_arrives_while_the_stream_is_open(front: Front, kind: Kind, era: Era) -> None:
    installation = find_installation(front.spies[0])
    uri = write_uri(RESOURCES["installation"], installation)
    with anyio.fail_after(TIMEOUT):
        async with front.connect(kind, era) as client:
            subscriber = Subscriber(client)
            client.session._message_handler = handle_updates(subscriber)
            async with watch(subscriber, uri):
                for _ in range(3):
                    await update(client, installation)
                    await subscriber.take(uri)


@pytest.mark.parametrize("era", ERAS)
async def test_a_human_confirms_on_the_page(front: Front, era: Era) -> None:
    target = find_target(front.spies[0], "uninstall_integration")
    async with (
        front.connect("streamable-http", era) as client,
        httpx.AsyncClient(trust_env=False, verify=front.trust) as browser,
    ):
        result = await client.call_tool(target.name, target.arguments)
        assert result.structured_content is not None
        url = result.structured_content["url"]
        assert url.startswith(f"{front.address}/")
        page = await browser.get(url)
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": csrf, "decision": "approve", "confirm": "yes"}
        for origin, status in (("https://evil.example", 403), (front.address, 200)):
            assert (await browser.post(url, headers={"Origin": origin}, data=form)).status_code == status
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
    assert len(front.mutations) == 1


async def test_callers_are_spread_over_the_replicas(front: Front) -> None:
    installation = find_installation(front.spies[0])
    for name in NAMES:
        async with front.connect("streamable-http", "2026-07-28", caller=name) as client:
            await update(client, installation)
    assert all(spy.mutations for spy in front.spies)


async def test_what_the_server_takes_the_proxy_lets_through(front: Front) -> None:
    publication = {
        "integrationName": "large",
        "organization": "aurora-robotics",
        "title": "Large",
        "description": "Large",
        "script": SCRIPT,
        "scopes": [],
        "previewImages": [make_png(1024 * 1024)] * 3,
    }
    async with front.connect("streamable-http", "2026-07-28") as client:
        result = await client.call_tool("publish_integration", publication)
    assert not result.is_error, result


@contextlib.contextmanager
def connect_plainly(proxy: str, certificate: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a connection to a proxy, and the listener of its only replica."""
    with socket.create_server(("127.0.0.1", 0)) as replica, socket.create_server(("127.0.0.1", 0)) as listener:
        address, port = f"127.0.0.1:{replica.getsockname()[1]}", listener.getsockname()[1]
        listener.close()
        replica.settimeout(TIMEOUT)
        context = ssl.create_default_context(cafile=certificate / "certificate.pem")
        with (
            run_proxy(PROXIES[proxy], port, [address, address], certificate),
            socket.create_connection(("127.0.0.1", port), TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as client,
        ):
            yield client, replica


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_request_is_sent_on_when_it_is_complete(proxy: str, certificate: Path) -> None:
    """Caddy closes its connection to a server whose response begins while Caddy still reads the request."""
    with connect_plainly(proxy, certificate) as (client, replica):
        client.sendall(f"POST /messages/ HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 8\r\n\r\nhalf".encode())
        replica.settimeout(0.5)
        with pytest.raises(TimeoutError):
            replica.accept()
        client.sendall(b"half")
        replica.settimeout(TIMEOUT)
        replica.accept()[0].close()


@pytest.mark.parametrize("proxy", PROXIES)
def test_no_log_has_the_session_of_a_message(proxy: str, certificate: Path) -> None:
    """A proxy logs a request of which a replica closes the connection as an error, too."""
    path = f"{HttpSection().message_path}?session_id=secret"
    with connect_plainly(proxy, certificate) as (client, replica):
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n".encode())
        upstream, _ = replica.accept()
        assert b"secret" in upstream.recv(4096)
        upstream.close()
        assert client.recv(4096).startswith(b"HTTP/1.1 502")
    logs = [file.read_text() for name in ("said", "access.log") if (file := certificate / name).exists()]
    assert not any("secret" in one for one in logs)


def test_proxies_have_the_limit_of_the_server() -> None:
    size = HttpSection().body_bytes // 2**20
    assert f"client_max_body_size {size}m;" in read_example("nginx")
    assert f"request_buffers {size}MiB" in read_example("caddy")
