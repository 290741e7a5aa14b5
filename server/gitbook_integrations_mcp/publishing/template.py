"""A new integration, as small as one that works can be: manifest, script and icon. It needs no packages."""

import json
import struct
import zlib
from pathlib import Path

from gitbook_integrations_mcp.publishing.files import MANIFEST

_SIZE = 128
_COLOR = bytes((52, 104, 192))
_SCRIPT = """\
// GitBook sends each event as a form with a field `event` in JSON, and keeps what this logs with the event.
// For blocks and settings of your own, add @gitbook/runtime and a bundler: docs/guides/develop-and-publish.md.
export default {
    async fetch(request) {
        const form = await request.formData();
        const event = JSON.parse(form.get("event"));
        console.log(`received ${event.type}`);
        return new Response("OK");
    },
};
"""


def write_integration(folder: Path, name: str, organization: str) -> list[Path]:
    """Write an integration into a new or empty folder, and return its files.

    Raises:
        FileExistsError: the folder has content.
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(folder)
    manifest = {
        "name": name,
        "title": _build_title(name),
        "description": "Logs the events that it receives.",
        "icon": "./assets/icon.png",
        "script": "./src/index.js",
        "organization": organization,
        "visibility": "private",
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in manifest.items()]
    contents = {
        MANIFEST: "\n".join([*lines, "scopes: []", "secrets: {}", ""]).encode(),
        "src/index.js": _SCRIPT.encode(),
        "assets/icon.png": build_icon(),
        ".gitignore": b".env\nnode_modules/\n",
    }
    for place, content in contents.items():
        path = folder / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return [folder / place for place in contents]


def build_icon() -> bytes:
    """Return a PNG of one color."""
    header = struct.pack(">IIBBBBB", _SIZE, _SIZE, 8, 2, 0, 0, 0)
    rows = (b"\0" + _COLOR * _SIZE) * _SIZE
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_build_chunk(kind, data) for kind, data in chunks)


def _build_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _build_title(name: str) -> str:
    """Return a title of 2 to 30 characters."""
    return name.replace("-", " ").capitalize().ljust(2, ".")[:30].rstrip()
