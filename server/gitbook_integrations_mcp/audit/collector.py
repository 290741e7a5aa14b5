"""The collector through an organization: which lists are read, and no more of them than it takes.

Requests, with pages of 1,000, n the length of a list:

    organizations, installations, spaces, sites, marketplace, what is on sites   max(1, ⌈n/1000⌉) each
    scripts                                                                      1 for each site
    spaces, or sites, of an installation that is on any                          ⌈n/1000⌉ each

No fewer will do: each list is the only one that holds what it is read for. Scripts are told by site only; where an
installation is enabled, with which configuration and external IDs, by the installation only (installations-status has
neither). Lists that are empty are not asked for: GitBook counts an installation's spaces, and its status on all sites,
in one list for all, tells which are on any. An audit confined to some spaces or sites asks for the status on each of
them instead, one request each.

The first line is read first, as the others follow from it. Within each half, everything goes in parallel.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

from gitbook_integrations_api.report import Narrowing
from gitbook_integrations_mcp.audit.concurrency import Job, run_bounded
from gitbook_integrations_mcp.audit.coverage import (
    INSTALLATIONS,
    MARKETPLACE,
    ORGANIZATION,
    SITES,
    SPACES,
    STATUS,
    CoverageTracker,
    name_places,
    name_scripts,
    name_status,
)
from gitbook_integrations_mcp.audit.inventory import LEVELS, Installed, Inventory, Level, read_text
from gitbook_integrations_mcp.audit.list_reader import Reader, Send, Take
from gitbook_integrations_mcp.errors import AnswerError
from gitbook_integrations_mcp.spelling import suggest

_CORE = (INSTALLATIONS, SITES, SPACES)
"""Without any of these there is nothing to report on."""

Progress = Callable[[float, float | None, str | None], Awaitable[None]]
"""Takes how many lists are read, of how many where that is known, and which was read last."""


class Collector:
    """One collector through an organization. `max_concurrency` is the number of requests under way at a time."""

    def __init__(
        self, organization: str, narrowing: Narrowing, send: Send, progress: Progress, max_concurrency: int
    ) -> None:
        self.inventory = Inventory(organization, narrowing)
        self.coverage = CoverageTracker()
        self._reader = Reader(send, self.coverage)
        self._progress = progress
        self._hands = max_concurrency
        self._done = 0
        self._total: int | None = None
        self._named: dict[Level, set[str]] = {"space": set(), "site": set()}
        """Integrations that are enabled on the places to which the audit is confined."""

    async def go(self) -> None:
        """Read everything.

        Raises:
            CallError: there is nothing to report on, as neither installations nor sites nor spaces can be read.
        """
        await run_bounded([*self._list_whole(), *self._list_statuses()], self._hands)
        core = [status for source in _CORE if (status := self.coverage.lists.get(source))]
        if all(status.error and not status.items for status in core):
            assert core[0].error
            raise core[0].error
        self.coverage.ignore_gap(STATUS)  # without it, every installation is asked
        self._miss_unknown()
        self._forget_others()
        jobs = [*self._list_places(), *self._list_scripts()]
        self._total = self._done + len(jobs)
        await run_bounded(jobs, self._hands)

    def _list_whole(self) -> Iterator[Job]:
        organization = {"organizationId": self.inventory.organization}
        lists: dict[str, tuple[str, Mapping[str, Any], Take]] = {
            INSTALLATIONS: ("list_organization_installations", organization, self.inventory.add_installation),
            SITES: ("list_sites", organization, self.inventory.add_site),
            SPACES: ("list_spaces_in_organization_by_id", organization, self.inventory.add_space),
            MARKETPLACE: ("list_integrations", {}, self.inventory.add_listed),
            ORGANIZATION: ("list_organizations_for_authenticated_user", {}, self.inventory.add_organization),
        }
        for source, (tool, arguments, take) in lists.items():
            if source not in {SITES, SPACES} or self._covers("site" if source == SITES else "space"):
                yield partial(self._read, source, tool, arguments, take)

    def _list_statuses(self) -> Iterator[Job]:
        organization = {"organizationId": self.inventory.organization}
        wanted: list[tuple[Level, str]] = [(level, place) for level in LEVELS for place in self._confine(level) or ()]
        for level, place in wanted or [("site", "")]:
            arguments = organization | {"target": level} | ({level: place} if place else {})
            take = partial(self._take_status, level)
            source = name_status(level, place) if place else STATUS
            yield partial(self._read, source, "list_organization_integrations_status", arguments, take)

    def _take_status(self, level: Level, item: Mapping[str, Any]) -> bool:
        integration = item.get("integration")
        name = read_text(integration.get("name")) if isinstance(integration, Mapping) else None
        if name is not None:
            self._named[level].add(name)
        return name is not None

    def _list_places(self) -> Iterator[Job]:
        for installed in self.inventory.installations.values():
            for level in LEVELS:
                if self._asks(installed, level):
                    arguments = {"integrationName": installed.name, "installationId": installed.id}
                    tool = f"list_integration_installation_{level}s"
                    take = partial(installed.add_place, level)
                    yield partial(self._read, name_places(level, installed.id), tool, arguments, take)

    def _list_scripts(self) -> Iterator[Job]:
        for site in self.inventory.sites:
            arguments = {"organizationId": self.inventory.organization, "siteId": site}
            take = partial(self.inventory.add_script, site)
            yield partial(self._read, name_scripts(site), "list_site_integration_scripts", arguments, take)

    def _confine(self, level: Level) -> tuple[str, ...] | None:
        """Return the places of a level to which the audit is confined, None where it is not."""
        narrowing = self.inventory.narrowing
        return narrowing.spaces if level == "space" else narrowing.sites

    def _covers(self, level: Level) -> bool:
        """Whether the audit is about this level: all of it, or some places of it."""
        confined = [self._confine(each) is not None for each in LEVELS]
        return not any(confined) or self._confine(level) is not None

    def _asks(self, installed: Installed, level: Level) -> bool:
        if not self._covers(level):
            return False
        if self._confine(level) is not None:
            return installed.name in self._named[level]
        if level == "space" and installed.count is not None:
            return installed.count > 0
        if level == "site" and not self.coverage.is_incomplete(STATUS):
            return installed.name in self._named[level]
        return installed.may_be_on(level)

    def _forget_others(self) -> None:
        """Leave out the installations that are on none of the places to which the audit is confined."""
        if any(self._confine(level) is not None for level in LEVELS):
            named = self._named["space"] | self._named["site"]
            cached = {key: each for key, each in self.inventory.installations.items() if each.name in named}
            self.inventory.installations = cached

    def _miss_unknown(self) -> None:
        """ListStatus for what the audit is confined to and the organization does not have."""
        narrowing = self.inventory.narrowing
        installed = {each.name for each in self.inventory.installations.values()}
        wanted = (
            (INSTALLATIONS, "list_organization_installations", narrowing.integrations, installed),
            (SPACES, "list_spaces_in_organization_by_id", narrowing.spaces, self.inventory.spaces),
            (SITES, "list_sites", narrowing.sites, self.inventory.sites),
        )
        for source, tool, names, known in wanted:
            for name in set(names or ()).difference(known) if not self.coverage.is_incomplete(source) else ():
                status = self.coverage.open(f"{source}: {name}", tool, {"organizationId": self.inventory.organization})
                status.error = AnswerError(f"GitBook lists no {name} here.{suggest(name, known)}")

    async def _read(self, source: str, tool: str, arguments: Mapping[str, Any], take: Take) -> None:
        await self._reader.read(source, tool, arguments, take)
        self._done += 1
        await self._progress(self._done, self._total, source)
