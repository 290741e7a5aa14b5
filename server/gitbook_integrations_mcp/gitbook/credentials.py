"""Whose credential a request carries: GitBook accepts different kinds of token at different endpoints."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from gitbook_integrations_api.endpoint import CredentialKind, Tool
from gitbook_integrations_mcp.config.models import GitBookSection
from gitbook_integrations_mcp.config.types import check_token
from gitbook_integrations_mcp.errors import CredentialError

REDACTED = "[redacted]"
"""Replaces a token of this server's own wherever somebody echoes one."""

_WORDS = {
    CredentialKind.USER: "a user's personal access token (GITBOOK_TOKEN)",
    CredentialKind.INTEGRATION: "the integration's own token (GITBOOK_INTEGRATION_TOKEN)",
    CredentialKind.INSTALLATION: "a temporary token of the installation",
    CredentialKind.OAUTH: "an OAuth token",
}
USER_HEADER = "X-GitBook-Token"
INTEGRATION_HEADER = "X-GitBook-Integration-Token"

_NOT_USER = frozenset({CredentialKind.INTEGRATION, CredentialKind.INSTALLATION})


def describe_accepted(tool: Tool) -> str:
    """Return in words which kinds of token GitBook accepts for `tool`."""
    words = [_WORDS[kind] for kind in CredentialKind if kind in tool.credentials and kind is not CredentialKind.OAUTH]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


@dataclass(frozen=True, slots=True)
class Credentials:
    """The tokens in whose name requests are sent; neither shows in a repr.

    `general` is a user's token as a rule (any kind works where GitBook accepts it); `integration` is an integration's
    or an installation's, for the endpoints that accept no user.
    """

    general: SecretStr | None
    integration: SecretStr | None
    source: Literal["settings", "headers"] = "settings"

    @classmethod
    def from_settings(cls, settings: GitBookSection) -> "Credentials":
        """Return the operator's credentials."""
        return cls(settings.token, settings.integration_token)

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> "Credentials":
        """Return the credentials that a request brings; what cannot be a token counts as none."""
        return cls(_read_header(headers, USER_HEADER), _read_header(headers, INTEGRATION_HEADER), "headers")

    def select(self, tool: Tool) -> SecretStr:
        """Return the token to use for `tool`.

        Raises:
            CredentialError: none is configured that GitBook accepts for it.
        """
        if CredentialKind.USER in tool.credentials and self.general:
            return self.general
        if tool.credentials & _NOT_USER and self.integration:
            return self.integration
        user = CredentialKind.USER in tool.credentials
        if self.source == "headers":
            header = USER_HEADER if user else INTEGRATION_HEADER
            remedy = f"none came with the request. The client is configured to send one in the header {header}."
        else:
            variable = "GITBOOK_TOKEN" if user else "GITBOOK_INTEGRATION_TOKEN"
            remedy = f"none is configured. The operator of this server sets {variable} and restarts it."
        raise CredentialError(f"{tool.name} needs {describe_accepted(tool)}, and {remedy} Nothing was sent.")

    @property
    def digest(self) -> str:
        """What tells these credentials from others, and nothing of what they are."""
        tokens = [token.get_secret_value() if token else "" for token in (self.general, self.integration)]
        return hashlib.sha256("\n".join(tokens).encode()).hexdigest()

    def scrub(self, text: str) -> str:
        """Return `text`, plain or JSON, without any of these tokens, should GitBook have echoed one."""
        for token in (self.general, self.integration):
            if token:
                secret = token.get_secret_value()
                for written in {secret, json.dumps(secret)[1:-1]}:
                    text = text.replace(written, REDACTED)
        return text


def _read_header(headers: Mapping[str, str], name: str) -> SecretStr | None:
    value = headers.get(name.lower())
    if not value:
        return None
    try:
        return check_token(SecretStr(value))
    except PydanticCustomError:
        return None
