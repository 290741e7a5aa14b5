"""Where a login is kept: in the keyring if one can be used, else in a file that only its owner can read."""

from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.errors
import pytest
from pydantic import SecretStr

from gitbook_integrations_mcp.errors import ErrorCode, SessionError
from gitbook_integrations_mcp.store.logins import Login, LoginStore, Tokens

ENDPOINT = "https://api.gitbook.com"
TOKENS = Tokens(SecretStr("access-0123456789"), SecretStr("refresh-0123456789"), 1234.5)


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring in memory that can be locked, or accept only short texts."""

    priority = 1

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False
        self.longest = 10_000

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked or len(password) > self.longest:
            raise keyring.errors.PasswordSetError("no")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def backend() -> Any:
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def store(tmp_path: Path) -> LoginStore:
    return LoginStore(tmp_path / "state" / "login.db", ENDPOINT)


def make_login(endpoint: str = ENDPOINT, **fields: Any) -> Login:
    values = {"id": "1", "issuer": "https://oauth.gitbook.com", "client_id": "c", "token_endpoint": "https://o/t"}
    return Login(endpoint=endpoint, scopes=frozenset({"site:read"}), **{**values, **fields})


def keep(store: LoginStore, login: Login | None = None) -> Login:
    with store.lock() as locked:
        return locked.write(login or make_login(), TOKENS)


def read(store: LoginStore) -> tuple[Login, Tokens] | None:
    with store.lock() as locked:
        return locked.read()


def test_a_keyring_holds_the_tokens_and_the_file_none(store: LoginStore, backend: MemoryKeyring) -> None:
    kept = keep(store)
    assert kept.place == "keyring"
    assert read(store) == (kept, TOKENS)
    assert b"0123456789" not in store.path.read_bytes()


@pytest.mark.parametrize("change", [{"locked": True}, {"longest": 20}], ids=["locked", "too short"])
def test_without_a_usable_keyring_a_file_of_the_owner_holds_them(
    store: LoginStore, backend: MemoryKeyring, change: dict[str, Any]
) -> None:
    for name, value in change.items():
        setattr(backend, name, value)
    store.path.parent.mkdir(0o700)
    store.path.touch(0o644)
    kept = keep(store)
    assert kept.place == "file"
    assert read(store) == (kept, TOKENS)
    assert store.path.stat().st_mode & 0o077 == 0
    assert store.path.parent.stat().st_mode & 0o077 == 0


def test_a_keyring_that_is_locked_later_is_an_error(store: LoginStore, backend: MemoryKeyring) -> None:
    keep(store)
    backend.locked = True
    with pytest.raises(SessionError) as raised:
        read(store)
    assert raised.value.code is ErrorCode.LOGIN_UNAVAILABLE


def test_replaced_and_deleted_tokens_leave_nothing(store: LoginStore, backend: MemoryKeyring) -> None:
    backend.locked = True
    keep(store)
    version = store.read_version()
    with store.lock() as locked:
        locked.write(make_login(id="2"), Tokens(SecretStr("other")))
    assert b"0123456789" not in store.path.read_bytes()
    assert store.read_version() != version
    backend.locked = False
    keep(store)
    with store.lock() as locked:
        locked.delete()
    assert backend.kept == {}
    assert store.read() is None
    assert read(store) is None


def test_each_endpoint_has_a_login_of_its_own(store: LoginStore) -> None:
    other = LoginStore(store.path, "https://api.other.example")
    keep(store)
    assert other.read() is None
    keep(other, make_login("https://api.other.example", user="u"))
    first, second = store.read(), other.read()
    assert first
    assert second
    assert (first.owner, second.owner) == ("login:1", "user:u")


def test_what_fails_in_the_middle_changes_nothing(store: LoginStore) -> None:
    kept = keep(store)

    def fail() -> None:
        with store.lock() as locked:
            locked.write(make_login(id="2"), TOKENS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.read() == kept


def test_another_version_of_a_login_counts_as_none(store: LoginStore) -> None:
    keep(store)
    with store.lock() as locked:
        locked._connection.execute("UPDATE login SET facts = '{}'")
    assert store.read() is None
    assert read(store) is None
