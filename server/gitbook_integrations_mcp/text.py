"""Text for humans and models: untrusted text is cleaned before it is shown, and numbers have their nouns."""

import json
import re
import unicodedata
from collections.abc import Iterator

# Characters that can hide or reorder text: control, bidirectional, invisible and tag characters.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
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


_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159"
"""Letters and marks that Unicode counts as printable although nothing is to be seen of them."""

_UNSEEN_OR_BLANK = re.compile(f"{_UNSEEN.pattern}|[{_BLANK}]+")


_MOST_MARKS = 4
"""Combining marks on one character that are shown. A stack of more covers the lines above and below it."""


def _find_stacked(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each character, and whether it is a combining mark on top of too many."""
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
        yield char, marks > _MOST_MARKS


def escape_unseen(text: str) -> str:
    """Return `text` with every character that hides or reorders it as an escape like `\\u202e`. None is left out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        escape_character(char) if is_stacked or not char.isprintable() or _UNSEEN_OR_BLANK.match(char) else char
        for char, is_stacked in _find_stacked(text)
    )


def escape_character(char: str) -> str:
    """Return the escape of one character, like `\\u202e`."""
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


QUOTES = "“”„‟″"
"""The quotation marks around a text, and those that look like them."""

_NO_QUOTES = str.maketrans(QUOTES, "'" * len(QUOTES))


def quote(title: str) -> str:
    """Return the title of something of third parties in quotation marks, which it cannot close."""
    return f"“{title.translate(_NO_QUOTES)}”"


def clean_text(text: str, limit: int) -> str:
    """Return `text` on one line, without characters that hide or reorder it, cut to `limit` characters."""
    if not (text.isascii() and text.isprintable()):
        seen = _UNSEEN_OR_BLANK.sub(" ", text)
        text = seen if seen.isascii() else "".join(char for char, is_stacked in _find_stacked(seen) if not is_stacked)
    visible = " ".join(text.split())
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends with an s: `1 finding`, `2,000 findings`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def extend_path(path: str, name: int | str) -> str:
    """Return the path of what is below `path`: in `a.0."b.c"`, `0` is an item of a list, and `b.c` is one key."""
    plain = isinstance(name, int) or (name and not name.isdecimal() and "." not in name and '"' not in name)
    return f"{path}.{name if plain else json.dumps(name, ensure_ascii=False)}".removeprefix(".")
