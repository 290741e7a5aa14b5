"""The confirmation page in a real browser: by keyboard, in both schemes, on a phone, for assistive technology."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.store.pending import Decision, Fact, PendingConfirmation, Preview
from gitbook_integrations_mcp.store.store import Store
from tests.support.browser import find_violations, needs_browser, read_logs, show_in, take_screenshot
from tests.support.stores import open_store

pytestmark = needs_browser

PREVIEW = Preview(
    "Unpublish an integration?",
    "The integration and every installation of it, in every organization, are deleted. This cannot be undone.",
    "state",
    (
        Fact(
            "Affected installations",
            "2: kIQ8duoOqNAy2alPIWFI in organization WxR7, x7hKgG6Ccgi3d0 in organization q",
        ),
        Fact("Affected spaces", "12: a1b2 (“Handbook”), c3d4 (“API reference”), e5f6 (“Onboarding”), and 9 more"),
        Fact("Affected sites", "could not be read (GitBook answered 403)"),
    ),
    ("The target could not be read (GitBook answered 403). Its state is unknown.",),
    "release-notes-bot",
    (
        Fact("Integration", "release-notes-bot (“Release Notes Bot”)"),
        Fact("Version", "7 (private, not verified by GitBook)"),
        Fact("Owner", "WxR7 (“Aurora”)"),
        *(Fact(f"Setting {number}", "“old” → “new”") for number in range(20)),
    ),
    "Unpublish",
    "assistant 1.0",
)


Reader = Callable[[], Decision | None]


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def store() -> Store:
    return open_store("memory")


@pytest.fixture
def pending(store: Store, portal: BlockingPortal) -> PendingConfirmation:
    return portal.call(store.confirmations.open, "browser", "binding", PREVIEW)


@pytest.fixture
def url(store: Store, pending: PendingConfirmation, portal: BlockingPortal) -> Iterator[str]:
    page = portal.call(ConfirmationPage, store)
    yield portal.call(page.open, pending)
    portal.call(page.close)


@pytest.fixture
def read_decision(store: Store, pending: PendingConfirmation, portal: BlockingPortal) -> Reader:
    """What the human has decided so far."""

    def read() -> Decision | None:
        seen = portal.call(store.confirmations.get, pending.id)
        assert seen is not None
        return seen.decision

    return read


def press(driver: Any, *keys: str) -> None:
    """Press keys in the focused element."""
    from selenium.webdriver import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def await_title(driver: Any, expected: str) -> None:
    """Wait until the browser shows the page with this title."""
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
    """It must not refuse either: a human who types the name and presses Enter has only forgotten the box."""
    from selenium.webdriver.common.keys import Keys

    driver.get(url)
    press(driver, Keys.TAB, "release-notes-bot", Keys.ENTER)
    assert driver.switch_to.active_element.get_attribute("name") == "confirm"  # the browser requires it
    assert read_decision() is None
    press(driver, Keys.SPACE, Keys.ENTER)
    await_title(driver, "Approved")
    assert read_decision() == "approved"


def test_a_human_declines(driver: Any, url: str, read_decision: Reader) -> None:
    from selenium.webdriver.common.by import By

    driver.get(url)
    driver.find_element(By.CSS_SELECTOR, "button[value=decline]").click()
    await_title(driver, "Declined")
    assert read_decision() == "declined"


def test_a_wrong_name_is_reported_and_nothing_is_decided(driver: Any, url: str, read_decision: Reader) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(url)
    driver.find_element(By.NAME, "name").send_keys("release-notes")
    driver.find_element(By.NAME, "confirm").click()
    driver.find_element(By.CSS_SELECTOR, "button[value=approve]").click()
    alert = WebDriverWait(driver, 20).until(lambda driver: driver.find_element(By.CSS_SELECTOR, "[role=alert]"))
    assert "does not match" in alert.text
    assert read_decision() is None


def test_the_page_requests_nothing_from_other_hosts_and_logs_no_error(driver: Any, url: str) -> None:
    read_logs(driver)
    driver.get(url)
    sent, logged = read_logs(driver)
    origin = url.rpartition("/")[0]
    assert sent
    assert all(address.startswith(origin) for address in sent)
    assert [entry for entry in logged if "favicon" not in entry] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 375])
def test_the_page_is_accessible_in_both_schemes_and_on_a_phone(driver: Any, url: str, scheme: str, width: int) -> None:
    show_in(driver, width=width, height=900, scheme=scheme)
    driver.get(url)
    take_screenshot(driver, f"confirmation-{scheme}-{width}")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    # The page's content security policy forbids scripts; it does not apply to scripts of the driver.
    assert find_violations(driver) == []


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (375, 667)])
def test_act_consequence_affected_places_and_choices_are_in_view_at_once(
    driver: Any, url: str, width: int, height: int
) -> None:
    show_in(driver, width=width, height=height)
    driver.get(url)
    take_screenshot(driver, f"confirmation-fold-{width}")
    script = """
    const bottom = document.querySelector(".decision").getBoundingClientRect().top;
    const facts = [...document.querySelectorAll("h1, .consequence, dl:not(.details) div:first-of-type")];
    const buttons = [...document.querySelectorAll("button")].map(one => one.getBoundingClientRect().bottom);
    return [facts.map(one => one.getBoundingClientRect().bottom <= bottom), Math.max(...buttons) <= innerHeight];
    """
    assert driver.execute_script(script) == [[True, True, True], True]
    labels = driver.execute_script("return [...document.querySelectorAll('button')].map(one => one.innerText)")
    assert labels == ["Decline", "Unpublish"]
