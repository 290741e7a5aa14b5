"""Access tokens of an authorization server: a real one, real clients, and every reason for a rejection."""

import base64
import contextlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.auth import issuer as issuer_module
from gitbook_integrations_mcp.auth.bearer import BearerGuard, StaticTokens
from gitbook_integrations_mcp.auth.issuer import Issuer, IssuerError
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.models import HttpSection, OAuthSection
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.config.validation import check_exposure
from gitbook_integrations_mcp.errors import ErrorCode, SettingsError
from tests.support.elicitation_client import GitBookSpy, read_status
from tests.support.fake_gitbook import ERAS, Era, Upstream, read_changes, read_text
from tests.support.gated_calls import find_target
from tests.support.http_server import CALLERS, Kind, answer_token, bear, connect, each_way, serve
from tests.support.loopback import open_client
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, SCOPE, Authority, make_key, run_authority

ACCEPT = {"Accept": "application/json, text/event-stream"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with run_authority() as running:
        yield running


@contextlib.asynccontextmanager
async def trust(authority: Authority, upstream: Any = None, **sections: Any) -> AsyncIterator[str]:
    """Yield the address of a server that lets in whom `authority` vouches for."""
    oauth = {"issuer": authority.issuer, **sections.pop("oauth", {})}
    async with serve(upstream or GitBookSpy(), public=True, oauth=oauth, **sections) as address:
        yield address


async def send_initialize(address: str, token: str | None, **headers: str) -> httpx.Response:
    """Return the response to an initialize request with a token."""
    shown = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with open_client() as http:
        return await http.post(f"{address}/mcp", json=INITIALIZE, headers={**ACCEPT, **shown, **headers})


def read_challenge(response: httpx.Response) -> dict[str, str]:
    """Return the parameters of a challenge to show a bearer token."""
    kind, _, parts = response.headers["www-authenticate"].partition(" ")
    assert kind == "Bearer"
    return {name: value.strip('"') for name, _, value in (part.partition("=") for part in parts.split(", "))}


# Who comes in


class Storage:
    """What a client remembers: that it is registered."""

    def __init__(self, issuer: str) -> None:
        self._tokens: OAuthToken | None = None
        self._client = OAuthClientInformationFull(
            redirect_uris=[REDIRECT_URI],
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            token_endpoint_auth_method="client_secret_basic",
            scope=SCOPE,
            issuer=issuer,
        )

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


def log_in(authority: Authority, url: str, user: str) -> OAuthClientProvider:
    """Return what makes a client of `url` ask for a user's consent, by code and PKCE, when it is refused."""
    redirected: list[httpx2.URL] = []

    async def open_browser(link: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as browser:
            response = await browser.get(link, headers={"X-User": user}, follow_redirects=False)
        redirected.append(httpx2.URL(response.headers["location"]))

    async def come_back() -> AuthorizationCodeResult:
        params = redirected.pop().params
        return AuthorizationCodeResult(code=params["code"], state=params["state"])

    metadata = OAuthClientMetadata(redirect_uris=[REDIRECT_URI], scope=SCOPE)
    return OAuthClientProvider(url, metadata, Storage(authority.issuer), open_browser, come_back)


@each_way
async def test_a_client_finds_the_authority_logs_its_user_in_and_calls(
    kind: Kind, era: Era, authority: Authority
) -> None:
    async with trust(authority, oauth={"scopes": [SCOPE]}) as address:
        url = f"{address}/{'sse' if kind == 'sse' else 'mcp'}"
        async with connect(address, kind, era, auth=log_in(authority, url, "ann")) as client:
            assert not (await client.call_tool("list_sites", {})).is_error


async def test_a_client_without_a_user_shows_its_own_credentials(authority: Authority) -> None:
    async with trust(authority) as address:
        auth = ClientCredentialsOAuthProvider(
            f"{address}/mcp", Storage(authority.issuer), CLIENT_ID, CLIENT_SECRET, issuer=authority.issuer
        )
        async with connect(address, "streamable-http", "2026-07-28", auth=auth) as client:
            assert not (await client.call_tool("list_sites", {})).is_error


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {}),
        ({"typ": "JWT"}, {"aud": "{}/sse", "scope": None, "scp": ["other", SCOPE]}),
        ({"typ": "application/at+jwt"}, {"aud": ["https://other.example", "{}/mcp"], "scope": f"other {SCOPE}"}),
        ({"typ": None, "kid": None}, {"client_id": None, "azp": "other"}),
        ({"alg": "PS256"}, {"exp": time.time() + 86_400.5, "nbf": int(time.time()) + 10}),
    ],
)
async def test_what_authorities_leave_open_does_not_matter(
    header: dict[str, Any], claims: dict[str, Any], authority: Authority
) -> None:
    async with trust(authority, oauth={"scopes": [SCOPE]}) as address:
        said = json.loads(json.dumps({"aud": "{}/mcp", "scope": SCOPE, **claims}).replace("{}", address))
        assert (await send_initialize(address, authority.sign(header=header, **said))).status_code == 200


