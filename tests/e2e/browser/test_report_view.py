"""The report page in a host of MCP Apps, which supports the extension and drives the page."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import mcp.server.apps as sdk
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.features.apps import EXTENSION, MIME_TYPE
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.browser import find_violations, needs_browser, read_logs
from tests.support.fake_gitbook import ERAS, Era, read_text
from tests.support.npm import install_package

TOOL = "audit_installations"
HOST = Path(__file__).with_name("app_host.js")
PACKAGES = (
    "@modelcontextprotocol/ext-apps@2.0.4",
    "@modelcontextprotocol/client@2.4.0",
    "@modelcontextprotocol/core@2.4.0",
    "zod@4.6.7",
    "esbuild@0.28.2",
)


def create(**tools: Any) -> Any:
    return create_server(load_settings({"server": {"sandbox": True}, "tools": tools}))


async def read_page(client: Client) -> str:
    """Return the page as a host finds it: through the metadata of the tool."""
    (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == TOOL]
    assert tool.meta
    (content,) = (await client.read_resource(tool.meta["ui"]["resourceUri"])).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == MIME_TYPE
    return content.text


@pytest.mark.parametrize("era", ERAS)
async def test_a_host_finds_the_page_through_the_tool(era: Era) -> None:
    server = create()
    assert server.get_capabilities().extensions == {EXTENSION: {"mimeTypes": [MIME_TYPE]}}
    async with Client(server, mode=era) as client:
        assert "<title>Installation audit</title>" in await read_page(client)


@pytest.mark.parametrize("era", ERAS)
async def test_without_the_tool_there_is_no_page(era: Era) -> None:
    server = create(exclude=[TOOL])
    assert not server.get_capabilities().extensions
    async with Client(server, mode=era) as client:
        with pytest.raises(MCPError):
            await client.read_resource(TOOLS[TOOL].view or "")


@pytest.mark.parametrize("era", ERAS)
async def test_clients_without_the_extension_get_text(era: Era) -> None:
    async with Client(create(), mode=era) as client:
        assert "Findings" in read_text(await client.call_tool(TOOL, {}))


def test_the_extension_and_mime_type_equal_those_of_the_sdk() -> None:
    assert (EXTENSION, MIME_TYPE) == (sdk.EXTENSION_ID, sdk.APP_MIME_TYPE)


def prepare(capabilities: Mapping[str, Any], theme: str = "light") -> dict[str, Any]:
    """Return the setup of the host: the app, the arguments and result of a call, and the page of the report."""

    async def run() -> dict[str, Any]:
        async with Client(create()) as client:
            arguments = {"organizationId": ORGANIZATION_ID}
            result = await client.call_tool(TOOL, arguments)
            uri = (result.structured_content or {})["reportUri"]
            page = await client.read_resource(uri)
            whole = await client.call_tool(TOOL, arguments | {"section": "report"})
            return {
                "html": await read_page(client),
                "arguments": arguments,
                "result": result.model_dump(mode="json", by_alias=True, exclude_none=True),
                "page": page.model_dump(mode="json", by_alias=True, exclude_none=True),
                "report": (whole.structured_content or {})["report"],
                "capabilities": capabilities,
                "theme": theme,
            }

    return anyio.run(run)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of the host, bundled with the official bridge."""
    folder = install_package(*PACKAGES)
    output = tmp_path_factory.mktemp("host") / "host.js"
    source = folder / "host.js"
    source.write_text(HOST.read_text(encoding="utf-8"), encoding="utf-8")
    esbuild = folder / "node_modules" / ".bin" / "esbuild"
    subprocess.run(
        [esbuild, source, "--bundle", "--format=esm", "--target=es2022", f"--outfile={output}", "--log-level=warning"],
        check=True,
        cwd=folder,
    )
    return output.read_text(encoding="utf-8").replace("</script", "<\\/script")


def open_host(driver: Any, bundle: str, folder: Path, setup: Mapping[str, Any]) -> None:
    """Open the host and switch to its frame."""
    data = json.dumps(setup).replace("<", "\\u003c")
    page = folder / "host.html"
    page.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Host</title><body>'
        f'<script type="application/json" id="setup">{data}</script><script type="module">{bundle}</script>',
        encoding="utf-8",
    )
    read_logs(driver)
    driver.get(page.as_uri())
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    frame = WebDriverWait(driver, 20).until(lambda driver: driver.find_element(By.TAG_NAME, "iframe"))
    driver.switch_to.frame(frame)


