"""Selects the credential of a request: GitBook's endpoints accept different kinds."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeVar
from urllib.parse import quote

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from gitbook_integrations_api.endpoint import CredentialKind, Tool
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.config.models import GitBookSection
from gitbook_integrations_mcp.config.types import check_token
from gitbook_integrations_mcp.errors import CredentialError, ErrorCode
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.gitbook.session import Session, Token
from gitbook_integrations_mcp.store.logins import Login

REDACTED = "[redacted]"
"""Replaces this server's own tokens if a response echoes one."""

_KIND_NAMES = {
    CredentialKind.USER: "a user's personal access token (GITBOOK_TOKEN)",
    CredentialKind.INTEGRATION: "the integration's own token (GITBOOK_INTEGRATION_TOKEN)",
    CredentialKind.INSTALLATION: "a temporary token of the installation",
    CredentialKind.OAUTH: "an OAuth token",
}
_MIN_ENCODED = 12
"""Shorter tokens are not searched for in Base64, because they could be part of other text."""
_URL_SAFE = str.maketrans("+/", "-_")

JSONData = TypeVar("JSONData")

USER_HEADER = "X-GitBook-Token"
INTEGRATION_HEADER = "X-GitBook-Integration-Token"

Source = Literal["login", "token", "integration token"]
"""The credentials of this program, in the order in which they are preferred."""

_NOT_USER = frozenset({CredentialKind.INTEGRATION, CredentialKind.INSTALLATION})


def describe_accepted(tool: Tool) -> str:
    """Return the kinds of token that GitBook accepts for `tool`, as text."""
    names = [
        _KIND_NAMES[kind] for kind in CredentialKind if kind in tool.credentials and kind is not CredentialKind.OAUTH
    ]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def describe_holders(tool: Tool) -> str:
    """Return whose tokens have the right to call `tool`, as text."""
    role = "someone with the needed role in the organization concerned"
    holders = [role] * (CredentialKind.USER in tool.credentials)
    holders += ["the integration itself"] * (not _NOT_USER.isdisjoint(tool.credentials))
    return " or of ".join(holders)


