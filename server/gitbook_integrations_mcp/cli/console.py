"""Output for people: tables, results, errors. Third-party text cannot control the terminal or the layout."""

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.cli.launcher import show_commands
from gitbook_integrations_mcp.errors import ProgramError
from gitbook_integrations_mcp.text import clean_text, format_count, strip_unseen

_MAX_WIDTH = 60
_INPUT_BYTES = 4096

_HANGING = 2
"""Number of columns by which the second row of a line is indented."""

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


async def read_line(prompt: str) -> str:
    """Return the line that a person types.

    Raises:
        EOFError: standard input has ended.
    """
    import anyio

    print(prompt, end="", file=sys.stderr, flush=True)
    if sys.platform == "win32":  # where no event loop can watch standard input
        read = (await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)).encode()
    else:
        read = b""
        while b"\n" not in read:
            with contextlib.suppress(PermissionError):  # how Linux refuses to watch a file, which never blocks
                await anyio.wait_readable(sys.stdin)  # a thread that reads would keep Ctrl-C from ending the program
            if not (part := os.read(sys.stdin.fileno(), _INPUT_BYTES)):
                break
            read += part
    if not read:
        raise EOFError
    return read.partition(b"\n")[0].decode(errors="replace").strip()


def print_json(data: Any) -> None:
    """Print `data` as indented JSON, in ASCII: escapes carry any character safely through a terminal."""
    use_utf8()
    print(json.dumps(data, indent=2))


def print_error(error: ProgramError, *, as_json: bool) -> None:
    """Print an error to standard error, or as JSON where a result would be."""
    if as_json:
        print_json({"error": {"code": error.code, "message": str(error)}})
        return
    first, *others = [clean_text(line, 2000) for line in show_commands(address(str(error))).splitlines()] or [""]
    print("\n".join([f"{NAME}: {first}", *others]), file=sys.stderr)


def address(text: str) -> str:
    """Return an error or a problem in words for the person at the terminal, who operates this program."""
    text = re.sub(r"(?:Ask the operator|(Or) ask them) to (\w)", lambda found: _start(found[1], found[2]), text)
    text = text.replace(" ask the operator to ", " ").replace(" Tell the user whom to ask.", "")
    return re.sub(r" and restart the server|, which needs no restart", "", text)


def _start(word: str | None, letter: str) -> str:
    return f"{word} {letter}" if word else letter.upper()


def print_warning(text: str) -> None:
    """Print a warning to standard error."""
    print(f"{NAME}: warning: {clean_text(show_commands(text), 2000)}", file=sys.stderr)


Line = list[tuple[str, str]]
"""A line of text in parts, each with its style."""

COMMAND = "cyan"
"""The style of commands. A line with a command only is never wrapped, so that it can be copied."""


