"""The store of pending confirmations in the memory of one process."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio

from gitbook_integrations_mcp.auth.shares import choose_eviction
from gitbook_integrations_mcp.confirmation.preview import Preview
from gitbook_integrations_mcp.confirmation.store import (
    MAX_PENDING,
    MAX_PENDING_PER_CALL,
    ConfirmationMode,
    Decision,
    PendingConfirmation,
)


@dataclass(slots=True, eq=False)
class _Record:
    confirmation: PendingConfirmation
    expires_at: float
    owner: str
    settled: anyio.Event = field(default_factory=anyio.Event)


class MemoryConfirmationStore:
    """The pending confirmations of this process. A restart removes them. Only `wait` suspends."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._clock = clock
        self._records: dict[str, _Record] = {}

    async def open(
        self, mode: ConfirmationMode, binding: str, preview: Preview, owner: str = ""
    ) -> PendingConfirmation:
        """See `ConfirmationStore`."""
        existing = self._list(mode, binding)
        if mode == "browser":
            for one in existing:
                if one.decision is None and one.preview.state == preview.state:
                    return one
        outdated = existing if mode == "browser" else existing[: max(0, len(existing) + 1 - MAX_PENDING_PER_CALL)]
        for one in outdated:
            self._remove(one.id)
        while len(self._records) >= MAX_PENDING:
            self._remove(self._choose_eviction(owner))
        confirmation = PendingConfirmation(mode, binding, preview, self._ttl)
        self._records[confirmation.id] = _Record(confirmation, self._clock() + self._ttl, owner)
        return confirmation

    async def get(self, confirmation_id: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        self._remove_expired()
        record = self._records.get(confirmation_id)
        return self._read(record) if record else None

    async def consume(self, confirmation_id: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        confirmation = await self.get(confirmation_id)
        self._remove(confirmation_id)
        return confirmation

    async def consume_decided(self, binding: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        decided = [one for one in self._list("browser", binding) if one.decision]
        return await self.consume(decided[0].id) if decided else None

    async def refuse(self, confirmation_id: str, binding: str) -> bool:
        """See `ConfirmationStore`."""
        was_open = await self.consume(confirmation_id) is not None
        for one in self._list("browser", binding):
            self._remove(one.id)
        return was_open

    async def decide(self, confirmation_id: str, decision: Decision) -> bool:
        """See `ConfirmationStore`."""
        confirmation = await self.get(confirmation_id)
        if confirmation is None or confirmation.decision:
            return False
        record = self._records[confirmation_id]
        record.confirmation = replace(confirmation, decision=decision)
        record.settled.set()
        return True

    async def wait(self, confirmation_id: str) -> None:
        """See `ConfirmationStore`."""
        if record := self._records.get(confirmation_id):
            await record.settled.wait()

    async def close(self) -> None:
        """See `ConfirmationStore`. The confirmations stay."""

    def _choose_eviction(self, owner: str) -> str:
        """Return which confirmation gives way to a new one of `owner`: one of the largest share, or the owner's own."""
        owners = {one: record.owner for one, record in self._records.items()}
        own = (one for one, other in owners.items() if other == owner)
        return choose_eviction(owners, owner) or next(own, None) or next(iter(owners))

    def _list(self, mode: ConfirmationMode, binding: str) -> list[PendingConfirmation]:
        """Return the confirmations of a call in a mode, oldest first."""
        self._remove_expired()
        return [
            self._read(one)
            for one in self._records.values()
            if (one.confirmation.mode, one.confirmation.binding) == (mode, binding)
        ]

    def _read(self, record: _Record) -> PendingConfirmation:
        return replace(record.confirmation, expires_in=round(record.expires_at - self._clock()))

    def _remove(self, confirmation_id: str) -> None:
        if record := self._records.pop(confirmation_id, None):
            record.settled.set()

    def _remove_expired(self) -> None:
        now = self._clock()
        for expired in [one for one, record in self._records.items() if record.expires_at <= now]:
            self._remove(expired)
