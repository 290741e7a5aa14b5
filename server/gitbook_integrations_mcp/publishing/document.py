"""Reads YAML 1.2 as data, with the line of each value, and with limits that no document can exceed."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 32 * 1024
_MAX_VALUES = 10_000
_MAX_DEPTH = 50
_MAX_BRACKETS = 500
"""The parser takes quadratic time for open brackets."""
_TAG = "tag:yaml.org,2002:"

Location = tuple[int | str, ...]
"""Keys and indexes that lead to a value."""


class DocumentError(Exception):
    """A text that is not a valid document: why, as a sentence, and its `line`, from 1."""

    def __init__(self, text: str, line: int = 1) -> None:
        self.line = line
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Document:
    """The data of a document, and the line of each value by its place."""

    value: Any = field(repr=False)
    lines: dict[Location, int]

    def find_line(self, place: Sequence[int | str]) -> int:
        """Return the line of a value, or of the nearest object that would contain it."""
        parts = tuple(place)
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines.get(parts, 1)


def parse_document(text: str) -> Document:
    """Return the only document in `text`, read as YAML 1.2: yes and no are text.

    Raises:
        DocumentError: the text is no YAML, contains a key twice, a value that JSON does not have, or too much.
    """
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        raise DocumentError(f"has more than {_MAX_BRACKETS} opening brackets")
    if directive := re.search(r"^%", text, re.MULTILINE):
        raise DocumentError("has a YAML directive, which would change how values are read", _find_line(text, directive))
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        problem = error.problem or error.context or ""
        if "'\\t'" in problem:  # the parser takes tabs only within texts; YAML has them between values, too
            raise DocumentError("has a tab. Write spaces instead", line) from None
        whole = f"{error.context}, {problem}" if problem.startswith("but ") else problem
        raise DocumentError(f"is not valid YAML: {whole}", line) from None
    except (YAMLError, ValueError):
        raise DocumentError("is not valid YAML") from None
    except RecursionError:
        raise DocumentError("is nested too deeply") from None
    if node is None:
        raise DocumentError("is empty")
    reader = _Reader()
    return Document(reader.read(node, ()), reader.lines)


def _find_line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1


class _Reader:
    """Turns nodes into data. An alias counts as often as it is used, so that few bytes cannot become many."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self._values = 0

    def read(self, node: Node, place: Location) -> Any:
        line = node.start_mark.line + 1
        self._values += 1
        if self._values > _MAX_VALUES:
            raise DocumentError("has too many values, or aliases that repeat too many", line)
        if len(place) > _MAX_DEPTH:
            raise DocumentError("is nested too deeply, or an alias contains itself", line)
        self.lines.setdefault(place, line)
        if not isinstance(node, ScalarNode) and str(node.tag) not in {f"{_TAG}map", f"{_TAG}seq"}:
            raise DocumentError("has a value with a tag, which JSON does not have", line)
        if isinstance(node, MappingNode):
            return self._read_mapping(node, place)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*place, number)) for number, item in enumerate(node.value)]
        return _read_scalar(node, line)

    def _read_mapping(self, node: MappingNode, place: Location) -> dict[str, Any]:
        read: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise DocumentError("has a key that is not text", line)
            if str(key.tag) == f"{_TAG}merge":
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    if not isinstance(source, MappingNode):
                        raise DocumentError("merges a value that is not an object", line)
                    merged = {**self.read(source, (*place, key.value)), **merged}
                continue
            name = _join_surrogates(key.value)
            if name in read:
                raise DocumentError(f"has the key {name[:64]!r} twice", line)
            self.lines[*place, name] = line
            read[name] = self.read(value, (*place, name))
        return {**merged, **read}


def _read_scalar(node: Node, line: int) -> Any:
    text: str = node.value
    kind = str(node.tag).removeprefix(_TAG)
    try:
        match kind:
            case "str":
                return _join_surrogates(text)
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return _read_integer(text.replace("_", ""))
            case "float" if math.isfinite(number := float(text.replace("_", ""))):
                return number
    except ValueError:
        pass
    what = "a date" if kind == "timestamp" else "a value"
    raise DocumentError(f"has {what} that JSON does not have; put it in quotes", line)


def _join_surrogates(text: str) -> str:
    """Return a text with one character for each pair of surrogates: JSON escapes a character like that."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _read_integer(text: str) -> int:
    digits = text.lstrip("+-").lower()
    return int(text, 0 if digits.startswith(("0x", "0o", "0b")) else 10)
