"""The sandbox's authorization server: registration, consent, PKCE, rotation, revocation, scopes."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.sandbox import Sandbox, create_sandbox
from gitbook_integrations_mcp.sandbox.authorization import LIFETIME, METADATA_PATH, SCOPES
from tests.support.consent import decide
from tests.support.elicitation_client import Clock

ADDRESS = "http://127.0.0.1:8787"
REDIRECT = "http://127.0.0.1:50000/callback"
VERIFIER = "v" * 43


class OAuthClient:
    """A registered client of the sandbox's authorization server."""

    def __init__(self, http: httpx.AsyncClient, identifier: str) -> None:
        self.http = http
        self.id = identifier

    def build_address(self, scopes: str, **changes: str) -> str:
        wanted = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": REDIRECT,
            "scope": scopes,
            "state": "s",
            "code_challenge": create_s256_code_challenge(VERIFIER),
            "code_challenge_method": "S256",
        }
        return f"{ADDRESS}/oauth/authorize?{urlencode({**wanted, **changes})}"

    async def authorize(self, scopes: str, **decision: Any) -> dict[str, str]:
        location = await decide(self.http, self.build_address(scopes), **decision)
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    async def exchange(self, code: str, **changes: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": self.id}
        return await self.http.post("/oauth/token", data={**form, "code_verifier": VERIFIER, **changes})

    async def renew(self, token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.id}
        return await self.http.post("/oauth/token", data=form)

    async def log_in(self, scopes: str) -> dict[str, Any]:
        answer = await self.authorize(scopes)
        tokens: dict[str, Any] = (await self.exchange(answer["code"])).json()
        return tokens

    async def get_status(self, path: str, token: str, method: str = "GET") -> int:
        response = await self.http.request(method, f"/v1{path}", headers={"Authorization": f"Bearer {token}"})
        return response.status_code


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    return create_sandbox(clock=clock)


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[OAuthClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox), base_url=ADDRESS) as http:
        registered = await http.post("/oauth/register", json={"redirect_uris": [REDIRECT], "client_name": "<b>"})
        yield OAuthClient(http, registered.json()["client_id"])


async def test_the_metadata_name_the_issuer_and_what_a_client_needs(client: OAuthClient) -> None:
    metadata = (await client.http.get(METADATA_PATH)).json()
    assert metadata["issuer"] == ADDRESS
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert {scope for endpoint in ENDPOINTS.values() for scope in endpoint.scopes} == {*metadata["scopes_supported"]}


@pytest.mark.parametrize("body", [b"[]", b"{}", b"no", b'{"redirect_uris": ["https://elsewhere.example/x"]}'])
async def test_a_client_without_a_loopback_redirect_is_not_registered(client: OAuthClient, body: bytes) -> None:
    assert (await client.http.post("/oauth/register", content=body)).status_code == 400


async def test_the_page_shows_other_peoples_text_as_text(client: OAuthClient) -> None:
    page = await client.http.get(client.build_address("user:read", state='"><script>'))
    assert "<b>" not in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    "change", [{"client_id": "other"}, {"redirect_uri": "http://127.0.0.1:1/x"}], ids=["client", "redirect"]
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(client: OAuthClient, change: dict[str, str]) -> None:
    assert (await client.http.get(client.build_address("user:read", **change))).status_code == 400


@pytest.mark.parametrize("change", [{"code_challenge": ""}, {"code_challenge_method": "plain"}])
async def test_a_request_without_pkce_is_rejected(client: OAuthClient, change: dict[str, str]) -> None:
    location = await decide(client.http, client.build_address("user:read", **change))
    assert "error=invalid_request" in location


async def test_consent_can_be_declined_and_narrowed(client: OAuthClient) -> None:
    declined = await client.authorize("user:read", approve=False)
    assert declined == {"error": "access_denied", "state": "s", "iss": ADDRESS}
    narrowed = await client.authorize("user:read site:read unknown", without={"site:read"})
    assert (await client.exchange(narrowed["code"])).json()["scope"] == "user:read"


@pytest.mark.parametrize(
    "change", [{"code_verifier": "w" * 43}, {"client_id": "other"}, {"redirect_uri": "http://127.0.0.1:1/x"}]
)
async def test_a_code_works_once_and_only_for_its_request(client: OAuthClient, change: dict[str, str]) -> None:
    code = (await client.authorize("user:read"))["code"]
    assert (await client.exchange(code, **change)).json()["error"] == "invalid_grant"
    assert (await client.exchange(code)).json()["error"] == "invalid_grant"


async def test_tokens_expire_and_refresh_tokens_rotate(client: OAuthClient, clock: Clock) -> None:
    first = await client.log_in("user:read")
    assert await client.get_status("/user", first["access_token"]) == 200
    clock.now += LIFETIME
    assert await client.get_status("/user", first["access_token"]) == 401
    second = (await client.renew(first["refresh_token"])).json()
    assert await client.get_status("/user", second["access_token"]) == 200
    assert (await client.renew(first["refresh_token"])).json()["error"] == "invalid_grant"
    # A refresh token that comes twice may be stolen: all tokens of the grant end.
    assert await client.get_status("/user", second["access_token"]) == 401
    assert (await client.renew(second["refresh_token"])).status_code == 400


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_a_revoked_grant_has_no_tokens(client: OAuthClient, kind: str) -> None:
    tokens = await client.log_in("user:read")
    for token in (tokens[kind], "unknown"):
        assert (await client.http.post("/oauth/revoke", data={"token": token})).status_code == 200
    assert await client.get_status("/user", tokens["access_token"]) == 401


async def test_every_endpoint_requires_exactly_its_scopes(client: OAuthClient) -> None:
    whole = await client.log_in(" ".join(SCOPES))
    for endpoint in ENDPOINTS.values():
        path = endpoint.path.format_map(dict.fromkeys(endpoint.path_names, "x"))
        statuses = {}
        for scope in ("", *endpoint.scopes):
            tokens = whole if scope else await client.log_in(" ".join({*SCOPES} - {*endpoint.scopes}))
            statuses[scope] = await client.get_status(path, tokens["access_token"], endpoint.method)
        assert statuses.pop("") == 403, endpoint.name
        assert 403 not in statuses.values(), endpoint.name
