"""Reads the envelope of a JSON-RPC message that no parser accepts, to answer it under its own ID.

A client cannot match an error whose ID is null, and waits for its response until it times out. Half a character, deep
nesting or a huge number in the parameters does not make the ID unreadable.
"""

import json
import re
from dataclasses import dataclass

from mcp_types import RequestId

MOST_TOKENS = 1_000_000
"""Strings and brackets after which the search ends, because it blocks the event loop."""

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
_ID = re.compile(rb'\s*:\s*("(?:[^"\\]++|\\.)*+"|-?[0-9]{1,15}(?:\.0{1,15})?)\s*[,}]', re.DOTALL)
_COLON = re.compile(rb"\s*:")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The ID of a message, and whether it is a response: a message with a result or an error."""

    id: RequestId
    is_response: bool


def read_envelope(line: bytes) -> Envelope | None:
    """Return the envelope of an object whose brackets and quotes close, or None if its ID cannot be read for sure."""
    line = line.strip()
    if not line.startswith(b"{"):
        return None
    depth, end = 0, 0
    names: list[bytes] = []
    identifier: RequestId | None = None
    for count, token in enumerate(_TOKEN.finditer(line)):
        text, end = token[0], token.end()
        if count == MOST_TOKENS or text == b'"':
            return None
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
            if depth == 0:
                break
        elif depth == 1 and _COLON.match(line, end):
            names.append(text)
            if text == b'"id"':
                identifier = _read_id(line, end)
    if depth or end != len(line) or identifier is None or names.count(b'"id"') != 1:
        return None
    return Envelope(identifier, b'"result"' in names or b'"error"' in names)


def _read_id(line: bytes, position: int) -> RequestId | None:
    """Return the ID behind the name; a whole number may be written as 1.0."""
    found = _ID.match(line, position)
    if found is None:
        return None
    try:
        value = json.loads(found[1])
        if not isinstance(value, str):
            return int(value)
        value.encode()
    except ValueError:
        return None
    return value
