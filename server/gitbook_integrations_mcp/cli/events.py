"""The command `events`: groups an integration's events by type and error, or prints new ones as they arrive."""

import json
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import anyio
from mcp import Client

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.cli import call
from gitbook_integrations_mcp.cli.console import print_json, print_table, use_utf8
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import CallError
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.text import clean_text, format_count

_POLL_SECONDS = 10.0
"""Time between two looks, as in GitBook's own command line."""

_PAGE = 20
_COLUMNS = ("type", "status", "count", "first", "last", "error")
_CHARACTERS = 500


def run(settings: Settings, arguments: Namespace) -> int:
    """Print the groups; with `--follow`, new events with their logs until interrupted.

    Raises:
        CallError: the events cannot be read.
    """
    failure = anyio.run(_follow if arguments.follow else _show, settings, arguments)
    if failure is not None:
        raise failure
    return SUCCESS


async def _show(settings: Settings, arguments: Namespace) -> CallError | None:
    given = {name: value for name in ("status", "type", "since", "until") if (value := getattr(arguments, name))}
    async with Client(create_server(settings)) as client:
        try:
            content = await _read(client, "inspect_integration_events", arguments.name, **given)
        except CallError as error:
            return error
    if arguments.json:
        print_json(content)
        return None
    rows = [{name: one.get(name) for name in _COLUMNS} for one in content["groups"]]
    for row in rows:
        row |= {name: str(row[name] or "")[:16].replace("T", " ") for name in ("first", "last")}
    total = f"{format_count(content['events'], 'event')}, {content['failed']} failed; times are in UTC"
    print_table(rows, filter(None, [total, content.get("note")]))
    for one in content["groups"]:
        if logs := one["sample"].get("logs"):
            print(f"\n{one['type']}, event {one['sample']['eventId']}")
            print(*(f"    {clean_text(line, _CHARACTERS)}" for line in logs), sep="\n")
    return None


async def _follow(settings: Settings, arguments: Namespace) -> CallError | OSError:
    use_utf8()
    printed: set[str] = set()
    begins = True
    async with Client(create_server(settings)) as client:
        while True:
            try:
                for event in await read_new(client, arguments, printed, begins=begins):
                    trace = await _read(client, "get_integration_event", arguments.name, eventId=event["id"])
                    _print(trace, as_json=arguments.json)
            except (CallError, OSError) as error:
                return error  # raised within the client, it would leave it in a group of exceptions
            begins = False
            await anyio.sleep(_POLL_SECONDS)


async def read_new(client: Client, arguments: Namespace, printed: set[str], *, begins: bool) -> list[Mapping[str, Any]]:
    """Return the events that were not `printed` yet and match, the oldest first. They are in `printed` afterwards.

    At the beginning, only those of one page are read.

    Raises:
        CallError: the events cannot be read.
    """
    found: list[Mapping[str, Any]] = []
    page: dict[str, Any] = {}
    while True:
        listed = await _read(client, "list_integration_events", arguments.name, limit=_PAGE, detail="full", **page)
        new = [one for one in listed["items"] if one["id"] not in printed]
        found += [
            one
            for one in new
            if arguments.status in {None, one.get("status")} and arguments.type in {None, get_path(one, "payload.type")}
        ]
        printed.update(one["id"] for one in new)
        page = listed.get("next", {})
        if begins or not page or len(new) < len(listed["items"]):
            return sorted(found, key=lambda one: str(one.get("createdAt")))


async def _read(client: Client, tool: str, integration: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, {"integrationName": integration, **arguments})
    if result.is_error or result.structured_content is None:
        raise call.read_error(result)
    content: dict[str, Any] = result.structured_content
    return content


def _print(traced: Mapping[str, Any], *, as_json: bool) -> None:
    """Print an event on one line, and each line of its log below it."""
    if as_json:
        print(json.dumps(traced), flush=True)
        return
    event = traced.get("event", {})
    line = (event.get("createdAt"), event.get("status"), get_path(event, "payload.type"), event.get("id"))
    print("  ".join(clean_text(str(one), 100) for one in line), flush=True)
    for log in get_path(traced, "trace.logs") or ():
        print(f"    {log.get('level')}: {clean_text(str(log.get('message')), _CHARACTERS)}", flush=True)
