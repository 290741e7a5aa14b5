"""A second authorization server for logins with GitBook, built from authlib: nothing of it is this project's code.

It registers clients, requires PKCE, rotates refresh tokens, revokes tokens, and gives its tokens to a sandbox.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

from gitbook_integrations_mcp.sandbox import Sandbox
from gitbook_integrations_mcp.sandbox.state import Grant

SECONDS = 3600
USER = "robin"


@dataclass
class Client(ClientMixin):  # type: ignore[misc]
    """A registered public client."""

    identifier: str
    redirect_uris: list[str]

    def get_client_id(self) -> str:
        return self.identifier

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in {"authorization_code", "refresh_token"}


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """A code on its way from the browser to the client."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):  # type: ignore[misc]
    """An access token and its refresh token."""

    access_token: str
    refresh_token: str | None
    client_id: str
    scope: str
    grant: Grant
    revoked: bool = False

    def check_client(self, client: Client) -> bool:
        return client.identifier == self.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return SECONDS

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass
class IndependentServer:
    """What the server knows. It answers the next authorization request as `approves` and `grants` tell it."""

    sandbox: Sandbox
    issuer: str = ""
    approves: bool = True
    grants: str | None = None
    """The scopes that the user approves, if not all."""
    clients: dict[str, Client] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def save(self, content: dict[str, Any], client: Client) -> None:
        """Keep a token, and have the sandbox accept it."""
        scope = str(content.get("scope", ""))
        grant = Grant(frozenset(scope.split()))
        access = str(content["access_token"])
        self.tokens.append(Token(access, content.get("refresh_token"), client.identifier, scope, grant))
        self.sandbox.state.access_tokens[access] = (grant, time.time() + SECONDS)

    def find(self, text: str) -> Token | None:
        """Return the token with this text as its access or refresh token."""
        return next((one for one in self.tokens if text in {one.access_token, one.refresh_token}), None)


def build_grants(known: IndependentServer) -> tuple[Any, Any]:
    """Return the grants of codes and of refresh tokens."""

    class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = ["none"]

        def save_authorization_code(self, code: str, request: Any) -> None:
            data, client = request.payload.data, request.client.identifier
            scope = data.get("scope", "") if known.grants is None else known.grants
            challenge = data["code_challenge"], data["code_challenge_method"]
            known.codes[code] = Code(code, client, data["redirect_uri"], scope, *challenge)

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            found = known.codes.get(code)
            return found if found and found.client_id == client.identifier else None

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del known.codes[authorization_code.code]

        def authenticate_user(self, _authorization_code: Code) -> str:
            return USER

    class Refresh(RefreshTokenGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = ["none"]
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
            found = known.find(refresh_token)
            return found if found and not found.revoked else None

        def authenticate_user(self, _refresh_token: Token) -> str:
            return USER

        def revoke_old_credential(self, refresh_token: Token) -> None:
            refresh_token.revoked = refresh_token.grant.revoked = True

    return CodeGrant, Refresh


def build_endpoints(known: IndependentServer) -> tuple[Any, Any]:
    """Return the endpoints for revocation and registration."""

    class Revocation(RevocationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS: ClassVar[list[str]] = ["none"]

        def query_token(self, token_string: str, _token_type_hint: str | None) -> Token | None:
            return known.find(token_string)

        def revoke_token(self, token: Token, _request: Any) -> None:
            token.revoked = token.grant.revoked = True

    class Registration(ClientRegistrationEndpoint):  # type: ignore[misc]
        def authenticate_token(self, _request: Any) -> str:
            return "open"

        def get_server_metadata(self) -> dict[str, Any]:
            return {}

        def generate_client_info(self, _request: Any) -> dict[str, Any]:
            return {"client_id": f"client-{len(known.clients)}", "client_id_issued_at": int(time.time())}

        def save_client(self, info: dict[str, Any], metadata: dict[str, Any], _request: Any) -> Client:
            client = Client(info["client_id"], list(metadata["redirect_uris"]))
            known.clients[client.identifier] = client
            return client

        def generate_client_registration_info(self, _client: Client, _request: Any) -> None:
            return None

    return Revocation, Registration


def create_application(known: IndependentServer) -> Flask:
    """Return the server as an application."""
    app = Flask(__name__)
    code_grant, refresh_grant = build_grants(known)
    revocation, registration = build_endpoints(known)
    server = AuthorizationServer(
        app, query_client=known.clients.get, save_token=lambda token, request: known.save(token, request.client)
    )

    def generate(*_arguments: Any, **_named: Any) -> str:
        return secrets.token_hex()

    server.register_token_generator("default", BearerTokenGenerator(generate, generate, lambda *_: SECONDS))
    server.register_grant(code_grant, [CodeChallenge(required=True)])
    server.register_grant(refresh_grant)
    server.register_endpoint(revocation)
    server.register_endpoint(registration)

    @app.before_request
    def _record() -> None:
        known.requests.append(request.path)

    @app.get("/.well-known/oauth-authorization-server")
    def _describe() -> Any:
        endpoints = {
            name: f"{known.issuer}/{name}" for name in ("authorization", "token", "registration", "revocation")
        }
        return jsonify(
            {
                "issuer": known.issuer,
                **{f"{name}_endpoint": url for name, url in endpoints.items()},
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    @app.get("/authorization")
    def _authorize() -> Any:
        grant = server.get_consent_grant(end_user=USER)
        return server.create_authorization_response(grant_user=USER if known.approves else None, grant=grant)

    app.post("/token", endpoint="token")(server.create_token_response)
    app.post("/registration", endpoint="registration")(
        lambda: server.create_endpoint_response(registration.ENDPOINT_NAME)
    )
    app.post("/revocation", endpoint="revocation")(lambda: server.create_endpoint_response(revocation.ENDPOINT_NAME))
    return app


@contextlib.contextmanager
def run_independent_server(sandbox: Sandbox) -> Iterator[IndependentServer]:
    """Yield the server, which runs on loopback."""
    known = IndependentServer(sandbox)
    server = make_server("127.0.0.1", 0, create_application(known), threaded=True)
    known.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
