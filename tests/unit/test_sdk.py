"""Each test runs a program of its own: in this process, the tests have imported the whole SDK."""

import subprocess
import sys

import pytest

TIMEOUT = 60

SERVER = """
import sys
from gitbook_integrations_mcp.sdk import defer_packages
defer_packages()
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.transports import serving, stdio
create_server(load_settings())
unused = ("mcp.client", "mcp.server.mcpserver", "httpx2", "cryptography")
print([name for name in unused if name in sys.modules])
"""

WHOLE = """
import sys
from gitbook_integrations_mcp.sdk import defer_packages
defer_packages()
import mcp.server.lowlevel
print("mcp.client" in sys.modules, mcp.server.Server is mcp.server.lowlevel.Server)
from mcp import Client
import mcp.client.client
print(Client is mcp.client.client.Client, mcp.server.MCPServer.__module__)
"""


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        pytest.param(SERVER, "[]", id="a server imports nothing that it does not use"),
        pytest.param(WHOLE, "False True\nTrue mcp.server.mcpserver.server", id="whatever is asked for is there"),
    ],
)
def test_packages_of_the_sdk_run_when_they_are_needed(program: str, expected: str) -> None:
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    assert ended.stdout.strip() == expected
