"""Access tokens of an authorization server (RFC 9068, 8707): what one must say to let its bearer in."""

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

_LEEWAY_SECONDS = 30
"""By how much the issuer's clock may differ."""

_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
"""What a token may call itself; JWTs that serve something else, such as logging out, have other types."""


class AccessTokens:
    """Verifies the issuer's access tokens (a `TokenVerifier` of the SDK)."""

    def __init__(self, settings: OAuthSection, audience: tuple[str, ...], issuer: Issuer) -> None:
        self._settings = settings
        self._audience = audience
        self._issuer = issuer

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what a token says about its bearer, or None where it is no JWT.

        Raises:
            BearerError: it is one, and does not let its bearer in, or nobody can say so now.
        """
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options={"verify_signature": False})
        except (InvalidTokenError, RecursionError):  # nested as deep as nobody would who means it
            return None
        # What is said here is not proven yet; it can only be a reason to refuse.
        if header.get("alg") not in self._settings.algorithms:
            raise _refuse(f"its signature is of none of the kinds let in ({', '.join(self._settings.algorithms)})")
        if str(header.get("typ", "at+jwt")).lower() not in _TYPES:
            raise _refuse("it is no access token")
        if claimed.get("iss") != self._issuer.name:
            raise _refuse(f"it was not issued by {self._issuer.name}")
        claims = await self._verify(token, header)
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
            text = "The authorization server does not answer, so no access token can be verified; try again later."
            raise BearerError(503, "temporarily_unavailable", text, retry_after=PAUSE_SECONDS) from None
        if key is None:
            raise _refuse(f"it is signed with a key that {self._issuer.name} does not publish")
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
            raise _refuse(self._explain(error)) from None

    def _explain(self, error: PyJWTError) -> str:
        match error:
            case ExpiredSignatureError():
                return "it has expired"
            case ImmatureSignatureError():
                return "it is not valid yet"
            case InvalidAudienceError():
                return f"it is meant for another audience than {' or '.join(self._audience)}"
            case InvalidSignatureError():
                return "its signature is wrong"
            case MissingRequiredClaimError():
                return f"it does not say {error.claim}"
            case _:
                return "it is malformed"

    def _check_scopes(self, claims: Mapping[str, Any]) -> None:
        if missing := set(self._settings.scopes) - _list_scopes(claims):
            text = f"The access token lacks the scope {' '.join(sorted(missing))}."
            raise BearerError(403, "insufficient_scope", text)


def _list_scopes(claims: Mapping[str, Any]) -> set[str]:
    """Return the scopes of a token; some issuers name the claim `scp`, and some make it a list."""
    granted = claims.get("scope") or claims.get("scp")
    if isinstance(granted, str):
        return set(granted.split())
    return {str(scope) for scope in granted} if isinstance(granted, list) else set()


def _refuse(reason: str) -> BearerError:
    return BearerError(401, "invalid_token", f"The access token is refused: {reason}.")
