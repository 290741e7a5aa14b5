"""Coverage: which lists an audit read, how far, and the consequences of each gap."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.report import Coverage, Gap, ListCoverage
from gitbook_integrations_mcp.errors import CallError, StatusError
from gitbook_integrations_mcp.text import clean_text

INSTALLATIONS = "installations"
SPACES = "spaces"
SITES = "sites"
MARKETPLACE = "marketplace"
ORGANIZATION = "organization"
STATUS = "status on sites"
"""Sources: the lists that exist once in an audit."""

PLACES: Mapping[Level, str] = {"space": SPACES, "site": SITES}
"""Those that list the spaces or sites of the organization."""

SHARED = (MARKETPLACE, ORGANIZATION)
"""Those that are the same for all organizations."""

NARROWING = "narrowing"
"""The source of everything outside the requested part. It is no gap, but rules cannot check it."""


def name_places(level: str, installation: str) -> str:
    """Return the source that lists the spaces or sites on which an installation is enabled."""
    return f"{level}s of {installation}"


def name_status(level: str, place: str) -> str:
    """Return the source that lists the integrations enabled on one space or site."""
    return f"status of {level} {place}"


def name_scripts(site: str) -> str:
    """Return the source that lists the scripts of a site."""
    return f"scripts of {site}"


_CONSEQUENCES: Mapping[str, str] = {
    "list_organization_installations": "Installations and their findings may be missing.",
    "list_spaces_in_organization_by_id": "Spaces or their titles may be missing.",
    "list_sites": "Sites and their scripts may be missing.",
    "list_integrations": "It is unknown whether integrations were removed from the marketplace.",
    "list_organizations_for_authenticated_user": "The title of the organization is unknown.",
    "list_integration_installation_spaces": "The integration may be enabled on more spaces.",
    "list_integration_installation_sites": "The integration may be enabled on more sites.",
    "list_organization_integrations_status": "More integrations may be enabled on this space or site.",
    "list_site_integration_scripts": "Scripts of this site may be missing.",
}
"""By tool: what a gap in its lists means for the reader."""


UNAVAILABLE = (
    "Installations: no request of the API shows who installed an integration.",
    "Development mode: no request of the API shows it. Only what was enabled through this server is known.",
    "Git Sync: only the repository and the last synchronization can be read, not who can write to the repository.",
    "Consent: no request of the API shows whether a site asks its readers for consent to cookies.",
)
"""Facts that an auditor may expect but no audit can find out."""


@dataclass(slots=True)
class ListStatus:
    """How far one list was read. `error` is why the rest is missing; `ignored` if other lists make up for it."""

    source: str
    tool: str
    arguments: Mapping[str, Any]
    pages: int = 0
    items: int = 0
    ignored: bool = False
    error: CallError | None = None


@dataclass(slots=True)
class CoverageTracker:
    """The status of all lists of one audit, by source."""

    requests: int = 0
    lists: dict[str, ListStatus] = field(default_factory=dict)

    def open(self, source: str, tool: str, arguments: Mapping[str, Any]) -> ListStatus:
        """Start tracking a list. Each source is read only once."""
        assert source not in self.lists
        status = self.lists[source] = ListStatus(source, tool, arguments)
        return status

    def share(self) -> "CoverageTracker":
        """Return a tracker that knows the lists that are the same for all organizations."""
        return CoverageTracker(lists={source: self.lists[source] for source in SHARED})

    def is_incomplete(self, *sources: str) -> bool:
        """Whether one of the lists was not read completely."""
        return any(status.error for source in sources if (status := self.lists.get(source)))

    def ignore_gap(self, source: str) -> None:
        """Do not report a gap in this list, because other lists make up for it."""
        if status := self.lists.get(source):
            status.ignored = True

    def summarize(self, seconds: float, affected: Mapping[str, Iterable[str]]) -> Coverage:
        """Return the coverage. `affected` has, by source, the rules that could not be checked completely."""
        by_tool: dict[str, list[ListStatus]] = {}
        for status in self.lists.values():
            by_tool.setdefault(status.tool, []).append(status)
        gaps = tuple(
            Gap(
                source=status.source,
                tool=status.tool,
                arguments=dict(status.arguments),
                read=status.items,
                reason=clean_text(str(status.error), 400),
                status=status.error.status if isinstance(status.error, StatusError) else None,
                consequence=_CONSEQUENCES[status.tool],
                rules=tuple(affected.get(status.source, ())),
            )
            for status in self.lists.values()
            if status.error and not status.ignored
        )
        lists = tuple(
            ListCoverage(
                tool=tool,
                lists=len(lists),
                complete=sum(status.error is None for status in lists),
                pages=sum(status.pages for status in lists),
                items=sum(status.items for status in lists),
            )
            for tool, lists in by_tool.items()
        )
        return Coverage(
            complete=not gaps,
            requests=self.requests,
            seconds=round(seconds, 2),
            lists=lists,
            gaps=gaps,
            unavailable=UNAVAILABLE,
        )
