"""The MCP Inspector's command line, a client of somebody else's make, lists and calls over every transport."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from gitbook_integrations_api.prompts import PROMPTS
from tests.support.npm import install_package
from tests.support.process import COMMAND, TIMEOUT, start
from tests.support.samples import OFFERED


@contextlib.contextmanager
def reach(transport: str) -> Iterator[list[str]]:
    """Yield the words with which the Inspector reaches a server over `transport`."""
    if transport == "stdio":
        yield [*COMMAND, "--sandbox"]
        return
    with start("--sandbox", "--transport", transport, "--port", "0") as (told,):
        yield [told.split()[-1], "--transport", transport.removeprefix("streamable-")]


@pytest.mark.parametrize("transport", ["stdio", "sse", "streamable-http"])
def test_the_inspector_lists_calls_and_reads(transport: str) -> None:
    inspector = install_package("@modelcontextprotocol/inspector@0.15.0") / "node_modules" / ".bin" / "mcp-inspector"

    def ask(*words: str) -> Any:
        ended = subprocess.run(
            [inspector, "--cli", *target, *words], capture_output=True, text=True, check=True, timeout=TIMEOUT
        )
        return json.loads(ended.stdout)

    with reach(transport) as target:
        assert [tool["name"] for tool in ask("--method", "tools/list")["tools"]] == list(OFFERED)
        result = ask("--method", "tools/call", "--tool-name", "list_sites", "--tool-arg", "limit=2")
        assert len(result["structuredContent"]["items"]) == 2
        assert [prompt["name"] for prompt in ask("--method", "prompts/list")["prompts"]] == list(PROMPTS)
        (resource,) = ask("--method", "resources/list")["resources"]
        (contents,) = ask("--method", "resources/read", "--uri", resource["uri"])["contents"]
    assert len(json.loads(contents["text"])["items"]) == 9
