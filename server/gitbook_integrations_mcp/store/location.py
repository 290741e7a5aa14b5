"""Where the store is, as the settings say. Importing this is cheap; `database` imports SQLAlchemy."""

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import StoreError

FILE_NAME = "store.db"
SQLITE = "sqlite:///"
"""Beginning of the URL of a file."""


@dataclass(frozen=True, slots=True)
class Location:
    """A SQLite file at `path`, or a PostgreSQL database at `url`; neither means memory."""

    path: Path | None = None
    url: SecretStr | None = None

    @property
    def is_memory(self) -> bool:
        """Whether only one process can use this, and a restart empties it."""
        return self.path is None and self.url is None

    @property
    def key_path(self) -> Path | None:
        """The file for the key that encrypts values in a SQLite file."""
        return self.path and self.path.with_suffix(".key")

    def __str__(self) -> str:
        """The place, without user and password."""
        if self.path is not None:
            return str(self.path)
        if self.url is None:
            return "memory"
        from sqlalchemy.engine import make_url

        url = make_url(self.url.get_secret_value())
        return f"postgresql://{url.host or ''}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def locate_store(settings: Settings) -> Location:
    """Return where the store is. By default it is a file of the user, and memory for the sandbox."""
    url = settings.store.url
    if url is None:
        return Location() if settings.server.sandbox else Location(path=find_default_path())
    text = url.get_secret_value()
    if text == "memory":
        return Location()
    if text.startswith(SQLITE):
        try:
            return Location(path=Path(text.removeprefix(SQLITE)).expanduser().absolute())
        except RuntimeError:
            raise StoreError("has no place, because there is no home directory; change store.url") from None
        except OSError:
            raise StoreError("has no place, because the current folder does not exist; change store.url") from None
    return Location(url=url)


def find_default_path() -> Path:
    """Return the file in the user's folder for state."""
    from platformdirs import user_state_path

    try:
        folder = user_state_path(NAME, appauthor=False)
    except RuntimeError:
        raise StoreError("has no place, because there is no home directory; set store.url") from None
    return folder / FILE_NAME


def find_login_path() -> Path:
    """Return the file of the login with GitBook, in the same folder: it belongs to the user, whatever `store.url` is.

    Raises:
        StoreError: the user has no home directory.
    """
    return find_default_path().with_name("login.db")


def create_file(path: Path) -> None:
    """Create a file, and its folder, for its owner alone, before SQLite would create it for everybody."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    make_private(path)


def make_private(path: Path) -> None:
    """Take the rights to a file from everybody but its owner."""
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)
