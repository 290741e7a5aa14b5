"""Output for people: tables and readable results. Third-party text cannot steer the terminal or the layout."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gitbook_integrations_mcp.text import clean_text

_WIDEST = 60
_IDENTIFYING = ("name", "id", "title", "status", "space_selection", "site_selection", "spaceId", "siteId")
_LENGTHY = frozenset({"object", "description", "summary"})


def print_json(data: Any) -> None:
    """Print `data` as indented JSON, in ASCII: escapes carry any character safely through a terminal."""
    print(json.dumps(data, indent=2))


def print_table(rows: Sequence[Mapping[str, Any]], footer: str = "") -> None:
    """Print `rows` as a table whose columns are the keys of the first row."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A pipe has no width: nothing is wrapped or cut there, so that the next program finds one line a row.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    if rows:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in rows[0]:
            numeric = isinstance(rows[0][name], int | float) and not isinstance(rows[0][name], bool)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(show_value(row.get(name))) for name in rows[0]))
        console.print(table)
    if footer:
        console.print(Text(footer, style="dim"))


def print_result(content: Mapping[str, Any]) -> None:
    """Print the structured content of a result: a list as a table of what decides, an object as its fields."""
    items = content.get("items")
    if isinstance(items, list):
        rows = [_flatten(item) if isinstance(item, Mapping) else {"item": item} for item in items]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        more = content.get("next")
        page = f"; more with page={show_value(more.get('page'))}" if isinstance(more, Mapping) else ""
        print_table([{name: row.get(name) for name in columns} for row in rows], footer=f"{len(items)} items{page}")
        return
    print_table([{"field": name, "value": value} for name, value in _flatten(content, keep_all=True).items()])


def show_value(value: Any) -> str:
    """Return a value on one line, cut where it is long."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return clean_text(", ".join(show_value(item) for item in value), _WIDEST)
    if isinstance(value, Mapping):
        return clean_text(_title(value) or json.dumps(value, ensure_ascii=False), _WIDEST)
    return clean_text(str(value), 2000)


def _title(thing: Mapping[str, Any]) -> str:
    return next((str(thing[key]) for key in ("title", "name", "displayName", "id") if thing.get(key)), "")


def _flatten(item: Mapping[str, Any], *, keep_all: bool = False) -> dict[str, Any]:
    """Return the fields of an object that fit a line; of an object in it, what identifies it."""
    flat: dict[str, Any] = {}
    for key, value in item.items():
        if isinstance(value, Mapping) and not keep_all:
            flat |= {f"{key}.{name}": value[name] for name in _IDENTIFYING if isinstance(value.get(name), str | int)}
        elif keep_all or not (isinstance(value, list) or key in _LENGTHY):
            flat[key] = value
    return flat
