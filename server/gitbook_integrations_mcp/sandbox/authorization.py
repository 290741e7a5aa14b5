"""The sandbox's OAuth authorization server, with the features of GitBook's.

It has metadata (RFC 8414), dynamic registration, an authorization page, and a token endpoint with PKCE (S256). A
refresh token works once: if it is used again, the whole grant ends, as OAuth 2.1 recommends.
"""

import base64
import hashlib
import html
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.config.urls import is_loopback
from gitbook_integrations_mcp.sandbox.state import Grant, State

METADATA_PATH = "/.well-known/oauth-authorization-server"

SCOPES = tuple(sorted({scope for endpoint in ENDPOINTS.values() for scope in endpoint.scopes}))
"""All scopes that the sandbox grants."""

LIFETIME = 3600.0
"""Seconds for which an access token is valid."""

_CODE_SECONDS = 60.0
_NO_STORE = {"Cache-Control": "no-store"}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>GitBook sandbox</title>
<h1>GitBook sandbox</h1>
<form method="post" action="/oauth/authorize">
<p>{name} asks for access to the account of {user}:</p>
{scopes}
{hidden}
<p><button name="decision" value="approve">Approve</button>
<button name="decision" value="decline">Decline</button></p>
</form></html>
"""


class OAuthFailureError(Exception):
    """A request that is rejected with a code of RFC 6749."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        self.code = code
        self.description = description
        self.status = status
        super().__init__(description)


@dataclass(frozen=True, slots=True)
class _Code:
    """An authorization code: what the request asked for, and what the user approved."""

    client: str
    redirect_uri: str
    challenge: str
    scopes: frozenset[str]
    expires: float


