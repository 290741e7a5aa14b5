"""Principals: who a caller over HTTP is, as JSON of client, issuer and subject, as far as they are known."""

import json

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, principal_components


def find_principal() -> str | None:
    """Return the principal of the request that runs, or None without authentication."""
    access = get_access_token()
    return None if access is None else read_principal(access)


def read_principal(access: AccessToken) -> str:
    """Return the principal of a verified token."""
    return json.dumps(principal_components(access), separators=(",", ":"))


def is_same_user(one: str, other: str) -> bool:
    """Whether two principals are one user, who can have several clients of one issuer."""
    (first, *identity), (second, *others) = json.loads(one), json.loads(other)
    if identity != others:
        return False
    return identity[1] is not None or first == second


def describe_principal(principal: str) -> tuple[str, str]:
    """Return the user and the client of a principal, to be shown. Without an issuer, both are one."""
    client, issuer, subject = json.loads(principal)
    client = client or "unknown"
    return (f"{subject} ({issuer})" if subject else client), client
