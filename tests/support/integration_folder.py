"""Folders of integrations, as developers have them."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.publishing.files import MANIFEST
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from tests.support.samples import SCRIPT, make_png

PNG = base64.b64decode(make_png())

CONTENT: Mapping[str, Any] = {
    "name": OWN_INTEGRATION,
    "title": "Release Notes Bot",
    "description": "Writes release notes",
    "icon": "./assets/icon.png",
    "script": "./dist/script.js",
    "organization": ORGANIZATION_ID,
    "visibility": "private",
    "scopes": ["space:content:read"],
}
"""A manifest of the sandbox's own integration, without problems."""

COMPONENT = """\
import { createComponent, createIntegration } from "@gitbook/runtime";
import text from "./note.raw.css";

const block = createComponent<object, { message: string }, { action: string }, any>({
    componentId: "note",
    initialState: () => ({ message: text }),
    action: async () => ({}),
    render: async (element) => (
        <block>
            <button label={element.state.message} onPress={{ action: "click" }} />
        </block>
    ),
});
export default createIntegration({ fetch: async () => new Response(process.env.NODE_ENV), components: [block] });
"""
"""A script in TSX with a block; it imports a style sheet as text."""


def write_folder(
    place: Path, files: Mapping[str, str | bytes] | None = None, *, text: str | None = None, **changed: Any
) -> Path:
    """Write a folder whose manifest is `text`, or `CONTENT` with changes (None leaves a key out), and return it.

    JSON is YAML, too. Each key of the manifest has a line of its own.
    """
    manifest = {name: value for name, value in {**CONTENT, **changed}.items() if value is not None}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in manifest.items())
    written = {"assets/icon.png": PNG, "dist/script.js": SCRIPT, MANIFEST: text or f"{{\n{lines}\n}}", **(files or {})}
    for name, content in written.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def create_folder_server(spy: Any, root: Path | None, **sections: Any) -> Any:
    """Return a server in front of `spy` that may read folders below `root`."""
    sections.setdefault("server", {"sandbox": True})
    publishing = {"roots": [str(root)] if root else [], **sections.pop("publishing", {})}
    settings = load_settings({"publishing": publishing, **sections})
    return create_server(settings, http_transport=httpx.ASGITransport(app=spy))
