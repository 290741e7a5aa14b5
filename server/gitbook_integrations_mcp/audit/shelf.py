"""The last reports, each for its caller alone, as long as there is room."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gitbook_integrations.report import Narrowing, Report

ROOM = 16
"""Reports that are kept, of all callers together."""


class Label(NamedTuple):
    """What tells reports apart: whose they are, and on what."""

    caller: str
    organization: str
    narrowing: Narrowing


@dataclass(frozen=True, slots=True)
class Kept:
    """A report with its age in seconds."""

    report: Report
    age: float


class Shelf:
    """Keeps the last report of each label. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reports: OrderedDict[Label, tuple[float, Report]] = OrderedDict()

    def put(self, label: Label, report: Report) -> None:
        """Keep a report in the place of the last one; whatever is oldest makes room."""
        self._reports[label] = self._clock(), report
        self._reports.move_to_end(label)
        if len(self._reports) > ROOM:
            self._reports.popitem(last=False)

    def find(self, label: Label) -> Kept | None:
        """Return the last report, however old."""
        if (kept := self._reports.get(label)) is None:
            return None
        made, report = kept
        return Kept(report, self._clock() - made)
