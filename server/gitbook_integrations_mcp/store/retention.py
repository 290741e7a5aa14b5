"""How long rows are kept."""

from collections.abc import Callable

_DAY = 86400

_PRUNE_SECONDS = 3600
"""Time between two deletions of old rows."""


class Retention:
    """Rows are kept for `days`. `clock` is in seconds since 1970."""

    def __init__(self, days: float, clock: Callable[[], float]) -> None:
        self._days = days
        self._clock = clock
        self._pruned_at: float | None = None

    @property
    def oldest(self) -> float:
        """The time of the oldest rows that are kept."""
        return self._clock() - self._days * _DAY

    def begin_pruning(self) -> bool:
        """Return whether it is time to delete old rows, which the caller then does."""
        now = self._clock()
        if self._pruned_at is not None and 0 <= now - self._pruned_at < _PRUNE_SECONDS:
            return False
        self._pruned_at = now
        return True
