"""Jobs with bounded concurrency."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import anyio

Job = Callable[[], Awaitable[None]]


async def run_bounded(jobs: Iterable[Job], max_concurrency: int) -> None:
    """Run all `jobs` in order, at most `max_concurrency` at a time. Cancellation also cancels the running jobs."""
    waiting = deque(jobs)

    async def work() -> None:
        while waiting:
            await waiting.popleft()()

    async with anyio.create_task_group() as group:
        for _ in range(min(max_concurrency, len(waiting))):
            group.start_soon(work)
