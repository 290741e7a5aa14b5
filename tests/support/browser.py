"""A real browser: Debian's chromium and its driver. Tests that need it are skipped, aloud, where they are missing.

With `SCREENSHOTS` set to a folder, what the browser shows is kept there to be looked at.
"""

import base64
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.npm import install_package

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER) and not os.environ.get("CI"),
    reason="chromium and chromedriver are not installed (Debian: chromium chromium-driver)",
)


@contextmanager
def open_browser() -> Iterator[Any]:
    """Yield a driver of a new browser, which keeps what pages log and request."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--window-size=1000,1100"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def show_in(driver: Any, *, width: int, height: int = 1100, scheme: str = "light", media: str = "screen") -> None:
    """Have the browser show pages from now on as a screen of that size and colour scheme, or as paper, would."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def read_logs(driver: Any) -> tuple[list[str], list[str]]:
    """Return what was requested, and what pages logged, since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return sent, [entry["message"] for entry in driver.get_log("browser")]


def find_violations(driver: Any) -> list[Any]:
    """Return what axe-core finds wrong with the page for those who use assistive technology."""
    axe = install_package("axe-core@4.14.1") / "node_modules" / "axe-core" / "axe.min.js"
    driver.execute_script(axe.read_text(encoding="utf-8"))
    violations: list[Any] = driver.execute_async_script(
        "axe.run().then(found => arguments[arguments.length - 1](found.violations))"
    )
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations]


def count_pages(driver: Any, without: str = "") -> int:
    """Return how many A4 pages the page takes on paper, without the elements that match a selector."""
    driver.execute_script(
        "const sheet = new CSSStyleSheet(); sheet.replaceSync(arguments[0]); document.adoptedStyleSheets = [sheet]",
        f"{without} {{ display: none }}" if without else "",
    )
    paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
    printed = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", paper)["data"])
    return len(re.findall(rb"/Type\s*/Page\b", printed))


def take_screenshot(driver: Any, name: str) -> None:
    """Keep what the whole page looks like, where `SCREENSHOTS` says."""
    if folder := os.environ.get("SCREENSHOTS"):
        picture = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))
