"""Decides which values are masked, as possible credentials.

`mask_secrets` is for journals, and masks all doubtful values. `MaskingScope` is for results, and masks a value only if
its key or its form indicates a credential. Which values of a result are masked must be known in both directions:
`calls.view` shows GitBook's values to a model, masked and cut, and `pipeline.masked_values` is the inverse function. It
restores GitBook's values from what the model sends back. Both use `MaskingScope`. Change the three modules together.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any

MASK = "[masked]"

_MAX_CHARACTERS = 2000
"""Longer text, for example a script, is replaced by its digest."""

_SECRET_KEY = re.compile(
    r"token|secret|passw|pwd|credential|authorization|cookie|signature|api.?key|access.?key|private.?key|client.?key"
    r"|signing|webhook|dsn|^auth$|^key$|[a-z]Key$|_key$",
    re.IGNORECASE,
)
_SECRET_FORM = re.compile(
    # prefixes of well-known issuers
    r"\b(?:sk|pk|rk|gb|gh[opsu]|glpat|xox[abprs]|AKIA|AIza|ya29|shp[a-z]{2})[-_.]?[A-Za-z0-9_\-.]{12,}"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"  # JSON Web Tokens, searched in linear time
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/\s:@]+:[^/\s@]+@"  # a password in a URL
    r"|\bBearer\s+\S+"
)
_ALL_SECRET = frozenset({"secrets", "headers", "configuration", "task", "props", "state", "action", "payload"})
"""Objects with arbitrary keys, in which no list of names finds every secret: all their values are masked."""


def mask_secrets(value: Any, *, key: str = "", inherited: bool = False) -> Any:
    """Return a copy of JSON `value`, with secrets masked by the name of their key or the form of their value."""
    masked = inherited or key in _ALL_SECRET
    if isinstance(value, Mapping):
        return {name: mask_secrets(child, key=str(name), inherited=masked) for name, child in value.items()}
    if isinstance(value, list):
        return [mask_secrets(child, key=key, inherited=masked) for child in value]
    if value is None or isinstance(value, bool):
        return value
    if masked or _SECRET_KEY.search(key) or (isinstance(value, str) and _SECRET_FORM.search(value)):
        return MASK
    if isinstance(value, str) and len(value) > _MAX_CHARACTERS:
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"[{len(value)} characters, sha256 {digest}]"
    return value


class MaskingScope(Enum):
    """Which values are masked at a place in a response; it follows from the keys on the path to that place."""

    OPEN = auto()
    """No value is masked, but a key below can change that."""
    SCHEMA = auto()
    """No value is masked here or below: schemas describe settings and contain none."""
    GUARDED = auto()
    """Third parties' settings: values are masked if their key or form indicates a credential."""
    SECRET = auto()
    """All values are masked."""

    def enter(self, key: str, parent: Mapping[str, Any]) -> "MaskingScope":
        """Return the scope of the value of `key` in the object `parent`, which is in this scope."""
        if self is MaskingScope.SECRET or self is MaskingScope.SCHEMA:
            return self
        plain = key[:1].lower() + key[1:]
        if plain == "secrets":
            return MaskingScope.SECRET
        if self is MaskingScope.OPEN:
            return _BELOW.get(plain, self)
        if key == "value":  # `parent` is a pair of name and value
            key = str(parent.get("name") or parent.get("key") or "")
        return MaskingScope.SECRET if _SECRET_KEY.search(key) else self

    def masks(self, value: Any) -> bool:
        """Whether this value, neither object nor list, is masked. Auditors need empty values, so they are not."""
        if (
            self is MaskingScope.OPEN
            or self is MaskingScope.SCHEMA
            or value is None
            or value == ""
            or isinstance(value, bool)
        ):
            return False
        return self is MaskingScope.SECRET or (isinstance(value, str) and _SECRET_FORM.search(value) is not None)


_BELOW = {"configuration": MaskingScope.GUARDED, "headers": MaskingScope.GUARDED, "configurations": MaskingScope.SCHEMA}
_ENDS = ('onfiguration":', 'ecrets":', 'eaders":')


def may_contain_masked(json: str) -> bool:
    """Whether compact JSON can contain places where values are masked; a fast check with false positives only."""
    return any(end in json for end in _ENDS)


def find_secrets(settings: Any, path: str = "", scope: MaskingScope = MaskingScope.GUARDED) -> Iterator[str]:
    """Yield the paths of credentials in third parties' settings, for example `account.api_key`."""
    if isinstance(settings, Mapping):
        for key, child in settings.items():
            yield from find_secrets(child, f"{path}.{key}".removeprefix("."), scope.enter(str(key), settings))
    elif isinstance(settings, list):
        for number, child in enumerate(settings):
            yield from find_secrets(child, f"{path}.{number}".removeprefix("."), scope)
    elif scope.masks(settings):
        yield path
