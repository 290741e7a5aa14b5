"""The confirmation page in a real browser: by keyboard, in both colour schemes, on a phone, for assistive technology.

Needs Debian's chromium and chromium-driver; skipped, aloud, where they are missing. With `SCREENSHOTS` set to a folder,
what the browser shows is kept there to be looked at.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gitbook_integrations_mcp.page import ConfirmationPage
from gitbook_integrations_mcp.pending import Decision, Pending, QuestionsInMemory
from gitbook_integrations_mcp.preview import Preview

from .human import Clock
from .npm import install_package

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed (Debian: chromium chromium-driver)"
)

PREVIEW = Preview(
    "Unpublish an integration?",
    (
        "Integration: “Release Notes Bot” (release-notes-bot), version 7, private, not verified, owned by “Aurora”",
        "Affected installations: 2 (kIQ8duoOqNAy2alPIWFI in organization WxR7, x7hKgG6Ccgi3d0 in organization q8Z)",
        "Affected spaces: 12 (“Handbook” (a1b2), “API reference” (c3d4), “Onboarding” (e5f6), and 9 more)",
        "Affected sites: could not be read with this token",
        "The integration and every installation of it, in every organization, are deleted. This cannot be undone.",
    ),
    "state",
    "release-notes-bot",
)


Reader = Callable[[], Decision | None]


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--window-size=1000,1100"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def questions() -> QuestionsInMemory:
    return QuestionsInMemory(600, Clock())


@pytest.fixture
def pending(questions: QuestionsInMemory, portal: BlockingPortal) -> Pending:
    return portal.call(questions.open, "browser", "binding", PREVIEW)


@pytest.fixture
def url(questions: QuestionsInMemory, pending: Pending, portal: BlockingPortal) -> Iterator[str]:
    page = portal.call(ConfirmationPage, questions)
    yield portal.call(page.open, pending)
    portal.call(page.close)


@pytest.fixture
def read_decision(questions: QuestionsInMemory, pending: Pending, portal: BlockingPortal) -> Reader:
    """What the human has decided so far."""

    def read() -> Decision | None:
        seen = portal.call(questions.look_at, pending.id)
        assert seen is not None
        return seen.decision

    return read


def press(driver: Any, *keys: str) -> None:
    """Press keys, wherever the focus is."""
    from selenium.webdriver import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def await_title(driver: Any, expected: str) -> None:
    """Wait until the browser has gone on to the page of that title."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20).until(lambda driver: driver.title == expected)


def test_a_human_approves_with_the_keyboard_alone(driver: Any, url: str, read_decision: Reader) -> None:
    from selenium.webdriver.common.keys import Keys

    driver.get(url)
    press(driver, Keys.TAB, "release-notes-bot", Keys.TAB, Keys.SPACE, Keys.TAB, Keys.TAB, Keys.ENTER)
    await_title(driver, "Approved")
    assert read_decision() == "approved"


def test_enter_in_the_field_decides_nothing_before_the_box_is_ticked(
    driver: Any, url: str, read_decision: Reader
) -> None:
    """Neither way: whoever types the name and presses Enter has not ticked the box, but does not mean to refuse."""
    from selenium.webdriver.common.keys import Keys

    driver.get(url)
    press(driver, Keys.TAB, "release-notes-bot", Keys.ENTER)
    assert driver.switch_to.active_element.get_attribute("name") == "confirm"  # the browser asks for it
    assert read_decision() is None
    press(driver, Keys.SPACE, Keys.ENTER)
    await_title(driver, "Approved")
    assert read_decision() == "approved"


def test_a_human_refuses(driver: Any, url: str, read_decision: Reader) -> None:
    from selenium.webdriver.common.by import By

    driver.get(url)
    driver.find_element(By.CSS_SELECTOR, "button[value=refuse]").click()
    await_title(driver, "Refused")
    assert read_decision() == "refused"


def test_a_wrong_name_is_told_and_the_question_stays(driver: Any, url: str, read_decision: Reader) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(url)
    driver.find_element(By.NAME, "name").send_keys("release-notes")
    driver.find_element(By.NAME, "confirm").click()
    driver.find_element(By.CSS_SELECTOR, "button[value=approve]").click()
    alert = WebDriverWait(driver, 20).until(lambda driver: driver.find_element(By.CSS_SELECTOR, "[role=alert]"))
    assert "not the one asked for" in alert.text
    assert read_decision() is None


def test_the_page_asks_nothing_of_anybody_else_and_logs_no_error(driver: Any, url: str) -> None:
    driver.get_log("performance")
    driver.get_log("browser")
    driver.get(url)
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    origin = url.rpartition("/")[0]
    assert sent
    assert all(address.startswith(origin) for address in sent)
    errors = [entry for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 375])
def test_the_page_is_accessible_in_both_schemes_and_on_a_phone(driver: Any, url: str, scheme: str, width: int) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    driver.get(url)
    if folder := os.environ.get("SCREENSHOTS"):
        driver.save_screenshot(f"{folder}/confirmation-{scheme}-{width}.png")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    # The page's own policy forbids scripts; the driver's do not pass through it.
    axe = install_package("axe-core@4.14.1") / "node_modules" / "axe-core" / "axe.min.js"
    driver.execute_script(axe.read_text(encoding="utf-8"))
    report = driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert [(violation["id"], violation["help"]) for violation in report["violations"]] == []
