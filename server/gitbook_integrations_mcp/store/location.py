"""Where the store is, as the settings say. Importing this is cheap; `database` imports SQLAlchemy."""

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
        return Location(path=Path(text.removeprefix(SQLITE)).expanduser().absolute())
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
