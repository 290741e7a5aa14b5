"""The command `changes`: shows the changes that were made through this server."""

import json
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import anyio

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_mcp.cli.console import COMMAND, Line, print_json, print_lines, use_utf8
from gitbook_integrations_mcp.cli.launcher import name_command
from gitbook_integrations_mcp.composites.change_list import describe_change
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import ArgumentsError, UsageError
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.spelling import suggest
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text, format_count
from gitbook_integrations_mcp.times import read_period

_COLUMNS = ("time", "id", "tool", "outcome", "status", "approval", "who")
_STYLES = {"failed": "red", "unknown": "yellow"}
_CHARACTERS = 60
"""Length at which the value of an argument is cut. JSON has all of it."""

_POLL_SECONDS = 1.0
_OUTCOME_SECONDS = 600
"""Time in which the outcome of a call is recorded."""


def run(settings: Settings, arguments: Namespace) -> int:
    """Print changes as text or as JSON; with `--follow`, new ones as they happen.

    Raises:
        UsageError: a date cannot be understood, or a tool is unknown.
        StoreError: the store cannot be used.
    """
    try:
        since, until = read_period(arguments.since, arguments.until, time.time(), prefix="--")
    except ArgumentsError as error:
        raise UsageError(str(error)) from None
    if (tool := arguments.tool) is not None and tool not in TOOLS:
        raise UsageError(f"--tool {clean_text(tool, 64)}: unknown tool.{suggest(tool, TOOLS)}")
    conditions = {
        "organization": arguments.organization,
        "tool": tool,
        "outcome": arguments.outcome,
        "since": since,
        "until": until,
        "limit": arguments.limit,
    }
    return anyio.run(_show, settings, arguments, conditions)


async def _show(settings: Settings, arguments: Namespace, conditions: Mapping[str, Any]) -> int:
    store = Store(settings)
    try:
        found = await store.changes.search(None, **conditions)
        if arguments.follow:
            await _follow(store, arguments, conditions, found)
        elif arguments.json:
            print_json([describe_change(one) for one in found])
        else:
            _print(found)
    finally:
        await store.close()
    return SUCCESS


async def _follow(store: Store, arguments: Namespace, conditions: Mapping[str, Any], found: list[Change]) -> None:
    """Print changes, the oldest first, one a line, and again with their outcome, for as long as nobody interrupts."""
    use_utf8()
    printed: dict[tuple[str, str], float] = {}
    oldest = found[-1].time if len(found) == arguments.limit else conditions["since"] or 0
    while True:
        for one in reversed(found):
            key = (one.id, one.outcome)
            if key not in printed:
                printed[key] = one.time
                row = describe_change(one)
                short = "  ".join(str(row.get(name, "-")) for name in _COLUMNS)
                print(json.dumps(row) if arguments.json else short, flush=True)
        await anyio.sleep(_POLL_SECONDS)
        # Rows of other processes can appear late, and outcomes do.
        since = max(oldest, time.time() - _OUTCOME_SECONDS)
        printed = {key: moment for key, moment in printed.items() if moment >= since}
        found = await store.changes.search(None, **{**conditions, "since": since, "limit": None})


def _print(found: list[Change]) -> None:
    """Print changes in two lines each: what happened, and the ID with the arguments."""
    for one in found:
        row = describe_change(one)
        moment, outcome = str(row["time"])[:19].replace("T", " "), str(row["outcome"])
        by = ", ".join(str(row[name]) for name in ("approval", "who") if name in row)
        part = f"  part of {row['plan']}" if "plan" in row else ""
        arguments = " ".join(f"{name}={_shorten(value)}" for name, value in row["arguments"].items())
        first: Line = [
            (f"{moment}  {outcome:8}  ", _STYLES.get(outcome, "")),
            (row["tool"], "bold"),
            (f"  {by}", "dim"),
        ]
        print_lines([first, [(f"  {row['id']}{part}  {arguments}", "")]])
    print_lines([[(f"{format_count(len(found), 'change')}; times are in UTC", "dim")]])
    if found:
        print_lines([[("Undo one, after your approval:", "")]])
        print_lines([[(f"  {name_command()} call undo_change changeId=ID", COMMAND)]])


def _shorten(value: Any) -> str:
    return clean_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _CHARACTERS)
