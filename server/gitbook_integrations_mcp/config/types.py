"""Values of settings: types that check what they are given, in words that repeat no secret."""

import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp.config.urls import is_private
from gitbook_integrations_mcp.spelling import suggest

KEY_BYTES = 32
MAKE_KEY = "`openssl rand -hex 32` makes one"


def check_token(token: SecretStr) -> SecretStr:
    """Return a token without the white space around it.

    Raises:
        PydanticCustomError: it cannot be a token; sent as a header, it might end up in an error text of the HTTP layer.
    """
    text = token.get_secret_value().strip()
    if not text:
        raise PydanticCustomError("token", "is empty")
    if any(character.isspace() for character in text):
        raise PydanticCustomError("token", "contains a space or a line break: only a part of it is the token")
    if not text.isascii() or not text.isprintable():
        raise PydanticCustomError("token", "contains characters that cannot be part of a token")
    return SecretStr(text)


def _check_endpoint(url: str) -> str:
    url = url.strip().rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise PydanticCustomError(
            "endpoint",
            "must be an absolute http or https URL, for example {example}",
            {"example": "https://api.gitbook.com"},
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise PydanticCustomError("endpoint", "must not carry a user, a password, a query or a fragment")
    return url


def _split_names(value: Any) -> Any:
    """Lists come as JSON from a file, but as "a,b" from a flag or the environment."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [name.strip() for name in value.split(",") if name.strip()]


def _check_public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or parts.query:
        raise PydanticCustomError(
            "public_url",
            "must be an address without a path, for example {example}",
            {"example": "https://mcp.example.com"},
        )
    return f"{parts.scheme}://{parts.netloc}"


def _check_store(value: Any) -> Any:
    """Keep a URL secret, as it may hold a password, and so out of every error."""
    if value == "memory":
        return value
    url = value.get_secret_value() if isinstance(value, SecretStr) else value
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "unix" or (
            parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
        )
    except (AttributeError, TypeError, ValueError):
        valid = False
    if not valid:
        raise PydanticCustomError(
            "store",
            "must be memory, or an absolute redis or rediss URL, for example {example}; special characters of a "
            "password are written as %-codes",
            {"example": "redis://localhost:6379/0"},
        )
    return SecretStr(url)


def _check_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    texts = [key.get_secret_value().strip() for key in keys]
    if any(len(text.encode()) < KEY_BYTES for text in texts):
        raise PydanticCustomError("keys", f"must have at least {KEY_BYTES} characters each; {MAKE_KEY}")
    if len(set(texts)) < len(texts):
        raise PydanticCustomError("keys", "must differ from each other")
    return tuple(SecretStr(text) for text in texts)


def _check_private(url: str) -> str:
    if not is_private(url):
        raise PydanticCustomError("private", "must be an https URL (http only on loopback)")
    return url


def _check_issuer(url: str) -> str:
    if urlsplit(url).query or urlsplit(url).fragment:
        raise PydanticCustomError("issuer", "must not carry a query or a fragment")
    return url


def check_rule(rule: str) -> str:
    """Return the ID of a rule of the audit.

    Raises:
        PydanticCustomError: there is none of that ID; a typing error must not leave a rule on, or off.
    """
    if rule not in RULES:
        raise PydanticCustomError(
            "rule", "{rule}: no such rule.{hint}", {"rule": rule[:64], "hint": suggest(rule, RULES)}
        )
    return rule


Endpoint = Annotated[str, AfterValidator(_check_endpoint)]
PublicUrl = Annotated[str, AfterValidator(_check_public_url)]
Listed = BeforeValidator(_split_names)
"""Reads a list also from "a,b", as it comes from a flag or the environment."""
ApiToken = Annotated[SecretStr, AfterValidator(check_token)]
Names = Annotated[tuple[str, ...], NoDecode, Listed]
Keys = Annotated[tuple[SecretStr, ...], NoDecode, Listed, AfterValidator(_check_keys)]
Store = Annotated[Literal["memory"] | SecretStr, BeforeValidator(_check_store)]
RuleId = Annotated[str, AfterValidator(check_rule)]

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that nobody can make who can verify them."""

Quotable = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$")]
"""What a header can quote as it is (RFC 6749, scope-token)."""

Words = Annotated[tuple[Quotable, ...], NoDecode, Listed]
PrivateUrl = Annotated[Quotable, AfterValidator(_check_private)]
Issuer = Annotated[PrivateUrl, AfterValidator(_check_issuer)]
