"""One tool call from a shell, through an MCP client in this very process: the same path, checks and gate as any."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitRequestURLParams, ElicitResult, TextContent, Tool

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.summary import outline
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.cli.console import print_json, print_result
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.confirmation.results import NOT_SENT
from gitbook_integrations_mcp.errors import ErrorCode, UsageError
from gitbook_integrations_mcp.pipeline.budget import UNLIMITED
from gitbook_integrations_mcp.spelling import suggest
from gitbook_integrations_mcp.text import clean_text


def call(settings: Settings, name: str, words: Sequence[str], *, as_json: bool) -> int:
    """Run the tool `name` with the arguments that `words` spell, print its result, and return the exit code.

    0 is success, 1 an error of the tool or a missing yes, 2 a wrong usage. Gated calls ask on the terminal.
    """
    result = anyio.run(_run, settings, name, words)
    if isinstance(result, UsageError):
        print(f"gitbook-integrations-mcp: {result}", file=sys.stderr)
        return 2
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    if result.is_error or result.structured_content is None:
        print("\n".join(clean_text(line, 2000) for line in text.splitlines()), file=sys.stderr)
        return 1
    if as_json:
        print_json(result.structured_content)
    else:
        print_result(result.structured_content, _list_columns(name))
    not_sent = result.structured_content.get("status") == NOT_SENT
    if not_sent and result.structured_content["code"] == ErrorCode.CONFIRMATION_UNAVAILABLE and not _asks():
        print("Run this in a terminal, where it asks.", file=sys.stderr)
    return 1 if not_sent else 0


def _asks() -> bool:
    """Whether there is a human at a terminal to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _list_columns(name: str) -> list[str]:
    """Return the fields that decide of what a tool lists: that one is missing everywhere can be the finding."""
    fields = outline(TOOLS[name].result.model) if name in TOOLS else {}
    return [field for field, inner in fields.items() if inner is None]


async def _run(settings: Settings, name: str, words: Sequence[str]) -> CallToolResult | UsageError:
    # Without a terminal there is nobody to ask, and a page that dies with this command could not be answered either.
    never = settings.confirmation.ask == "fallback" and settings.confirmation.fallback == "refuse"
    ask = "fallback" if never else "form"
    confirmation = settings.confirmation.model_copy(update={"ask": ask, "fallback": "refuse", "store": "memory"})
    # A shell has no context window to be spared, and is the way to the whole of what a model is shown cut.
    limits = settings.limits.model_copy(update={"result_tokens": UNLIMITED.tokens})
    settings = settings.model_copy(update={"confirmation": confirmation, "limits": limits})
    async with Client(create_server(settings), elicitation_callback=_ask if _asks() else None) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        if name in TOOLS and name not in tools:
            return await client.call_tool(name, {})  # the server says which setting leaves it out
        if name not in tools:
            return UsageError(f"{name}: no such tool on offer.{suggest(name, tools)} `tools` lists them.")
        try:
            arguments = read_arguments(tools[name], words)
        except UsageError as error:
            return error  # raised, it would leave the client in a group of exceptions
        return await client.call_tool(name, arguments)


def read_arguments(tool: Tool, words: Sequence[str]) -> dict[str, Any]:
    """Return the arguments that `words` spell: one JSON object, `-` for one on standard input, or key=value pairs.

    The tool's schema decides how a value is read: text stays text, everything else is JSON; for a list, a key may be
    repeated or its items separated by commas.

    Raises:
        UsageError: the words are neither.
    """
    if len(words) == 1 and (words[0] == "-" or words[0].lstrip().startswith("{")):
        text = sys.stdin.read() if words[0] == "-" else words[0]
        try:
            arguments = json.loads(text)
        except ValueError as error:
            raise UsageError(f"the arguments are not valid JSON: {error}") from None
        if not isinstance(arguments, dict):
            raise UsageError("the arguments must be one JSON object")
        return arguments
    pairs: dict[str, Any] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator:
            raise UsageError(f"{word}: not key=value. The arguments are pairs, one JSON object, or -")
        read = _read_value(tool.input_schema["properties"].get(key, {}), value)
        pairs[key] = pairs[key] + read if isinstance(read, list) and key in pairs else read
    return pairs


def _read_value(schema: Mapping[str, Any], text: str) -> Any:
    kind = schema.get("type")
    if kind == "string" or not schema:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if kind == "array" and not isinstance(value, list):
        return text.split(",")
    return value


async def _ask(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Put a question of the gate on the terminal. Only "yes" spelled out, and the name where asked for, is a yes."""
    if isinstance(params, ElicitRequestURLParams):
        return ElicitResult(action="cancel")
    for line in params.message.splitlines():
        print(clean_text(line, 500), file=sys.stderr)
    content: dict[str, str | int | float | bool | list[str] | None] = {"confirm": True}
    try:
        if "name" in params.requested_schema["properties"]:
            content["name"] = await _read_line(f"{params.requested_schema['properties']['name']['description']}: ")
        elif (await _read_line("Type yes to go on, anything else to stop: ")).lower() != "yes":
            return ElicitResult(action="decline")
    except (EOFError, KeyboardInterrupt):
        return ElicitResult(action="cancel")
    return ElicitResult(action="accept", content=content)


async def _read_line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    if sys.platform == "win32":  # whose terminals no event loop can watch
        line = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    else:
        await anyio.wait_readable(sys.stdin)  # a thread that reads would keep Ctrl-C from ending the program
        line = os.read(sys.stdin.fileno(), 4096).decode(errors="replace")
    if not line:
        raise EOFError
    return line.strip()
