"""Bearer tokens of callers over HTTP.

`BearerGuard` replaces the SDK's middleware for bearer tokens, which lacks three things: the reason for a rejection, all
required scopes in the challenge, and a challenge without an error for a request without a token (RFC 6750, section
3.1). Like the SDK's, it stores the user in the ASGI scope; the SDK binds sessions and sealed state to that user.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.config.models import CallerToken
from gitbook_integrations_mcp.errors import ErrorCode, ProgramError
from gitbook_integrations_mcp.net.responses import create_error_response


class StaticTokens:
    """Verifies bearer tokens against the digests in the settings (a `TokenVerifier` of the SDK)."""

    def __init__(self, tokens: Iterable[CallerToken]) -> None:
        self._tokens = tuple(tokens)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the caller that a token belongs to. All digests are compared, each in constant time."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        names = [known.name for known in self._tokens if hmac.compare_digest(known.sha256, digest)]
        return AccessToken(token="", client_id=names[0], scopes=[]) if names else None


_CHALLENGE_CODES = frozenset({ErrorCode.INVALID_TOKEN, ErrorCode.INSUFFICIENT_SCOPE})
"""Codes that RFC 6750 defines; a challenge (WWW-Authenticate) contains no others."""


class BearerError(ProgramError):
    """A request that is rejected because of its bearer token: HTTP status, code, and the reason as its text."""

    def __init__(self, status: int, code: ErrorCode, description: str, retry_after: int | None = None) -> None:
        super().__init__(description, code)
        self.status = status
        self.retry_after = retry_after


class BearerGuard:
    """Passes on only requests with a bearer token that one of the verifiers accepts.

    The token is removed from the request, so that nothing behind the guard can forward it.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifiers: Sequence[TokenVerifier],
        *,
        scopes: Sequence[str] = (),
        metadata_url: str | None = None,
    ) -> None:
        """A challenge names the required `scopes` and the URL of the resource's metadata (RFC 9728)."""
        self._app = AuthContextMiddleware(app)
        self._verifiers = verifiers
        self._scopes = " ".join(scopes)
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in the name of its caller, or respond with 401, 403 or 503."""
        try:
            access = await self._verify(Headers(scope=scope).get("authorization", ""))
        except BearerError as error:
            await self._create_response(error)(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        user, credentials = AuthenticatedUser(access), AuthCredentials(access.scopes)
        await self._app({**scope, "headers": headers, "user": user, "auth": credentials}, receive, send)

    async def _verify(self, authorization: str) -> AccessToken:
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            text = "Authentication required. Send a bearer token (Authorization: Bearer <token>)."
            raise BearerError(401, ErrorCode.AUTHENTICATION_REQUIRED, text)
        for verifier in self._verifiers:
            if access := await verifier.verify_token(token.strip()):
                return access
        raise BearerError(401, ErrorCode.INVALID_TOKEN, "Invalid bearer token. Ask the server's operator for one.")

    def _create_response(self, error: BearerError) -> Response:
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        if error.status in {401, 403}:
            challenge = {"realm": NAME}
            if error.code in _CHALLENGE_CODES:
                challenge |= {"error": error.code, "error_description": str(error)}
            if self._scopes:
                challenge["scope"] = self._scopes
            if self._metadata_url:
                challenge["resource_metadata"] = self._metadata_url
            headers["WWW-Authenticate"] = "Bearer " + ", ".join(
                f'{name}="{value}"' for name, value in challenge.items()
            )
        return create_error_response(error.status, error.code, str(error), headers)
