"""Files that hold secrets: whether other users of this machine can read them."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitbook_integrations_mcp.config.json_text import parse_json
from gitbook_integrations_mcp.config.settings import is_secret, iterate_settings, locate_settings_file
from gitbook_integrations_mcp.config.types import is_reference

_PASSWORD = re.compile(r"//[^/@]*:[^/@]+@|[?&]password=")
"""A password in the URL of a database."""


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


def find_settings_file(config: Path | None) -> Path | None:
    """Return the settings file if it holds a secret, also one of another profile. It could be read just before."""
    path = locate_settings_file(config)
    if path is None or not path.is_file():  # a pipe can be read only once
        return None
    content = parse_json(path.read_text(encoding="utf-8-sig"))
    profiles = content.get("profiles")
    sections = [content, *profiles.values()] if isinstance(profiles, dict) else [content]
    return path if any(text and not is_reference(text) for one in sections for text in _list_secrets(one)) else None


def _list_secrets(sections: Any) -> Iterator[str]:
    for section, key, field in iterate_settings():
        keys = sections.get(section) if isinstance(sections, dict) else None
        if not is_secret(field) or not isinstance(keys, dict):
            continue
        value = keys.get(key)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (key != "url" or _PASSWORD.search(text)):
                yield text
