"""Other people's text, made fit to be shown to a human or a model."""

import re

# Control characters, bidirectional overrides and isolates, invisible and tag characters: what can hide or reorder text.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]+"
)


_UNSEEN_IN_TEXT = re.compile(_UNSEEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
"""The same but for line feeds and tabs, which give long text its shape."""


def strip_unseen(text: str) -> str:
    """Return `text` without characters that hide or reorder it, of whatever length and lines it is."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN_IN_TEXT.sub("", text)


def hides_nothing(json: str) -> bool:
    """Whether JSON holds no such characters, neither as they are nor escaped. It may err to the safe side."""
    return not any(escape in json for escape in _ESCAPES) and (json.isascii() or not _UNSEEN_IN_TEXT.search(json))


_ESCAPES = ("\\u00", "\\b", "\\f", "\\r", "\x7f")
"""How compact JSON writes those that are ASCII."""


def clean_text(text: str, limit: int) -> str:
    """Return `text` on one line, without characters that hide or reorder it, cut to `limit` characters."""
    visible = " ".join(_UNSEEN.sub(" ", text).split())
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"
