"""Names of the spaces and sites where integrations are enabled, short enough for a chat."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gitbook_integrations_api.report import InstallationFacts, Placement, Report, SiteFacts, SpaceFacts
from gitbook_integrations_api.scopes import INJECT_SCRIPT, SIGN_IN, writes
from gitbook_integrations_mcp.text import quote

PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class PlaceNames:
    """Names the spaces and sites of a report."""

    spaces: Mapping[str, SpaceFacts]
    sites: Mapping[str, SiteFacts]

    def name(self, place: Placement) -> str:
        """Return the title, with the visibility unless it is public, and the status unless it is active."""
        known = self.spaces.get(place.id) or self.sites.get(place.id)
        visibility = known.visibility if known else None
        marks = [] if visibility == PUBLIC else [str(visibility or "visibility unknown")]
        if isinstance(known, SiteFacts) and known.published is False:
            marks.append("unpublished")
        marks += [place.status] if place.status not in {None, "active"} else []
        title = quote(known.title) if known else place.id
        return f"{title} ({', '.join(marks)})" if marks else title

    def list_names(self, places: Sequence[Placement], most: int) -> list[str]:
        """Return the names of places, those that are not public first, and how many more than `most` there are."""
        ranked = sorted(places, key=self._is_public)
        more = len(ranked) - most
        return [*map(self.name, ranked[:most]), *([f"and {more:,} more"] if more > 0 else [])]

    def _is_public(self, place: Placement) -> bool:
        known = self.spaces.get(place.id) or self.sites.get(place.id)
        return known is not None and known.visibility == PUBLIC


def read_names(report: Report) -> PlaceNames:
    """Return the names of all spaces and sites of a report."""
    return PlaceNames({each.id: each for each in report.spaces}, {each.id: each for each in report.sites})


def describe_installation(installed: InstallationFacts, names: PlaceNames) -> str:
    """Return an installation as one line: its name, what an auditor must know of it, and where it is enabled."""
    marks = ", ".join(_list_marks(installed))
    whole = "the organization" if installed.integration.target == "organization" else "nowhere"
    places = "; ".join(_list_places(installed, names)) or whole
    return f"{installed.integration.name}{f' ({marks})' if marks else ''}: {places}"


def _list_marks(installed: InstallationFacts) -> Iterable[str]:
    integration = installed.integration
    if installed.status not in {None, "active"}:
        yield str(installed.status)
    if integration.own:
        yield "own"
    elif integration.verified is False:
        yield "unverified"
    if not integration.own and integration.visibility not in {None, PUBLIC}:
        yield str(integration.visibility)
    off = _list_levels_without_places(installed)
    at_work = set(list_powers([scope for scope in integration.scopes if scope.partition(":")[0] not in off]))
    yield from (power if power in at_work else f"{power} nowhere yet" for power in list_powers(integration.scopes))


def _list_levels_without_places(installed: InstallationFacts) -> Sequence[str]:
    """Return "space" or "site" if the integration is on none of these, but on places of the other level."""
    levels = list(list_levels(installed))
    off = [level for level, everywhere, places, complete in levels if complete and not places and not everywhere]
    return off if len(off) < len(levels) else ()


def list_powers(scopes: Collection[str]) -> Iterable[str]:
    """Yield what an integration with these scopes can change, in words."""
    if any(map(writes, scopes)):
        yield "writes"
    yield from (word for scope, word in _POWERS.items() if scope in scopes)


_POWERS: Mapping[str, str] = {INJECT_SCRIPT: "runs scripts", SIGN_IN: "signs in"}
_MOST_NAMED = 2


def _list_places(installed: InstallationFacts, names: PlaceNames) -> Iterable[str]:
    for level, everywhere, places, complete in list_levels(installed):
        more = "" if complete else " or more"
        if everywhere:
            yield f"all {level}s"
        elif len(places) > _MOST_NAMED:
            yield f"{len(places)}{more} {level}s"
        elif places:
            yield ", ".join(map(names.name, places)) + more


def list_levels(installed: InstallationFacts) -> Iterable[tuple[str, bool, Sequence[Placement], bool]]:
    """Yield the levels, each with whether all places are selected, the known places, and whether these are all."""
    for level, selection, places, complete in (
        ("space", installed.spaceSelection, installed.spaces, installed.spacesComplete),
        ("site", installed.siteSelection, installed.sites, installed.sitesComplete),
    ):
        yield level, selection == "all" and installed.integration.target in {None, "all", level}, places, complete
