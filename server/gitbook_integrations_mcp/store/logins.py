"""The login with GitBook of this machine's user, which all processes of the user share.

A SQLite file, readable only by its owner, holds what is no secret, and is the lock under which tokens are replaced. The
tokens are in the operating system's keyring. Without a usable one they are in the file, too.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import anyio
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.errors import ErrorCode, SessionError
from gitbook_integrations_mcp.store.location import create_file

if TYPE_CHECKING:
    import sqlite3

_LOCK_SECONDS = 30.0
"""Time to wait for another process that replaces the tokens."""

_REPAIR = "If this lasts, delete login.db in the user's folder for state, and log in again."

_SCHEMA = "CREATE TABLE IF NOT EXISTS login (endpoint TEXT PRIMARY KEY, facts TEXT NOT NULL, tokens TEXT)"

Storage = Literal["keyring", "file", "store"]


class Login(BaseModel):
    """A login, without its tokens. Tokens are sent only to the `endpoint` of GitBook's API that the login is for.

    `id` differs for each login. `scopes` were granted. `user` is the ID of the GitBook user, and `name` their name, if
    they are known.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    endpoint: str
    issuer: str
    client_id: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    scopes: frozenset[str]
    user: str | None = None
    name: str | None = None
    place: Storage = "file"

    @property
    def owner(self) -> str:
        """Whose login this is: a later login of the same user has the same owner."""
        return f"user:{self.user}" if self.user else f"login:{self.id}"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a login. `expires` is in seconds since 1970, or None if it is unknown."""

    access: SecretStr
    refresh: SecretStr | None = None
    expires: float | None = None


class KeptTokens(BaseModel):
    """The tokens as they are kept."""

    access: str
    refresh: str | None = None
    expires: float | None = None

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> Self:
        """Return tokens in this form."""
        refresh = tokens.refresh.get_secret_value() if tokens.refresh else None
        return cls(access=tokens.access.get_secret_value(), refresh=refresh, expires=tokens.expires)

    @property
    def tokens(self) -> Tokens:
        """The tokens."""
        return Tokens(SecretStr(self.access), SecretStr(self.refresh) if self.refresh else None, self.expires)


class LockedLogin:
    """A login that no other process can change meanwhile."""

    def __init__(self, connection: "sqlite3.Connection", endpoint: str) -> None:
        self._connection = connection
        self._endpoint = endpoint

    def read(self) -> tuple[Login, Tokens] | None:
        """Return the login and its tokens, or None without a login or if the keyring lost the tokens."""
        login, text = _read_row(self._connection, self._endpoint)
        if login is None:
            return None
        if login.place == "keyring":
            text = _read_keyring(login.endpoint)
        tokens = _read_tokens(text)
        return None if tokens is None else (login, tokens)

    def read_or_none(self) -> tuple[Login, Tokens] | None:
        """Return the same, and None also if the keyring cannot be read."""
        with suppress(SessionError):
            return self.read()
        return None

    def write(self, login: Login, tokens: Tokens) -> Login:
        """Keep a login in place of an earlier one, and return it with the place of its tokens."""
        text = KeptTokens.from_tokens(tokens).model_dump_json()
        place: Storage = "keyring" if _write_keyring(login.endpoint, text) else "file"
        if place == "file":
            _delete_from_keyring(login.endpoint)
        login = login.model_copy(update={"place": place})
        row = (login.endpoint, login.model_dump_json(), text if place == "file" else None)
        self._connection.execute("REPLACE INTO login VALUES (?, ?, ?)", row)
        return login

    def delete(self) -> None:
        """Delete the login and its tokens."""
        login, _ = _read_row(self._connection, self._endpoint)
        if login is not None and login.place == "keyring":
            _delete_from_keyring(login.endpoint)
        self._connection.execute("DELETE FROM login WHERE endpoint = ?", (self._endpoint,))


class LoginStore:
    """The login for the API at `endpoint`, in the file at `path`. All methods block, also while another locks it."""

    def __init__(self, path: Path, endpoint: str) -> None:
        self.path = path
        self._name = str(path)
        self._endpoint = endpoint

    def read(self) -> Login | None:
        """Return the login without its tokens.

        Raises:
            SessionError: the file cannot be read.
        """
        if not self.path.exists():
            return None
        import sqlite3

        with _explain(), closing(sqlite3.connect(self.path, timeout=_LOCK_SECONDS)) as connection:
            return _read_row(connection, self._endpoint)[0]

    def read_version(self) -> tuple[int, int, int] | None:
        """Return a value that changes whenever any process writes the file, or None without a file."""
        try:
            found = os.stat(self._name)  # noqa: PTH116 - called in every call, and `Path` needs twice as long
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    @contextmanager
    def lock(self) -> Iterator[LockedLogin]:
        """Keep all other processes from changing the login. Changes are kept at the end, all or none.

        Raises:
            SessionError: the file cannot be used.
        """
        import sqlite3

        with _explain():
            create_file(self.path)
            connection = sqlite3.connect(
                self.path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
        with closing(connection):
            with _explain():
                connection.execute("PRAGMA secure_delete = ON")  # replaced tokens do not stay in the file
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_SCHEMA)
            yield LockedLogin(connection, self._endpoint)
            with _explain():
                connection.execute("COMMIT")

    @asynccontextmanager
    async def hold(self) -> AsyncIterator["_HeldLogin"]:
        """Do the same as `lock`, in threads.

        Raises:
            SessionError: the file cannot be used.
        """
        lock = self.lock()
        held = _HeldLogin(await anyio.to_thread.run_sync(lock.__enter__))
        try:
            yield held
        except BaseException as error:
            lock.__exit__(type(error), error, error.__traceback__)
            raise
        lock.__exit__(None, None, None)


class _HeldLogin:
    """A locked login whose file and keyring are used in threads."""

    def __init__(self, locked: LockedLogin) -> None:
        self._locked = locked

    async def read(self) -> tuple[Login, Tokens] | None:
        return await anyio.to_thread.run_sync(self._locked.read)

    async def write(self, login: Login, tokens: Tokens) -> Login:
        return await anyio.to_thread.run_sync(self._locked.write, login, tokens)

    async def end(self) -> None:
        """Keep the login, so that commands can show whose it was."""


@contextmanager
def _explain() -> Iterator[None]:
    import sqlite3

    try:
        yield
    except sqlite3.Error as error:
        raise _create_error(f"Its file cannot be used ({error.sqlite_errorname}). {_REPAIR}") from None
    except OSError as error:
        raise _create_error(f"Its file cannot be used ({error.strerror}). {_REPAIR}") from None


def _create_error(reason: str) -> SessionError:
    return SessionError(f"The login with GitBook is not available. {reason}", ErrorCode.LOGIN_UNAVAILABLE)


def _read_row(connection: "sqlite3.Connection", endpoint: str) -> tuple[Login | None, str | None]:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'login'").fetchone() is None:
        return None, None  # another process has just created the file
    row = connection.execute("SELECT facts, tokens FROM login WHERE endpoint = ?", (endpoint,)).fetchone()
    try:
        return (None, None) if row is None else (Login.model_validate_json(row[0]), row[1])
    except ValidationError:
        return None, None  # another version of this program wrote it


def _read_tokens(text: str | None) -> Tokens | None:
    try:
        return KeptTokens.model_validate_json(text or "").tokens
    except ValidationError:
        return None


def _name_account(endpoint: str) -> str:
    return f"login {endpoint}"


def _read_keyring(endpoint: str) -> str | None:
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(NAME, _name_account(endpoint))
    except (KeyringError, RuntimeError, OSError):
        raise _create_error("The system's keyring cannot be read; unlock it.") from None


def _write_keyring(endpoint: str, text: str) -> bool:
    """Return whether the keyring has the text now. Some keyrings are locked, and some take no text of this length."""
    import keyring

    with suppress(Exception):  # each backend has errors of its own
        keyring.set_password(NAME, _name_account(endpoint), text)
        return keyring.get_password(NAME, _name_account(endpoint)) == text
    return False


def _delete_from_keyring(endpoint: str) -> None:
    import keyring

    with suppress(Exception):
        keyring.delete_password(NAME, _name_account(endpoint))
