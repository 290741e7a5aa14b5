"""An authorization server on loopback, built from authlib: discovery, keys that rotate, two grants, and forgeries."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.jwk import Key, KeySet, RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET, REDIRECT_URI = "assistant", "assistants-secret", "http://localhost:3999/callback"
SCOPE = "integrations:read"
PAGE_ID = "page"
"""Client ID of the page on which people link accounts."""


@dataclass
class User:
    """Somebody who logged in."""

    name: str

    def get_user_id(self) -> str:
        return self.name


class RegisteredClient(ClientMixin):  # type: ignore[misc]
    """The assistant, which the authority knows."""

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(word for word in (scope or "").split() if word == SCOPE)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == REDIRECT_URI

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in {"authorization_code", "client_credentials"}


@dataclass
class PublicClient(RegisteredClient):
    """The page of the server, which has no secret."""

    redirect_uris: list[str]

    def get_client_id(self) -> str:
        return PAGE_ID

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == "none"


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """A code on its way from the browser to the client."""

    code: str
    redirect_uri: str
    scope: str
    user: User
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Authority:
    """What the server is doing, and what it does next."""

    path: str
    metadata_path: str
    issuer: str = ""
    keys: list[Key] = field(default_factory=lambda: [make_key()])
    requests: list[str] = field(default_factory=list)
    broken: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    page_redirects: list[str] = field(default_factory=list)
    """Where the page of a server may be sent back to."""

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is no longer published."""
        self.keys = [make_key()]

    def sign(self, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token that Ann could have, with other claims and header as told; None leaves one out."""
        key, now = key or self.keys[0], int(time.time())
        usual = {"iss": self.issuer, "sub": "ann", "client_id": CLIENT_ID, "iat": now, "exp": now + 300}
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        head = {"alg": "RS256", "typ": "at+jwt", "kid": key.kid, **(header or {})}
        return jwt.encode({name: value for name, value in head.items() if value}, said, key, [head["alg"]])


def make_key(parameters: Any = None) -> RSAKey:
    """Return a key that is published with these parameters."""
    return RSAKey.generate_key(2048, parameters, auto_kid=True)


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """Codes that the browser brings, each exchanged once."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = ["client_secret_basic", "none"]

    codes: ClassVar[dict[str, Code]] = {}

    def save_authorization_code(self, code: str, request: Any) -> None:
        data = request.payload.data
        challenge = data["code_challenge"], data["code_challenge_method"]
        self.codes[code] = Code(code, data["redirect_uri"], data.get("scope", ""), request.user, *challenge)

    def query_authorization_code(self, code: str, _client: Any) -> Code | None:
        return self.codes.get(code)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del self.codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> User:
        return authorization_code.user


def create_server(app: Flask, authority: Authority) -> AuthorizationServer:
    """Return what issues tokens as JWTs for the resource that is asked for."""

    class AccessTokenGenerator(JWTBearerTokenGenerator):  # type: ignore[misc]
        def get_jwks(self) -> KeySet:
            return KeySet(authority.keys[:1])

        def get_audiences(self, _client: Any, _user: Any, _scope: Any) -> str:
            return request.form["resource"]  # RFC 8707, which authlib leaves to us

    clients = {CLIENT_ID: RegisteredClient(), PAGE_ID: PublicClient(authority.page_redirects)}
    server = AuthorizationServer(
        app,
        query_client=lambda client_id: clients.get(client_id),
        save_token=lambda _token, _request: None,
    )
    server.register_token_generator("default", AccessTokenGenerator(authority.issuer))
    server.register_grant(CodeGrant, [CodeChallenge(required=True)])
    server.register_grant(ClientCredentialsGrant)
    return server


def create_authority(authority: Authority) -> Flask:
    """Return the application of an authority."""
    app = Flask(__name__)
    server = create_server(app, authority)

    @app.before_request
    def _record() -> Response | None:
        authority.requests.append(request.path)
        return Response(status=503) if authority.broken else None

    @app.get(authority.metadata_path)
    def _tell_metadata() -> Response:
        metadata = {
            "issuer": authority.issuer,
            "authorization_endpoint": f"{authority.issuer}/authorize",
            "token_endpoint": f"{authority.issuer}/token",
            "jwks_uri": f"{authority.issuer}/jwks",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }
        return jsonify({**metadata, **authority.metadata})

    @app.get(f"{authority.path}/jwks")
    def _tell_keys() -> Response:
        return jsonify(KeySet(authority.keys).as_dict(private=False))

    @app.get(f"{authority.path}/authorize")
    def _authorize() -> Any:
        user = User(request.headers["X-User"])  # who is logged in
        return server.create_authorization_response(grant_user=user, grant=server.get_consent_grant(end_user=user))

    @app.post(f"{authority.path}/token")
    def _issue() -> Any:
        return server.create_token_response()

    return app


@contextlib.contextmanager
def run_authority(
    path: str = "", metadata_path: str = "/.well-known/oauth-authorization-server"
) -> Iterator[Authority]:
    """Yield an authority that runs on loopback, with an issuer of that path, and its metadata at the other."""
    authority = Authority(path, metadata_path)
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)  # its port is a part of what it serves
    authority.issuer = f"http://localhost:{server.server_port}{path}"
    server.app = create_authority(authority)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
