"""What is a secret, or may be: masked in journals where in doubt, in results where key or shape says credential."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any

MASK = "[masked]"

_LENGTHY = 2000
"""Longer text, a script for example, is represented by its digest."""

_SECRET_KEY = re.compile(
    r"token|secret|passw|pwd|credential|authorization|cookie|signature|api.?key|access.?key|private.?key|client.?key"
    r"|signing|webhook|dsn|^auth$|^key$|[a-z]Key$|_key$",
    re.IGNORECASE,
)
_SECRET_SHAPE = re.compile(
    # what issuers put before their tokens
    r"\b(?:sk|pk|rk|gb|gh[opsu]|glpat|xox[abprs]|AKIA|AIza|ya29|shp[a-z]{2})[-_.]?[A-Za-z0-9_\-.]{12,}"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"  # JSON web tokens; each is looked through but once
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/\s:@]+:[^/\s@]+@"  # a password in a URL
    r"|\bBearer\s+\S+"
)
_ALL_SECRET = frozenset({"secrets", "headers", "configuration", "task", "props", "state", "action", "payload"})
"""Objects of free form, where no list of names would find every secret: all their values are masked."""


def mask_secrets(value: Any, *, key: str = "", inherited: bool = False) -> Any:
    """Return a copy of JSON `value` without secrets: by the name of the key, by the shape of the value."""
    hidden = inherited or key in _ALL_SECRET
    if isinstance(value, Mapping):
        return {name: mask_secrets(child, key=str(name), inherited=hidden) for name, child in value.items()}
    if isinstance(value, list):
        return [mask_secrets(child, key=key, inherited=hidden) for child in value]
    if value is None or isinstance(value, bool):
        return value
    if hidden or _SECRET_KEY.search(key) or (isinstance(value, str) and _SECRET_SHAPE.search(value)):
        return MASK
    if isinstance(value, str) and len(value) > _LENGTHY:
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"[{len(value)} characters, sha256 {digest}]"
    return value


class MaskingScope(Enum):
    """What is known of a place in an answer by the way to it."""

    OPEN = auto()
    """Nothing is masked here."""
    SCHEMA = auto()
    """Nothing is masked from here on: what describes settings names them and holds none."""
    GUARDED = auto()
    """Third parties' settings, some of which are credentials."""
    SECRET = auto()
    """All values are masked."""

    def descend(self, key: str, parent: Mapping[str, Any]) -> "MaskingScope":
        """Return what is known of the value of `key` in the object `parent`, which is at this place."""
        if self is MaskingScope.SECRET or self is MaskingScope.SCHEMA:
            return self
        plain = key[:1].lower() + key[1:]
        if plain == "secrets":
            return MaskingScope.SECRET
        if self is MaskingScope.OPEN:
            return _BELOW.get(plain, self)
        if key == "value":  # of an object that is a pair
            key = str(parent.get("name") or parent.get("key") or "")
        return MaskingScope.SECRET if _SECRET_KEY.search(key) else self

    def hides(self, value: Any) -> bool:
        """Whether this value, no object or list, is masked here. What is empty hides nothing, and tells an auditor."""
        if (
            self is MaskingScope.OPEN
            or self is MaskingScope.SCHEMA
            or value is None
            or value == ""
            or isinstance(value, bool)
        ):
            return False
        return self is MaskingScope.SECRET or (isinstance(value, str) and _SECRET_SHAPE.search(value) is not None)


_BELOW = {"configuration": MaskingScope.GUARDED, "headers": MaskingScope.GUARDED, "configurations": MaskingScope.SCHEMA}
_ENDS = ('onfiguration":', 'ecrets":', 'eaders":')


def holds_no_scope(json: str) -> bool:
    """Whether compact JSON has no place where anything is masked."""
    return not any(end in json for end in _ENDS)


def find_secrets(settings: Any, path: str = "", place: MaskingScope = MaskingScope.GUARDED) -> Iterator[str]:
    """Yield where in third parties' settings there is a credential: `account.api_key`."""
    if isinstance(settings, Mapping):
        for key, child in settings.items():
            yield from find_secrets(child, f"{path}.{key}".removeprefix("."), place.descend(str(key), settings))
    elif isinstance(settings, list):
        for number, child in enumerate(settings):
            yield from find_secrets(child, f"{path}.{number}".removeprefix("."), place)
    elif place.hides(settings):
        yield path
