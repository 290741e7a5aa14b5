"""The journal: one line of JSON for every call that changes something, there before the call is sent.

A line is appended whole, with room for the outcome, and the outcome is filled in when it is known. So a write that
cannot be recorded is never sent, and one whose outcome got lost in a crash is still on record, as of unknown outcome.
"""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.masking import MASK, mask_secrets
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.confirmation.results import Approval
from gitbook_integrations_mcp.errors import JournalError, UnreachableError
from gitbook_integrations_mcp.gitbook.http import GitBookResponse

_ROOM = 1024
"""Bytes of a line kept free for the outcome."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal whose outcome is open: what it says, and where it stands: file, position, length."""

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
            "arguments": _mask(call, call.arguments),
            "principal": call.caller.principal,
            "confirmed": approval.mode if approval else None,
            "before": _mask(call, before),
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
                f"The journal cannot be written ({error.strerror}), so {call.tool.name} was not sent. The operator "
                "of this server mends journal.path, or frees space."
            ) from None

    async def finish(
        self,
        entry: Entry,
        call: EndpointCall,
        ended: GitBookResponse | UnreachableError,
        before: Mapping[str, Any] | None,
    ) -> None:
        """Fill in how the call of an entry ended.

        Raises:
            OSError: it cannot be filled in; the line stays, with its outcome unknown.
        """
        outcome: dict[str, Any] = {"attempts": ended.attempts}
        if isinstance(ended, GitBookResponse):
            done = 200 <= ended.status < 300
            outcome |= {
                # What a lost answer may hide is not known, whatever a later one says of its own attempt.
                "outcome": "done" if done else "unknown" if ended.uncertain else "failed",
                "status": ended.status,
                "requestId": (ended.headers.get("x-request-id") or ended.headers.get("cf-ray") or "")[:100] or None,
            }
            if done:
                outcome["undo"] = _describe_undo(call, before, ended)
            elif not ended.uncertain:
                outcome["undo"] = None
        elif not ended.sent:
            outcome |= {"outcome": "not sent", "undo": None}
        await anyio.to_thread.run_sync(self._fill_in, entry, outcome)

    def _append(self, record: dict[str, Any]) -> Entry:
        line = _write(record)
        length = len(line) + _ROOM
        # One write to a file opened for appending is atomic between processes; nobody but the owner may read it.
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # What a crash tore stays a line of its own.
            torn = os.lseek(descriptor, 0, os.SEEK_END) > 0 and not _ends_line(descriptor)
            whole = (b"\n" if torn else b"") + line.ljust(length) + b"\n"
            written = os.write(descriptor, whole)
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.fsync(descriptor)
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if written < len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Entry(record, (status.st_dev, status.st_ino), end - length - 1, length)

    def _fill_in(self, entry: Entry, outcome: dict[str, Any]) -> None:
        line = _write(entry.record | outcome)
        if len(line) > entry.length:
            line = _write(entry.record | outcome | {"undo": None})
        descriptor = os.open(self._path, os.O_WRONLY)
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) != entry.file:
                raise OSError(errno.ESTALE, "another file has taken its place")
            os.lseek(descriptor, entry.position, os.SEEK_SET)
            os.write(descriptor, line.ljust(entry.length))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _ends_line(descriptor: int) -> bool:
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) == b"\n"


def _write(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a journal, oldest first; a line that a crash tore is told, not hidden.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue  # two processes wrote at once, and one took the half-written line of the other for a torn one
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            yield record if isinstance(record, dict) else {"outcome": f"line {number} cannot be read"}


def _mask(call: EndpointCall, value: Any) -> Any:
    """Return `value` without secrets: others', and the caller's own tokens should somebody have put them there."""
    return json.loads(call.caller.credentials.scrub(json.dumps(mask_secrets(value))))


def _describe_undo(
    call: EndpointCall, before: Mapping[str, Any] | None, reply: GitBookResponse | None
) -> dict[str, Any] | None:
    """Return the call that would put things right, as far as it is known; `complete` says whether all of it."""
    undo = call.tool.undo
    if undo is None:
        return None
    sources: dict[str, Any] = {"arguments": call.arguments, "before": before, "result": _parse(reply)}
    arguments: dict[str, Any] = {}
    for name, source in undo.arguments:
        if undo.tool == call.tool.name and source.startswith("before.") and name not in call.arguments:
            continue  # it was not changed
        value = get_path(sources, source)
        if value is None:
            return None
        arguments[name] = _mask(call, {name: value})[name]
    complete = undo.whole and MASK not in json.dumps(arguments)
    return {"tool": undo.tool, "arguments": arguments, "complete": complete}


def _parse(reply: GitBookResponse | None) -> Any:
    try:
        return json.loads(reply.body) if reply else None
    except ValueError:
        return None
