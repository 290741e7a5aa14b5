"""Linking an account in a real browser: the page of this server, the sandbox's authorization page, and back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.browser import find_violations, needs_browser, read_logs, show_in, take_screenshot
from tests.support.fake_gitbook import read_code, read_text
from tests.support.http_server import CALLERS, TOKENS, bear, connect, serve
from tests.support.sandbox_server import serve_in_thread
from tests.support.stores import KEYS

pytestmark = needs_browser


@dataclass
class Running:
    """A server whose callers link accounts, and a call of one of them."""

    portal: Any
    address: str

    def call(self, name: str) -> Any:
        """Return the result of a call."""

        async def call() -> Any:
            async with connect(self.address, "streamable-http", "2026-07-28", headers=bear(name)) as client:
                return await client.call_tool("list_sites", {})

        return self.portal.call(call)

    def find_link(self, name: str) -> str:
        """Return the address that a call ends with."""
        found = re.search(r"http\S+/accounts/\S+", read_text(self.call(name)))
        assert found
        return found[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("store")
    with serve_in_thread() as (_, gitbook), start_blocking_portal() as portal:
        server = serve(
            None,
            public=True,
            gitbook={"endpoint": gitbook, "organization": ORGANIZATION_ID},
            store={"url": f"sqlite:///{folder}/store.db", "keys": KEYS},
            http={"tokens": CALLERS, "credentials": "login"},
        )
        with portal.wrap_async_context_manager(server) as address:
            yield Running(portal, address)


def click(driver: Any, value: str) -> None:
    """Press the button with this value."""
    from selenium.webdriver.common.by import By

    driver.find_element(By.CSS_SELECTOR, f"button[value={value}]").click()


def await_title(driver: Any, expected: str) -> None:
    """Wait until the browser shows the page with this title."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20).until(lambda driver: driver.title == expected)


def sign_in(driver: Any, link: str, name: str) -> None:
    """Open a link, and sign in as a caller."""
    from selenium.webdriver.common.by import By

    driver.delete_all_cookies()
    driver.get(link)
    driver.find_element(By.NAME, "token").send_keys(TOKENS[name])
    click(driver, "sign-in")


def test_a_user_links_an_account_sees_it_and_removes_it(driver: Any, running: Running) -> None:
    read_logs(driver)
    sign_in(driver, running.find_link("ann"), "ann")
    await_title(driver, "Link your GitBook account")
    click(driver, "link")
    await_title(driver, "GitBook sandbox")
    click(driver, "approve")
    await_title(driver, "Account linked")
    assert not running.call("ann").is_error
    sign_in(driver, f"{running.address}/accounts/", "ann")
    await_title(driver, "Your GitBook account")
    assert "Robin Okafor" in driver.page_source
    click(driver, "remove")
    await_title(driver, "Account removed")
    assert read_code(running.call("ann")) == "account_not_linked"
    _, logged = read_logs(driver)
    assert [entry for entry in logged if "favicon" not in entry] == []


def test_a_user_who_declines_at_gitbook_links_nothing(driver: Any, running: Running) -> None:
    sign_in(driver, running.find_link("ann"), "ann")
    await_title(driver, "Link your GitBook account")
    click(driver, "link")
    await_title(driver, "GitBook sandbox")
    click(driver, "decline")
    await_title(driver, "Not linked")
    assert read_code(running.call("ann")) == "account_not_linked"


def test_a_link_of_another_user_is_refused(driver: Any, running: Running) -> None:
    sign_in(driver, running.find_link("ann"), "bob")
    await_title(driver, "Link of another user")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 375])
def test_the_pages_are_accessible_in_both_schemes_and_on_a_phone(
    driver: Any, running: Running, scheme: str, width: int
) -> None:
    show_in(driver, width=width, height=900, scheme=scheme)
    link = running.find_link("ann")
    driver.delete_all_cookies()
    driver.get(link)
    take_screenshot(driver, f"account-sign-in-{scheme}-{width}")
    assert find_violations(driver) == []
    sign_in(driver, link, "ann")
    await_title(driver, "Link your GitBook account")
    take_screenshot(driver, f"account-consent-{scheme}-{width}")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert find_violations(driver) == []
