"""Asks a client on stdio for its roots: the folders that its user has open there."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import ListRootsRequest, ListRootsResult

from gitbook_integrations_mcp.auth.callers import declares_roots
from gitbook_integrations_mcp.calls.call import Call

_SECONDS = 10


async def read_client_roots(call: Call) -> list[Path]:
    """Return the folders that the client declares; none if it is remote, declares none, or does not answer."""
    if not declares_roots(call.context):
        return []
    try:
        with anyio.fail_after(_SECONDS):
            listed = await call.context.session.send_request(ListRootsRequest(), ListRootsResult)
    except (MCPError, TimeoutError, ValueError):  # the last one: a URI of another kind
        return []
    paths = [find_path(str(root.uri)) for root in listed.roots]
    return [path for path in paths if path is not None]


def find_path(uri: str) -> Path | None:
    """Return the folder of a `file:` URI, or None if it is of another kind or a whole file system."""
    try:
        parts = urlsplit(uri)
        path = Path(url2pathname(parts.path))
    except ValueError:
        return None
    is_local = parts.scheme == "file" and parts.netloc in {"", "localhost"}
    return path if is_local and path.is_absolute() and path != path.parent else None
