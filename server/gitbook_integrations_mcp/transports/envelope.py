"""Reads JSON-RPC messages, and the envelope of one that no parser accepts, to answer it under its own ID.

A client cannot match an error whose ID is null, and waits for its response until it times out. Half a character, deep
nesting or a huge number in the parameters does not make the ID unreadable.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from mcp_types import (
    INVALID_REQUEST,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    RequestId,
    jsonrpc_message_adapter,
)

MOST_TOKENS = 1_000_000
"""Strings and brackets after which the search ends, because it blocks the event loop."""

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
_ID = re.compile(rb'\s*:\s*("(?:[^"\\]++|\\.)*+"|-?[0-9]{1,19}(?:\.0{1,15})?)\s*[,}]', re.DOTALL)
_COLON = re.compile(rb"\s*:")

_MOST_EXACT = 2**53
"""From here on, a number with a point does not stand for exactly one integer."""


def normalize_ids(data: Any) -> bool:
    """Write IDs like 1.0 as integers, and return whether there were any. The numbers of some languages are like this.

    These are the ID of a request or a response, and the one that a cancellation contains.
    """
    if not isinstance(data, dict):
        return False
    changed = False
    for part, name in ((data, "id"), (data.get("params"), "requestId")):
        if not isinstance(part, dict):
            continue
        number = part.get(name)
        if isinstance(number, float) and number.is_integer() and abs(number) < _MOST_EXACT:
            part[name] = int(number)
            changed = True
    return changed


def parse_message(data: Any) -> JSONRPCMessage | None:
    """Return the message of JSON data, or None if it is a request with an invalid ID.

    The SDK takes this request for a notification, and its sender would get no response.

    Raises:
        ValueError: the data is not a message.
    """
    message = jsonrpc_message_adapter.validate_python(data, by_name=False)
    return None if isinstance(message, JSONRPCNotification) and "id" in data else message


@dataclass(frozen=True, slots=True)
class Envelope:
    """The ID of a message, and whether it is a response: a message with a result or an error."""

    id: RequestId
    is_response: bool

    def replace_response(self) -> JSONRPCError:
        """Return an error in place of an invalid response, so that the server's request does not wait for another."""
        error = ErrorData(code=INVALID_REQUEST, message="The client's response is not valid.")
        return JSONRPCError(jsonrpc="2.0", id=self.id, error=error)


def read_envelope(line: bytes, *, is_cut: bool = False) -> Envelope | None:
    """Return the envelope of an object whose brackets and quotes close, or None if its ID cannot be read for sure.

    If the line is cut, its end is not checked.
    """
    line = line.strip()
    if not line.startswith(b"{"):
        return None
    depth, end = 0, 0
    names: list[bytes] = []
    identifier: RequestId | None = None
    for count, token in enumerate(_TOKEN.finditer(line)):
        text, end = token[0], token.end()
        if is_cut and text == b'"':
            break
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
    is_closed = depth == 0 and end == len(line)
    if not (is_closed or is_cut) or identifier is None or names.count(b'"id"') != 1:
        return None
    return Envelope(identifier, b'"result"' in names or b'"error"' in names)


def _read_id(line: bytes, position: int) -> RequestId | None:
    """Return the ID behind the name; a whole number may be written as 1.0."""
    found = _ID.match(line, position)
    if found is None:
        return None
    try:
        value: RequestId = json.loads(found[1], parse_float=lambda text: int(text.partition(".")[0]))
        if isinstance(value, str):
            value.encode()
    except ValueError:
        return None
    return value