def await_text(driver: Any, selector: str, text: str) -> None:
    """Wait until an element that matches the selector contains the text."""
    from selenium.webdriver.support.ui import WebDriverWait

    script = "return [...document.querySelectorAll(arguments[0])].some(one => one.textContent.includes(arguments[1]))"
    WebDriverWait(driver, 20).until(lambda driver: driver.execute_script(script, selector, text), f"{selector}: {text}")


def read_noted(driver: Any) -> dict[str, Any]:
    """Return the requests that the host recorded."""
    driver.switch_to.default_content()
    noted: dict[str, Any] = driver.execute_script("return window.noted")
    return noted


@needs_browser
def test_the_page_shows_the_whole_report(driver: Any, bundle: str, tmp_path: Path) -> None:
    setup = prepare({"serverResources": {}, "message": {"text": {}}, "openLinks": {}}, theme="dark")
    open_host(driver, bundle, tmp_path, setup)
    await_text(driver, "h1", "Installation audit of Aurora Robotics")
    report = setup["report"]
    shown = driver.execute_script("return document.querySelector('[data-figure=installations] strong').textContent")
    assert shown == str(report["figures"]["installations"])
    assert driver.execute_script("return document.documentElement.dataset.theme") == "dark"
    assert find_violations(driver) == []
    noted = read_noted(driver)
    assert noted["reads"] == [setup["result"]["structuredContent"]["reportUri"]]
    assert noted["sizes"] > 0
    _, logged = read_logs(driver)
    assert [line for line in logged if "SEVERE" in line or "Uncaught" in line or "Refused" in line] == []


@needs_browser
def test_the_button_of_a_finding_asks_the_assistant_and_the_host_opens_links(
    driver: Any, bundle: str, tmp_path: Path
) -> None:
    setup = prepare({"serverResources": {}, "message": {"text": {}}, "openLinks": {}})
    open_host(driver, bundle, tmp_path, setup)
    await_text(driver, "h1", "Aurora Robotics")
    driver.execute_script("document.querySelector('details.finding').open = true")
    await_text(driver, "button.ask", "Ask the assistant")
    driver.execute_script("document.querySelector('button.ask').click(); document.querySelector('tbody a').click()")
    driver.switch_to.default_content()
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20).until(lambda driver: driver.execute_script("return window.noted.links.length > 0"))
    noted = read_noted(driver)
    (message,) = noted["messages"]
    finding = setup["report"]["findings"][0]
    assert message["role"] == "user"
    assert finding["id"] in message["content"][0]["text"]
    assert finding["summary"] not in message["content"][0]["text"]  # third-party text is not the user's
    assert noted["links"][0].startswith("https://")


@needs_browser
def test_the_page_follows_the_theme_of_the_host(driver: Any, bundle: str, tmp_path: Path) -> None:
    open_host(driver, bundle, tmp_path, prepare({"serverResources": {}}))
    await_text(driver, "h1", "Aurora Robotics")
    assert driver.execute_script("return document.querySelectorAll('button.ask').length") == 0
    driver.switch_to.default_content()
    driver.execute_script("window.bridge.setHostContext({ theme: 'dark' })")
    driver.switch_to.frame(0)
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20).until(
        lambda driver: driver.execute_script("return document.documentElement.dataset.theme === 'dark'")
    )


@needs_browser
@pytest.mark.parametrize(
    ("capabilities", "result", "status"),
    [
        ({}, None, "does not allow the page to read the whole report"),
        ({"serverResources": {}}, {"content": [], "structuredContent": {}}, "has no page"),
        ({"serverResources": {}}, {"isError": True, "content": [{"type": "text", "text": "No token."}]}, "No token."),
    ],
)
def test_the_page_shows_why_it_has_no_report(
    driver: Any, bundle: str, tmp_path: Path, capabilities: dict[str, Any], result: dict[str, Any] | None, status: str
) -> None:
    setup = prepare(capabilities)
    open_host(driver, bundle, tmp_path, setup | ({"result": result} if result else {}))
    await_text(driver, "[role=status]", status)