@dataclass(frozen=True)
class Credentials:
    """The tokens that requests are sent with; none shows in a repr.

    `general` is usually a user's token, but any kind works if GitBook accepts it. `integration` is the token of an
    integration or an installation, for endpoints that accept no user's token. `session` is the login of this machine's
    user, or the account that the caller linked.
    """

    general: SecretStr | None
    integration: SecretStr | None
    source: Literal["settings", "headers", "account"] = "settings"
    session: Session | None = None

    @classmethod
    def from_settings(cls, settings: GitBookSection) -> "Credentials":
        """Return the operator's credentials."""
        return cls(settings.token, settings.integration_token)

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> "Credentials":
        """Return the credentials in the headers of a request; a malformed token counts as missing."""
        return cls(_read_header(headers, USER_HEADER), _read_header(headers, INTEGRATION_HEADER), "headers")

    def choose(self, tool: Tool) -> Source | None:
        """Return which credential serves `tool`, or None if there is none.

        It is the login if its scopes suffice, else the configured token, else that of an integration.
        """
        return self._choose(tool, self._login)

    @property
    def _login(self) -> Login | None:
        """The current login. Reading it asks the file system whether another process has written a new one."""
        return self.session.login if self.session else None

    def _choose(self, tool: Tool, login: Login | None) -> Source | None:
        if login and CredentialKind.OAUTH in tool.credentials and login.scopes.issuperset(tool.scopes):
            return "login"
        if CredentialKind.USER in tool.credentials and self.general:
            return "token"
        return "integration token" if tool.credentials & _NOT_USER and self.integration else None

    def select(self, tool: Tool) -> Token:
        """Return what to send for `tool`.

        Raises:
            CredentialError: there is no credential that GitBook accepts for it.
        """
        chosen: Token | None = None
        match self.choose(tool):
            case "login":
                chosen = self.session.token if self.session else None
            case "token":
                chosen = self.general
            case "integration token":
                chosen = self.integration
        if chosen is None:
            raise self._create_error(tool)
        return chosen

    def list_unserved(self, tools: Mapping[str, Tool]) -> frozenset[str]:
        """Return the names of the tools that are not to be offered: with a login, those that no credential serves."""
        login = self._login
        if login is None:
            return frozenset()
        return frozenset(name for name, tool in tools.items() if tool.credentials and self._choose(tool, login) is None)

    def _create_error(self, tool: Tool) -> CredentialError:
        login = self._login
        if self.source == "account":
            return _create_account_error(tool, login)
        if login and (missing := sorted({*tool.scopes} - login.scopes)):
            scopes = f"scope{'s' * (len(missing) > 1)} {', '.join(missing)}"
            return CredentialError(
                f"{tool.name} requires the {scopes}, which the login with GitBook does not have. Ask the operator to "
                f"run `{NAME} login --add {tool.name}`, which needs no restart. Nothing was sent.",
                ErrorCode.MISSING_SCOPE,
            )
        user = CredentialKind.USER in tool.credentials
        if self.source == "headers":
            header = USER_HEADER if user else INTEGRATION_HEADER
            remedy = f"the request has none. Configure the client to send one in the header {header}."
        else:
            variable = "GITBOOK_TOKEN" if user else "GITBOOK_INTEGRATION_TOKEN"
            remedy = f"none is configured. Ask the operator to set {variable} and restart the server."
            if tool.scopes:
                remedy += f" Or ask them to run `{NAME} login`, which needs no restart."
        instead = f" With a user token, use {other}." if self.general and (other := tool.user_alternative) else ""
        return CredentialError(
            f"{tool.name} requires {describe_accepted(tool)}, but {remedy} Nothing was sent.{instead}"
        )

    @property
    def digest(self) -> str:
        """A digest that identifies these credentials without revealing them."""
        tokens = [token.get_secret_value() if token else "" for token in (self.general, self.integration)]
        if self.session and (login := self.session.digest):
            tokens.append(login)
        return hashlib.sha256("\n".join(tokens).encode()).hexdigest()

    def scrub(self, text: str) -> str:
        """Return `text`, plain or JSON, with these tokens replaced, in case GitBook echoed one.

        A text must be scrubbed before it is cut: the rest of a token would not be recognized.
        """
        for form in self._forms:
            text = text.replace(form, REDACTED)
        return text

    def scrub_json(self, data: JSONData) -> JSONData:
        """Return JSON data with these tokens replaced."""
        text = json.dumps(data)
        scrubbed = self.scrub(text)
        result: JSONData = data if scrubbed == text else json.loads(scrubbed)
        return result

    def scrub_response(self, response: GitBookResponse) -> GitBookResponse:
        """Return a response with these tokens replaced in its body."""
        body = response.body
        for form in self._forms:
            body = body.replace(form.encode(), REDACTED.encode())
        if b"\\u" in body:  # any character of a token can be escaped
            with suppress(ValueError, RecursionError):
                data = json.loads(body)
                if (scrubbed := self.scrub_json(data)) != data:
                    body = json.dumps(scrubbed).encode()
        return response if body == response.body else replace(response, body=body)

    @property
    def _forms(self) -> tuple[str, ...]:
        configured = [token.get_secret_value() for token in (self.general, self.integration) if token]
        return _list_forms((*configured, *(self.session.secrets if self.session else ())))


@lru_cache(maxsize=64)
def _list_forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the texts in which tokens can appear: plain, in JSON, in URLs and in Base64, longest first."""
    forms: set[str] = set()
    for secret in secrets:
        forms |= {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), *_encode_base64(secret)}
    forms |= {form.replace("/", "\\/") for form in forms}
    return tuple(sorted(forms, key=len, reverse=True))


def _create_account_error(tool: Tool, login: Login | None) -> CredentialError:
    """Return the error about the account of a caller. No other credential may serve them."""
    if CredentialKind.OAUTH not in tool.credentials:
        return CredentialError(
            f"GitBook accepts no login for {tool.name}, so it cannot be called with a linked account. Nothing was sent."
        )
    if login is None:
        return CredentialError(
            f"{tool.name} requires a GitBook account, and you have linked none. Nothing was sent.",
            ErrorCode.ACCOUNT_NOT_LINKED,
        )
    missing = sorted({*tool.scopes} - login.scopes)
    return CredentialError(
        f"{tool.name} requires {', '.join(missing)}, which your linked GitBook account does not grant. Nothing was "
        "sent.",
        ErrorCode.MISSING_SCOPE,
    )


def _encode_base64(secret: str) -> Iterator[str]:
    """Yield what is the same in every Base64 text that contains `secret`, for each place where it can begin."""
    for offset in range(3 if len(secret) >= _MIN_ENCODED else 0):
        octets = bytes(offset) + secret.encode()
        whole = base64.b64encode(octets[: len(octets) // 3 * 3]).decode()[4 if offset else 0 :]
        yield whole
        yield whole.translate(_URL_SAFE)


def _read_header(headers: Mapping[str, str], name: str) -> SecretStr | None:
    value = headers.get(name.lower())
    if not value:
        return None
    try:
        return check_token(SecretStr(value))
    except PydanticCustomError:
        return None
