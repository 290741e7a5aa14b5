"""Collects everything an audit needs from GitBook with the fewest possible requests.

Number of requests, with pages of 1,000; n is the length of a list:

    organizations, installations, spaces, sites, marketplace, status on sites    max(1, ⌈n/1000⌉) each
    scripts                                                                      1 for each site
    spaces, or sites, of an installation that is enabled on any                  ⌈n/1000⌉ each

Each list is the only source of its data. Scripts are listed only by site. The places, configurations and external IDs
of an installation are listed only by installation; installations-status has neither. Empty lists are not requested:
GitBook counts the spaces of an installation, and one status list shows which integrations are enabled on sites. An
audit of some spaces or sites requests the status on each of them instead.

The lists of the first line are read first, because the others depend on them. Within each phase, lists are read in
parallel.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from gitbook_integrations_api.choices import LEVELS, Level
from gitbook_integrations_api.report import Narrowing
from gitbook_integrations_mcp.audit.concurrency import Job, run_bounded
from gitbook_integrations_mcp.audit.coverage import (
    INSTALLATIONS,
    MARKETPLACE,
    ORGANIZATION,
    PLACES,
    SITES,
    SPACES,
    STATUS,
    CoverageTracker,
    name_places,
    name_scripts,
    name_status,
)
from gitbook_integrations_mcp.audit.inventory import Installed, Inventory, read_text
from gitbook_integrations_mcp.audit.list_reader import AddItem, ListReader, Send
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.errors import AnswerError, ArgumentsError
from gitbook_integrations_mcp.spelling import suggest_id
from gitbook_integrations_mcp.text import clean_text

_CORE = (INSTALLATIONS, SITES, SPACES)
"""If none of these can be read, the audit fails."""

Progress = Callable[[float, float | None, str | None], Awaitable[None]]
"""Receives the number of lists read, the total if it is known, and the source of the last list."""


class Collector:
    """Collects one organization. `max_concurrency` limits the requests that run at the same time."""

    def __init__(
        self,
        organization: str,
        narrowing: Narrowing,
        send: Send,
        progress: Progress,
        max_concurrency: int,
        earlier: "Collector | None",
    ) -> None:
        """Take what is the same for all organizations from an `earlier` collector, if there is one."""
        self.inventory: Inventory = (
            earlier.inventory.share(organization) if earlier else Inventory(organization, narrowing)
        )
        self.coverage: CoverageTracker = earlier.coverage.share() if earlier else CoverageTracker()
        self._reader = ListReader(send, self.coverage)
        self._progress = progress
        self._max_concurrency = max_concurrency
        self._done = 0
        self._total: int | None = None
        self._enabled: dict[Level, set[str]] = {"space": set(), "site": set()}
        """Names of the integrations in the status lists."""
        self._installed: set[str] = set()
        """Names of the installed integrations, wherever they are enabled."""

    async def collect(self) -> None:
        """Read everything into `inventory` and `coverage`.

        Raises:
            CallError: installations, sites and spaces can all not be read.
            ArgumentsError: a requested integration, space or site is unknown.
        """
        await run_bounded([*self._list_organization(), *self._list_statuses()], self._max_concurrency)
        core = [status for source in _CORE if (status := self.coverage.lists.get(source))]
        if all(status.error and not status.items for status in core):
            assert core[0].error
            raise core[0].error
        self.coverage.ignore_gap(STATUS)  # without it, the lists of every installation are requested
        self._refuse_unknown_places()
        self._installed = {each.name for each in self.inventory.installations.values()}
        self._drop_unrelated_installations()
        jobs = [*self._list_places(), *self._list_scripts()]
        self._total = self._done + len(jobs)
        await run_bounded(jobs, self._max_concurrency)
        self._check_integrations()

    def _list_organization(self) -> Iterator[Job]:
        organization = {"organizationId": self.inventory.organization}
        lists: dict[str, tuple[str, Mapping[str, Any], AddItem]] = {
            INSTALLATIONS: ("list_organization_installations", organization, self.inventory.add_installation),
            SITES: ("list_sites", organization, self.inventory.add_site),
            SPACES: ("list_spaces_in_organization_by_id", organization, self.inventory.add_space),
            MARKETPLACE: ("list_integrations", {}, self.inventory.add_listed),
            ORGANIZATION: ("list_organizations_for_authenticated_user", {}, self.inventory.add_organization),
        }
        for source, (tool, arguments, add_item) in lists.items():
            if source in self.coverage.lists:
                continue
            if source not in {SITES, SPACES} or self._covers("site" if source == SITES else "space"):
                yield partial(self._read, source, tool, arguments, add_item)

    def _list_statuses(self) -> Iterator[Job]:
        organization = {"organizationId": self.inventory.organization}
        requested = [(level, place) for level in LEVELS for place in self.inventory.narrowing.get_places(level) or ()]
        targets: list[tuple[Level, str]] = requested or [("site", "")]
        for level, place in targets:
            arguments = organization | {"target": level} | ({level: place} if place else {})
            add_item = partial(self._add_status, level)
            source = name_status(level, place) if place else STATUS
            yield partial(self._read, source, "list_organization_integrations_status", arguments, add_item)

    def _add_status(self, level: Level, item: Mapping[str, Any]) -> bool:
        name = read_text(get_path(item, "integration.name"))
        if name is not None:
            self._enabled[level].add(name)
        return name is not None

    def _list_places(self) -> Iterator[Job]:
        for installed in self.inventory.installations.values():
            for level in LEVELS:
                if self._may_have_places(installed, level):
                    tool = f"list_integration_installation_{level}s"
                    add_item = partial(installed.add_place, level)
                    yield partial(self._read, name_places(level, installed.id), tool, installed.arguments, add_item)

    def _list_scripts(self) -> Iterator[Job]:
        for site in self.inventory.sites:
            arguments = {"organizationId": self.inventory.organization, "siteId": site}
            add_item = partial(self.inventory.add_script, site)
            yield partial(self._read, name_scripts(site), "list_site_integration_scripts", arguments, add_item)

    def _covers(self, level: Level) -> bool:
        """Whether the audit covers any place of this level."""
        confined = any(self.inventory.narrowing.get_places(each) is not None for each in LEVELS)
        return not confined or self.inventory.narrowing.get_places(level) is not None

    def _may_have_places(self, installed: Installed, level: Level) -> bool:
        if not self._covers(level):
            return False
        if level == "space" and self.inventory.narrowing.get_places(level) is None:
            return installed.may_be_on(level) if installed.count is None else installed.count > 0
        return installed.name in self._enabled[level] if self._knows_enabled(level) else installed.may_be_on(level)

    def _knows_enabled(self, level: Level) -> bool:
        """Whether the lists of what is enabled on sites, or on the requested spaces or sites, were read completely."""
        requested = self.inventory.narrowing.get_places(level)
        sources = [STATUS] if requested is None else [name_status(level, place) for place in requested]
        return not self.coverage.is_incomplete(*sources)

    def _drop_unrelated_installations(self) -> None:
        """If only some spaces or sites are requested, keep only the installations that are enabled there or on all.

        If that could not be read, all are kept: an unread list is no list without entries.
        """
        requested = [level for level in LEVELS if self.inventory.narrowing.get_places(level) is not None]
        if requested and all(map(self._knows_enabled, requested)):
            names = self._enabled["space"] | self._enabled["site"]
            self.inventory.installations = {
                key: each
                for key, each in self.inventory.installations.items()
                if each.name in names or any(map(each.covers_all, requested))
            }

    def _refuse_unknown_places(self) -> None:
        """Refuse requested spaces and sites that the organization does not have: nothing is not the same as no finding.

        Raises:
            ArgumentsError: a name is unknown.
        """
        for level in LEVELS:
            if not self.coverage.is_incomplete(PLACES[level]):
                _refuse_unknown(
                    f"{level}s", self.inventory.narrowing.get_places(level) or (), self.inventory.titles[level]
                )

    def _check_integrations(self) -> None:
        """Refuse requested integrations that nothing is known of, and record a gap for those that are not installed.

        Raises:
            ArgumentsError: a name is unknown.
        """
        requested = self.inventory.narrowing.integrations or ()
        injecting = {script.integration for scripts in self.inventory.scripts.values() for script in scripts}
        if self.coverage.is_incomplete(INSTALLATIONS):
            return
        missing = [name for name in requested if name not in self._installed | injecting]
        if not self.coverage.is_incomplete(MARKETPLACE, *map(name_scripts, self.inventory.sites)):
            _refuse_unknown("integrations", missing, self.inventory.titles["integration"])
        for name in dict.fromkeys(missing):
            organization = {"organizationId": self.inventory.organization}
            status = self.coverage.open(f"{INSTALLATIONS}: {name}", "list_organization_installations", organization)
            status.error = AnswerError(f"{name} is not installed in this organization.")

    async def _read(self, source: str, tool: str, arguments: Mapping[str, Any], add_item: AddItem) -> None:
        await self._reader.read(source, tool, arguments, add_item)
        self._done += 1
        await self._progress(self._done, self._total, source)


def _refuse_unknown(argument: str, names: Iterable[str], titles: Mapping[str, str]) -> None:
    """Refuse names that GitBook does not list; `titles` are those of everything that it lists, by ID.

    Raises:
        ArgumentsError: a name is unknown. The message suggests an ID for each.
    """
    lines = [
        f"- {argument}: this organization does not have “{clean_text(name, 100)}”." + suggest_id(name, titles)
        for name in dict.fromkeys(names)
        if name not in titles
    ]
    if lines:
        raise ArgumentsError("\n".join(["The audit names something unknown, so there is no report.", *lines]))
