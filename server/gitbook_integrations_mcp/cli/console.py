"""Output for people: tables, results, errors. Third-party text cannot control the terminal or the layout."""

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.errors import ProgramError
from gitbook_integrations_mcp.text import clean_text, strip_unseen

_MAX_WIDTH = 60
_IDENTIFYING = ("name", "id", "title", "status", "space_selection", "site_selection", "spaceId", "siteId")
_PREFERRED = frozenset({"name", "id", "title", "status", "tool", "risk"})
_LONG = frozenset({"object", "description", "summary"})
_NOISE = frozenset({"object", "permissions"})


def use_utf8() -> None:
    """Write UTF-8 with line feeds from now on, for other programs. Terminals keep their own encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")


def read_word(word: str) -> str:
    """Return a word of the command line as text, also if the locale knows only ASCII."""
    is_escaped = any("\udc80" <= character <= "\udcff" for character in word)
    return os.fsencode(word).decode(errors="replace") if is_escaped else word


def print_json(data: Any) -> None:
    """Print `data` as indented JSON, in ASCII: escapes carry any character safely through a terminal."""
    use_utf8()
    print(json.dumps(data, indent=2))


def print_error(error: ProgramError, *, as_json: bool) -> None:
    """Print an error to standard error, or as JSON where a result would be."""
    if as_json:
        print_json({"error": {"code": error.code, "message": str(error)}})
        return
    first, *others = [clean_text(line, 2000) for line in str(error).splitlines()] or [""]
    print("\n".join([f"{NAME}: {first}", *others]), file=sys.stderr)


def print_warning(text: str) -> None:
    """Print a warning to standard error."""
    print(f"{NAME}: warning: {clean_text(text, 2000)}", file=sys.stderr)


def count(number: int, noun: str) -> str:
    """Return a number of things, in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


Line = list[tuple[str, str]]
"""A line of text in parts, each with its style."""


def print_lines(lines: Iterable[Line]) -> None:
    """Print lines, in colour on a terminal that has colours."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        parts = ((strip_unseen(text).replace("\n", " ").replace("\t", " "), style) for text, style in line)
        console.print(Text.assemble(*parts))


def print_table(
    rows: Sequence[Mapping[str, Any]], footer: str = "", styles: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Print `rows` as a table whose columns are the keys of the first row. `styles` are those of columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A pipe has no width: nothing is wrapped or cut there, so that the next program finds one line a row.
    is_terminal = sys.stdout.isatty()
    console = Console(width=None if is_terminal else 1000, highlight=False)
    if rows:
        columns = _choose_columns(rows, console.width) if is_terminal else list(rows[0])
        if hidden := [name for name in rows[0] if name not in columns]:
            footer = f"{footer}; hidden (terminal too narrow): {', '.join(hidden)}".removeprefix("; ")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in columns:
            numeric = isinstance(rows[0][name], int | float) and not isinstance(rows[0][name], bool)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold", style=styles.get(name))
        for row in rows:
            table.add_row(*(Text(format_value(row.get(name))) for name in columns))
        console.print(table)
    if footer:
        console.print(Text(footer, style="dim"))


def _choose_columns(rows: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return the columns that fit a line: the first two, then names, IDs and states, then the others.

    IDs folded into columns of a few characters could not be read or copied.
    """
    from rich.cells import cell_len

    names = list(rows[0])
    widths = {name: 3 + max(map(cell_len, (name, *(format_value(row.get(name)) for row in rows)))) for name in names}
    chosen = set(names[:2])
    used = sum(widths[name] for name in chosen) - 3
    for name in sorted(names[2:], key=lambda name: name.rpartition(".")[2] not in _PREFERRED):
        if used + widths[name] <= width:
            used += widths[name]
            chosen.add(name)
    return [name for name in names if name in chosen]


def print_result(content: Mapping[str, Any], declared: Sequence[str] = ()) -> None:
    """Print the structured content of a result: a list as a table of its main fields, an object as all its fields."""
    items = content.get("items")
    if isinstance(items, list):
        rows = [_flatten(item) if isinstance(item, Mapping) else {"item": item} for item in items]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        if rows and all(isinstance(item, Mapping) for item in items):
            columns += [name for name in declared if not any(name in item for item in items) and name not in _LONG]
        more = content.get("next")
        page = f"; more with page={format_value(more.get('page'))}" if isinstance(more, Mapping) else ""
        note = f"; {format_value(content['note'])}" if content.get("note") else ""
        print_table(
            [{name: row.get(name) for name in columns} for row in rows],
            footer=f"{count(len(items), 'item')}{page}{note}",
        )
        return
    print_table([{"field": name, "value": value} for name, value in _iterate_fields(content)])


def format_value(value: Any) -> str:
    """Return a value on one line, cut if it is long."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return clean_text(", ".join(format_value(item) for item in value), 2000)
    if isinstance(value, Mapping):
        return clean_text(
            _title(value) or str(value.get("id") or "") or json.dumps(value, ensure_ascii=False), _MAX_WIDTH
        )
    return clean_text(str(value), 2000)


def _title(thing: Mapping[str, Any]) -> str:
    return next((str(thing[key]) for key in ("title", "name", "displayName") if thing.get(key)), "")


def _iterate_fields(thing: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of an object. An object in it becomes its title or, without one, fields with both names."""
    for key, value in thing.items():
        name = f"{prefix}{clean_text(key, _MAX_WIDTH)}"
        if key in _NOISE:
            continue
        if isinstance(value, Mapping) and value and not _title(value):
            yield from _iterate_fields(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value, start=1):
                yield f"{name}.{number}", _format_fields(item) if isinstance(item, Mapping) else item
        else:
            yield name, value


def _format_fields(thing: Mapping[str, Any]) -> str:
    """Return the fields of an object on one line."""
    return ", ".join(f"{name}: {format_value(value)}" for name, value in _iterate_fields(thing))


def _flatten(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an object that fit a line. An object in it becomes the fields that identify it."""
    flat: dict[str, Any] = {}
    for key, value in item.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": value[name] for name in _IDENTIFYING if isinstance(value.get(name), str | int)}
        elif key not in _LONG and _fits(value):
            flat[key] = value
    return flat


def _fits(value: Any) -> bool:
    """Whether a value is short enough for a table. Objects in a list count as their titles."""
    return not isinstance(value, list) or all(
        _title(one) if isinstance(one, Mapping) else isinstance(one, str) for one in value
    )
