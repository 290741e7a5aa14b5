"""Principals: who a caller over HTTP is, as JSON of client, issuer and subject, as far as they are known."""

import json

from mcp.server.auth.provider import AccessToken, principal_components
from mcp.server.request_state import compact_json


def find_principal(access: AccessToken) -> str:
    """Return the principal of a verified token: the same text as for its calls."""
    return compact_json(principal_components(access))


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
