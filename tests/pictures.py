"""The pictures of the documentation, taken of the sandbox: `python -m tests.pictures` renews `docs/images`.

They need chromium and its driver. CI does not compare them: fonts differ between machines.
"""

import base64
import io
import os
import re
import subprocess
import sys
import tempfile
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


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with open_browser() as driver, tempfile.TemporaryDirectory() as folder:
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        report = Path(folder) / "report.html"
        run_command("audit", "--sandbox", "--format", "html", "--output", str(report))
        for scheme in ("light", "dark"):
            show_in(driver, width=1200, height=800, scheme=scheme)
            driver.get(report.as_uri())
            take(driver, f"report-{scheme}")
        show_in(driver, width=760, height=742)
        anyio.run(take_approval, driver)
        show_in(driver, width=512, height=512)
        driver.get(read_icon().src)
        take(driver, "icon")
    (IMAGES / "terminal.svg").write_text(draw_terminal("audit", "--sandbox"), encoding="utf-8")


def run_command(*words: str, **environment: str) -> str:
    """Return what a command prints."""
    command = [sys.executable, "-m", "gitbook_integrations_mcp", *words]
    environment = {**os.environ, **environment}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def take(driver: Any, name: str) -> None:
    """Keep what the browser shows."""
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (IMAGES / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


async def take_approval(driver: Any) -> None:
    """Call a tool that needs approval, and keep the page that asks for it."""
    settings = Settings.model_validate({"server": {"sandbox": True}})
    async with Client(create_server(settings), mode="legacy") as client:
        result = await client.call_tool("uninstall_integration", await find_target(client))
        assert result.structured_content is not None
        assert "url" in result.structured_content, result.structured_content
        await anyio.to_thread.run_sync(driver.get, result.structured_content["url"])
        await anyio.to_thread.run_sync(take, driver, "approval")


async def find_target(client: Client) -> dict[str, str]:
    """Return the arguments of the installation of Slack."""
    organizations = await client.call_tool("list_organizations_for_authenticated_user", {})
    assert organizations.structured_content is not None
    organization = organizations.structured_content["items"][0]["id"]
    listed = await client.call_tool("list_organization_installations", {"organizationId": organization})
    assert listed.structured_content is not None
    found = next(one for one in listed.structured_content["items"] if one["integration"]["name"] == "slack")
    return {"integrationName": "slack", "installationId": found["installation"]["id"]}


def draw_terminal(*words: str) -> str:
    """Return a picture (SVG) of a command and what it prints."""
    console = Console(record=True, width=130, file=io.StringIO())
    console.print(Text(f"$ {NAME} {' '.join(words)}", style="bold"))
    console.print(Text.from_ansi(run_command(*words, FORCE_COLOR="1")), highlight=False)
    with_fonts = console.export_svg(title=NAME)
    return re.sub(r"@font-face \{.*?\}\s*", "", with_fonts, flags=re.DOTALL)  # a picture loads nothing


if __name__ == "__main__":
    main()
