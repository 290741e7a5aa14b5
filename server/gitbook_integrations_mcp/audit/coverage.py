"""What an audit read of what it should have: the status from which its coverage is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_api.report import Coverage, Gap, ListCoverage
from gitbook_integrations_mcp.errors import CallError, StatusError
from gitbook_integrations_mcp.text import clean_text

INSTALLATIONS = "installations"
SPACES = "spaces"
SITES = "sites"
MARKETPLACE = "marketplace"
ORGANIZATION = "organization"
STATUS = "status on sites"
"""Sources: lists of which an audit reads one each."""

NARROWING = "narrowing"
"""What an audit left unread because it was told to; no gap, but nothing can be said of it either."""


def name_places(level: str, installation: str) -> str:
    """Return the source that tells on which spaces or sites an installation is enabled."""
    return f"{level}s of {installation}"


def name_status(level: str, place: str) -> str:
    """Return the source that tells what is enabled on one space or site."""
    return f"status of {level} {place}"


def name_scripts(site: str) -> str:
    """Return the source that tells a site's scripts."""
    return f"scripts of {site}"


_CONSEQUENCES: Mapping[str, str] = {
    "list_organization_installations": "Installations may be missing, and with them all that is to be said of them.",
    "list_spaces_in_organization_by_id": "Spaces may be missing, or without their titles.",
    "list_sites": "Sites may be missing, and with them the scripts they run.",
    "list_integrations": "Whether integrations are gone from the marketplace is not known.",
    "list_organizations_for_authenticated_user": "The title of the organization is not known.",
    "list_integration_installation_spaces": "On which other spaces the integration is enabled is not known.",
    "list_integration_installation_sites": "On which other sites the integration is enabled is not known.",
    "list_organization_integrations_status": "What is enabled on this place is not known, or not all of it.",
    "list_site_integration_scripts": "Which scripts run on this site is not known.",
}
"""By tool: what a gap in its lists means for the reader."""


@dataclass(slots=True)
class ListStatus:
    """How far one list was read; `error` says why not to its end. It is `ignored` where other lists make up for it."""

    source: str
    tool: str
    arguments: Mapping[str, Any]
    pages: int = 0
    items: int = 0
    ignored: bool = False
    error: CallError | None = None


@dataclass(slots=True)
class CoverageTracker:
    """The lists of all lists of one audit."""

    requests: int = 0
    lists: dict[str, ListStatus] = field(default_factory=dict)

    def open(self, source: str, tool: str, arguments: Mapping[str, Any]) -> ListStatus:
        """Begin the status of a list. None is read twice."""
        assert source not in self.lists
        status = self.lists[source] = ListStatus(source, tool, arguments)
        return status

    def is_incomplete(self, *sources: str) -> bool:
        """Whether one of the lists was not read to its end."""
        return any(status.error for source in sources if (status := self.lists.get(source)))

    def ignore_gap(self, source: str) -> None:
        """Take it that what a list lacks is read elsewhere."""
        if status := self.lists.get(source):
            status.ignored = True

    def summarize(self, seconds: float, affected: Mapping[str, Iterable[str]]) -> Coverage:
        """Return the coverage; `affected` says by source which rules could not be judged everywhere."""
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
        return Coverage(complete=not gaps, requests=self.requests, seconds=round(seconds, 2), lists=lists, gaps=gaps)
