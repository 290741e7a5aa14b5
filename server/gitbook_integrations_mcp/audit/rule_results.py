"""What rules are judged on, and how a judgement ends: found, fine, or undecided for want of something unread."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitbook_integrations_api.report import Subject
from gitbook_integrations_mcp.audit.coverage import CoverageTracker, name_places
from gitbook_integrations_mcp.audit.inventory import Installed, Inventory, Level


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules are judged on. `now` is aware of its zone; `stalled_days` is the operator's patience."""

    inventory: Inventory
    coverage: CoverageTracker
    now: datetime
    stalled_days: int

    def knows_places(self, installed: Installed, level: Level) -> bool:
        """Whether all places of an installation on a level are known."""
        return not self.is_confined and not self.coverage.is_incomplete(name_places(level, installed.id))

    @property
    def is_confined(self) -> bool:
        """Whether the audit was confined to some places, and so does not know all of an installation's."""
        narrowing = self.inventory.narrowing
        return narrowing.spaces is not None or narrowing.sites is not None

    def name_place(self, level: Level, place: str) -> str:
        """Return the title of a space or site, where it is known."""
        places: Mapping[str, Any] = self.inventory.spaces if level == "space" else self.inventory.sites
        return f"“{places[place].title}”" if place in places else place


@dataclass(frozen=True, slots=True)
class Match:
    """A finding: what it is about, what shows it, what was read for it, and the arguments of the call that mends it."""

    key: tuple[str, ...]
    """What makes it the same finding in another report."""
    subject: Subject
    summary: str
    evidence: tuple[str, ...]
    sources: tuple[str, ...]
    arguments: Mapping[str, Any]
    tool: str | None = None
    """The tool that mends it, where that is not the rule's."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Something that could not be judged, and for want of what."""

    what: str
    sources: tuple[str, ...]
    subject: Subject = field(default_factory=Subject)
    """Nothing in particular where a whole list is missing."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Something that was judged, and is fine."""


PASS = Pass()

RuleResult = Match | Undecided | Pass
RuleCheck = Callable[[Facts], Iterator[RuleResult]]
