"""A recorded change, as data."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_mcp.times import write_time

PREFIX = "chg_"
"""Beginning of the ID of each change."""

_ID = re.compile(rf"{PREFIX}[0-9a-f]{{1,40}}")
ID_LENGTH = len(PREFIX) + 22
"""Length of the ID of a change, without the number of a call in a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A row. Times are in seconds since 1970. `sealed` is encrypted, and everything else has no secrets.

    `before` is the target before the change, `after` what the change left of the settings that `undo` restores. `undo`
    has the calls that undo it, each with its `tool`, its `arguments`, the names of those that are `masked`, and those
    taken from what the first call `created`. `sealed` has `undo` and `after` without masks. `lost` says what the calls
    do not restore.

    The ID of a call in a plan begins with the ID of the plan, which has a row of its own. Its `undo` has only the names
    of the tools.
    """

    id: str
    time: float
    owner: str = field(repr=False)
    tool: str
    operation: str
    arguments: Mapping[str, Any] = field(repr=False)
    principal: str | None = None
    organization: str | None = None
    before: Mapping[str, Any] | None = field(default=None, repr=False)
    approval: str | None = None
    outcome: str = "unknown"
    status: int | None = None
    attempts: int | None = None
    request_id: str | None = None
    undo: Sequence[Mapping[str, Any]] | None = field(default=None, repr=False)
    after: Mapping[str, Any] | None = field(default=None, repr=False)
    lost: Sequence[str] | None = None
    sealed: bytes | None = field(default=None, repr=False)
    undoes: str | None = None

    @property
    def moment(self) -> str:
        """The time as ISO 8601, in UTC."""
        return write_time(self.time, "milliseconds")

    @property
    def plan(self) -> str | None:
        """The ID of the plan that the change is a part of."""
        return self.id[:ID_LENGTH] if len(self.id) > ID_LENGTH else None


def number_part(plan: str, number: int) -> str:
    """Return the ID of a call in a plan. IDs are ordered like the calls."""
    return f"{plan}{number:04x}"


def is_change_id(text: str) -> bool:
    """Whether a text can be the ID of a change."""
    return _ID.fullmatch(text) is not None
