"""Time that passes only where somebody sleeps, so that tests wait for nothing and know how long everything took."""

import anyio

START = 1_800_000_000.0


class VirtualTime:
    """A clock in seconds since 1970, and the sleep that moves it. `slept` holds every wait, in order."""

    def __init__(self) -> None:
        self.now = START
        self.slept: list[float] = []

    def clock(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass, as far as nobody else has slept meanwhile."""
        self.slept.append(seconds)
        until = self.now + seconds
        await anyio.lowlevel.checkpoint()
        self.now = max(self.now, until)