# Who does not


def forge(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Return a token that no library would make."""

    def encode(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = b".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    return b".".join([signed, encode(sign(signed))]).decode()


def forge_without_signature(authority: Authority, audience: str) -> str:
    claims = {"iss": authority.issuer, "sub": "ann", "aud": audience, "exp": int(time.time()) + 300}
    return forge({"alg": "none", "typ": "at+jwt"}, claims, lambda _: b"")


def forge_with_public_key(authority: Authority, audience: str) -> str:
    claims = {"iss": authority.issuer, "sub": "ann", "aud": audience, "exp": int(time.time()) + 300}
    secret = authority.keys[0].as_pem(private=False)  # type: ignore[union-attr]
    header = {"alg": "HS256", "typ": "at+jwt", "kid": authority.keys[0].kid}
    return forge(header, claims, lambda signed: hmac.digest(secret, signed, "sha256"))


def tamper(authority: Authority, audience: str) -> str:
    head, _, signature = authority.sign(aud=audience).split(".")
    return ".".join([head, authority.sign(aud=audience, sub="bob").split(".")[1], signature])


NOW = int(time.time())
REFUSED: dict[str, tuple[Callable[[Authority, str], str], str]] = {
    "audience": (
        lambda by, _: by.sign(aud="https://other.example/mcp"),
        "audience (aud) is not http://127.0.0.1:",
    ),
    "no audience": (lambda by, _: by.sign(), "claim aud is missing"),
    "issuer": (lambda by, us: by.sign(aud=us, iss="https://other.example"), "issuer (iss) is not http://localhost:"),
    "expired": (lambda by, us: by.sign(aud=us, exp=NOW - 60), "it has expired"),
    "for ever": (lambda by, us: by.sign(aud=us, exp=None), "claim exp is missing"),
    "not yet valid": (lambda by, us: by.sign(aud=us, nbf=NOW + 3600), "it is not valid yet"),
    "of nobody": (lambda by, us: by.sign(aud=us, sub=None), "claim sub is missing"),
    "of an empty name": (lambda by, us: by.sign(aud=us, sub=""), "claim sub is empty"),
    "of a blank name": (lambda by, us: by.sign(aud=us, sub=" "), "claim sub is empty"),
    "issued at no time": (lambda by, us: by.sign(aud=us, iat="soon"), "it is malformed"),
    "signature": (tamper, "its signature is wrong"),
    "somebody else's key": (
        lambda by, us: by.sign(key=make_key(), aud=us, header={"kid": by.keys[0].kid}),
        "its signature is wrong",
    ),
    "unknown key": (lambda by, us: by.sign(key=make_key(), aud=us), "does not publish the key"),
    "algorithm none": (forge_without_signature, "not one of RS256, PS256, ES256, EdDSA (oauth.algorithms)"),
    "public key as secret": (forge_with_public_key, "not one of RS256, PS256, ES256, EdDSA (oauth.algorithms)"),
    "algorithm not let in": (lambda by, us: by.sign(aud=us, header={"alg": "RS512"}), "not one of RS256"),
    "logout": (lambda by, us: by.sign(aud=us, header={"typ": "logout+jwt"}), "type (typ)"),
    "too deep": (
        lambda _by, _us: f"{base64.urlsafe_b64encode(b'[' * 30_000).decode()}.e30.e30",
        "Invalid bearer token",
    ),
    "no token": (lambda _by, _us: "a.b.c", "Invalid bearer token"),
    "static": (lambda _by, _us: "ann-secret-0123456789", "Invalid bearer token"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_token_that_is_not_right_is_refused_with_the_reason(
    make: Callable[[Authority, str], str], reason: str, authority: Authority
) -> None:
    async with trust(authority) as address:
        response = await send_initialize(address, token := make(authority, f"{address}/mcp"))
        challenge = read_challenge(response)
        assert response.status_code == 401
        assert challenge["error"] == response.json()["error"] == "invalid_token"
        assert reason in response.json()["error_description"]
        assert reason.partition(",")[0] in challenge["error_description"]
        assert challenge["resource_metadata"] == f"{address}/.well-known/oauth-protected-resource/mcp"
        assert token not in response.text + repr(response.headers)


async def test_a_token_without_the_scopes_is_told_all_of_them(authority: Authority) -> None:
    async with trust(authority, oauth={"scopes": ["a", "b", "c"]}) as address:
        response = await send_initialize(address, authority.sign(aud=f"{address}/mcp", scope="b"))
        challenge = read_challenge(response)
    assert (response.status_code, challenge["error"]) == (403, "insufficient_scope")
    assert challenge["scope"] == "a b c"
    assert response.json()["error_description"].endswith(" a c.")


@pytest.mark.parametrize(("path", "resource"), [("/mcp", "/mcp"), ("/sse", "/sse"), ("/messages/", "/sse")])
async def test_who_shows_none_is_told_where_to_get_one_and_accused_of_nothing(
    path: str, resource: str, authority: Authority
) -> None:
    async with (
        trust(authority, oauth={"scopes": [SCOPE]}) as address,
        open_client() as http,
    ):
        response = await http.request("GET" if path == "/sse" else "POST", address + path)
        challenge = read_challenge(response)
        metadata = (await http.get(challenge["resource_metadata"])).json()
    assert response.status_code == 401
    assert response.json()["error"] == "authentication_required"
    assert set(challenge) == {"realm", "scope", "resource_metadata"}
    assert challenge["scope"] == SCOPE
    assert metadata["resource"] == address + resource
    assert metadata["authorization_servers"] == [authority.issuer]
    assert metadata["scopes_supported"] == [SCOPE]
    assert metadata["bearer_methods_supported"] == ["header"]


async def test_a_token_in_the_address_is_none(authority: Authority) -> None:
    async with trust(authority) as address, open_client() as http:
        token = authority.sign(aud=f"{address}/mcp")
        response = await http.post(f"{address}/mcp?access_token={token}", json=INITIALIZE, headers=ACCEPT)
    assert response.status_code == 401


# Whose is what


@pytest.mark.parametrize("era", ERAS)
async def test_two_users_of_one_client_are_two_callers(era: Era, authority: Authority) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with trust(authority, spy, confirmation={"fallback": "two-step"}) as address:
        url = f"{address}/mcp"
        async with (
            connect(address, "streamable-http", era, auth=log_in(authority, url, "ann")) as anns,
            connect(address, "streamable-http", era, auth=log_in(authority, url, "bob")) as bobs,
        ):
            first = await anns.call_tool(target.name, target.arguments)
            assert first.structured_content is not None
            arguments = {**target.arguments, "confirmationId": first.structured_content["confirmationId"]}
            assert read_status(await bobs.call_tool(target.name, arguments)) == "confirmation_expired"
    assert spy.mutations == []


async def test_changes_tell_one_user_of_a_client_from_another(authority: Authority, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    installing = {"integrationName": "mermaid", "organization": "aurora-robotics"}
    async with trust(authority, store={"url": url}) as address:
        for user in ("ann", "bob"):
            headers = {"Authorization": f"Bearer {authority.sign(aud=f'{address}/mcp', sub=user)}"}
            async with connect(address, "streamable-http", "2026-07-28", headers=headers) as client:
                await client.call_tool("install_integration", installing)
    principals = {f"{CLIENT_ID}, {authority.issuer}, {user}" for user in ("ann", "bob")}
    assert {change.principal for change in await read_changes(url)} == principals
    assert b"eyJ" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_a_user_stays_the_same_caller_when_their_token_is_renewed(authority: Authority) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with trust(authority, spy, confirmation={"fallback": "two-step"}) as address:
        arguments = target.arguments
        for expected in ("confirmation_required", "done"):
            headers = {"Authorization": f"Bearer {authority.sign(aud=f'{address}/mcp', jti=expected)}"}
            async with connect(address, "streamable-http", "2026-07-28", headers=headers) as client:
                result = await client.call_tool(target.name, arguments)
            assert read_status(result) == expected
            content = result.structured_content or {}
            arguments = {**arguments, "confirmationId": content.get("confirmationId")}
    assert len(spy.mutations) == 1


async def test_static_tokens_are_let_in_beside_and_no_session_changes_hands(authority: Authority) -> None:
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with trust(authority, http={"tokens": CALLERS}, oauth={"scopes": [SCOPE]}) as address:
        tokens = [
            authority.sign(aud=f"{address}/mcp", scope=SCOPE),
            authority.sign(aud=f"{address}/mcp", scope=SCOPE, sub="bob"),
            authority.sign(aud=f"{address}/mcp", scope=SCOPE, client_id="other"),
            *(bear(name)["Authorization"].removeprefix("Bearer ") for name in ("ann", "bob")),
        ]
        async with open_client() as http:
            for owner in tokens:
                session = (await send_initialize(address, owner)).headers["mcp-session-id"]
                for caller in tokens:
                    headers = {**ACCEPT, "Authorization": f"Bearer {caller}", "Mcp-Session-Id": session}
                    response = await http.post(f"{address}/mcp", json=listing, headers=headers)
                    assert response.status_code == (200 if caller is owner else 404)


async def test_the_application_behind_the_guard_does_not_see_the_token() -> None:
    seen: list[Scope] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await Response()(scope, receive, send)

    guard = BearerGuard(look, [StaticTokens(HttpSection.model_validate({"tokens": CALLERS}).tokens)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guard), base_url="http://localhost") as http:
        assert (await http.get("/", headers=bear("ann", **{"X-Kept": "yes"}))).status_code == 200
    assert (b"x-kept", b"yes") in seen[0]["headers"]
    assert "ann-secret" not in repr(seen[0])
    assert seen[0]["user"].display_name == "ann"


@each_way
@pytest.mark.parametrize("credentials", ["operator", "per-request"])
async def test_a_callers_bearer_never_reaches_gitbook(
    kind: Kind, era: Era, credentials: str, authority: Authority
) -> None:
    upstream = Upstream(body=b'{"items": []}')
    sections = {"http": {"credentials": credentials}, "gitbook": {"token": "operators-own-token"}}
    async with trust(authority, upstream, **sections) as address:
        token = authority.sign(aud=f"{address}/mcp")
        bearer = {"Authorization": f"Bearer {token}"}
        async with connect(address, kind, era, headers={**bearer, "X-GitBook-Token": "anns-token"}) as client:
            assert not (await client.call_tool("list_integrations", {})).is_error
        async with connect(address, kind, era, headers=bearer) as client:
            result = await client.call_tool("list_integrations", {})
    assert result.is_error is (credentials == "per-request")
    own = "operators-own-token"
    assert answer_token(upstream) == ([own, own] if credentials == "operator" else ["anns-token"])
    assert token not in repr(upstream.requests)
    assert token not in read_text(result)


# The issuer's keys


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def open_issuer(authority: Authority, **settings: Any) -> tuple[Issuer, Clock]:
    clock = Clock()
    return Issuer(OAuthSection(issuer=authority.issuer, **settings), clock), clock


async def test_a_new_key_is_found_and_an_old_one_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_module, "PAUSE_SECONDS", 0)
    with run_authority() as authority:
        async with trust(authority) as address:
            old = authority.sign(aud=f"{address}/mcp")
            assert (await send_initialize(address, old)).status_code == 200
            authority.rotate()
            assert (await send_initialize(address, authority.sign(aud=f"{address}/mcp"))).status_code == 200
            assert (await send_initialize(address, old)).status_code == 401


@pytest.mark.parametrize("parameters", [{"use": "enc"}, {"alg": "PS256"}, {"alg": "RSA-OAEP"}])
async def test_a_key_that_is_meant_for_something_else_verifies_nothing(parameters: dict[str, str]) -> None:
    with run_authority() as authority:
        authority.keys.append(make_key(parameters))
        issuer, _ = open_issuer(authority)
        first, other = authority.keys
        assert await issuer.find_key(first.kid, "RS256")
        assert await issuer.find_key(other.kid, "RS256") is None


async def test_made_up_keys_do_not_make_us_bother_the_issuer() -> None:
    with run_authority() as authority:
        issuer, clock = open_issuer(authority)
        key = str(authority.keys[0].kid)
        assert await issuer.find_key(key, "RS256")
        assert authority.requests.count("/jwks") == 1
        for number in range(20):
            clock.now += 1
            assert await issuer.find_key(f"made-up-{number}", "RS256") is None
            assert await issuer.find_key(key, "RS256")
        assert authority.requests.count("/jwks") == 1
        clock.now += 30
        for number in range(20):
            assert await issuer.find_key(f"made-up-{number}", "RS256") is None
        assert authority.requests.count("/jwks") == 2


async def test_keys_are_fetched_anew_after_a_while_and_outlive_an_outage_for_a_while() -> None:
    with run_authority() as authority:
        issuer, clock = open_issuer(authority)
        key = str(authority.keys[0].kid)
        assert await issuer.find_key(key, "RS256")
        clock.now += 601
        assert await issuer.find_key(key, "RS256")
        assert authority.requests.count("/jwks") == 2
        authority.broken = True
        clock.now += 3599
        assert await issuer.find_key(key, "RS256")
        with pytest.raises(IssuerError):
            await issuer.find_key("new", "RS256")
        clock.now += 2
        with pytest.raises(IssuerError, match=r"oauth\.jwks_url"):
            await issuer.find_key(key, "RS256")
        authority.broken = False
        clock.now += 31
        assert await issuer.find_key(key, "RS256")


async def test_without_the_issuers_keys_nobody_comes_in_and_nobody_is_accused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with run_authority() as authority:
        pass
    async with trust(authority) as address:
        for _ in range(2):
            response = await send_initialize(address, authority.sign(aud=f"{address}/mcp"))
            assert response.status_code == 503
            assert response.headers["retry-after"] == "30"
            assert response.json()["error"] == "temporarily_unavailable"
            assert "www-authenticate" not in response.headers
        async with open_client() as http:
            assert (await http.get(f"{address}/health")).status_code == 200
    assert "Cannot verify access tokens: " in caplog.text


@pytest.mark.parametrize(
    ("path", "metadata_path"),
    [
        ("", "/.well-known/oauth-authorization-server"),
        ("", "/.well-known/openid-configuration"),
        ("/tenant", "/.well-known/oauth-authorization-server/tenant"),
        ("/tenant", "/.well-known/openid-configuration/tenant"),
        ("/tenant", "/tenant/.well-known/openid-configuration"),
    ],
)
async def test_the_issuers_metadata_is_found_wherever_it_may_be(path: str, metadata_path: str) -> None:
    with run_authority(path, metadata_path) as authority:
        issuer, _ = open_issuer(authority)
        assert await issuer.find_key(authority.keys[0].kid, "RS256")


async def test_the_keys_own_address_can_be_set() -> None:
    with run_authority() as authority:
        issuer, _ = open_issuer(authority, jwks_url=f"{authority.issuer}/jwks")
        assert await issuer.find_key(authority.keys[0].kid, "RS256")
        assert authority.requests == ["/jwks"]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"issuer": "https://other.example"}, "oauth.issuer"),
        ({"jwks_uri": "http://other.example/jwks"}, "jwks_uri"),
        ({"jwks_uri": None}, "jwks_uri"),
    ],
)
async def test_metadata_that_leads_astray_is_not_followed(metadata: dict[str, Any], expected: str) -> None:
    with run_authority() as authority:
        authority.metadata = metadata
        issuer, _ = open_issuer(authority)
        with pytest.raises(IssuerError, match=expected):
            await issuer.find_key(None, "RS256")
        assert "/jwks" not in authority.requests


@pytest.mark.parametrize("keys", ["http://127.0.0.1:6379/keys", "https://localhost/keys"])
async def test_an_issuer_elsewhere_cannot_make_the_server_call_its_own_machine(
    keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    async def send() -> AsyncIterator[bytes]:
        yield json.dumps({"issuer": "https://login.example", "jwks_uri": keys, "keys": []}).encode()

    def respond(request: httpx.Request) -> httpx.Response:
        called.append(str(request.url))
        return httpx.Response(200, content=send())

    monkeypatch.setattr(issuer_module, "open_transport", lambda _url: httpx.MockTransport(respond))
    with pytest.raises(IssuerError, match="jwks_uri"):
        await Issuer(OAuthSection(issuer="https://login.example")).fetch_keys()
    assert called == ["https://login.example/.well-known/oauth-authorization-server"]


async def _stream(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1000):
        yield b" " * 1000
    yield b'{"keys": []}'


@pytest.mark.parametrize("url", [None, "https://login.example/jwks"])
@pytest.mark.parametrize(
    ("size", "headers", "expected"),
    [
        (999_000, {}, None),
        (1_000_000, {}, "more than 1 MB"),
        (10**9, {}, "more than 1 MB"),
        (0, {"Content-Encoding": "gzip"}, "compressed"),
        (0, {"Content-Encoding": "Identity"}, None),
    ],
)
async def test_what_the_issuer_sends_is_bounded(
    url: str | None, size: int, headers: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, headers=headers, content=_stream(size))

    monkeypatch.setattr(issuer_module, "open_transport", lambda _url: httpx.MockTransport(respond))
    issuer = Issuer(OAuthSection(issuer="https://login.example", jwks_url=url))
    if expected is None and url:
        assert await issuer.fetch_keys() == []
    else:
        with pytest.raises(IssuerError, match=expected or "oauth.issuer"):
            await issuer.fetch_keys()
    assert requests[0].headers["accept-encoding"] == "identity"
    assert not any(requests[0].extensions["timeout"].values())


async def test_an_issuer_that_is_slow_ends_the_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(_request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(issuer_module, "open_transport", lambda _url: httpx.MockTransport(wait))
    monkeypatch.setattr(issuer_module, "_FETCH_SECONDS", 0.01)
    with pytest.raises(IssuerError, match=r"did not respond within 0\.01 s"):
        await Issuer(OAuthSection(issuer="https://login.example")).fetch_keys()


# Settings


def test_doctor_tells_whether_tokens_could_be_verified(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def examine(issuer: str, **settings: str) -> dict[str, Any]:
        for name, value in {"issuer": issuer, **settings}.items():
            monkeypatch.setenv(f"GITBOOK_MCP_OAUTH__{name}".upper(), value)
        main(["doctor", "--sandbox", "--json"])
        checks = json.loads(capsys.readouterr().out)["checks"]
        return next(check for check in checks if check["check"] == "issuer")

    with run_authority() as running:
        assert examine(running.issuer)["message"] == f"{running.issuer} publishes 1 key"
        lacking = examine(running.issuer, algorithms="ES256")
        assert lacking["message"] == f"{running.issuer} publishes no key for ES256"
        assert (lacking["status"], lacking["code"]) == ("failed", ErrorCode.INVALID_SETTINGS)
        assert "oauth.algorithms" in lacking["fix"]
    gone = examine(running.issuer)
    assert gone["status"] == "failed"
    assert "cannot be reached" in gone["message"]


def test_doctor_finds_settings_with_which_the_server_would_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--sandbox", "--transport", "sse", "--host", "0.0.0.0"]) == 1
    assert "Set http.tokens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("oauth", "expected"),
    [
        ({"issuer": "http://login.example"}, "oauth.issuer: must be an https URL"),
        ({"issuer": "https://login.example?tenant=1"}, "must not contain a query"),
        ({"issuer": 'https://login.example/"'}, "oauth.issuer: "),
        ({"scopes": ["read"]}, "oauth: requires oauth.issuer"),
        ({"issuer": "https://login.example", "scopes": ['a"b']}, "oauth.scopes.0: "),
        ({"issuer": "https://login.example", "algorithms": ["HS256"]}, "oauth.algorithms.0: "),
        ({"issuer": "https://login.example", "algorithms": []}, "oauth.algorithms: "),
        ({"issuer": "https://login.example", "jwks_url": "http://login.example/jwks"}, "oauth.jwks_url: "),
    ],
)
def test_settings_that_would_let_strangers_in_are_refused(oauth: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        load_settings({"oauth": oauth})


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ({}, "Set http.public_url"),
        ({"host": "0.0.0.0"}, "Set http.public_url"),
        ({"host": "0.0.0.0", "public_url": "https://mcp.example"}, None),
    ],
)
def test_an_issuer_is_enough_authentication_with_a_public_url(http: dict[str, Any], expected: str | None) -> None:
    settings = load_settings({"http": http, "oauth": {"issuer": "https://login.example"}})
    if expected is None:
        check_exposure(settings)
    else:
        with pytest.raises(SettingsError, match=expected):
            check_exposure(settings)
