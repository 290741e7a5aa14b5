"""Work done by so many hands at a time, and no more tasks than hands."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import anyio

Job = Callable[[], Awaitable[None]]


async def work_off(jobs: Iterable[Job], hands: int) -> None:
    """Do all `jobs`, in their order, at most `hands` at a time. Cancelled, those under way end and no more begin."""
    waiting = deque(jobs)

    async def work() -> None:
        while waiting:
            await waiting.popleft()()

    async with anyio.create_task_group() as group:
        for _ in range(min(hands, len(waiting))):
            group.start_soon(work)
