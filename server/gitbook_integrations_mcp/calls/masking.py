"""Decides which values are masked, as possible credentials; `calls.secret_detection` is the notion of a credential.

`mask_secrets` is for records, and masks all doubtful values. `MaskingScope` is for results, and masks a value only if
its key or its form indicates a credential. Which values of a result are masked must be known in both directions:
`calls.view` shows GitBook's values to a model, masked and cut, and `pipeline.masked_values` is the inverse function. It
restores GitBook's values from what the model sends back. Both use `MaskingScope`. Change the three modules together.
"""

import hashlib
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any

from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_mcp.calls.secret_detection import (
    allows_numbers,
    has_secret_shape,
    is_harmless_key,
    is_secret_key,
    list_public_settings,
)
from gitbook_integrations_mcp.text import extend_path, strip_unseen

MASK = "[masked]"

_MAX_CHARACTERS = 2000
"""Longer text is replaced by its digest."""

_SCRIPT = "script"
"""The code of an integration is replaced by its digest at any length: no result repeats it."""

_ALL_SECRET = frozenset({"secrets", "headers", "configuration", "task", "props", "state", "action", "payload"})
"""Objects with arbitrary keys, in which no list of names finds every secret: all their values are masked."""

_NAMING_KEYS = frozenset(
    {"field", "header", "id", "key", "label", "name", "parameter", "property", "state", "title", "type", "variable"}
)
"""Keys, in lower case, that name what is under one of `_VALUE_KEYS` beside them."""

_VALUE_KEYS = frozenset({"data", "default", "initialvalue", "val", "value", "values"})


def mask_secrets(value: Any, *, key: str = "", inherited: bool = False) -> Any:
    """Return a copy of JSON `value`, with secrets masked by the name of their key or the form of their value."""
    key = strip_unseen(key)
    masked = inherited or key in _ALL_SECRET or is_secret_key(key)
    if isinstance(value, Mapping):
        return {
            name: mask_secrets(child, key=name, inherited=masked or any(map(is_secret_key, _list_names(name, value))))
            for name, child in value.items()
        }
    if isinstance(value, list):
        return [mask_secrets(child, key=key, inherited=masked) for child in value]
    if value is None or isinstance(value, bool):
        return value
    if masked or (isinstance(value, str) and has_secret_shape(value)):
        return MASK
    if isinstance(value, str) and (key == _SCRIPT or len(value) > _MAX_CHARACTERS):
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"[{len(value)} characters, sha256 {digest}]"
    return value


def mask_words(line: str) -> str:
    """Return a line of text with its credentials masked: single words, or else the whole line."""
    shown = " ".join(MASK if has_secret_shape(word) else word for word in line.split(" "))
    return MASK if has_secret_shape(shown) else shown


class MaskingScope(Enum):
    """Which values are masked at a place in a response; it follows from the keys on the path to that place."""

    OPEN = auto()
    """No value is masked, but a key below can change that."""
    SCHEMA = auto()
    """No value is masked here or below: schemas describe settings and contain none."""
    PUBLIC = auto()
    """Settings of a site that are in the script of its pages: a text is masked only if its form indicates a credential.

    Objects and lists in them are masked like those of other settings.
    """
    GUARDED = auto()
    """Third parties' settings, events, logs and UI: values are masked if their key or form indicates a credential."""
    CREDENTIAL = auto()
    """The value of a key that indicates a credential, and what is below it: text is masked, numbers are not."""
    SECRET = auto()
    """Text and numbers are masked."""

    def enter(self, key: str, parent: Mapping[str, Any]) -> "MaskingScope":
        """Return the scope of the value of `key` in the object `parent`, which is in this scope."""
        if self is MaskingScope.SECRET or self is MaskingScope.SCHEMA:
            return self
        name = strip_unseen(key)
        plain = name[:1].lower() + name[1:]
        if plain == "secrets":
            return MaskingScope.SECRET
        if self is MaskingScope.OPEN:
            if plain == "configuration" and _has_public_settings(parent):
                return MaskingScope.PUBLIC
            return _BELOW.get(plain, self)
        if self is MaskingScope.PUBLIC:
            return MaskingScope.GUARDED if isinstance(parent.get(key), str) else MaskingScope.GUARDED.enter(key, parent)
        names = list(_list_names(key, parent))
        secret = any(map(is_secret_key, names))
        if self is MaskingScope.GUARDED and not secret:
            return self
        if not all(map(allows_numbers, names)):
            return MaskingScope.SECRET
        if is_harmless_key(name) and not secret and not _has_objects(parent.get(key)):
            return MaskingScope.GUARDED
        return MaskingScope.CREDENTIAL

    def masks(self, value: Any) -> bool:
        """Whether this value, neither object nor list, is masked. Auditors need empty values, so they are not."""
        if value is None or value == "" or isinstance(value, bool | dict | list):
            return False
        match self:
            case MaskingScope.OPEN | MaskingScope.SCHEMA:
                return False
            case MaskingScope.PUBLIC | MaskingScope.GUARDED:
                return isinstance(value, str) and has_secret_shape(value)
            case MaskingScope.CREDENTIAL:
                return isinstance(value, str)
            case MaskingScope.SECRET:
                return True


