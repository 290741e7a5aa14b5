"""JSON that people write. Python's parser keeps only the last of two equal keys, which could disable a safeguard."""

import json
import math
import re
from typing import Any

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+', re.DOTALL)
_KEY_LENGTH = 64
_DEPTH = 100
"""Levels of nesting that are accepted. Python's own limit differs between its versions."""


class JsonError(ValueError):
    """Text that is not strict JSON. The message is a predicate with the line, and quotes no value."""


def parse_json(text: str) -> Any:
    """Return the value of JSON text.

    Raises:
        JsonError: it is not valid JSON, has a key twice, has a number out of range, or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_read_float)
    except json.JSONDecodeError as error:
        raise JsonError(f"is not valid JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise JsonError("is nested too deeply") from None
    except JsonError as error:
        raise JsonError(f"{error} (line {_find_bad_number(text)})") from None
    except ValueError:
        raise JsonError(f"has a number with too many digits (line {_find_bad_number(text)})") from None
    _check_structure(text)
    return value


def _refuse_constant(name: str) -> Any:
    raise JsonError(f"has {name}, which is not a number in JSON")


def _read_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise JsonError("has a number that is out of range")
    return number


def _find_bad_number(text: str) -> int:
    """Return the line of the first number that was refused. The text before it is valid JSON."""
    for word in _WORD.finditer(text):
        if word.group().startswith('"'):
            continue
        try:
            json.loads(word.group(), parse_constant=_refuse_constant, parse_float=_read_float)
        except ValueError:
            return text.count("\n", 0, word.start()) + 1
    return 1


def _check_structure(text: str) -> None:
    """Refuse valid JSON that has a key twice in one object, or is nested too deeply."""
    keys: list[set[str]] = []
    last = ""
    for token in _TOKEN.finditer(text):
        match token.group():
            case "{" | "[":
                if len(keys) == _DEPTH:
                    raise JsonError("is nested too deeply")
                keys.append(set())
            case "}" | "]":
                keys.pop()
            case ":":
                key: str = json.loads(last)
                if key in keys[-1]:
                    line = text.count("\n", 0, token.start()) + 1
                    raise JsonError(f"has the key {json.dumps(key[:_KEY_LENGTH])} twice (line {line})")
                keys[-1].add(key)
            case string:
                last = string
