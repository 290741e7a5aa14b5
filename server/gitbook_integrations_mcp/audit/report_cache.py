"""A cache of the latest reports. Each report is visible only to the caller that requested it."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gitbook_integrations_api.report import Narrowing, Report

CAPACITY = 16
"""Maximum number of cached reports, of all callers together."""


class CacheKey(NamedTuple):
    """Identifies a report by its caller and by the part of the organization that it covers."""

    caller: str
    organization: str
    narrowing: Narrowing


@dataclass(frozen=True, slots=True)
class CachedReport:
    """A report, its age in seconds, and the number of the caller's latest change before it."""

    report: Report
    age: float
    change: int = 0


class ReportCache:
    """The latest report of each key. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reports: OrderedDict[CacheKey, tuple[float, Report, int]] = OrderedDict()

    def put(self, key: CacheKey, report: Report, change: int = 0) -> None:
        """Store a report in place of the previous one. When the cache is full, the oldest report is dropped."""
        self._reports[key] = self._clock(), report, change
        self._reports.move_to_end(key)
        if len(self._reports) > CAPACITY:
            self._reports.popitem(last=False)

    def find(self, key: CacheKey) -> CachedReport | None:
        """Return the latest report, whatever its age."""
        if (cached := self._reports.get(key)) is None:
            return None
        created, report, change = cached
        return CachedReport(report, self._clock() - created, change)
