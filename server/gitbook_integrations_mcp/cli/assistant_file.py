"""The configuration file of an assistant: read, edited without loss, compared, and replaced as a whole."""

import contextlib
import difflib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from gitbook_integrations_mcp.cli.assistants import Assistant
from gitbook_integrations_mcp.cli.json_document import JsonDocument

MASK = "[masked]"

_REST_OF_SECTION = r"[^\n]*\n?(?:(?:[ \t\r]*(?:#[^\n]*)?\n)*(?![ \t\r]*(?:[\[#]|$))[^\n]+\n?)*"
"""The rest of a header's line, and the lines of its table. Comments and empty lines at the end are not matched."""

IsHidden = Callable[[tuple[str, ...], str], bool]


class Document(Protocol):
    """The content of a file, and edits of it."""

    @property
    def text(self) -> str: ...
    @property
    def content(self) -> Any: ...
    def set(self, path: tuple[str, ...], value: Any) -> None: ...
    def append(self, path: tuple[str, ...], value: Any) -> None: ...
    def rename(self, path: tuple[str, ...], key: str) -> None: ...
    def remove(self, path: tuple[str, ...]) -> None: ...
    def mask(self, is_hidden: IsHidden, mask: str) -> str: ...


class TomlDocument:
    """A TOML file. Comments and layout stay."""

    def __init__(self, text: str) -> None:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        self._mark = "\ufeff" if text.startswith("\ufeff") else ""
        lines = text.removeprefix("\ufeff")
        self._newline = "\r\n" if "\r\n" in lines and "\n" not in lines.replace("\r\n", "") else "\n"
        try:
            self._content = tomlkit.parse(lines.replace("\r\n", "\n") if self._newline == "\r\n" else lines)
            self.content: Any = self._content.unwrap()
        except (TOMLKitError, ValueError) as error:
            line = getattr(error, "line", None)  # the texts of tomlkit quote the file
            raise ValueError(f"is not valid TOML (line {line})" if line else "is not valid TOML") from None
        except RecursionError:
            raise ValueError("is nested too deeply") from None

    @property
    def text(self) -> str:
        """The content as text."""
        import tomlkit

        return self._mark + tomlkit.dumps(self._content).replace("\n", self._newline)

    def set(self, path: tuple[str, ...], value: Any) -> None:
        """Set the value at `path`, and create the tables on the way that do not exist."""
        import tomlkit

        parent: MutableMapping[str, Any] = self._content
        for key in path[:-1]:
            if key not in parent:
                parent[key] = tomlkit.table(is_super_table=True)
            parent = parent[key]
        _set_member(parent, path[-1], value)
        if TomlDocument(self.text).content != self._content.unwrap():
            # Beside dotted keys, the header of a table would take the keys that follow into it.
            del parent[path[-1]]
            parent[path[-1]] = tomlkit.inline_table()
            parent[path[-1]].update(value)
        self.content = self._content.unwrap()

    def append(self, path: tuple[str, ...], value: Any) -> None:
        """Append an item to the list at `path`, which exists."""
        self._find(path).append(value)

    def rename(self, path: tuple[str, ...], key: str) -> None:
        """Give the member at `path` another key."""
        edited = re.sub(_match_header(path), rf"\g<1>{key}", self._content.as_string(), flags=re.MULTILINE)
        parent = self._find(path[:-1])
        parent[key] = parent.pop(path[-1]).unwrap()
        self._choose(edited)

    def remove(self, path: tuple[str, ...]) -> None:
        """Remove the member at `path`."""
        section = f"{_match_header(path)}{_REST_OF_SECTION}"
        sections = rf"(?:^[ \t\r]*\n)?{section}(?:(?:[ \t\r]*(?:#[^\n]*)?\n)*{section})*"
        edited = re.sub(sections, "", self._content.as_string(), flags=re.MULTILINE)
        del self._find(path[:-1])[path[-1]]
        self._choose(edited)

    def mask(self, is_hidden: IsHidden, mask: str) -> str:
        """Return the text with `mask` for each string value for which `is_hidden` is true."""
        copy = TomlDocument(self.text)
        _mask_strings(copy._content, (), is_hidden, mask)
        return copy.text

    def _choose(self, edited: str) -> None:
        """Take the text `edited` if it has the present content.

        It has all comments. For tomlkit, the comment above the next header belongs to the table before it.
        """
        self.content = self._content.unwrap()
        for text in (edited, self._content.as_string()):
            with contextlib.suppress(ValueError):
                document = TomlDocument(text)
                if _omit_empty(document.content) == _omit_empty(self.content):
                    self._content, self.content = document._content, document.content
                    return

    def _find(self, path: tuple[str, ...]) -> Any:
        found: Any = self._content
        for key in path:
            found = found[key]
        return found


