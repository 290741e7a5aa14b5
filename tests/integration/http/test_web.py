"""Streamable HTTP and SSE over real sockets: both protocol versions, authentication, and isolation of callers."""

import contextlib
import hashlib
import json
import logging
import re
import socket
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from mcp import Client
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CallToolResult
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.auth.hosts import LOOPBACK, list_hosts
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.config.validation import check_exposure
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.gitbook import client as client_module
from gitbook_integrations_mcp.gitbook.credentials import INTEGRATION_HEADER, USER_HEADER
from gitbook_integrations_mcp.net.listener import open_listener as open_port
from gitbook_integrations_mcp.net.timeouts import HEALTH_PATHS
from gitbook_integrations_mcp.process import configure_logging
from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, USER_TOKEN
from gitbook_integrations_mcp.transports import serving
from gitbook_integrations_mcp.transports.web import create_application
from tests.support.elicitation_client import GitBookSpy, Human, read_status
from tests.support.fake_gitbook import ERAS, Era, Upstream, read_code, read_text
from tests.support.gated_calls import WIDENING, find_target
from tests.support.http_server import CALLERS, INITIALIZE, TOKENS, Kind, answer_token, bear, connect, each_way, serve
from tests.support.loopback import listen, open_client, open_listener
from tests.support.process import TIMEOUT, start
from tests.support.samples import OFFERED, SCRIPT, make_png


@each_way
async def test_tools_are_listed_and_called(kind: Kind, era: Era) -> None:
    async with serve(GitBookSpy()) as address, connect(address, kind, era) as client:
        assert client.protocol_version == ("2025-11-25" if era == "legacy" else era)
        assert len((await client.list_tools()).tools) == len(OFFERED)
        result = await client.call_tool("list_sites", {})
    assert result.structured_content is not None
    assert len(result.structured_content["items"]) == 5


@each_way
@pytest.mark.parametrize(("action", "status", "sent"), [("accept", "done", 1), ("decline", "confirmation_declined", 0)])
async def test_confirmation_works_over_http(kind: Kind, era: Era, action: str, status: str, sent: int) -> None:
    spy, human = GitBookSpy(), Human(action=action)
    target = find_target(spy, "uninstall_integration")
    async with serve(spy) as address, connect(address, kind, era, human) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == status
    assert len(human.requests) == 1
    assert len(spy.mutations) == sent


@each_way
async def test_a_client_that_cannot_ask_runs_nothing(kind: Kind, era: Era) -> None:
    spy = GitBookSpy()
    async with serve(spy) as address, connect(address, kind, era) as client:
        for name in ("uninstall_integration", "set_integration_development_mode", *WIDENING):
            target = find_target(spy, name)
            assert read_status(await client.call_tool(name, target.arguments)) == "confirmation_required"
    assert spy.mutations == []