def print_lines(lines: Iterable[Line]) -> None:
    """Print lines. A terminal gets colours, if it has some, and lines that are wrapped at words."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        parts = ((strip_unseen(text).replace("\n", " ").replace("\t", " "), style) for text, style in line)
        whole = Text.assemble(*parts)
        whole.rstrip()
        if not sys.stdout.isatty() or [style for _, style in line] == [COMMAND]:
            console.print(whole)
            continue
        margin = len(whole.plain) - len(whole.plain.lstrip())
        hanging = margin + (_HANGING if margin or len(line) > 1 else 0)  # a paragraph has none
        rows = whole.divide(_find_breaks(whole.plain, console.width, hanging))
        for number, row in enumerate(rows):
            row.rstrip()
            console.print(Text(" " * hanging) + row if number else row)


def _find_breaks(text: str, width: int, margin: int) -> Iterator[int]:
    """Yield where a line breaks between words. A word that is too long stays whole, so that it can be copied."""
    from rich.cells import cell_len

    start, room = 0, width
    for word in re.finditer(r"\S+", text):
        if cell_len(text[start : word.end()]) > room and cell_len(word[0]) <= width - margin:
            yield word.start()
            start, room = word.start(), width - margin


def print_table(
    rows: Sequence[Mapping[str, Any]], notes: Iterable[str] = (), styles: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Print `rows` as a table, and notes below it.

    The columns are the keys of the first row. `styles` are those of columns.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A pipe has no width: nothing is wrapped or cut there, so that the next program finds one line a row.
    is_terminal = sys.stdout.isatty()
    console = Console(width=None if is_terminal else 1_000_000, highlight=False)
    notes = [*notes]
    if rows:
        columns = _choose_columns(rows, console.width) if is_terminal else list(rows[0])
        if hidden := [name for name in rows[0] if name not in columns]:
            notes.append(f"Not shown, because the terminal is too narrow: {', '.join(hidden)}")
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for name in columns:
            numeric = isinstance(rows[0][name], int | float) and not isinstance(rows[0][name], bool)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold", style=styles.get(name))
        for row in rows:
            table.add_row(*(Text(format_value(row.get(name))) for name in columns))
        with console.capture() as capture:
            console.print(table)
        print("\n".join(line.rstrip() for line in capture.get().splitlines()))
    print_lines([(note, "dim")] for note in notes)


def _choose_columns(rows: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return the columns that fit a line: the first two, then names, IDs and states, then the others.

    IDs folded into columns of a few characters could not be read or copied.
    """
    from rich.cells import cell_len

    names = list(rows[0])
    widths = {name: 2 + max(map(cell_len, (name, *(format_value(row.get(name)) for row in rows)))) for name in names}
    chosen = set(names[:2])
    used = sum(widths[name] for name in chosen) - 2
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
        more, note = content.get("next"), content.get("note")
        notes = [
            format_count(len(items), "item"),
            f"There is more: add page={format_value(more.get('page'))}" if isinstance(more, Mapping) else "",
            format_value(note),
        ]
        print_table([{name: row.get(name) for name in columns} for row in rows], filter(None, notes))
        return
    print_fields(content)


def print_fields(content: Mapping[str, Any]) -> None:
    """Print an object: a line for each field that is not empty, and the fields of objects in it below their names."""
    print_lines(_list_lines(content))


def _list_lines(thing: Mapping[str, Any], margin: str = "") -> Iterator[Line]:
    for key, value in thing.items():
        if key in _NOISE or value is None or value in ("", [], {}):
            continue
        name: tuple[str, str] = (f"{margin}{clean_text(key, _MAX_WIDTH)}: ", "bold")
        if isinstance(value, Mapping) and value.keys() == {"from", "to"}:
            before, after = (_format_line(value[one]) or "none" for one in ("from", "to"))
            yield [name, (f"{before} → {after}", "")]
        elif isinstance(value, Mapping) and not ("id" in value and _title(value)):
            yield [name]
            yield from _list_lines(value, f"{margin}  ")
        elif isinstance(value, list) and not _fits_line(value):
            yield [name]
            for item in value:
                yield from _list_item(item, f"{margin}  ")
        else:
            yield [name, (_format_line(value), "")]


def _list_item(item: Any, margin: str) -> Iterator[Line]:
    if not isinstance(item, Mapping):
        yield [(f"{margin}- {_format_line(item)}", "")]
        return
    lines = list(_list_lines(item, f"{margin}  "))
    for (text, style), *others in lines[:1]:
        yield [(f"{margin}- {text[len(margin) + 2 :]}", style), *others]
    yield from lines[1:]


def _fits_line(items: list[Any]) -> bool:
    is_plain = not any(isinstance(item, Mapping | list) for item in items)
    return is_plain and sum(len(str(item)) for item in items) <= _MAX_WIDTH


def _format_line(value: Any) -> str:
    """Return a value on one line. An object is its title and ID, or its JSON."""
    if isinstance(value, Mapping) and "id" in value and _title(value):
        return clean_text(f"{_title(value)} ({value['id']})", 2000)
    if isinstance(value, Mapping | list) and not (isinstance(value, list) and _fits_line(value)):
        return clean_text(json.dumps(value, ensure_ascii=False), 2000)
    return format_value(value)


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
