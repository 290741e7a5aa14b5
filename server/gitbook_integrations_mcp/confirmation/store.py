"""Pending confirmations: a store keeps each until it is answered, used or expired.

Using a confirmation is one step of the store that finds and removes it. Only the result of that step decides: exactly
one of many simultaneous calls, in any process, gets the confirmation.
"""

import secrets
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gitbook_integrations_mcp.confirmation.preview import Preview

MAX_PENDING = 1000
"""Maximum number of pending confirmations. A new one removes one of an owner who has at least as many as its own."""

MAX_PENDING_PER_OWNER = 100
"""Maximum number of pending confirmations of one owner in a shared store. A new one removes the owner's oldest."""

MAX_PENDING_PER_CALL = 20
"""Maximum number of pending confirmations for the same call in the same mode. A new one removes the oldest."""

ConfirmationMode = Literal["form", "browser", "two-step"]
Decision = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True)
class PendingConfirmation:
    """One confirmation in one mode, as the store returned it.

    `binding` is a digest of tool, arguments and caller. `csrf` proves that a decision comes from the confirmation's own
    page. `expires_in` is in seconds.
    """

    mode: ConfirmationMode
    binding: str
    preview: Preview
    expires_in: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    decision: Decision | None = None


class ConfirmationStore(Protocol):
    """A store of pending confirmations.

    Every method is one atomic step. It raises `StoreError` if the store fails.
    """

    async def open(
        self, mode: ConfirmationMode, binding: str, preview: Preview, owner: str = ""
    ) -> PendingConfirmation:
        """Return a new confirmation. `owner` identifies the caller, who has a share of the store.

        The page has one confirmation per call: `open` returns the existing one if it is undecided and its state is the
        same; otherwise a new one replaces it.
        """

    async def get(self, confirmation_id: str) -> PendingConfirmation | None:
        """Return a confirmation without using it, or None if it is used, replaced or expired."""

    async def consume(self, confirmation_id: str) -> PendingConfirmation | None:
        """Remove and return a confirmation, or return None if it is used, replaced or expired."""

    async def consume_decided(self, binding: str) -> PendingConfirmation | None:
        """Remove and return the confirmation of a call that the human has decided on the page, if there is one."""

    async def refuse(self, confirmation_id: str, binding: str) -> bool:
        """Remove a confirmation that the human refused, and every confirmation of the same call on the page.

        Returns whether the confirmation was still open.
        """

    async def decide(self, confirmation_id: str, decision: Decision) -> bool:
        """Record the human's decision on the page. Returns whether the confirmation was open and undecided."""

    async def wait(self, confirmation_id: str) -> None:
        """Return when a confirmation is decided or removed."""

    async def close(self) -> None:
        """Close connections. A later step opens them again."""
