"""Questions that wait for a human: kept in a store until answered, spent by the first answer, void after a while.

Spending one is a single step of the store, which finds and removes it, and that step's answer alone decides: however
many calls arrive at once, wherever, one of them gets the question.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import anyio

from gitbook_integrations_mcp.confirmation.preview import Preview

MAXIMUM = 1000
"""Open questions at a time; the oldest gives way, which voids it."""

ALIKE = 20
"""Open questions at a time about one and the same call."""

ConfirmationMode = Literal["form", "browser", "two-step"]
Decision = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True)
class PendingConfirmation:
    """One question, put in one way, as the store last saw it.

    `binding` digests tool, arguments and caller; `csrf` proves that a decision comes from the question's own page;
    `seconds` is how long it was still open.
    """

    way: ConfirmationMode
    binding: str
    preview: Preview
    seconds: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    decision: Decision | None = None


class ConfirmationStore(Protocol):
    """The store of the open questions.

    Every method is one step, and raises `StoreError` where the store cannot make it.
    """

    async def open(self, way: ConfirmationMode, binding: str, preview: Preview) -> PendingConfirmation:
        """Return a new question.

        On the page, there is one question about a call at a time: the same again while it is undecided and shows the
        same state, else a new one, which replaces the older.
        """

    async def get(self, identifier: str) -> PendingConfirmation | None:
        """Return a question without spending it, or None where it is spent, void or expired."""

    async def take(self, identifier: str) -> PendingConfirmation | None:
        """Spend and return a question, or None where it is spent, void or expired."""

    async def consume_decided(self, binding: str) -> PendingConfirmation | None:
        """Spend and return the question of this call that a human has decided on the page, if there is one."""

    async def refuse(self, identifier: str, binding: str) -> bool:
        """Spend a question by a no, which also voids what the page was asked, or has decided, about the same call.

        Returns whether the question was still open.
        """

    async def decide(self, identifier: str, decision: Decision) -> bool:
        """Record what a human said on the page; once, and only while the question is open."""

    async def wait(self, identifier: str) -> None:
        """Return once a question is decided, spent or void."""

    async def close(self) -> None:
        """Let go of what the store holds open. A later step opens it again."""


@dataclass(slots=True, eq=False)
class _Kept:
    question: PendingConfirmation
    expires: float
    settled: anyio.Event = field(default_factory=anyio.Event)


class MemoryConfirmationStore:
    """The open questions of this process alone; restarting it voids them all. Nothing here suspends but `wait`."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def open(self, way: ConfirmationMode, binding: str, preview: Preview) -> PendingConfirmation:
        """See `ConfirmationStore`."""
        alike = self._list(way, binding)
        if way == "browser":
            for one in alike:
                if one.decision is None and one.preview.state == preview.state:
                    return one
        for older in alike if way == "browser" else alike[: max(0, len(alike) + 1 - ALIKE)]:
            self._drop(older.id)
        while len(self._kept) >= MAXIMUM:
            self._drop(next(iter(self._kept)))
        question = PendingConfirmation(way, binding, preview, self._ttl)
        self._kept[question.id] = _Kept(question, self._clock() + self._ttl)
        return question

    async def get(self, identifier: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        self._drop_expired()
        kept = self._kept.get(identifier)
        return self._show(kept) if kept else None

    async def take(self, identifier: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        question = await self.get(identifier)
        self._drop(identifier)
        return question

    async def consume_decided(self, binding: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        decided = [one for one in self._list("browser", binding) if one.decision]
        return await self.take(decided[0].id) if decided else None

    async def refuse(self, identifier: str, binding: str) -> bool:
        """See `ConfirmationStore`."""
        was_open = await self.take(identifier) is not None
        for one in self._list("browser", binding):
            self._drop(one.id)
        return was_open

    async def decide(self, identifier: str, decision: Decision) -> bool:
        """See `ConfirmationStore`."""
        question = await self.get(identifier)
        if question is None or question.decision:
            return False
        kept = self._kept[identifier]
        kept.question = replace(question, decision=decision)
        kept.settled.set()
        return True

    async def wait(self, identifier: str) -> None:
        """See `ConfirmationStore`."""
        if kept := self._kept.get(identifier):
            await kept.settled.wait()

    async def close(self) -> None:
        """See `ConfirmationStore`. What is in memory stays."""

    def _list(self, way: ConfirmationMode, binding: str) -> list[PendingConfirmation]:
        """Return the questions put in a way about a call, oldest first."""
        self._drop_expired()
        return [
            self._show(one) for one in self._kept.values() if (one.question.way, one.question.binding) == (way, binding)
        ]

    def _show(self, kept: _Kept) -> PendingConfirmation:
        return replace(kept.question, seconds=round(kept.expires - self._clock()))

    def _drop(self, identifier: str) -> None:
        if kept := self._kept.pop(identifier, None):
            kept.settled.set()

    def _drop_expired(self) -> None:
        now = self._clock()
        for identifier in [identifier for identifier, one in self._kept.items() if one.expires <= now]:
            self._drop(identifier)
