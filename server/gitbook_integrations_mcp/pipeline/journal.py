"""The journal: one line of JSON for every call that changes something, written before the call is sent.

A line is appended with room for the outcome, and the outcome is filled in after the call. So a change that cannot be
recorded is never sent, and a crash during a call leaves a record with an unknown outcome. If the file was rotated
during the call, the outcome is appended to the new file.
"""

import errno
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.json_body import read_json
from gitbook_integrations_mcp.calls.masking import MASK, mask_secrets
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.confirmation.results import Approval
from gitbook_integrations_mcp.errors import JournalError, UnreachableError
from gitbook_integrations_mcp.gitbook.http import GitBookResponse

logger = logging.getLogger(__name__)

_ROOM = 1024
"""Bytes of a line reserved for the outcome."""

_BINARY = getattr(os, "O_BINARY", 0)
"""On Windows, other files get carriage returns, and positions in them are wrong."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal without an outcome yet: its record, its file (device, inode), position and length."""

    record: dict[str, Any]
    file: tuple[int, int]
    position: int
    length: int


class Journal:
    """Appends to the file at `path`, which several processes may share."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def begin(self, call: EndpointCall, approval: Approval | None, before: Mapping[str, Any] | None) -> Entry:
        """Record that `call` is about to be sent.

        Raises:
            JournalError: it cannot be recorded, so it must not be sent.
        """
        record = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "tool": call.tool.name,
            "operation": call.tool.operation,
            "digest": call.digest,
            "arguments": _mask_values(call, call.arguments),
            "principal": call.caller.principal,
            "confirmation": approval.mode if approval else None,
            "before": _mask_values(call, before),
            "undo": _describe_undo(call, before, None),
            "outcome": "unknown",
            "status": None,
            "attempts": None,
            "requestId": None,
        }
        try:
            return await anyio.to_thread.run_sync(self._append, record)
        except OSError as error:
            raise JournalError(
                f"The journal cannot be written ({error.strerror}), so {call.tool.name} was not sent. Ask the operator "
                "to fix journal.path or free disk space."
            ) from None

    async def finish(
        self,
        entry: Entry,
        call: EndpointCall,
        outcome: GitBookResponse | UnreachableError,
        before: Mapping[str, Any] | None,
    ) -> None:
        """Record the outcome of the call of `entry`.

        Raises:
            OSError: it cannot be recorded; the line stays, with the outcome unknown.
        """
        fields: dict[str, Any] = {"attempts": outcome.attempts}
        if isinstance(outcome, GitBookResponse):
            done, failed = 200 <= outcome.status < 300, is_certain_failure(outcome)
            fields |= {
                "outcome": "done" if done else "failed" if failed else "unknown",
                "status": outcome.status,
                "requestId": call.caller.credentials.scrub(
                    outcome.headers.get("x-request-id") or outcome.headers.get("cf-ray") or ""
                )[:100]
                or None,
            }
            if done:
                fields["undo"] = _describe_undo(call, before, outcome)
            elif failed:
                fields["undo"] = None
        elif not outcome.sent:
            fields |= {"outcome": "not sent", "undo": None}
        await anyio.to_thread.run_sync(self._fill_in, entry, fields)

    def _append(self, record: dict[str, Any]) -> Entry:
        line = _encode(record)
        length = len(line) + _ROOM
        # One write to a file opened for appending is atomic between processes. Only the owner may read the file.
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _BINARY, 0o600)
        try:
            # A crash may have left an incomplete line, which stays a line of its own.
            is_incomplete = os.lseek(descriptor, 0, os.SEEK_END) > 0 and not _ends_line(descriptor)
            whole = (b"\n" if is_incomplete else b"") + line.ljust(length) + b"\n"
            written = os.write(descriptor, whole)
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.fsync(descriptor)
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if written < len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Entry(record, (status.st_dev, status.st_ino), end - length - 1, length)

    def _fill_in(self, entry: Entry, fields: dict[str, Any]) -> None:
        record = entry.record | fields
        line = _encode(record)
        if len(line) > entry.length:
            line = _encode(record | {"undo": None})
        if not self._replace_line(entry, line):
            self._append(record)
            logger.warning(
                "the journal was rotated during %s, so its outcome is a line of its own", entry.record["tool"]
            )

    def _replace_line(self, entry: Entry, line: bytes) -> bool:
        """Write `line` over the line of `entry`, and return whether that line was still there."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | _BINARY)
        except FileNotFoundError:
            return False
        try:
            status = os.fstat(descriptor)
            os.lseek(descriptor, entry.position, os.SEEK_SET)
            begun = _encode(entry.record).ljust(entry.length)
            if (status.st_dev, status.st_ino) != entry.file or os.read(descriptor, entry.length) != begun:
                return False
            os.lseek(descriptor, entry.position, os.SEEK_SET)
            os.write(descriptor, line.ljust(entry.length))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True


def is_certain_failure(response: GitBookResponse) -> bool:
    """Whether a call had no effect for certain.

    A gateway that gave up (408, 5xx) or redirects does not know, and an earlier attempt may have taken effect.
    """
    return 400 <= response.status < 500 and response.status != 408 and not response.uncertain


def _ends_line(descriptor: int) -> bool:
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) == b"\n"


def _encode(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a journal, oldest first; an unreadable line yields a record that says so.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue  # a process took another's half-written line for an incomplete one, and began a new line
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            yield record if isinstance(record, dict) else {"outcome": f"line {number} cannot be read"}


def _mask_values(call: EndpointCall, value: Any) -> Any:
    """Return `value` without secrets and without the caller's own tokens."""
    return json.loads(call.caller.credentials.scrub(json.dumps(mask_secrets(value))))


def _describe_undo(
    call: EndpointCall, before: Mapping[str, Any] | None, response: GitBookResponse | None
) -> dict[str, Any] | None:
    """Return the call that would undo `call`, if it is known; `complete` says whether it restores everything."""
    undo = call.tool.undo
    if undo is None:
        return None
    sources: dict[str, Any] = {"arguments": call.arguments, "before": before, "result": _parse_body(response)}
    arguments: dict[str, Any] = {}
    for name, source in undo.arguments:
        if undo.tool == call.tool.name and source.startswith("before.") and name not in call.arguments:
            continue  # the call did not change it
        value = get_path(sources, source)
        if value is None:
            return None
        arguments[name] = _mask_values(call, {name: value})[name]
    complete = undo.whole and MASK not in json.dumps(arguments)
    return {"tool": undo.tool, "arguments": arguments, "complete": complete}


def _parse_body(response: GitBookResponse | None) -> Any:
    try:
        return read_json(response.body) if response else None
    except ValueError:
        return None
