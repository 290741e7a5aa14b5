"""Pending confirmations and their previews, as data."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ConfirmationMode = Literal["form", "browser", "two-step"]
Decision = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled value. Neither contains a line break, so that no value can look like a fact of its own."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect of a call: what could not be read, facts about the target, and the consequence in a sentence.

    `state` is a digest of the target. An approval is valid while the state is the same. `typed` is the name that the
    human must type if the effect is irreversible.
    """

    title: str
    consequence: str
    state: str
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    typed: str | None = None

    @property
    def text(self) -> str:
        """The preview as plain text, one fact or sentence per line."""
        facts = (f"{fact.label}: {fact.value}" for fact in self.facts)
        return "\n".join([self.title, *self.notes, *facts, self.consequence])

    def to_json(self) -> dict[str, Any]:
        """Return the preview as JSON, for a store."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preview":
        """Return the preview that `to_json` returned as JSON."""
        return cls(**{**data, "facts": tuple(Fact(**fact) for fact in data["facts"]), "notes": tuple(data["notes"])})


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
