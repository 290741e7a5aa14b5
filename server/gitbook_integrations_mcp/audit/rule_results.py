"""The facts that rules check, and the results of a check: a match, a pass, or undecided because data is missing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.report import Subject
from gitbook_integrations_mcp.audit.coverage import NARROWING, CoverageTracker, name_places
from gitbook_integrations_mcp.audit.inventory import Installed, Inventory
from gitbook_integrations_mcp.config.models import PolicyRule
from gitbook_integrations_mcp.text import quote
from gitbook_integrations_mcp.times import write_time

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.development_modes import DevelopmentMode


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that rules check. `now` has a time zone; `stalled_days` and `policy` are settings.

    `development` are the development modes that the store knows to be on, by integration; None if it failed.
    """

    inventory: Inventory
    coverage: CoverageTracker
    now: datetime
    stalled_days: int
    policy: tuple[PolicyRule, ...] = ()
    development: "Mapping[str, DevelopmentMode] | None" = field(default_factory=dict)

    @property
    def time(self) -> str:
        """The time of the audit, as reports write it (UTC, ISO 8601)."""
        return write_time(self.now.timestamp())

    def count_days(self, moment: str | None) -> int | None:
        """Return the whole days since a time as GitBook writes it, or None if it has another form."""
        try:
            return (self.now - datetime.fromisoformat(moment or "")).days
        except (ValueError, TypeError):
            return None

    def list_unread(self, source: str) -> "Iterator[Undecided]":
        """Yield what of a list could not be read, if anything: installations, spaces or sites."""
        if self.coverage.is_incomplete(source):
            yield Undecided(f"{source} that could not be read", (source,))

    def knows_places(self, installed: Installed, level: Level) -> bool:
        """Whether all spaces, or all sites, of an installation are known."""
        return not self.is_confined and not self.coverage.is_incomplete(name_places(level, installed.id))

    @property
    def is_confined(self) -> bool:
        """Whether only some spaces or sites were requested, so that others of an installation are unknown."""
        narrowing = self.inventory.narrowing
        return narrowing.spaces is not None or narrowing.sites is not None

    def find_gap(self, source: str) -> str:
        """Return the source that lacks the unknown spaces or sites: this one, unless they were not requested."""
        return NARROWING if self.is_confined else source

    def is_requested(self, level: Level, place: str) -> bool:
        """Whether the audit is about a space or site."""
        requested = self.inventory.narrowing.get_places(level)
        return place in requested if requested is not None else not self.is_confined

    def name_place(self, level: Level, place: str) -> str:
        """Return the title of a space or site in quotes, or its ID if the title is unknown."""
        places = self.inventory.get_places(level)
        return quote(places[place].title) if place in places else place


@dataclass(frozen=True, slots=True)
class Match:
    """A finding. `sources` were read for it; `arguments` are those of the call that fixes it."""

    key: tuple[str, ...]
    """Identifies the finding within its rule. Equal keys give equal finding IDs in different reports."""
    subject: Subject
    summary: str
    evidence: tuple[str, ...]
    sources: tuple[str, ...]
    arguments: Mapping[str, Any]
    tool: str | None = None
    """The tool that fixes the finding, if it is not the rule's."""
    advice: str | None = None
    """The advice for that call, if it is not the rule's."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Something that could not be checked because `sources` were not read completely."""

    what: str
    sources: tuple[str, ...]
    subject: Subject = field(default_factory=Subject)
    """Empty if a whole list is missing."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Something that was checked and has no finding."""


PASS = Pass()

RuleResult = Match | Undecided | Pass
RuleCheck = Callable[[Facts], Iterator[RuleResult]]
