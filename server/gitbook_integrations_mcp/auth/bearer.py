"""Bearer tokens of callers over HTTP.

The SDK's middleware for bearer tokens does not say why it refuses one, calls a request without any an invalid token
(RFC 6750, section 3.1, has no error for it), and names neither the scopes nor all of them; so `BearerGuard` is ours.
What it leaves in the scope is the SDK's, for sessions and sealed state to be bound to.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.config.models import CallerToken


class StaticTokens:
    """Verifies bearer tokens against the digests in the settings (a `TokenVerifier` of the SDK)."""

    def __init__(self, tokens: Iterable[CallerToken]) -> None:
        self._tokens = tuple(tokens)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whose token it is. All digests are compared, each in constant time."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        names = [known.name for known in self._tokens if hmac.compare_digest(known.sha256, digest)]
        return AccessToken(token="", client_id=names[0], scopes=[]) if names else None


class BearerError(Exception):
    """A bearer who is not let in: status, code (RFC 6750, section 3.1) if there is one, and why."""

    def __init__(self, status: int, code: str | None, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.description = description
        self.retry_after = retry_after


class BearerGuard:
    """Lets in only requests with a bearer token that one of the verifiers knows, and takes it off them.

    Nothing behind this door sees the token, so nothing can send it anywhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifiers: Sequence[TokenVerifier],
        *,
        scopes: Sequence[str] = (),
        metadata_url: str | None = None,
    ) -> None:
        """Tell who is refused which `scopes` are needed, and where the metadata of this resource is (RFC 9728)."""
        self._app = AuthContextMiddleware(app)
        self._verifiers = verifiers
        self._scopes = " ".join(scopes)
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its bearer's name, or answer 401, 403 or 503."""
        try:
            access = await self._verify(Headers(scope=scope).get("authorization", ""))
        except BearerError as error:
            await self._answer(error)(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        user, credentials = AuthenticatedUser(access), AuthCredentials(access.scopes)
        await self._app({**scope, "headers": headers, "user": user, "auth": credentials}, receive, send)

    async def _verify(self, authorization: str) -> AccessToken:
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise BearerError(401, None, "Callers of this server show a bearer token (Authorization: Bearer <token>).")
        for verifier in self._verifiers:
            if access := await verifier.verify_token(token.strip()):
                return access
        raise BearerError(401, "invalid_token", "This server does not know the bearer token.")

    def _answer(self, error: BearerError) -> JSONResponse:
        told = {"error": error.code, "error_description": error.description if error.code else None}
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        if error.status in {401, 403}:
            challenge = {"realm": NAME, **told, "scope": self._scopes, "resource_metadata": self._metadata_url}
            parts = ", ".join(f'{name}="{value}"' for name, value in challenge.items() if value)
            headers["WWW-Authenticate"] = f"Bearer {parts}"
        content = {"error": error.code or "unauthorized", "error_description": error.description}
        return JSONResponse(content, error.status, headers)