async def test_a_call_is_all_the_work_that_a_call_makes() -> None:
    """Without schemas at hand, the SDK would list all tools on every call."""
    settings, methods = load_settings({"server": {"sandbox": True, "transport": ["streamable-http"]}}), []
    server = create_server(settings)

    async def note(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        methods.append(ctx.method)
        return await call_next(ctx)

    server.middleware.append(note)
    with open_listener() as (listener, address):
        async with (
            listen(create_application(settings, server), settings.http, listener),
            connect(address, "streamable-http", "2026-07-28") as client,
        ):
            await client.list_tools()
            methods.clear()
            await client.call_tool("get_integration_by_name", {"integrationName": "slack"})
    assert methods == ["tools/call"]


# Authentication, Host and Origin


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
async def test_without_a_callers_token_nobody_is_let_in(path: str, headers: dict[str, str]) -> None:
    async with (
        serve(GitBookSpy(), http={"tokens": CALLERS}) as address,
        open_client() as http,
    ):
        method = "GET" if path == "/sse" else "POST"
        response = await http.request(method, address + path, headers=headers, json={} if method == "POST" else None)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer ")


@each_way
async def test_with_one_they_are(kind: Kind, era: Era) -> None:
    async with serve(GitBookSpy(), http={"tokens": CALLERS}) as address:
        for name in TOKENS:
            async with connect(address, kind, era, headers=bear(name)) as client:
                assert not (await client.call_tool("list_sites", {})).is_error


async def test_a_session_of_one_caller_is_none_of_another() -> None:
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    accept = {"Accept": "application/json, text/event-stream"}
    async with (
        serve(GitBookSpy(), http={"tokens": CALLERS}) as address,
        open_client() as http,
    ):
        response = await http.post(f"{address}/mcp", json=initialize, headers=bear("ann", **accept))
        session = {"Mcp-Session-Id": response.headers["mcp-session-id"]}
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        stolen = await http.post(f"{address}/mcp", json=listing, headers=bear("bob", **accept, **session))
    assert stolen.status_code == 404


async def test_a_stream_of_one_caller_is_none_of_another() -> None:
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with (
        serve(GitBookSpy(), http={"tokens": CALLERS}) as address,
        open_client() as http,
        http.stream("GET", f"{address}/sse", headers=bear("ann")) as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: endpoint"
        own = address + (await anext(lines)).removeprefix("data: ")
        assert (await http.post(own, json=listing, headers=bear("bob"))).status_code == 404
        assert (await http.post(own, json=listing, headers=bear("ann"))).status_code == 202


@pytest.mark.parametrize(
    ("http", "confirmation", "expected"),
    [
        ({"host": "0.0.0.0"}, {}, "Set http.tokens"),
        ({"host": "::"}, {}, "Set http.tokens"),
        ({"host": "mcp.example"}, {}, "Set http.tokens"),
        ({"host": "0.0.0.0", "tokens": CALLERS}, {}, "Set http.public_url"),
        ({"host": "0.0.0.0", "tokens": CALLERS}, {"fallback": "refuse"}, None),
        ({"host": "0.0.0.0", "tokens": CALLERS, "public_url": "https://mcp.example"}, {}, None),
        ({"host": "127.0.0.1"}, {}, None),
        ({"host": "::1"}, {}, None),
    ],
)
def test_a_server_that_others_can_reach_starts_only_with_authentication(
    http: dict[str, Any], confirmation: dict[str, Any], expected: str | None
) -> None:
    settings = load_settings({"http": http, "confirmation": confirmation})
    if expected is None:
        check_exposure(settings)
    else:
        with pytest.raises(SettingsError, match=expected):
            check_exposure(settings)


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({"Host": "evil.example"}, 421, "host_not_allowed"),
        ({"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ({"Authorization": ""}, 401, "authentication_required"),
        ({"Authorization": "Basic eDp5"}, 401, "authentication_required"),
        ({"Authorization": "Bearer ann-secret"}, 401, "invalid_token"),
        ({"Content-Length": "100001"}, 413, "request_too_large"),
        ({"Mcp-Session-Id": "of-nobody"}, 404, "Session not found"),  # the SDK's own errors stay as they are
    ],
)
async def test_a_rejected_request_gets_the_reason(headers: dict[str, str], status: int, expected: str) -> None:
    settings = {"tokens": CALLERS, "body_bytes": 100_000}
    accept = {"Accept": "application/json, text/event-stream"}
    async with serve(GitBookSpy(), http=settings) as address, open_client() as http:
        content = b"x" * 100_001 if status == 413 else b'{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}'
        sent = bear("ann", **accept, **{"Content-Type": "application/json"}) | headers
        response = await http.post(f"{address}/mcp", headers=sent, content=content)
    assert response.status_code == status
    assert expected in response.text
    if status != 404:
        assert response.json()["error"] == expected
    # RFC 6750: an error code is for those who showed a token.
    showed = headers.get("Authorization", "").startswith("Bearer ")
    assert ('error="invalid_token"' in response.headers.get("www-authenticate", "")) is showed


ROUTES = ["/mcp", "/sse", "/messages/", "/health", "/ready", "/confirm/x"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "127.0.0.1:80:80"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "http://[x]"}, 403),
        ({"Host": "[::1"}, 421),
    ],
)
async def test_other_peoples_pages_are_kept_out_of_every_route(path: str, headers: dict[str, str], status: int) -> None:
    async with serve(GitBookSpy()) as address, open_client() as http:
        if path in HEALTH_PATHS and "Host" in headers:
            # Monitors send the address of a container.
            assert (await http.get(address + path, headers=headers)).status_code == 200
        else:
            assert (await http.get(address + path, headers=headers)).status_code == status
            assert (await http.post(address + path, headers=headers, json={})).status_code == status


