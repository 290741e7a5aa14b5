"""Time that passes only where somebody sleeps, so that tests wait for nothing and know how long everything took."""

import anyio

START = 1_800_000_000.0


BOOT = START - 5000.0
"""When the machine of these tests was started: the origin of its monotonic clock."""


class VirtualTime:
    """Clocks, and the sleep that moves them. `slept` holds every wait, in order.

    `clock` is the true time, which GitBook's clock shows. `step` is how far this machine's wall clock is off.
    """

    def __init__(self) -> None:
        self.now = START
        self.step = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        """Return the true time, in seconds since 1970."""
        return self.now

    def wall(self) -> float:
        """Return what this machine's wall clock shows."""
        return self.now + self.step

    def monotonic(self) -> float:
        """Return the seconds since the machine was started."""
        return self.now - BOOT

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass, as far as nobody else has slept meanwhile."""
        self.slept.append(seconds)
        until = self.now + seconds
        await anyio.lowlevel.checkpoint()
        self.now = max(self.now, until)
