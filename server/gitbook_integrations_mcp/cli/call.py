"""The command `call`: calls one tool through an MCP client in this process, with the same checks as any client."""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CallToolResult,
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
    Implementation,
    TextContent,
    Tool,
)

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.summary import outline
from gitbook_integrations_mcp import NAME, __version__
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.cli.console import print_json, print_result, read_line, read_word
from gitbook_integrations_mcp.config.json_text import JsonError, parse_json
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.confirmation.results import NOT_SENT
from gitbook_integrations_mcp.errors import CallError, ErrorCode, UsageError
from gitbook_integrations_mcp.pipeline.budget import UNLIMITED
from gitbook_integrations_mcp.process import FAILURE, SUCCESS
from gitbook_integrations_mcp.spelling import suggest
from gitbook_integrations_mcp.text import clean_text

_LONGEST_LINE = 100_000
"""More characters than any line of a preview, which cuts its values itself and says so."""

_CALLER = Implementation(name=NAME, version=__version__)
"""Whom a preview names as the one that asks."""

_NOT_SENT = {
    ErrorCode.CONFIRMATION_DECLINED: "Declined. Nothing was sent.",
    ErrorCode.CONFIRMATION_CANCELLED: "Cancelled. Nothing was sent.",
    ErrorCode.CONFIRMATION_INVALID: "The name is wrong. Nothing was sent.",
    ErrorCode.CONFIRMATION_EXPIRED: "The time to approve is over. Nothing was sent. Run the command again.",
    ErrorCode.TARGET_CHANGED: "Someone else changed the target meanwhile. Nothing was sent. Run the command again.",
}
"""For the person at the terminal. The messages of the results are for models."""


def run(settings: Settings, arguments: Namespace) -> int:
    """Call the tool, print its result, and return the exit code; a call that is not confirmed has failed.

    Raises:
        UsageError: an unknown tool, or arguments that cannot be read.
        CallError: the error of the tool.
    """
    words = [read_word(word) for word in arguments.arguments]
    # Within the event loop, reading would keep Ctrl-C from ending the program.
    text = sys.stdin.read().removeprefix("\ufeff") if words == ["-"] else None
    result = anyio.run(_call, settings, arguments.tool, words, text)
    if isinstance(result, UsageError):
        raise result
    content = result.structured_content
    if result.is_error or content is None:
        raise read_error(result)
    not_sent = content.get("status") == NOT_SENT
    if not_sent:
        print(_describe_refusal(content), file=sys.stderr)
    if arguments.json:
        print_json(content)
    elif not not_sent:
        print_result(content, _list_columns(arguments.tool))
    return FAILURE if not_sent else SUCCESS


def _describe_refusal(content: Mapping[str, Any]) -> str:
    """Return why a call was not sent, in a sentence for the person who runs the command."""
    if content["code"] == ErrorCode.CONFIRMATION_UNAVAILABLE and not _can_ask():
        return "This call needs your approval. Nothing was sent. Run the command in a terminal: it asks there."
    return next((text for code, text in _NOT_SENT.items() if code == content["code"]), str(content["message"]))


def read_error(result: CallToolResult) -> CallError:
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    name = (result.structured_content or {}).get("code", ErrorCode.INTERNAL_ERROR)
    return CallError(text, next(code for code in ErrorCode if code == name))


def _can_ask() -> bool:
    """Whether a human at a terminal can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _list_columns(name: str) -> list[str]:
    """Return the main fields of a tool's items: a column that is empty in every row says something, too."""
    fields = outline(TOOLS[name].result.model) if name in TOOLS else {}
    return [field for field, inner in fields.items() if inner is None]


async def _call(settings: Settings, name: str, words: Sequence[str], text: str | None) -> CallToolResult | UsageError:
    # Without a terminal nobody can be asked, and a confirmation page would end with this command.
    never = settings.confirmation.ask == "fallback" and settings.confirmation.fallback == "refuse"
    ask = "fallback" if never else "form"
    confirmation = settings.confirmation.model_copy(update={"ask": ask, "fallback": "refuse"})
    # A shell has no context window: results are complete, also those that a model gets truncated.
    limits = settings.limits.model_copy(update={"result_tokens": UNLIMITED.tokens})
    settings = settings.model_copy(update={"confirmation": confirmation, "limits": limits})
    ask_human = _ask if _can_ask() else None
    async with Client(create_server(settings), elicitation_callback=ask_human, client_info=_CALLER) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        if name in TOOLS and name not in tools:
            return await client.call_tool(name, {})  # the server says which setting leaves it out
        if name not in tools:
            text = f"{name}: unknown tool.{suggest(name, tools)} `{NAME} tools` lists the tools."
            return UsageError(text, ErrorCode.UNKNOWN_TOOL)
        try:
            arguments = read_arguments(tools[name], words, text)
        except UsageError as error:
            return error  # raised, it would leave the client in a group of exceptions
        return await client.call_tool(name, arguments)


def read_arguments(tool: Tool, words: Sequence[str], text: str | None) -> dict[str, Any]:
    """Return the arguments in `words`: key=value pairs, or one JSON object, which can be `text` from standard input.

    The tool's schema decides how a value is read: text stays text, everything else is JSON. For a list, repeat the key
    or separate the items by commas.

    Raises:
        UsageError: the words are none of these.
    """
    if text is None and len(words) == 1 and words[0].lstrip().startswith("{"):
        text = words[0]
    if text is not None:
        try:
            arguments = parse_json(text)
        except JsonError as error:
            raise UsageError(f"The text of the arguments {error}.") from None
        if not isinstance(arguments, dict):
            raise UsageError("The arguments must be one JSON object.")
        return arguments
    pairs: dict[str, Any] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator:
            raise UsageError(
                f"{word}: not key=value. Pass key=value pairs, one JSON object, or - to read it from stdin."
            )
        read = _read_value(tool.input_schema["properties"].get(key, {}), value)
        pairs[key] = pairs[key] + read if isinstance(read, list) and key in pairs else read
    return pairs


def _read_value(schema: Mapping[str, Any], text: str) -> Any:
    kind = schema.get("type")
    if kind == "string" or not schema:
        return text
    try:
        value = parse_json(text)
    except JsonError:
        value = text
    if kind == "array" and not isinstance(value, list):
        return text.split(",")
    return value


async def _ask(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Ask for approval on the terminal. Only the typed name, or "yes" where no name is asked for, approves."""
    if isinstance(params, ElicitRequestURLParams):
        return ElicitResult(action="cancel")
    for line in params.message.splitlines():
        print(clean_text(line, _LONGEST_LINE), file=sys.stderr)
    content: dict[str, str | int | float | bool | list[str] | None] = {"confirm": True}
    try:
        if "name" in params.requested_schema["properties"]:
            content["name"] = await read_line(f"{params.requested_schema['properties']['name']['description']}: ")
        elif (await read_line("Type yes to approve, anything else to decline: ")).lower() != "yes":
            return ElicitResult(action="decline")
    except (EOFError, KeyboardInterrupt):
        return ElicitResult(action="cancel")
    return ElicitResult(action="accept", content=content)
