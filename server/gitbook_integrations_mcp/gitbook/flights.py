"""Requests in flight that several callers wait for: what is asked twice at the same time is asked once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class Flights(Generic[T]):
    """Flights by key. Each goes on while anybody waits for it: one who leaves does not end it, the last one does."""

    def __init__(self) -> None:
        self._open: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the flight of that key brings; it is started where there is none."""
        flight = self._open.get(key)
        if flight is None:
            flight = self._open[key] = _Flight(asyncio.create_task(start()))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0:
                flight.task.cancel()  # does nothing to one that has landed
                if self._open.get(key) is flight:
                    del self._open[key]

    def close(self) -> None:
        """Let nobody join what is in flight now, as it may tell what is no longer so; those who wait get it still."""
        self._open.clear()
