"""Questions that wait for a human: kept until answered, spent by the first answer, void after a while.

Every way of spending one removes it in the same step that finds it, before anything is awaited, so that however many
calls arrive at once, one of them gets it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import anyio

from gitbook_integrations_mcp.preview import Preview

MAXIMUM = 1000
"""Open questions at a time; the oldest gives way, which voids it."""

ALIKE = 20
"""Open questions at a time about one and the same call."""

Way = Literal["form", "browser", "two-step"]
Decision = Literal["approved", "refused"]


@dataclass(slots=True, eq=False)
class Pending:
    """One question, put in one way.

    `binding` digests tool, arguments and caller; `csrf` proves that a decision comes from the question's own page.
    """

    way: Way
    binding: str
    preview: Preview
    expires: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    decision: Decision | None = None
    decided: anyio.Event = field(default_factory=anyio.Event, repr=False)


class PendingQuestions:
    """The open questions of this process. Restarting it voids them all."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self.ttl = ttl
        self._clock = clock
        self._by_id: dict[str, Pending] = {}

    def open(self, way: Way, binding: str, preview: Preview) -> Pending:
        """Return a new question. On the page, a new question about a call replaces older ones about the same."""
        self._drop_expired()
        alike = [one for one in self._by_id.values() if (one.way, one.binding) == (way, binding)]
        for older in alike if way == "browser" else alike[: len(alike) + 1 - ALIKE]:
            del self._by_id[older.id]
        while len(self._by_id) >= MAXIMUM:
            del self._by_id[next(iter(self._by_id))]
        pending = Pending(way, binding, preview, self._clock() + self.ttl)
        self._by_id[pending.id] = pending
        return pending

    def find_undecided(self, binding: str, state: str) -> Pending | None:
        """Return an open question of this call, put on the page, about this state of its target, if there is one."""
        self._drop_expired()
        return next(
            (
                pending
                for pending in self._by_id.values()
                if (pending.way, pending.binding, pending.preview.state, pending.decision)
                == ("browser", binding, state, None)
            ),
            None,
        )

    def look_at(self, identifier: str) -> Pending | None:
        """Return a question without spending it, or None where it is spent, void or expired."""
        self._drop_expired()
        return self._by_id.get(identifier)

    def take(self, identifier: str) -> Pending | None:
        """Spend and return a question, or None where it is spent, void or expired."""
        self._drop_expired()
        return self._by_id.pop(identifier, None)

    def take_decided(self, binding: str) -> Pending | None:
        """Spend and return a question of this call that a human has decided outside the client, if there is one."""
        self._drop_expired()
        for identifier, pending in self._by_id.items():
            if pending.binding == binding and pending.decision:
                return self._by_id.pop(identifier)
        return None

    def void(self, binding: str) -> None:
        """Void what the page was asked, or has decided, about a call."""
        for one in [one for one in self._by_id.values() if (one.way, one.binding) == ("browser", binding)]:
            del self._by_id[one.id]

    def tell_remaining(self, pending: Pending) -> float:
        """Return for how many seconds a question is still open."""
        return max(0, round(pending.expires - self._clock()))

    def decide(self, pending: Pending, decision: Decision) -> bool:
        """Record what a human said outside the client; once, and only while the question is open."""
        if self.look_at(pending.id) is not pending or pending.decision:
            return False
        pending.decision = decision
        pending.decided.set()
        return True

    def _drop_expired(self) -> None:
        now = self._clock()
        for identifier in [one.id for one in self._by_id.values() if one.expires <= now]:
            del self._by_id[identifier]
