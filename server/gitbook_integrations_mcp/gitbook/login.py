"""Logs in with GitBook and out: the steps between the command and the authorization server."""

import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from gitbook_integrations_api.endpoint import Request, Tool
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.urls import is_private
from gitbook_integrations_mcp.errors import CallError, ErrorCode, LoginError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.http import HTTPTransport
from gitbook_integrations_mcp.gitbook.json_body import read_json
from gitbook_integrations_mcp.gitbook.oauth import Authorization, Metadata, OAuthClient, find_issuer
from gitbook_integrations_mcp.store.location import find_login_path
from gitbook_integrations_mcp.store.logins import Login, LoginStore, Tokens

_USER_SCOPE = "user:read"


def collect_scopes(tools: Iterable[Tool]) -> frozenset[str]:
    """Return the scopes that these tools need, and no others."""
    return frozenset(scope for tool in tools for scope in tool.scopes)


def open_logins(settings: Settings) -> LoginStore:
    """Return where the login for the GitBook in the settings is kept.

    Raises:
        StoreError: the user has no home directory.
    """
    return LoginStore(find_login_path(), settings.gitbook.endpoint)


async def authorize(
    settings: Settings, client: OAuthClient, redirect_uri: str, scopes: Iterable[str]
) -> tuple[Metadata, Authorization]:
    """Return the metadata of the authorization server and a new authorization request for `scopes`.

    Raises:
        LoginError: the authorization server cannot be used, or an address is not encrypted.
        UnreachableError: it does not answer.
    """
    section = settings.gitbook
    for url in (section.endpoint, find_issuer(section)):
        if not is_private(url):
            raise LoginError(f"{url} is not encrypted. A login needs https, except on loopback.")
    metadata = await client.discover()
    client_id = section.client_id or await client.register(metadata, redirect_uri)
    return metadata, client.prepare(metadata, client_id, redirect_uri, scopes)


async def obtain_login(
    settings: Settings,
    client: OAuthClient,
    metadata: Metadata,
    authorization: Authorization,
    response: str,
    transport: HTTPTransport | None,
) -> tuple[Login, Tokens]:
    """Return the login for the response of the browser, after a check of its token with GitBook.

    Raises:
        LoginError: the response is not for this login, or the user, the authorization server or GitBook refused.
        UnreachableError: one of them does not answer.
    """
    granted = await client.exchange(metadata, authorization, response)
    login = Login(
        id=secrets.token_urlsafe(12),
        endpoint=settings.gitbook.endpoint,
        issuer=find_issuer(settings.gitbook),
        client_id=authorization.client_id,
        token_endpoint=metadata.token_endpoint,
        revocation_endpoint=metadata.revocation_endpoint,
        scopes=authorization.scopes if granted.scopes is None else granted.scopes,
    )
    return await _identify(settings, login, granted.tokens, transport), granted.tokens


class LoginFlow:
    """One login: `prepare` it, let the user decide in a browser, then `complete` it. `clock` is in seconds since 1970.

    An earlier login is kept until the new one works.
    """

    def __init__(
        self,
        settings: Settings,
        scopes: frozenset[str],
        transport: HTTPTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._scopes = scopes
        self._transport = transport
        self._client = OAuthClient(find_issuer(settings.gitbook), transport, clock)
        self._metadata: Metadata | None = None
        self._authorization: Authorization | None = None

    async def prepare(self, redirect_uri: str) -> str:
        """Return the address that the user opens in a browser.

        Raises:
            LoginError: the authorization server cannot be used, or an address is not encrypted.
            UnreachableError: it does not answer.
        """
        found = await authorize(self._settings, self._client, redirect_uri, self._scopes)
        self._metadata, self._authorization = found
        return self._authorization.address

    def accepts(self, response: str) -> bool:
        """Whether the address of a response belongs to this login, whatever the user decided."""
        assert self._metadata
        assert self._authorization
        try:
            self._client.read_code(self._metadata, self._authorization, response)
        except LoginError as error:
            return error.code is not ErrorCode.LOGIN_MISMATCH
        return True

    async def complete(self, response: str) -> Login:
        """Get the tokens for the response of the browser, check them with GitBook, keep them, and return the login.

        Raises:
            LoginError: the response is not for this login, or the user, the authorization server or GitBook refused.
            UnreachableError: one of them does not answer.
            SessionError: the login cannot be kept.
        """
        assert self._metadata
        assert self._authorization
        login, tokens = await obtain_login(
            self._settings, self._client, self._metadata, self._authorization, response, self._transport
        )
        with open_logins(self._settings).lock() as locked:
            earlier = locked.read_or_none()
            login = locked.write(login, tokens)
        if earlier is not None:
            await revoke(*earlier, self._transport)
        return login


async def log_out(settings: Settings, transport: HTTPTransport | None = None) -> tuple[Login, bool] | None:
    """Delete the login, and return it with whether the authorization server revoked it; None if there is no login.

    Raises:
        SessionError: the file of the login cannot be used.
    """
    logins = open_logins(settings)
    login = logins.read()
    if login is None:
        return None
    with logins.lock() as locked:
        found = locked.read_or_none()
        locked.delete()
    return login, found is not None and await revoke(*found, transport)


async def revoke(login: Login, tokens: Tokens, transport: HTTPTransport | None = None) -> bool:
    """Revoke the tokens of a login, and return whether the authorization server did it."""
    if login.revocation_endpoint is None:
        return False
    client = OAuthClient(login.issuer, transport)
    token, hint = (tokens.refresh, "refresh_token") if tokens.refresh else (tokens.access, "access_token")
    try:
        return await client.revoke(login.revocation_endpoint, login.client_id, token, hint)
    except CallError:
        return False


async def _identify(settings: Settings, login: Login, tokens: Tokens, transport: HTTPTransport | None) -> Login:
    """Return the login with its user, if it may read them.

    Raises:
        LoginError: GitBook does not accept the token.
    """
    if _USER_SCOPE not in login.scopes:
        return login
    gitbook = GitBook(login.endpoint, settings.limits, transport)
    try:
        response = await gitbook.send(Request("GET", "/user"), tokens.access)
    finally:
        await gitbook.close()
    if response.status != 200:
        raise LoginError(
            f"GitBook did not accept the new token: it answered GET /user with {response.status}. Nothing was kept."
        )
    user = name = None
    with suppress(ValueError, TypeError, LookupError):
        content = read_json(response.body)
        user, name = str(content["id"]), str(content.get("displayName") or "") or None
    return login.model_copy(update={"user": user, "name": name})
