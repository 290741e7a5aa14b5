"""A server on loopback, and clients of it over streamable HTTP and SSE."""

import contextlib
import functools
import hashlib
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.transports.web import create_application
from tests.support.elicitation_client import GitBookSpy, Human
from tests.support.fake_gitbook import Era, Upstream
from tests.support.loopback import NO_TLS, listen, open_listener
from tests.support.process import TIMEOUT

Kind = Literal["streamable-http", "sse"]


WAYS: list[tuple[Kind, Era]] = [("streamable-http", "legacy"), ("streamable-http", "2026-07-28"), ("sse", "legacy")]


each_way = pytest.mark.parametrize(("kind", "era"), WAYS, ids=[f"{kind}-{era}" for kind, era in WAYS])


TOKENS = {"ann": "ann-secret-0123456789", "bob": "bob-secret-0123456789"}


CALLERS = [{"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest()} for name, token in TOKENS.items()]


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
"""The request with which a client of protocol 2025-11-25 opens a session."""


@contextlib.asynccontextmanager
async def serve(
    upstream: Any, *, public: bool = False, run: str | None = None, **sections: Mapping[str, Any]
) -> AsyncIterator[str]:
    """Yield the address, by choice the public one, of a server whose GitBook is `upstream`, if not that of settings.

    Servers with the same `run` are one to a store in a file.
    """
    ours = {"sandbox": isinstance(upstream, GitBookSpy), "transport": ["sse", "streamable-http"]}
    with open_listener() as (listener, address):
        http = {"shutdown_seconds": 1, **({"public_url": address} if public else {}), **sections.get("http", {})}
        settings = load_settings({"server": ours, **sections, "http": http})
        transport = httpx.ASGITransport(app=upstream) if upstream else None
        server = create_server(settings, http_transport=transport, run=run)
        async with listen(create_application(settings, server), settings.http, listener):
            yield address


@contextlib.asynccontextmanager
async def connect(
    address: str,
    kind: Kind,
    era: Era,
    human: Human | None = None,
    headers: Mapping[str, str] | None = None,
    auth: httpx2.Auth | None = None,
    verify: ssl.SSLContext = NO_TLS,
) -> AsyncIterator[Client]:
    """Yield a client of the server at `address` that sends `headers`, and what `auth` adds, with every request."""
    open_http = functools.partial(httpx2.AsyncClient, verify=verify, trust_env=False)
    async with contextlib.AsyncExitStack() as stack:
        transport: Any
        if kind == "sse":
            given = dict(headers or {})
            transport = sse_client(f"{address}/sse", headers=given, auth=auth, httpx_client_factory=open_http)
        else:
            http = await stack.enter_async_context(open_http(headers=headers, auth=auth, timeout=TIMEOUT))
            transport = streamable_http_client(f"{address}/mcp", http_client=http)
        callback = human.answer if human else None
        yield await stack.enter_async_context(Client(transport, mode=era, elicitation_callback=callback))


def bear(name: str, **more: str) -> dict[str, str]:
    """Return the headers with which a caller shows who they are."""
    return {"Authorization": f"Bearer {TOKENS[name]}", **more}


def answer_token(upstream: Upstream) -> list[str]:
    """Return the credentials with which GitBook was asked."""
    return [request.headers["authorization"].removeprefix("Bearer ") for request in upstream.requests]
