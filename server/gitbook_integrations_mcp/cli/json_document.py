"""Edits of a JSON file as text. Everything else in it stays byte for byte: numbers, escapes, comments, line ends."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gitbook_integrations_mcp.config.json_text import JsonError, parse_json

Path = tuple[str, ...]

_STRING = r'"(?:[^"\\]|\\.)*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)
_COMMA = re.compile(r"\s*,")
_TOKEN = re.compile(rf'{_STRING}|[{{}}\[\],:]|[^\s{{}}\[\],:"]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Item:
    """A member of an object, or an item of a list, which has no key. It starts at its key."""

    key: str
    start: int
    value: int
    end: int


class JsonDocument:
    """A JSON object as text. Comments and trailing commas, which many assistants take, stay.

    Raises:
        JsonError: the text is not JSON, has a key twice, or is no object.
    """

    def __init__(self, text: str) -> None:
        self.text = text if text.strip("\ufeff \t\r\n") else f"{text.rstrip()}{{}}\n"
        self._newline = "\r\n" if "\r\n" in text else "\n"
        found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
        self._indent = found.group(1) if found else "  "
        if not isinstance(self.content, dict):
            raise JsonError("is not an object")

    @property
    def content(self) -> Any:
        """The value of the text."""
        return parse_json(self.plain)

    @property
    def plain(self) -> str:
        """The text as strict JSON: comments and trailing commas, and a byte order mark, are blank."""
        return _TRAILING_COMMA.sub(_blank, self._blank_comments())

    def set(self, path: Path, value: Any) -> None:
        """Set the value at `path`, and create the objects on the way that do not exist."""
        start = self._find_root()
        for depth, key in enumerate(path):
            item = next((one for one in self._list_items(start) if one.key == key), None)
            if item is None:
                for name in reversed(path[depth + 1 :]):
                    value = {name: value}
                self._insert(start, depth, f"{_dump(key)}: {self._format(value, depth + 1)}")
                return
            start = item.value
        current = self._find(path)
        self._replace(current.value, current.end, self._format(value, len(path)))

    def append(self, path: Path, value: Any) -> None:
        """Append an item to the list at `path`, which exists."""
        self._insert(self._find(path).value, len(path), self._format(value, len(path) + 1))

    def rename(self, path: Path, key: str) -> None:
        """Give the member at `path` another key."""
        item = self._find(path)
        self._replace(item.start, item.start + len(_TOKEN.match(self.plain, item.start).group()), _dump(key))  # type: ignore[union-attr]

    def remove(self, path: Path) -> None:
        """Remove the member at `path`, with its comma."""
        items = list(self._list_items(self._find(path[:-1]).value if path[1:] else self._find_root()))
        index = next(index for index, item in enumerate(items) if item.key == path[-1])
        start, end = len(self.text[: items[index].start].rstrip()), items[index].end
        blanked = self._blank_comments()
        if comma := _COMMA.match(blanked, end):
            end = comma.end()
        self._replace(start, end, "")
        if index and not comma and (before := _COMMA.match(blanked, items[index - 1].end)):
            self._replace(before.end() - 1, before.end(), "")

    def mask(self, is_hidden: Callable[[Path, str], bool], mask: str) -> str:
        """Return the text without comments, and with `mask` for each string value for which `is_hidden` is true."""
        parts, done, plain = [], 0, self.plain
        path: list[str] = []
        last = ""
        for token in _TOKEN.finditer(plain):
            word = token.group()
            if word in "{[":
                path.append("")
            elif word in "}]":
                path.pop()
            elif word == ":":
                path[-1] = json.loads(last)
            elif word.startswith('"'):
                is_key = re.compile(r"\s*:").match(plain, token.end())
                if not is_key and is_hidden(tuple(path), json.loads(word)):
                    parts += [plain[done : token.start()], _dump(mask)]
                    done = token.end()
            last = word
        return "".join([*parts, plain[done:]])

    def _blank_comments(self) -> str:
        """Return the text with blanks for comments and the byte order mark, at unchanged places."""
        text = f" {self.text[1:]}" if self.text.startswith("\ufeff") else self.text
        return _COMMENT.sub(_blank, text)

    def _find_root(self) -> int:
        return self.plain.index("{")

    def _find(self, path: Path) -> _Item:
        start = self._find_root()
        for key in path:
            item = next(one for one in self._list_items(start) if one.key == key)
            start = item.value
        return item

    def _list_items(self, start: int) -> Iterator[_Item]:
        """Yield the members of the object, or the items of the list, that starts at `start`."""
        depth, key, first, value, last_end = 0, "", -1, -1, start
        for token in _TOKEN.finditer(self.plain, start):
            word = token.group()
            if depth == 1 and word == ":":
                key, first, value = json.loads(self.plain[value:last_end]), value, -1
            elif depth == 1 and word in ",}]" and value >= 0:
                yield _Item(key, first if key else value, value, last_end)
                key, first, value = "", -1, -1
            elif depth == 1 and value < 0 and word not in ",}]":
                value = token.start()
            depth += (word in "{[") - (word in "}]")
            last_end = token.end()
            if depth == 0:
                return

    def _insert(self, start: int, depth: int, text: str) -> None:
        """Insert an item at the end of the object or list that starts at `start`."""
        level = 0
        for token in _TOKEN.finditer(self.plain, start):
            level += (token.group() in "{[") - (token.group() in "}]")
            if level == 0:
                break
        end = token.start()
        items = list(self._list_items(start))
        before = len(self.text[:end].rstrip())
        closing = self.text[before:end] if "\n" in self.text[before:end] else self._newline + self._indent * depth
        self._replace(before, end, f"{self._newline}{self._indent * (depth + 1)}{text}{closing}")
        if items and not _COMMA.match(self._blank_comments(), items[-1].end):
            self._replace(items[-1].end, items[-1].end, ",")

    def _format(self, value: Any, depth: int) -> str:
        return _dump(value, self._indent).replace("\n", self._newline + self._indent * depth)

    def _replace(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]


def _blank(match: "re.Match[str]") -> str:
    text = match.group()
    return text if text.startswith('"') else re.sub(r"[^\r\n]", " ", text)


def _dump(value: Any, indent: str | None = None) -> str:
    """Return a value as JSON, with escapes for half characters, which no encoding has."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match.group()):04x}", text)
