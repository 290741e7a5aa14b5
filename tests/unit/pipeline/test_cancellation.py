"""A call that is cancelled ends what it does at GitBook, on every way and in both eras."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from tests.support.counting_gitbook import Counter
from tests.support.fake_gitbook import TOKENS, approve
from tests.support.http_server import WAYS, connect, serve
from tests.support.process import until
from tests.support.samples import make_arguments

PATHS = [("memory", "legacy"), ("memory", "2026-07-28"), *WAYS]
each_path = pytest.mark.parametrize(("kind", "era"), PATHS, ids=[f"{kind}-{era}" for kind, era in PATHS])


@contextlib.asynccontextmanager
async def talk(upstream: Counter, kind: str, era: str) -> AsyncIterator[Client]:
    """Yield a client of a server in front of `upstream`, over the way named."""
    sections: dict[str, Any] = {"gitbook": TOKENS, "limits": {"wait_seconds": 50}}
    if kind == "memory":
        server = create_server(
            load_settings(sections), http_transport=httpx.ASGITransport(app=upstream), confirm=approve
        )
        async with Client(server, mode=era) as client:
            yield client
    else:
        async with serve(upstream, **sections) as address, connect(address, kind, era) as client:  # type: ignore[arg-type]
            yield client


def is_asking() -> bool:
    """Whether any reading of GitBook goes on: sent, or waiting to be."""
    chains = (_follow(task.get_coro()) for task in asyncio.all_tasks())
    return any(getattr(coroutine, "__qualname__", None) == "GitBook.send" for chain in chains for coroutine in chain)


def _follow(coroutine: Any) -> Iterator[Any]:
    """Yield a coroutine, the one it awaits, and so on."""
    while coroutine is not None:
        yield coroutine
        coroutine = getattr(coroutine, "cr_await", None)


@each_path
@pytest.mark.parametrize("name", ["get_integration_by_name", "unpublish_integration", "queue_integration_task"])
async def test_a_cancelled_call_cancels_its_request(kind: str, era: str, name: str) -> None:
    upstream = Counter()
    async with talk(upstream, kind, era) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, name, make_arguments(ENDPOINTS[name]))
            await until(lambda: upstream.in_flight == 1)
            group.cancel_scope.cancel()
        await until(lambda: upstream.in_flight == 0)
        assert (len(upstream.paths), upstream.cancelled) == (1, 1)
        upstream.open.set()
        assert (await client.call_tool("get_authenticated_user", {})).structured_content == {}


@each_path
async def test_a_call_that_is_cancelled_while_it_waits_is_not_retried(kind: str, era: str) -> None:
    upstream = Counter()
    upstream.open.set()
    upstream.status, upstream.headers = 503, [(b"retry-after", b"40")]
    async with talk(upstream, kind, era) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "list_sites", {"organizationId": "acme"})
            await until(lambda: len(upstream.paths) == 1 and not upstream.in_flight)
            assert is_asking()
            group.cancel_scope.cancel()
        await until(lambda: not is_asking())  # long before its time
        upstream.status = 200
        assert not (await client.call_tool("get_authenticated_user", {})).is_error
    assert len(upstream.paths) == 2
