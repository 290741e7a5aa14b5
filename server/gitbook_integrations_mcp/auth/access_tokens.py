"""Verification of the access tokens of an authorization server (RFC 9068, RFC 8707)."""

from collections.abc import Mapping
from typing import Any

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidSignatureError,
    InvalidTokenError,
    MissingRequiredClaimError,
    PyJWTError,
)
from mcp.server.auth.provider import AccessToken

from gitbook_integrations_mcp.auth.bearer import BearerError
from gitbook_integrations_mcp.auth.issuer import PAUSE_SECONDS, Issuer, IssuerError
from gitbook_integrations_mcp.config.models import OAuthSection
from gitbook_integrations_mcp.errors import ErrorCode

_LEEWAY_SECONDS = 30
"""Maximum difference between the issuer's clock and this machine's."""

_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
"""Types (`typ`) of an access token. JWTs with another purpose, for example a logout, have other types."""


class AccessTokens:
    """Verifies the issuer's access tokens (a `TokenVerifier` of the SDK)."""

    def __init__(self, settings: OAuthSection, audience: tuple[str, ...], issuer: Issuer) -> None:
        self._settings = settings
        self._audience = audience
        self._issuer = issuer

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the verified claims of a token, or None if it is not a JWT.

        Raises:
            BearerError: the JWT is invalid, or cannot be verified now.
        """
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options={"verify_signature": False})
        except (InvalidTokenError, RecursionError):  # deep nesting in a hostile token
            return None
        # These claims are not verified yet. They can only be a reason to reject the token.
        if header.get("alg") not in self._settings.algorithms:
            raise _reject(f"its algorithm is not one of {', '.join(self._settings.algorithms)} (oauth.algorithms)")
        if str(header.get("typ", "at+jwt")).lower() not in _TYPES:
            raise _reject("its type (typ) is not that of an access token")
        if claimed.get("iss") != self._issuer.name:
            raise _reject(f"its issuer (iss) is not {self._issuer.name}")
        claims = await self._verify(token, header)
        if not claims["sub"].strip():
            raise _reject("its claim sub is empty")  # all these callers would be one
        self._check_scopes(claims)
        client = claims.get("client_id") or claims.get("azp") or ""
        return AccessToken(
            token="",
            client_id=str(client),
            scopes=sorted(_list_scopes(claims)),
            expires_at=int(claims["exp"]),
            subject=claims["sub"],
            claims={"iss": claims["iss"]},
        )

    async def _verify(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        try:
            key = await self._issuer.find_key(header.get("kid"), header["alg"])
        except IssuerError:
            text = "Access tokens cannot be verified, as the authorization server does not respond. Try again later."
            raise BearerError(503, ErrorCode.TEMPORARILY_UNAVAILABLE, text, retry_after=PAUSE_SECONDS) from None
        if key is None:
            raise _reject(f"{self._issuer.name} does not publish the key of its signature")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=self._audience,
                issuer=self._issuer.name,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
        except PyJWTError as error:
            raise _reject(self._find_reason(error)) from None

    def _find_reason(self, error: PyJWTError) -> str:
        match error:
            case ExpiredSignatureError():
                return "it has expired"
            case ImmatureSignatureError():
                return "it is not valid yet"
            case InvalidAudienceError():
                return f"its audience (aud) is not {' or '.join(self._audience)}"
            case InvalidSignatureError():
                return "its signature is wrong"
            case MissingRequiredClaimError():
                return f"its claim {error.claim} is missing"
            case _:
                return "it is malformed"

    def _check_scopes(self, claims: Mapping[str, Any]) -> None:
        if missing := set(self._settings.scopes) - _list_scopes(claims):
            text = f"The access token lacks required scopes: {' '.join(sorted(missing))}."
            raise BearerError(403, ErrorCode.INSUFFICIENT_SCOPE, text)


def _list_scopes(claims: Mapping[str, Any]) -> set[str]:
    """Return the scopes of a token. Some issuers name the claim `scp`, and some use a list."""
    granted = claims.get("scope") or claims.get("scp")
    if isinstance(granted, str):
        return set(granted.split())
    return {str(scope) for scope in granted} if isinstance(granted, list) else set()


def _reject(reason: str) -> BearerError:
    return BearerError(401, ErrorCode.INVALID_TOKEN, f"The access token was rejected: {reason}.")
