"""The command `journal`: shows the journal of changes."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from gitbook_integrations_mcp.cli.console import count, print_json, print_table
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import JournalError, UsageError
from gitbook_integrations_mcp.pipeline.journal import read_journal
from gitbook_integrations_mcp.process import SUCCESS

_COLUMNS = ("time", "tool", "confirmation", "outcome", "status", "requestId", "principal", "arguments")


def run(settings: Settings, arguments: Namespace) -> int:
    """Print a journal as a table or as JSON.

    Raises:
        UsageError: no journal is named.
        JournalError: it cannot be read.
    """
    path: Path | None = arguments.path or settings.journal.path
    if path is None:
        raise UsageError("The journal is disabled. Set journal.path, or pass a file.")
    records = _read(path)
    if arguments.json:
        print_json(records)
        return SUCCESS
    rows = [{name: record.get(name) for name in _COLUMNS} for record in records]
    for row in rows:
        row["arguments"] = json.dumps(row["arguments"], ensure_ascii=False)
    print_table(rows, footer=count(len(records), "call"))
    return SUCCESS


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        return list(read_journal(path))
    except FileNotFoundError:
        raise JournalError(f"{path} does not exist. No change has been recorded yet.") from None
    except OSError as error:
        raise JournalError(f"Cannot read the journal {path}: {error.strerror}.") from None
    except RecursionError:
        raise JournalError(f"{path} has a line that is nested too deeply, so no server wrote it.") from None
