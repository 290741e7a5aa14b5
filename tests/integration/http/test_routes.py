"""Paths without a route are answered alike with and without a public address, so that clients find the transport."""

import httpx
import pytest

from gitbook_integrations_mcp.errors import ErrorCode
from tests.support.fake_gitbook import Upstream
from tests.support.http_server import INITIALIZE, serve


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/sse", 405),  # by which clients of both transports recognise SSE
        ("POST", "/sse/", 405),
        ("POST", "/", 404),
        ("GET", "/", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/messages/more", 404),
        ("GET", "/.well-known/oauth-protected-resource", 404),
        ("GET", "/favicon.ico", 404),
        ("PUT", "/health", 405),
    ],
)
async def test_paths_without_a_route(method: str, path: str, status: int, public: bool) -> None:
    async with serve(Upstream(), public=public) as address, httpx.AsyncClient(base_url=address) as client:
        assert (await client.request(method, path)).status_code == status


async def test_a_path_without_a_route_is_answered_with_those_of_mcp() -> None:
    async with serve(Upstream(), http={"sse_path": "/events"}) as address, httpx.AsyncClient() as client:
        error = (await client.post(address, json=INITIALIZE)).json()
    assert error["error"] == ErrorCode.UNKNOWN_PATH
    assert {"/mcp", "/events"} <= set(error["error_description"].replace(",", " ").replace(".", " ").split())


async def test_the_confirmation_page_answers_below_its_own_path_only() -> None:
    async with serve(Upstream(), public=True) as address, httpx.AsyncClient(base_url=address) as client:
        assert (await client.get("/confirm/unknown")).status_code == 410
        assert (await client.request("DELETE", "/confirm/unknown")).status_code == 405


@pytest.mark.parametrize("paths", [{}, {"streamable_path": "/mcp/", "sse_path": "/sse/", "message_path": "/messages"}])
async def test_paths_are_served_with_and_without_a_slash_at_the_end(paths: dict[str, str]) -> None:
    """A redirect would name http also behind a proxy with TLS, and clients would not follow it."""
    headers = {"Accept": "application/json, text/event-stream"}
    async with serve(Upstream(), http=paths) as address, httpx.AsyncClient(base_url=address) as client:
        for slash in ("", "/"):
            assert (await client.post(f"/mcp{slash}", json=INITIALIZE, headers=headers)).status_code == 200
            assert (await client.post(f"/messages{slash}?session_id=x", json=INITIALIZE)).status_code == 400
            async with client.stream("GET", f"/sse{slash}") as stream:
                assert stream.status_code == 200
            assert (await client.get(f"/health{slash}")).status_code == 200
