"""Cleans untrusted text before it is shown to a human or a model."""

import re

# Characters that can hide or reorder text: control, bidirectional, invisible and tag characters.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]+"
)


_UNSEEN_IN_TEXT = re.compile(_UNSEEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
"""The same without line feeds and tabs, which structure long text."""


def strip_unseen(text: str) -> str:
    """Return `text`, of any length and number of lines, without characters that hide or reorder it."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN_IN_TEXT.sub("", text)


def may_contain_unseen(json: str) -> bool:
    """Whether JSON can contain such characters, raw or escaped; a fast check with false positives only."""
    return any(escape in json for escape in _ESCAPES) or (
        not json.isascii() and _UNSEEN_IN_TEXT.search(json) is not None
    )


_ESCAPES = ("\\u00", "\\b", "\\f", "\\r", "\x7f")
"""The forms of the ASCII ones in compact JSON."""


def clean_text(text: str, limit: int) -> str:
    """Return `text` on one line, without characters that hide or reorder it, cut to `limit` characters."""
    visible = " ".join(_UNSEEN.sub(" ", text).split())
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"
