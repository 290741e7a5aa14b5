"""The kinds of token that the GitBook sandbox accepts, and the caller that each identifies."""

import secrets
from dataclasses import dataclass

from gitbook_integrations_api.endpoint import CredentialKind
from gitbook_integrations_mcp.sandbox.state import State
from gitbook_integrations_mcp.sandbox.templates import OWN_INTEGRATION

USER_TOKEN = "gb_sandbox_user"  # noqa: S105
"""The personal access token of the sandbox's user."""

INTEGRATION_TOKEN = "gb_sandbox_integration"  # noqa: S105
"""The token of the organization's own integration. With `_` and a name appended, that of any other integration."""

LIFETIME = 3600.0
"""Seconds for which the temporary token of an installation is valid."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of the token: the user, an integration, or an installation. `scopes` limit an OAuth token."""

    kind: CredentialKind
    integration: str = ""
    installation: str = ""
    scopes: frozenset[str] = frozenset()

    @property
    def is_user(self) -> bool:
        """Whether this is the user, with a personal access token or an OAuth token."""
        return self.kind in {CredentialKind.USER, CredentialKind.OAUTH}


def authenticate(state: State, token: str, now: float) -> Caller | None:
    """Return the caller that `token` identifies, or None if it is unknown or expired."""
    if token == USER_TOKEN:
        return Caller(CredentialKind.USER)
    if token == INTEGRATION_TOKEN:
        token = f"{INTEGRATION_TOKEN}_{OWN_INTEGRATION}"
    name = token.removeprefix(f"{INTEGRATION_TOKEN}_")
    if name != token:
        return Caller(CredentialKind.INTEGRATION, name) if name in state.integrations else None
    if token in state.access_tokens:
        grant, expires = state.access_tokens[token]
        return None if grant.revoked or now >= expires else Caller(CredentialKind.OAUTH, scopes=grant.scopes)
    installation_id, expires = state.tokens.get(token, ("", 0.0))
    installation = state.installations.get(installation_id)
    if installation is None or now >= expires:
        return None
    return Caller(CredentialKind.INSTALLATION, installation.integration, installation.id)


def issue_token(state: State, installation_id: str, now: float) -> str:
    """Return a new temporary token for an installation: the only random value in the sandbox."""
    token = f"gb_sandbox_installation_{secrets.token_urlsafe(24)}"
    state.tokens[token] = (installation_id, now + LIFETIME)
    return token
