"""JSON as GitBook and its publishers really send it.

Titles and payloads are other people's text. JavaScript cuts text inside an emoji and writes half of it, which the
grammar of JSON allows (RFC 8259, section 8.2) and strict parsers refuse. One bad title must not hide a whole list.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic_core import from_json, to_json

from gitbook_integrations_mcp.text import extend_path

DEPTH = 100
"""Levels of nesting that are kept; deeper values are replaced by a note."""

_TOO_DEEP = "[cut: nested too deeply]"
_DIGITS = 4000
"""Digits of an integer that Python converts; longer ones stay text."""


class RepairedText(str):
    """Text in place of a value that could not be read exactly. It must not be written back over the original."""

    __slots__ = ()


def read_json(body: bytes) -> Any:
    """Return the value of a JSON body, each half character in it replaced by U+FFFD.

    Text that was changed is a `RepairedText`.

    Raises:
        ValueError: it is not JSON.
    """
    with suppress(ValueError):
        # The parser refuses about 200 levels. Around a body that may have that many, brackets leave DEPTH of them.
        levels = DEPTH if body.count(b"[") + body.count(b"{") > DEPTH else 0
        value = from_json(b"[" * levels + body + b"]" * levels, allow_inf_nan=False)
        for _ in range(levels):
            (value,) = value
        return value
    try:
        value = json.loads(
            body.decode("utf-8-sig", errors="surrogateescape"), parse_constant=_refuse_constant, parse_int=_read_integer
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _repair(value, DEPTH)


def find_repaired(sent: Any, current: Any) -> str | None:
    """Return the path of a value or key in `sent` that is a repaired one of `current`, or None."""
    repaired = {text for text, _ in _list_texts(current) if isinstance(text, RepairedText)}
    return next((path for text, path in _list_texts(sent) if text in repaired), None) if repaired else None


def contains_repaired(value: Any) -> bool:
    """Whether a value contains text that could not be read exactly."""
    return any(isinstance(text, RepairedText) for text, _ in _list_texts(value))


def _list_texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield all texts in `value`, keys included, each with its path."""
    if isinstance(value, str):
        yield value, path
    elif isinstance(value, Mapping):
        for key, child in value.items():
            below = extend_path(path, key)
            yield key, below
            yield from _list_texts(child, below)
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _list_texts(child, extend_path(path, number))


def write_json(value: Any) -> bytes:
    """Return a value that `read_json` returned as compact JSON. A number out of range, like `1e400`, becomes null.

    The parser reads it as infinity, which JSON does not have.
    """
    return to_json(value, inf_nan_mode="null")


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _read_integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _DIGITS else RepairedText(digits)


def _repair(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _repair_text(value)
    if isinstance(value, dict):
        if depth == 0:
            return RepairedText(_TOO_DEEP)
        return {_repair_text(key): _repair(child, depth - 1) for key, child in value.items()}
    if isinstance(value, list):
        return [_repair(child, depth - 1) for child in value] if depth else RepairedText(_TOO_DEEP)
    return value


def _repair_text(text: str) -> str:
    if isinstance(text, RepairedText) or text.isascii():
        return text
    repaired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text if repaired == text else RepairedText(repaired)
