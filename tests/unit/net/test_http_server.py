"""Every application that uvicorn serves has the same bounds on its clients."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.net.http_server import build_options
from gitbook_integrations_mcp.net.timeouts import TimeoutProtocol
from gitbook_integrations_mcp.sandbox import create_sandbox
from gitbook_integrations_mcp.sandbox.serving import serve_sandbox
from gitbook_integrations_mcp.transports.serving import serve
from gitbook_integrations_mcp.transports.workers import WorkerConfig

SOURCE = Path(__file__).parents[3] / "server"
HTTP = {"port": 0, "request_seconds": 7, "send_seconds": 8, "connections": 9}
SETTINGS = load_settings({"server": {"sandbox": True, "transport": ["streamable-http"]}, "http": HTTP})


async def _serve_page() -> None:
    page = ConfirmationPage(None)  # type: ignore[arg-type]  # it is started and never asked
    page._start()
    await page.close()


async def _serve_mcp() -> None:
    serve(SETTINGS)


async def _serve_workers() -> None:
    WorkerConfig(SETTINGS, "run")


async def _serve_sandbox() -> None:
    serve_sandbox(create_sandbox())


APPLICATIONS: dict[str, tuple[Callable[[], Any], HttpSection]] = {
    "MCP": (_serve_mcp, SETTINGS.http),
    "a worker": (_serve_workers, SETTINGS.http),
    "the confirmation page": (_serve_page, HttpSection()),
    "the sandbox": (_serve_sandbox, HttpSection()),
}


@pytest.fixture
def configurations(monkeypatch: pytest.MonkeyPatch) -> list[uvicorn.Config]:
    """All configurations of uvicorn that a test creates; nothing is served."""
    created: list[uvicorn.Config] = []
    create = uvicorn.Config.__init__

    def record(self: uvicorn.Config, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        created.append(self)

    async def do_not_serve(*_args: Any, **_kwargs: Any) -> None:
        pass

    monkeypatch.setattr(uvicorn.Config, "__init__", record)
    monkeypatch.setattr(uvicorn.Server, "serve", do_not_serve)
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_args, **_kwargs: None)
    return created


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_every_application_bounds_its_clients(name: str, configurations: list[uvicorn.Config]) -> None:
    start, expected = APPLICATIONS[name]
    await start()
    (configuration,) = configurations
    protocol: Any = configuration.http
    assert issubclass(protocol, TimeoutProtocol)
    assert protocol.request_seconds == expected.request_seconds
    assert protocol.send_seconds == expected.send_seconds
    assert protocol.limit == expected.connections
    if name != "the confirmation page":  # browsers repeat a request on a connection that was closed
        assert configuration.timeout_keep_alive > 60, "longer than load balancers keep idle connections"
    assert configuration.ws == "none"
    assert not configuration.access_log


def test_no_application_can_replace_the_bounds() -> None:
    protocol: Any = build_options(HttpSection(request_seconds=7), http="auto", access_log=True)["http"]
    assert protocol.request_seconds == 7


def find_configurations(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that create a configuration of uvicorn, or serve without one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Config") for base in node.bases):
            yield from (
                call
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__"
            )
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"uvicorn.Config", "uvicorn.run", "Config"}:
            yield node


def test_all_configurations_come_from_one_function() -> None:
    calls = [
        (path.name, call)
        for path in sorted(SOURCE.rglob("*.py"))
        for call in find_configurations(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert [name for name, _ in calls] == ["page.py", "serving.py", "serving.py", "workers.py"]
    for name, call in calls:
        unpacked = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg is None]
        assert len(unpacked) == 1, name
        assert unpacked[0].startswith("build_options("), name
