"""The pictures of the documentation, taken of the sandbox: `python -m tests.pictures` renews `docs/images`.

They need chromium and its driver. Fonts differ between machines, so a picture cannot be compared with a new one. It
therefore carries the text that it shows, and `tests/e2e/browser/test_pictures.py` compares that.
"""

import base64
import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp import Client
from rich.console import Console
from rich.text import Text

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.features.server import read_icon
from tests.support.browser import open_browser, show_in
from tests.support.repository import DOCS

IMAGES = DOCS / "images"

HEAD = 33
"""Length of the signature of a PNG file and of its first chunk."""

TEXT = b"iTXtShown\0\0\0\0\0"
"""How the chunk with the text begins: its type, its keyword, and no compression, language or translation."""

LIST_TEXTS = """
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), texts = [];
while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const place = range.getBoundingClientRect();
    if (text && place.height && (arguments[0] || place.bottom <= innerHeight)) texts.push(text);
}
return texts;
"""
"""Lists the texts of a page that are in the window, or all of them."""

Keep = Callable[[Any, str], None]
"""Takes the browser and the name of the picture that it shows."""


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with open_browser() as driver:
        show_all(driver, take)
    (IMAGES / "terminal.svg").write_text(draw_terminal(), encoding="utf-8")


def show_all(driver: Any, keep: Keep) -> None:
    """Show what the documentation has pictures of, one after another."""
    with tempfile.TemporaryDirectory() as folder:
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        report = Path(folder) / "report.html"
        run_command("audit", "--sandbox", "--format", "html", "--output", str(report))
        for scheme in ("light", "dark"):
            show_in(driver, width=1200, height=800, scheme=scheme)
            driver.get(report.as_uri())
            keep(driver, f"report-{scheme}")
        show_in(driver, width=760, height=742)
        anyio.run(show_approval, driver, keep)
        show_in(driver, width=512, height=512)
        driver.get(read_icon().src)
        keep(driver, "icon")


def run_command(*words: str, **environment: str) -> str:
    """Return what a command prints."""
    command = [sys.executable, "-m", "gitbook_integrations_mcp", *words]
    environment = {**os.environ, **environment}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def take(driver: Any, name: str) -> None:
    """Keep what the browser shows, with its text."""
    shot = base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
    if texts := list_texts(driver):
        chunk = TEXT + "\n".join(texts).encode()
        length, checksum = struct.pack(">I", len(chunk) - len("iTXt")), struct.pack(">I", zlib.crc32(chunk))
        shot = shot[:HEAD] + length + chunk + checksum + shot[HEAD:]
    (IMAGES / f"{name}.png").write_bytes(shot)


def list_texts(driver: Any, *, hidden: bool = False) -> list[str]:
    """Return the texts in the window, or also those of the page that are not in it. A picture has no text.

    They are without the time and the version.
    """
    texts = [] if driver.current_url.startswith("data:") else driver.execute_script(LIST_TEXTS, hidden)
    return [re.sub(r"[\d-]{10} [\d:]{5} UTC|\d+\.\d+\.\d+", "…", re.sub(r"\s+", " ", text)) for text in texts]


def read_texts(name: str) -> list[str]:
    """Return the texts that a picture shows."""
    picture = (IMAGES / f"{name}.png").read_bytes()
    place = picture.find(TEXT)
    if place < 0:
        return []
    (length,) = struct.unpack(">I", picture[place - 4 : place])
    return picture[place + len(TEXT) : place + len("iTXt") + length].decode().splitlines()


async def show_approval(driver: Any, keep: Keep) -> None:
    """Call a tool that needs approval, and show the page that asks for it."""
    settings = Settings.model_validate({"server": {"sandbox": True}})
    async with Client(create_server(settings), mode="legacy") as client:
        result = await client.call_tool("uninstall_integration", await find_target(client))
        assert result.structured_content is not None
        assert "url" in result.structured_content, result.structured_content
        await anyio.to_thread.run_sync(driver.get, result.structured_content["url"])
        await anyio.to_thread.run_sync(keep, driver, "approval")


async def find_target(client: Client) -> dict[str, str]:
    """Return the arguments of the installation of Slack."""
    organizations = await client.call_tool("list_organizations_for_authenticated_user", {})
    assert organizations.structured_content is not None
    organization = organizations.structured_content["items"][0]["id"]
    listed = await client.call_tool("list_organization_installations", {"organizationId": organization})
    assert listed.structured_content is not None
    found = next(one for one in listed.structured_content["items"] if one["integration"]["name"] == "slack")
    return {"integrationName": "slack", "installationId": found["installation"]["id"]}


def draw_terminal() -> str:
    """Return a picture (SVG) of the first command of a newcomer and what it prints."""
    words = ("audit", "--sandbox")
    console = Console(record=True, width=130, file=io.StringIO())
    console.print(Text(f"$ {NAME} {' '.join(words)}", style="bold"))
    console.print(Text.from_ansi(run_command(*words, FORCE_COLOR="1")), highlight=False)
    with_fonts = console.export_svg(title=NAME)
    return re.sub(r"@font-face \{.*?\}\s*", "", with_fonts, flags=re.DOTALL)  # a picture loads nothing


if __name__ == "__main__":
    main()
