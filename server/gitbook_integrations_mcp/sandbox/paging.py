"""Pagination of lists, with opaque cursors."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call, FailureError

DEFAULT_LIMIT = 50

Item = TypeVar("Item")


def paginate(call: Call, items: Sequence[Item], show: Callable[[Item], Any]) -> ApiResponse:
    """Return the requested page: its items as `show` returns them, the number of all items, and the next cursor."""
    limit = int(call.get("limit") or 0) or DEFAULT_LIMIT
    start = _read_cursor(call.endpoint.name, call["page"]) if call.get("page") is not None else 0
    end = start + limit
    body: dict[str, Any] = {"items": [show(item) for item in items[start:end]], "count": len(items)}
    if end < len(items):
        body["next"] = {"page": _write_cursor(call.endpoint.name, end)}
    return call.respond(body)


def list_whole(call: Call, items: Sequence[Item], show: Callable[[Item], Any]) -> ApiResponse:
    """Return a list without pagination."""
    return call.respond({"items": [show(item) for item in items], "count": len(items)})


def _write_cursor(operation: str, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{operation} {offset}".encode()).decode().rstrip("=")


def _read_cursor(operation: str, cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        text = ""
    origin, _, offset = text.partition(" ")
    if origin != operation or not (offset.isascii() and offset.isdigit()):
        raise FailureError(400, "page: is not a cursor of this list")
    return int(offset)