BROKEN_VALUES = [b"http://[::1", b"[", b"\xff\xfe", b"%zz", b"\xc3", b"-1", b"9" * 5000, b"a=b; ;=", b";q=x,,", b"null"]
HEADERS = [
    "Origin",
    "Host",
    "Accept",
    "Authorization",
    "Content-Type",
    "Cookie",
    "Last-Event-ID",
    "Mcp-Session-Id",
    "Mcp-Protocol-Version",
    "X-GitBook-Token",
    "X-MCP-Readonly",
    "X-Forwarded-For",
    "traceparent",
    "Range",
]


@pytest.mark.parametrize("path", ROUTES)
async def test_no_header_that_cannot_be_parsed_is_an_internal_error(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with serve(GitBookSpy()) as address, open_client() as http:
        for name in HEADERS:
            for value in BROKEN_VALUES:
                headers = {b"Accept": b"application/json, text/event-stream", name.encode(): value}
                for method in ("GET", "POST"):
                    if (path, method) == ("/sse", "GET") and name not in {"Origin", "Host"}:
                        continue  # opens a stream
                    content = listing if method == "POST" else None
                    async with http.stream(method, address + path, headers=headers, json=content) as response:
                        assert response.status_code < 500, (name, value)
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_client_that_resumes_a_stream_gets_a_new_one() -> None:
    async with serve(GitBookSpy()) as address, open_client() as http:
        accept = {"Accept": "application/json, text/event-stream"}
        info = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": info}
        opened = await http.post(f"{address}/mcp", headers=accept, json=opening)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "Last-Event-ID": "7"}
        async with http.stream("GET", f"{address}/mcp", headers=accept | session) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_works_in_spite_of_unusable_metadata(era: Era) -> None:
    prefix = "io.modelcontextprotocol/"
    headers, needed = {"Accept": "application/json, text/event-stream"}, {}
    async with serve(GitBookSpy()) as address, open_client() as http:
        if era == "legacy":
            opened = await http.post(f"{address}/mcp", headers=headers, json=INITIALIZE)
            headers |= {"Mcp-Session-Id": opened.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-11-25"}
            ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            await http.post(f"{address}/mcp", headers=headers, json=ready)
        else:
            headers |= {"Mcp-Protocol-Version": era, "Mcp-Method": "tools/call", "Mcp-Name": "list_sites"}
            needed = {f"{prefix}protocolVersion": era, f"{prefix}clientCapabilities": {}}
        unusable: list[Any] = [None, 1.5, {}, []]
        metas = [{**needed, name: value} for name in ("progressToken", f"{prefix}clientInfo") for value in unusable]
        for meta in metas if needed else [*metas, *unusable, 5, "x"]:
            params = {"name": "list_sites", "arguments": {}, "_meta": meta}
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            response = await http.post(f"{address}/mcp", headers=headers, json=call)
            answer = json.loads(response.text.rpartition("data: ")[2])
            assert len(answer["result"]["structuredContent"]["items"]) == 5, meta


@pytest.mark.parametrize("host", ["127.0.0.2", "192.0.2.2", "2001:db8::1", "mcp.internal"])
def test_the_address_that_is_printed_is_allowed(host: str) -> None:
    name = f"[{host}]" if ":" in host else host
    assert name in list_hosts(load_settings({"http": {"host": host}}).http)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_wildcard_address_is_no_allowed_host(host: str) -> None:
    assert list_hosts(load_settings({"http": {"host": host}}).http) == list(LOOPBACK)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no dual-stack sockets")
def test_the_wildcard_of_ipv6_serves_ipv4_too() -> None:
    listener, address = open_port("::", 0)
    with listener, socket.create_connection(("127.0.0.1", urlsplit(address).port or 0)):
        pass


@pytest.mark.parametrize(
    "name",
    ["Origin", "Authorization", "X-GitBook-Token", "x-gitbook-integration-token", "X-MCP-READONLY", "X-MCP-Toolsets"],
)
async def test_what_says_twice_who_somebody_is_or_what_they_may_is_refused(name: str) -> None:
    sent = [("Authorization", f"Bearer {TOKENS['ann']}"), ("Accept", "application/json, text/event-stream")]
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    spy = GitBookSpy()
    async with (
        serve(spy, http={"tokens": CALLERS}) as address,
        open_client() as http,
    ):
        sent += [(name, f"Bearer {TOKENS['bob']}" if name == "Authorization" else address)]
        sent += [] if name == "Authorization" else [(name.lower(), address)]
        response = await http.post(f"{address}/mcp", headers=sent, json=listing)
    assert response.status_code == 400
    assert response.json()["error"] == "duplicate_header"


@pytest.mark.parametrize("toolsets", ["nope", "sites,nope", "sites,", "", "Sites"])
async def test_a_toolset_that_there_is_not_is_refused_instead_of_leaving_no_tools(toolsets: str) -> None:
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with serve(GitBookSpy()) as address, open_client() as http:
        response = await http.post(f"{address}/mcp", headers={"X-MCP-Toolsets": toolsets}, json=listing)
    assert response.status_code == 400
    assert response.json()["error"] == "unknown_toolset"
    assert "X-MCP-Toolsets" in response.json()["error_description"]
    assert "organizations, marketplace, " in response.json()["error_description"]


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, mcp-method"}


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/", "/.well-known/oauth-protected-resource/mcp"])
@pytest.mark.parametrize("origin", ["http://app.internal:3000", "https://app.internal", "http://localhost:6274"])
async def test_a_page_of_a_listed_host_can_be_a_client(origin: str, path: str) -> None:
    settings = {"tokens": CALLERS, "allowed_hosts": ["app.internal", "localhost:6274"]}
    async with serve(GitBookSpy(), http=settings) as address, open_client() as http:
        asked = await http.options(address + path, headers={"Origin": origin, **PREFLIGHT})
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == origin
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert asked.headers["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]
        refused = await http.post(f"{address}/mcp", headers={"Origin": origin}, json={})
        assert refused.status_code == 401
        opened = await http.post(
            f"{address}/mcp",
            headers=bear("ann", Origin=origin, Accept="application/json, text/event-stream"),
            json=INITIALIZE,
        )
    for response in (refused, opened):
        assert response.headers["access-control-allow-origin"] == origin
        assert "Mcp-Session-Id" in response.headers["access-control-expose-headers"]
        assert "Origin" in response.headers["vary"]
    assert opened.status_code == 200


@pytest.mark.parametrize(
    ("origin", "path", "allowed"),
    [
        ("http://localhost:3000", "/mcp", []),
        ("http://localhost:3000", "/mcp", ["app.internal"]),
        ("http://localhost:3000", "/mcp", ["localhost:6274"]),
        ("http://localhost.evil.example", "/mcp", ["localhost:6274"]),
        ("http://app.internal.evil.example", "/mcp", ["app.internal"]),
        ("http://app-internal", "/mcp", ["app.internal"]),
        ("http://app.internal", "/confirm/x", ["app.internal"]),
    ],
)
async def test_no_other_page_can_read_a_response(origin: str, path: str, allowed: list[str]) -> None:
    async with serve(GitBookSpy(), public=True, http={"allowed_hosts": allowed}) as address, open_client() as http:
        asked = await http.options(address + path, headers={"Origin": origin, **PREFLIGHT})
        read = await http.get(address + path, headers={"Origin": origin})
    assert asked.status_code >= 400
    for response in (asked, read):
        assert "access-control-allow-origin" not in response.headers


async def test_an_own_origin_and_a_listed_host_are_let_in() -> None:
    settings = {"allowed_hosts": ["mcp.internal"], "public_url": "https://mcp.example"}
    async with serve(GitBookSpy(), http=settings) as address, open_client() as http:
        for headers in (
            {"Origin": "http://localhost:3000"},
            {"Host": "mcp.internal"},
            {"Host": "mcp.internal:8000"},
            {"Host": "mcp.example", "Origin": "https://mcp.example"},
        ):
            assert (await http.get(f"{address}/health", headers=headers)).status_code == 200


async def test_bodies_are_limited_and_a_publication_with_large_pictures_fits() -> None:
    async with (
        serve(GitBookSpy(), http={"body_bytes": 1000}) as address,
        open_client() as http,
    ):

        async def stream() -> AsyncIterator[bytes]:  # without a Content-Length
            for _ in range(11):
                yield b"x" * 100

        for path in ("/mcp", "/messages/?session_id=0"):
            for content in (b"x" * 1001, stream()):
                response = await http.post(address + path, content=content)
                assert response.status_code == 413
                assert response.json()["error"] == "request_too_large"
    picture = make_png(1024 * 1024)
    publication = {
        "integrationName": "large",
        "organization": "aurora-robotics",
        "title": "Large",
        "description": "Large",
        "script": SCRIPT,
        "scopes": [],
        "previewImages": [picture] * 3,
    }
    spy = GitBookSpy()
    confirmation = {"widening": "off"}
    async with (
        serve(spy, confirmation=confirmation) as address,
        connect(address, "streamable-http", "2026-07-28") as client,
    ):
        result = await client.call_tool("publish_integration", publication)
    assert not result.is_error, read_text(result)


# Credentials of the request


@each_way
async def test_each_caller_acts_with_their_own_gitbook_token(kind: Kind, era: Era) -> None:
    upstream = Upstream(body=b'{"items": []}')
    sections: dict[str, Any] = {
        "http": {"tokens": CALLERS, "credentials": "per-request"},
        "gitbook": {"token": "operators-own-token"},
    }
    ann = bear("ann", **{"X-GitBook-Token": "anns-token", "X-GitBook-Integration-Token": "anns-integration"})
    bob = bear("bob", **{"X-GitBook-Token": "bobs-token"})
    async with (
        serve(upstream, **sections) as address,
        connect(address, kind, era, headers=ann) as anns,
        connect(address, kind, era, headers=bob) as bobs,
    ):
        for client in (anns, bobs, bobs, anns):
            await client.call_tool("list_integrations", {})
        await anns.call_tool("list_integration_installations", {"integrationName": "x"})
        refused = await bobs.call_tool("list_integration_installations", {"integrationName": "x"})
    assert answer_token(upstream) == ["anns-token", "bobs-token", "bobs-token", "anns-token", "anns-integration"]
    assert refused.is_error
    assert "X-GitBook-Integration-Token" in read_text(refused)


@each_way
async def test_without_a_token_of_their_own_tools_are_listed_and_calls_say_what_is_missing(
    kind: Kind, era: Era
) -> None:
    upstream = Upstream()
    sections: dict[str, Any] = {"http": {"credentials": "per-request"}, "gitbook": {"token": "operators-own-token"}}
    async with serve(upstream, **sections) as address:
        for headers in ({}, {"X-GitBook-Token": "two words"}):
            async with connect(address, kind, era, headers=headers) as client:
                assert len((await client.list_tools()).tools) == len(OFFERED)
                result = await client.call_tool("list_integrations", {})
            assert result.is_error
            assert "X-GitBook-Token" in read_text(result)
    assert upstream.requests == []


class Mirror:
    """A GitBook that answers with whose token it was asked, once so many requests wait at the same time."""

    def __init__(self, at_once: int) -> None:
        self._waiting = 0
        self._at_once = at_once
        self._all = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the others, then answer."""
        self._waiting += 1
        if self._waiting == self._at_once:
            self._all.set()
        await self._all.wait()
        name = Headers(scope=scope)["authorization"].removeprefix("Bearer ").removesuffix("s-token")
        await JSONResponse({"items": [{"name": name}]})(scope, receive, send)


@each_way
async def test_calls_that_cross_do_not_mix_what_is_whose(kind: Kind, era: Era) -> None:
    sections: dict[str, Any] = {"http": {"tokens": CALLERS, "credentials": "per-request"}}
    seen: list[tuple[str, str]] = []

    async def call(client: Client, name: str) -> None:
        with anyio.fail_after(TIMEOUT):
            result = await client.call_tool("list_integrations", {})
        assert result.structured_content is not None
        seen.append((name, result.structured_content["items"][0]["name"]))

    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(serve(Mirror(at_once=len(TOKENS)), **sections))
        headers = {name: bear(name, **{"X-GitBook-Token": f"{name}s-token"}) for name in TOKENS}
        clients = {
            name: await stack.enter_async_context(connect(address, kind, era, headers=headers[name])) for name in TOKENS
        }
        async with anyio.create_task_group() as group:
            for _ in range(6):
                for name, client in clients.items():
                    group.start_soon(call, client, name)
    assert sorted(seen) == [("ann", "ann")] * 6 + [("bob", "bob")] * 6


class Meter:
    """A GitBook that has nothing left for Ann, and does not count what others ask."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and tell Ann of her limit."""
        anns = Headers(scope=scope)["authorization"] == "Bearer anns-token"
        limit = {
            "X-RateLimit-Limit": "9",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": f"{time.time() + 999:.0f}",
        }
        await JSONResponse({"items": []}, headers=limit if anns else {})(scope, receive, send)


@each_way
async def test_the_limit_that_one_caller_has_used_up_is_none_of_another(kind: Kind, era: Era) -> None:
    sections: dict[str, Any] = {"http": {"tokens": CALLERS, "credentials": "per-request"}}
    async with (
        serve(Meter(), **sections) as address,
        connect(address, kind, era, headers=bear("ann", **{"X-GitBook-Token": "anns-token"})) as anns,
        connect(address, kind, era, headers=bear("bob", **{"X-GitBook-Token": "bobs-token"})) as bobs,
    ):
        results = [await client.call_tool("list_integrations", {}) for client in (anns, bobs, anns, bobs)]
    assert [result.is_error for result in results] == [False, False, True, False]
    assert (results[2].structured_content or {})["code"] == "rate_limited"


@each_way
async def test_a_report_is_kept_for_all_callers_who_act_as_the_same_gitbook_user(kind: Kind, era: Era) -> None:
    async with (
        serve(GitBookSpy(), http={"tokens": CALLERS}) as address,
        connect(address, kind, era, headers=bear("ann")) as anns,
        connect(address, kind, era, headers=bear("bob")) as bobs,
    ):
        compared = {"baseline": "last"}
        assert read_code(await bobs.call_tool("audit_installations", compared)) == "invalid_baseline"
        assert not (await anns.call_tool("audit_installations", {})).is_error
        assert not (await bobs.call_tool("audit_installations", compared)).is_error


async def test_over_sse_a_yes_of_one_session_is_none_of_another() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with (
        serve(spy, confirmation={"fallback": "two-step"}) as address,
        connect(address, "sse", "legacy") as one,
        connect(address, "sse", "legacy") as other,
    ):
        first = await one.call_tool(target.name, target.arguments)
        assert first.structured_content is not None
        arguments = {**target.arguments, "confirmationId": first.structured_content["confirmationId"]}
        assert read_status(await other.call_tool(target.name, arguments)) == "confirmation_expired"
    assert spy.mutations == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_yes_of_one_caller_is_none_for_another(era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    sections: dict[str, Any] = {"http": {"tokens": CALLERS}, "confirmation": {"fallback": "two-step"}}
    async with (
        serve(spy, **sections) as address,
        connect(address, "streamable-http", era, headers=bear("ann")) as anns,
        connect(address, "streamable-http", era, headers=bear("bob")) as bobs,
    ):
        first = await anns.call_tool(target.name, target.arguments)
        assert first.structured_content is not None
        arguments = {**target.arguments, "confirmationId": first.structured_content["confirmationId"]}
        assert read_status(await bobs.call_tool(target.name, arguments)) == "confirmation_expired"
        assert spy.mutations == []
        assert read_status(await anns.call_tool(target.name, arguments)) == "done"
    assert len(spy.mutations) == 1


# Filters in the request


@each_way
async def test_a_request_can_ask_for_less(kind: Kind, era: Era) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    headers = {"X-MCP-Readonly": "true", "X-MCP-Toolsets": "sites, installations"}
    async with serve(spy) as address, connect(address, kind, era, Human(), headers) as client:
        tools = (await client.list_tools()).tools
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        assert {tool.name for tool in tools} >= {"list_site_integrations", "list_organization_installations"}
        assert "list_spaces_in_organization_by_id" not in {tool.name for tool in tools}
        result = await client.call_tool(target.name, target.arguments)
        assert read_code(result) == "tool_disabled"
        assert "the client's headers" in read_text(result)
    assert spy.mutations == []


@each_way
async def test_a_request_can_never_have_more_than_the_operator_offers(kind: Kind, era: Era) -> None:
    headers = {"X-MCP-Readonly": "false", "X-MCP-Toolsets": "sites,publishing"}
    sections: dict[str, Any] = {"tools": {"read_only": True, "toolsets": ["sites"]}}
    async with serve(GitBookSpy(), **sections) as address, connect(address, kind, era, headers=headers) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {
            "list_site_integrations",
            "list_site_integration_scripts",
            "list_integration_site_installations",
            "list_integration_installation_sites",
            "get_integration_site_installation",
        }


# Health


async def test_health_and_readiness_are_reported() -> None:
    upstream = Upstream(401, b"{}")
    async with open_client() as http:
        async with serve(upstream) as address:
            assert (await http.get(f"{address}/health")).json()["status"] == "ok"
            assert (await http.get(f"{address}/ready")).status_code == 200
            assert (await http.get(f"{address}/ready")).status_code == 200
        upstream.status = 503
        async with serve(upstream) as address:
            assert (await http.get(f"{address}/health")).status_code == 200
            responses: list[httpx.Response] = []

            async def ask() -> None:
                responses.append(await http.get(f"{address}/ready"))

            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(ask)
    response = responses[-1]
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert "with 503" in response.json()["error_description"]
    assert answer_token(upstream) == ["none"] * 2  # asked once each, with nobody's token


async def test_readiness_waits_for_gitbook_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PROBE_SECONDS", 0.1)
    async with serve(Mirror(at_once=2)) as address, open_client() as http:
        response = await http.get(f"{address}/ready", timeout=TIMEOUT)
    assert response.status_code == 503
    assert "api.gitbook.com" in response.json()["error_description"]
    assert "0.1 s" in response.json()["error_description"]


async def test_behind_a_proxy_the_page_is_served_under_the_public_address() -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with (
        serve(spy, http={"public_url": "https://mcp.example"}) as address,
        connect(address, "streamable-http", "2026-07-28") as client,
        open_client() as http,
    ):
        result = await client.call_tool(target.name, target.arguments)
        assert isinstance(result, CallToolResult)
        assert result.structured_content is not None
        link = httpx.URL(result.structured_content["url"])
        assert (link.scheme, link.host) == ("https", "mcp.example")
        url = address + link.path
        headers = {"Host": "mcp.example", "Origin": "https://mcp.example"}
        page = await http.get(url, headers=headers)
        assert page.status_code == 200
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": csrf, "decision": "approve", "confirm": "yes"}
        assert (await http.post(url, headers={**headers, "Origin": address}, data=form)).status_code == 403
        assert (await http.post(url, headers=headers, data=form)).status_code == 200
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"


# Logs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory", "memory"),
        ("sqlite:////tmp/store.db", "sqlite:////tmp/store.db"),
        ("postgresql://ann:secret@host:5433/gitbook?password=secret", "postgresql://host:5433/gitbook"),
    ],
)
def test_the_log_names_the_store_without_a_password(url: str, expected: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    serving._log_store(load_settings({"store": {"url": url}}))
    assert [record.getMessage() for record in caplog.records] == [f"The store (store.url) is {expected}"]


@each_way
async def test_no_secret_and_no_session_is_logged_at_whatever_level(
    kind: Kind, era: Era, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (None, "mcp", "sse_starlette"):
        caplog.set_level(logging.DEBUG, logger=name)
    configure_logging("debug")
    spy, tokens = GitBookSpy(), {USER_HEADER: USER_TOKEN, INTEGRATION_HEADER: INTEGRATION_TOKEN}
    target = find_target(spy, "create_integration_installation_token")
    http = {"credentials": "per-request", "tokens": CALLERS}
    async with (
        serve(spy, http=http) as address,
        connect(address, kind, era, Human(), bear("ann", **tokens)) as client,
    ):
        made = (await client.call_tool(target.name, target.arguments)).structured_content
        assert read_code(await client.call_tool("text-of-the-client", {})) == "unknown_tool"
    assert made is not None
    of_the_client = ("httpx2", "httpcore2", "mcp.client")
    logged = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith(of_the_client))
    for secret in (made["token"], *tokens.values(), *TOKENS.values(), "text-of-the-client"):
        assert secret not in logged
    assert not re.search(r"session.{0,20}[0-9a-f]{32}", logged)


# As a process


def test_the_command_serves_over_http_on_a_free_port_and_stops_when_told() -> None:
    words = ("serve", "--sandbox", "--transport", "sse,streamable-http", "--port", "0")
    with start(*words, lines=2) as (sse, streamable):
        assert sse.startswith("Serving sse at http://127.0.0.1:")
        assert streamable.startswith("Serving streamable-http at ")
        # The listener accepts before the application runs; a request waits for it.
        response = httpx.get(sse.split()[-1].replace("/sse", "/health"), trust_env=False, timeout=TIMEOUT)
        assert response.json()["status"] == "ok"


def test_what_is_sent_in_two_parts_does_not_wait_for_an_acknowledgement() -> None:
    listener, address = open_port("127.0.0.1", 0)
    with (
        listener,
        socket.create_connection(("127.0.0.1", urlsplit(address).port or 0)),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_stdio_cannot_be_mixed_with_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    from gitbook_integrations_mcp.cli.main import main

    assert main(["serve", "--transport", "stdio,sse"]) == 2
    assert "server.transport: stdio" in capsys.readouterr().err


def test_a_token_for_a_caller_is_made_with_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    from gitbook_integrations_mcp.cli.main import main

    assert main(["token", "ann"]) == 0
    lines = capsys.readouterr().out.splitlines()
    entry = json.loads(lines[-1])
    assert entry == {"name": "ann", "sha256": hashlib.sha256(lines[1].encode()).hexdigest()}