def _match_header(path: tuple[str, ...]) -> str:
    """Return a pattern for the headers of the table at `path`, and of those in it, up to its key."""
    *above, key = [rf"[\"']?{re.escape(one)}[\"']?" for one in path]
    return rf"^([ \t]*\[{''.join(f'{one}[.]' for one in above)}){key}(?=[.\]])"


def _omit_empty(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members without empty tables. A table without a header exists only while it has tables in it."""
    return {key: value for key, value in content.items() if value != {}}


def _set_member(parent: MutableMapping[str, Any], key: str, value: Any) -> None:
    """Set a member. An existing table is edited, because it also contains the comment above the next header."""
    import tomlkit
    from tomlkit.items import AbstractTable

    table = parent.get(key)
    if not (isinstance(table, AbstractTable) and isinstance(value, Mapping)):
        parent[key] = value
        return
    for name in [name for name in table if name not in value]:
        del table[name]
    body = table.value.body
    end = len(body)
    while end and body[end - 1][0] is None:  # white space and comments, which stay at the end
        end -= 1
    rest = body[end:]
    del body[end:]
    for name, member in value.items():
        if isinstance(member, Mapping) and name not in table:
            table[name] = tomlkit.inline_table()  # a table with a header would be below the comment
        if name not in table or table[name] != member:
            _set_member(table, name, member)
    body.extend(rest)


def _mask_strings(content: Any, path: tuple[str, ...], is_hidden: IsHidden, mask: str) -> None:
    pairs = content.items() if isinstance(content, Mapping) else enumerate(content)
    for key, value in list(pairs):
        place = (*path, key if isinstance(key, str) else "")
        if isinstance(value, str) and is_hidden(place, str(value)):
            content[key] = mask
        elif isinstance(value, Mapping | list):
            _mask_strings(value, place, is_hidden, mask)


def read_document(assistant: Assistant, text: str) -> Document:
    """Return the content of a file.

    Raises:
        ValueError: it cannot be read; the message is a predicate about the file.
    """
    return TomlDocument(text) if assistant.format == "toml" else JsonDocument(text)


def compare(path: Path, before: str, after: str) -> str:
    """Return a unified diff of two masked texts of a file."""
    context = 0 if path.suffix == ".toml" else 3  # comments in TOML stay unmasked
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{path} (before)", f"{path} (after)", lineterm="", n=context
    )
    return "\n".join(lines)


def read_file(path: Path) -> str | None:
    """Return the text of a file with its line ends and byte order mark, or None if it does not exist.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a regular file, or not UTF-8; the message is a predicate.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
        raise ValueError("is not a regular file")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


def replace_file(path: Path, before: str | None, after: str) -> Path | None:
    """Replace a file that still contains `before`, and return the backup, if there was a file.

    If anything fails, the file stays as it was and nothing is left beside it.

    Raises:
        OSError: it cannot be written.
        ValueError: it changed meanwhile, or `after` cannot be encoded; the message is a predicate.
    """
    content = after.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = write_beside(path, content)
    backup = None
    try:
        _check_unchanged(path, before)
        if before is not None:
            _copy_access(path, new)
            copy = write_beside(path, before.encode())
            backup = copy.replace(path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.bak"))
        new.replace(path)
    except BaseException:
        for leftover in filter(None, (new, backup)):
            leftover.unlink(missing_ok=True)
        raise
    return backup


def _check_unchanged(path: Path, before: str | None) -> None:
    if read_file(path) != before:
        raise ValueError("changed meanwhile. Try again")


def write_beside(path: Path, content: bytes) -> Path:
    """Write a new private file beside `path` completely to the disk, and return it. A failure leaves nothing."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _copy_access(old: Path, new: Path) -> None:
    """Give a new file the mode and, where it is allowed, the owner of the old one."""
    status = old.stat()
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(new, status.st_uid, status.st_gid)
    new.chmod(stat.S_IMODE(status.st_mode))
