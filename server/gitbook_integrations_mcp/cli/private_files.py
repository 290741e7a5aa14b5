"""Files that hold tokens: whether other users of this machine can read them."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from gitbook_integrations_mcp.config.settings import Settings, name_variable
from gitbook_integrations_mcp.config.variables import CLI_VARIABLES, PREFIX


def is_exposed(path: Path) -> bool:
    """Whether other users can read a file. Only POSIX has modes that say so."""
    return os.name == "posix" and path.stat().st_mode & 0o044 != 0


def make_private(path: Path) -> bool:
    """Take the rights to a file from everybody but its owner, and return whether this was allowed."""
    try:
        path.chmod(0o600)
    except OSError:
        return False
    return True


def suggest_private(path: Path) -> str:
    """Return the command that makes a file private."""
    return f"Run `chmod 600 {shlex.quote(str(path))}`."


def find_settings_file(config: Path | None, settings: Settings) -> Path | None:
    """Return the settings file if a token of GitBook is from it, not from the environment."""
    named = config or os.environ.get(f"{PREFIX}CONFIG")
    tokens = {
        token.get_secret_value() for token in (settings.gitbook.token, settings.gitbook.integration_token) if token
    }
    return Path(named) if named and tokens - set(_list_environment()) else None


def _list_environment() -> Iterator[str]:
    for variable, (section, key) in CLI_VARIABLES.items():
        for name in (variable, name_variable(section, key)):
            yield os.environ.get(name, "").strip()
