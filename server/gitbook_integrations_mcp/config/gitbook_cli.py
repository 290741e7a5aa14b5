"""The configuration of GitBook's own command line: its token is used where no other is configured. It is never written.

`gitbook auth` keeps a token for each environment (`--env`) in a JSON file of the user. The sessions of `gitbook login`
are not used: they expire, and only GitBook's command line renews them.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from gitbook_integrations_mcp.config.types import check_token

_FOLDER = "gitbook-nodejs"
_FILE = "config.json"
_LONGEST = 1_000_000
"""Bytes of a file that is read; a real one has some hundred."""


@dataclass(frozen=True, slots=True)
class CliLogin:
    """A token of GitBook's command line, the endpoint that it is for if the file names one, and the file."""

    token: SecretStr = field(repr=False)
    endpoint: str | None
    path: Path


def read_cli_login(environment: str) -> CliLogin | None:
    """Return the login for an environment, or None without a file that has a usable one."""
    try:
        path = _find_file()
        if path.stat().st_size > _LONGEST:
            return None
        content = json.loads(path.read_bytes())
    except (OSError, RuntimeError, ValueError, RecursionError):
        return None
    environments = _get(content, "envs")
    entry = _get(environments, environment)
    if not isinstance(entry, Mapping) and environment == "default":
        entry = content  # as versions of the command line without environments wrote it
    token, endpoint = _get(entry, "token"), _get(entry, "endpoint")
    if not isinstance(token, str):
        return None
    try:
        return CliLogin(check_token(SecretStr(token)), endpoint if isinstance(endpoint, str) else None, path)
    except PydanticCustomError:
        return None


def _find_file() -> Path:
    """Return where the npm package `conf` keeps the file.

    Raises:
        RuntimeError: the user has no home directory.
    """
    if sys.platform == "win32":
        roaming = os.environ.get("APPDATA")
        return (Path(roaming) if roaming else Path.home() / "AppData" / "Roaming") / _FOLDER / "Config" / _FILE
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Preferences" / _FOLDER / _FILE
    configured = os.environ.get("XDG_CONFIG_HOME")
    return (Path(configured) if configured else Path.home() / ".config") / _FOLDER / _FILE


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