class AuthorizationServer:
    """Registers clients, and issues tokens, which it keeps in `state`. Tests may change `lifetime` (seconds)."""

    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self.lifetime = LIFETIME
        self.accepts_registration = True
        self.renewals = 0
        """Number of access tokens that were issued for refresh tokens."""
        self._state = state
        self._clock = clock
        self._clients: dict[str, Mapping[str, object]] = {}
        self._codes: dict[str, _Code] = {}
        self._refresh_tokens: dict[str, tuple[str, Grant]] = {}
        self._spent: dict[str, Grant] = {}
        self._routes: dict[tuple[str, str], Callable[[Request, bytes], Response]] = {
            ("GET", METADATA_PATH): self._describe,
            ("POST", "/oauth/register"): self._register,
            ("GET", "/oauth/authorize"): self._show_page,
            ("POST", "/oauth/authorize"): self._decide,
            ("POST", "/oauth/token"): self._issue,
            ("POST", "/oauth/revoke"): self._revoke,
        }

    def respond(self, request: Request, body: bytes) -> Response | None:
        """Return the response to a request for this server, or None if the request is for another."""
        route = self._routes.get((request.method, request.url.path))
        if route is None:
            return None
        try:
            return route(request, body)
        except OAuthFailureError as failure:
            content = {"error": failure.code, "error_description": failure.description}
            return JSONResponse(content, failure.status, _NO_STORE)

    def _describe(self, request: Request, _body: bytes) -> Response:
        issuer = _find_issuer(request)
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/oauth/authorize",
                "token_endpoint": f"{issuer}/oauth/token",
                "registration_endpoint": f"{issuer}/oauth/register",
                "revocation_endpoint": f"{issuer}/oauth/revoke",
                "scopes_supported": SCOPES,
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_methods_supported": ["none"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def _register(self, _request: Request, body: bytes) -> Response:
        if not self.accepts_registration:
            raise OAuthFailureError("access_denied", "Registration is closed", 403)
        try:
            client = from_json(body)
            uris = [str(uri) for uri in client["redirect_uris"]]
        except (ValueError, TypeError, LookupError):
            raise OAuthFailureError("invalid_client_metadata", "The body is not a client with redirect_uris") from None
        if not uris or not all(map(_is_loopback_redirect, uris)):
            raise OAuthFailureError("invalid_redirect_uri", "Every redirect URI must be http on loopback")
        identifier = secrets.token_urlsafe(12)
        name = str(client.get("client_name", "A client"))
        self._clients[identifier] = {"client_name": name, "redirect_uris": uris}
        return JSONResponse({"client_id": identifier, "client_name": name, "redirect_uris": uris}, 201, _NO_STORE)

    def _show_page(self, request: Request, _body: bytes) -> Response:
        wanted = dict(request.query_params)
        if (failure := self._check_request(wanted)) is not None:
            return failure
        names = [name for name in wanted.get("scope", "").split() if name in SCOPES]
        boxes = [
            f'<p><label><input type="checkbox" name="granted" value="{name}" checked> {name}</label></p>'
            for name in names
        ]
        hidden = [
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in wanted.items()
        ]
        client = str(self._clients[wanted["client_id"]]["client_name"])
        return HTMLResponse(
            _PAGE.format(
                name=html.escape(client),
                user=html.escape(self._state.user.name),
                scopes="\n".join(boxes),
                hidden="\n".join(hidden),
            ),
            headers=_NO_STORE,
        )

    def _decide(self, request: Request, body: bytes) -> Response:
        form = parse_qs(body.decode(errors="replace"))
        wanted = {name: values[0] for name, values in form.items()}
        if (failure := self._check_request(wanted)) is not None:
            return failure
        answer = {"state": wanted.get("state", ""), "iss": _find_issuer(request)}
        if wanted.get("decision") != "approve":
            return _redirect(wanted["redirect_uri"], {"error": "access_denied", **answer})
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(
            wanted["client_id"],
            wanted["redirect_uri"],
            wanted["code_challenge"],
            frozenset(form.get("granted", [])) & frozenset(wanted.get("scope", "").split()) & frozenset(SCOPES),
            self._clock() + _CODE_SECONDS,
        )
        return _redirect(wanted["redirect_uri"], {"code": code, **answer})

    def _check_request(self, wanted: Mapping[str, str]) -> Response | None:
        """Return the response to an invalid authorization request, or None for a valid one."""
        client = self._clients.get(wanted.get("client_id", ""))
        redirect_uri = wanted.get("redirect_uri", "")
        if client is None:
            raise OAuthFailureError("invalid_client", "The client is not registered")
        uris = client["redirect_uris"]
        assert isinstance(uris, list)
        if redirect_uri not in uris:
            raise OAuthFailureError("invalid_request", "The redirect URI is not registered")
        chosen = (wanted.get("response_type"), wanted.get("code_challenge_method"))
        if chosen != ("code", "S256") or not wanted.get("code_challenge"):
            return _redirect(redirect_uri, {"error": "invalid_request", "state": wanted.get("state", "")})
        return None

    def _issue(self, _request: Request, body: bytes) -> Response:
        form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        match form.get("grant_type"):
            case "authorization_code":
                return self._issue_for_code(form)
            case "refresh_token":
                return self._renew(form)
            case _:
                raise OAuthFailureError("unsupported_grant_type", "Only codes and refresh tokens are accepted")

    def _issue_for_code(self, form: Mapping[str, str]) -> Response:
        code = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            code is None
            or self._clock() >= code.expires
            or code.client != form.get("client_id")
            or code.redirect_uri != form.get("redirect_uri")
            or not secrets.compare_digest(challenge, code.challenge)
        ):
            raise OAuthFailureError("invalid_grant", "The code is unknown, expired, or was issued for another request")
        return self._create_tokens(code.client, Grant(code.scopes))

    def _renew(self, form: Mapping[str, str]) -> Response:
        token = form.get("refresh_token", "")
        if (grant := self._spent.get(token)) is not None:
            grant.revoked = True
        client, grant = self._refresh_tokens.get(token, ("", None))
        if grant is None or grant.revoked or client != form.get("client_id"):
            raise OAuthFailureError("invalid_grant", "The refresh token is unknown, was used before, or was revoked")
        del self._refresh_tokens[token]
        self._spent[token] = grant
        self.renewals += 1
        return self._create_tokens(client, grant)

    def _create_tokens(self, client: str, grant: Grant) -> Response:
        access, refresh = f"gb_sandbox_access_{secrets.token_urlsafe(24)}", secrets.token_urlsafe(24)
        self._state.access_tokens[access] = (grant, self._clock() + self.lifetime)
        self._refresh_tokens[refresh] = (client, grant)
        return JSONResponse(
            {
                "access_token": access,
                "token_type": "Bearer",
                "expires_in": int(self.lifetime),
                "refresh_token": refresh,
                "scope": " ".join(sorted(grant.scopes)),
            },
            headers=_NO_STORE,
        )

    def _revoke(self, _request: Request, body: bytes) -> Response:
        token = parse_qs(body.decode(errors="replace")).get("token", [""])[0]
        _, grant = self._refresh_tokens.get(token, ("", None))
        grant = grant or self._state.access_tokens.get(token, (None, 0.0))[0]
        if grant is not None:
            grant.revoked = True
        return Response(headers=_NO_STORE)  # also for a token that does not exist (RFC 7009)


def _find_issuer(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _is_loopback_redirect(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return parts.scheme == "http" and is_loopback(parts.hostname or "")
    except ValueError:
        return False


def _redirect(uri: str, answer: Mapping[str, str]) -> Response:
    return RedirectResponse(f"{uri}{'&' if '?' in uri else '?'}{urlencode(answer)}", 302, _NO_STORE)