def _list_names(key: str, parent: Mapping[str, Any]) -> Iterator[str]:
    """Yield what names the value of `key`: the key itself, and the key in a pair like `{"name": …, "value": …}`."""
    yield strip_unseen(key)
    if strip_unseen(key).lower() in _VALUE_KEYS:
        for naming, name in parent.items():
            if isinstance(name, str) and strip_unseen(naming).lower() in _NAMING_KEYS:
                yield strip_unseen(name)


def _has_public_settings(parent: Mapping[str, Any]) -> bool:
    """Whether an object is an installation on a site, and each of its settings is public or harmless by its key.

    Only this kind of object names the integration beside the settings of a site. One setting that is neither makes all
    settings doubtful.
    """
    name, settings = parent.get("integration"), parent.get("configuration")
    if "site" not in parent or not isinstance(name, str) or not isinstance(settings, Mapping):
        return False
    public = list_public_settings(name)
    others = settings.keys() - public
    return bool(public) and all(MaskingScope.GUARDED.enter(key, settings) is MaskingScope.GUARDED for key in others)


def _has_objects(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(one, dict | list) for one in value)
    )


_BELOW = {
    **dict.fromkeys(("configuration", "headers", "logs", "payload"), MaskingScope.GUARDED),
    **dict.fromkeys(("element", "props", "returnValue", "state"), MaskingScope.GUARDED),  # a rendered UI
    "configurations": MaskingScope.SCHEMA,
}
_ENDS = ('onfiguration":', 'ecrets":', 'eaders":', 'ogs":', 'ayload":', 'lement":', 'rops":', 'eturnValue":', 'tate":')


def may_contain_masked(json: str) -> bool:
    """Whether compact JSON can contain places where values are masked; a fast check with false positives only."""
    return any(end in json for end in _ENDS)


def find_secrets(settings: Any, scope: MaskingScope = MaskingScope.GUARDED) -> Iterator[str]:
    """Yield the paths of credentials in third parties' settings, for example `account.api_key`."""
    return (path for path, _ in find_credentials(settings, scope))


def list_revocable(installation: Mapping[str, Any]) -> list[str]:
    """Return the paths of the credentials that an integration has until they are revoked where they were issued.

    They are in the configurations of an installation and of its spaces and sites. One that is removed from a single
    space or site may still need them, so there are none.
    """
    if not installation.keys().isdisjoint(LEVELS):
        return []
    below = [one for level in LEVELS if isinstance(one := installation.get(f"{level}s"), list)]
    items = [installation, *(place for places in below for place in places if isinstance(place, Mapping))]
    scope = MaskingScope.OPEN
    found = (find_secrets(one.get("configuration"), scope.enter("configuration", one)) for one in items)
    return [*dict.fromkeys(path for paths in found for path in paths)]


def find_credentials(settings: Any, scope: MaskingScope, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the paths of credentials in third parties' settings, with the credentials."""
    if isinstance(settings, Mapping):
        for key, child in settings.items():
            yield from find_credentials(child, scope.enter(str(key), settings), extend_path(path, str(key)))
    elif isinstance(settings, list):
        for number, child in enumerate(settings):
            yield from find_credentials(child, scope, extend_path(path, number))
    elif scope.masks(settings):
        yield path, settings
