"""Paths without a route are answered alike with and without a public address, so that clients find the transport."""

import httpx
import pytest

from tests.support.fake_gitbook import Upstream
from tests.support.http_server import serve


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/sse", 405),  # by which clients of both transports recognise SSE
        ("POST", "/mcp/", 307),
        ("POST", "/", 404),
        ("GET", "/", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/sse/", 307),
        ("POST", "/messages?session_id=x", 307),
        ("GET", "/.well-known/oauth-protected-resource", 404),
        ("GET", "/favicon.ico", 404),
        ("PUT", "/health", 405),
    ],
)
async def test_paths_without_a_route(method: str, path: str, status: int, public: bool) -> None:
    async with serve(Upstream(), public=public) as address, httpx.AsyncClient(base_url=address) as client:
        assert (await client.request(method, path)).status_code == status


async def test_the_confirmation_page_answers_below_its_own_path_only() -> None:
    async with serve(Upstream(), public=True) as address, httpx.AsyncClient(base_url=address) as client:
        assert (await client.get("/confirm/unknown")).status_code == 410
        assert (await client.request("DELETE", "/confirm/unknown")).status_code == 405
