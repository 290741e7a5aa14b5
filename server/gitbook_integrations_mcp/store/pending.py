"""Pending confirmations and their previews, as data."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

ConfirmationMode = Literal["form", "browser", "two-step"]
Decision = Literal["approved", "declined"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled value. Neither contains a line break, so that no value can look like a fact of its own."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect of a call: the consequence in a sentence, what could not be read, and what the call affects.

    `state` is a digest of the target. An approval is valid while the state is the same. `typed` is the name that the
    human must type if the effect is irreversible. `details` are further facts about call and target. `verb` names the
    act, `requester` the client that asks, and `link` is the URL of the target in GitBook.
    """

    title: str
    consequence: str
    state: str
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    typed: str | None = None
    details: tuple[Fact, ...] = ()
    verb: str = "Approve"
    requester: str = ""
    link: str = ""

    @property
    def text(self) -> str:
        """The preview as plain text, one fact or sentence per line: the most important first."""
        facts = [*self.facts, *self.details]
        facts += [Fact("Asked for by", self.requester)] if self.requester else []
        facts += [Fact("In GitBook", self.link)] if self.link else []
        lines = (f"{fact.label}: {fact.value}" for fact in facts)
        return "\n".join([self.title, self.consequence, *self.notes, *lines])

    def to_json(self) -> dict[str, Any]:
        """Return the preview as JSON, for a store."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preview":
        """Return the preview that `to_json` returned as JSON."""
        facts = {name: tuple(Fact(**fact) for fact in data.get(name, ())) for name in ("facts", "details")}
        return cls(**{**data, **facts, "notes": tuple(data["notes"])})


@dataclass(frozen=True, slots=True)
class PendingConfirmation:
    """One confirmation in one mode, as the store returned it.

    `binding` is a digest of tool, arguments and caller. `csrf` proves that a decision comes from the confirmation's own
    page. `expires_in` is in seconds, and `expires_at` in seconds since 1970.
    """

    mode: ConfirmationMode
    binding: str
    preview: Preview
    expires_in: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    decision: Decision | None = None
    expires_at: float | None = None

    @property
    def until(self) -> str:
        """The time at which the confirmation expires, for humans."""
        if self.expires_at is None:
            return f"{self.expires_in:.0f} seconds from now"
        return f"{datetime.fromtimestamp(self.expires_at, UTC):%Y-%m-%d %H:%M} UTC"

    @property
    def text(self) -> str:
        """The preview as plain text, and until when an approval is possible."""
        return f"{self.preview.text}\nValid until: {self.until}"
