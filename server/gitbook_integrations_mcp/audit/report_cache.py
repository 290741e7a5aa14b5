"""The last reports, each for its caller alone, as long as there is room."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gitbook_integrations_api.report import Narrowing, Report

ROOM = 16
"""Reports that are cached, of all callers together."""


class CacheKey(NamedTuple):
    """What tells reports apart: whose they are, and on what."""

    caller: str
    organization: str
    narrowing: Narrowing


@dataclass(frozen=True, slots=True)
class CachedReport:
    """A report with its age in seconds."""

    report: Report
    age: float


class ReportCache:
    """Keeps the last report of each key. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reports: OrderedDict[CacheKey, tuple[float, Report]] = OrderedDict()

    def put(self, key: CacheKey, report: Report) -> None:
        """Keep a report in the place of the last one; whatever is oldest makes room."""
        self._reports[key] = self._clock(), report
        self._reports.move_to_end(key)
        if len(self._reports) > ROOM:
            self._reports.popitem(last=False)

    def find(self, key: CacheKey) -> CachedReport | None:
        """Return the last report, however old."""
        if (cached := self._reports.get(key)) is None:
            return None
        made, report = cached
        return CachedReport(report, self._clock() - made)
