"""A login as a credential: its scopes, and an access token that is renewed in time.

It is the login of this machine's user, or the account that a caller over HTTP linked. All processes share it. The first
one that finds that the access token expires soon renews it under the lock of the store; the others then find the new
one. A new login takes effect at once, without a restart.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import anyio
from pydantic import SecretStr

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.errors import CallError, ErrorCode, SessionError, UnreachableError
from gitbook_integrations_mcp.gitbook.http import HTTPTransport
from gitbook_integrations_mcp.store.logins import Login, Tokens

LEEWAY_SECONDS = 60.0
"""An access token is renewed this long before it expires: longer than GitBook gets for a response."""

_REMEMBERED = 8
"""Number of tokens that are recognized if a response echoes one: the current ones and some before them."""

LOG_IN = f"Run `{NAME} login`; the server does not have to be restarted."


class HeldLogin(Protocol):
    """A login that no other process can renew meanwhile."""

    async def read(self) -> tuple[Login, Tokens] | None:
        """Return the login and its tokens, or None without a login."""

    async def write(self, login: Login, tokens: Tokens) -> Login:
        """Keep new tokens, and return the login as it is kept."""

    async def end(self) -> None:
        """Note that the login has ended for good."""


class LoginSource(Protocol):
    """Where a login is kept."""

    def read(self) -> Login | None:
        """Return the login without its tokens."""

    def read_version(self) -> object:
        """Return a value that changes with the login."""

    def hold(self) -> AbstractAsyncContextManager[HeldLogin]:
        """Keep all other processes from renewing the login."""


class Session:
    """The current login of a user, if there is one. `clock` is in seconds since 1970.

    `remedy` is the sentence that says how to log in again.
    """

    def __init__(
        self,
        store: LoginSource,
        transport: HTTPTransport | None = None,
        clock: Callable[[], float] = time.time,
        remedy: str = LOG_IN,
    ) -> None:
        self._store = store
        self._remedy = remedy
        self._transport = transport
        self._clock = clock
        self._version: object = ()
        self._login: Login | None = None
        self._tokens: Tokens | None = None
        self._tokens_version: object = ()
        self._loading = anyio.Lock()
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)

    @property
    def login(self) -> Login | None:
        """The current login, also if another process has just written it. An unreadable one counts as none."""
        version = self._store.read_version()
        if version != self._version:
            self._version = version
            try:
                self._login = self._store.read()
            except SessionError:
                self._login = None
        return self._login

    @property
    def secrets(self) -> Collection[str]:
        """The tokens that this process has used, to be removed from what GitBook echoes."""
        return self._seen

    @property
    def digest(self) -> str:
        """Digest that identifies the user of the login without revealing a token, or nothing without a login."""
        login = self.login
        return hashlib.sha256(f"{login.endpoint}\n{login.owner}".encode()).hexdigest() if login else ""

    async def fetch_token(self, rejected: SecretStr | None = None) -> SecretStr:
        """Return an access token that is valid for some time; renew it if necessary, or if GitBook `rejected` it.

        Raises:
            SessionError: there is no login, it has ended, or it cannot be read.
            UnreachableError: the authorization server does not answer, and the token has expired.
        """
        async with self._loading:
            current = self._tokens if self._tokens_version == self._store.read_version() else None
            if current is None or self._is_due(current, rejected):
                # A renewal that the server made must be kept, also if the call is cancelled.
                with anyio.CancelScope(shield=True):
                    current = await self._load(rejected)
            assert current is not None
            return current.access

    @property
    def token(self) -> "LoginToken":
        """The credential of one call."""
        return LoginToken(self, self.digest)

    @property
    def expires(self) -> float | None:
        """When the access token that was fetched last expires, in seconds since 1970, or None if it is unknown."""
        return self._tokens.expires if self._tokens else None

    def _is_due(self, tokens: Tokens, rejected: SecretStr | None) -> bool:
        if rejected is not None and tokens.access == rejected:
            return True
        return tokens.expires is not None and self._clock() >= tokens.expires - LEEWAY_SECONDS

    async def _load(self, rejected: SecretStr | None) -> Tokens:
        """Return the tokens in the store, after a renewal if they need one."""
        async with self._store.hold() as held:
            login, tokens = await self._load_held(held, rejected)
        self._version = self._tokens_version = self._store.read_version()
        self._login, self._tokens = login, tokens
        return tokens

    async def _load_held(self, held: HeldLogin, rejected: SecretStr | None) -> tuple[Login, Tokens]:
        found = await held.read()
        if found is None:
            raise SessionError(f"There is no login with GitBook any more. {self._remedy}", ErrorCode.LOGIN_EXPIRED)
        login, tokens = found
        self._remember(tokens)
        if not self._is_due(tokens, rejected):
            return login, tokens
        if tokens.refresh is None:
            if self._is_valid(tokens, rejected):
                return login, tokens
            await held.end()
            raise self._create_expired("it has no refresh token")
        return await self._renew(held, login, tokens, tokens.refresh, rejected)

    async def _renew(
        self, held: HeldLogin, login: Login, tokens: Tokens, refresh: SecretStr, rejected: SecretStr | None
    ) -> tuple[Login, Tokens]:
        from gitbook_integrations_mcp.gitbook.oauth import OAuthClient, RejectedError

        client = OAuthClient(login.issuer, self._transport, self._clock)
        try:
            granted = await client.renew(login.token_endpoint, login.client_id, refresh)
        except RejectedError as error:
            if self._is_valid(tokens, rejected):
                return login, tokens
            if error.reason.startswith("invalid_grant"):
                await held.end()
            raise self._create_expired(error.reason) from None
        except CallError as error:
            if self._is_valid(tokens, rejected):
                return login, tokens
            if isinstance(error, UnreachableError):
                raise
            raise SessionError(str(error), error.code) from None
        if granted.scopes is not None:
            login = login.model_copy(update={"scopes": granted.scopes})
        self._remember(granted.tokens)
        login = await held.write(login, granted.tokens)
        return login, granted.tokens

    def _is_valid(self, tokens: Tokens, rejected: SecretStr | None) -> bool:
        """Whether the access token can still be used without a renewal."""
        return tokens.access != rejected and (tokens.expires is None or self._clock() < tokens.expires)

    def _create_expired(self, reason: str) -> SessionError:
        return SessionError(f"The login with GitBook has ended: {reason}. {self._remedy}", ErrorCode.LOGIN_EXPIRED)

    def _remember(self, tokens: Tokens) -> None:
        for token in (tokens.access, tokens.refresh):
            if token is not None and token.get_secret_value() not in self._seen:
                self._seen.append(token.get_secret_value())


@dataclass(frozen=True, slots=True)
class LoginToken:
    """The login of one user, for one call. `digest` is that of the session when the call came."""

    session: Session
    digest: str

    async def fetch_token(self, rejected: SecretStr | None = None) -> SecretStr:
        """Return the same as the session, but never a token of another user, whose approval was not asked for.

        Raises:
            SessionError: there is no valid token, or another user has logged in since the call came.
            UnreachableError: the authorization server does not answer, and the token has expired.
        """
        token = await self.session.fetch_token(rejected)
        if self.session.digest != self.digest:
            raise SessionError("Another login replaced the one that this call began with. Call the tool again.")
        return token


Token = SecretStr | LoginToken
"""The credential of a request: a configured token, or the login."""
