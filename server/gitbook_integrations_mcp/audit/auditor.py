"""Runs an audit: collects the data, evaluates the rules, and builds the report."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from gitbook_integrations_api.choices import LEVELS, SEVERITIES
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.report import (
    AuditedOrganization,
    Figures,
    InstallationFacts,
    Narrowing,
    Report,
    ScriptFacts,
    SiteFacts,
)
from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.audit.accepted_findings import AcceptanceFile, Acceptances, AcceptedFinding
from gitbook_integrations_mcp.audit.collector import Collector, Progress
from gitbook_integrations_mcp.audit.coverage import MARKETPLACE, CoverageTracker, name_scripts
from gitbook_integrations_mcp.audit.evaluation import Evaluation, evaluate_rules
from gitbook_integrations_mcp.audit.inventory import Installed
from gitbook_integrations_mcp.audit.list_reader import Send
from gitbook_integrations_mcp.audit.rule_results import Facts
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import LimitError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.http import GitBookResponse

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.development_modes import DevelopmentMode


@dataclass(frozen=True, slots=True)
class Audit:
    """A report, and everything that was read for it."""

    report: Report
    collector: Collector

    @property
    def settings(self) -> Mapping[str, Mapping[str, str]]:
        """Digests of the settings of installations, by ID and key. Reports have no settings, so they are not kept."""
        return {each.id: each.settings for each in self.collector.inventory.installations.values()}


class Auditor:
    """Runs audits. Tests replace `clock` (monotonic, in seconds), `wall_clock` (seconds since 1970) and `sleep`."""

    def __init__(
        self,
        gitbook: GitBook,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._gitbook = gitbook
        self._settings = settings.audit
        self._policy = settings.policy.rules
        self._file = AcceptanceFile(settings.audit.accepted)
        self._concurrency = settings.limits.concurrency
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep

    async def audit(
        self,
        organization: str,
        narrowing: Narrowing,
        credentials: Credentials,
        progress: Progress,
        accepted: Iterable[AcceptedFinding] = (),
        earlier: Audit | None = None,
        development: "Mapping[str, DevelopmentMode] | None" = None,
    ) -> Audit:
        """Return the report on an organization or a part of it.

        `accepted` are accepted findings besides those of the file, and `development` the development modes that are
        known to be on, by integration, or None if they are unknown. Lists that are the same for all organizations are
        taken from an `earlier` audit with the same credentials, if there is one; then there is no `narrowing`.

        Raises:
            AcceptanceError: the file of accepted findings cannot be used.
            CallError: nothing in the organization can be read.
        """
        now = datetime.fromtimestamp(self._wall_clock(), UTC)
        acceptances = Acceptances([*self._file.read(), *accepted], now.date())
        send = self._create_send(credentials)
        before = earlier.collector if earlier else None
        collector = Collector(organization, narrowing, send, progress, self._concurrency, before)
        started = self._clock()
        await collector.collect()
        seconds = self._clock() - started
        facts = Facts(
            collector.inventory, collector.coverage, now, self._settings.stalled_days, self._policy, development
        )
        report = build_report(facts, evaluate_rules(facts, self._settings, acceptances), seconds)
        return Audit(report, collector)

    def _create_send(self, credentials: Credentials) -> Send:
        """Return the function that sends the requests of an audit that starts now.

        It waits for GitBook's rate limit longer than a single call may, because a large organization takes more
        requests than one period of the limit allows.
        """
        deadline = self._clock() + self._settings.max_wait_seconds

        async def send(endpoint: Endpoint, arguments: Mapping[str, Any]) -> GitBookResponse:
            request, token = endpoint.build_request(arguments), credentials.select(endpoint)
            while True:
                result: GitBookResponse | LimitError
                try:
                    result = await self._gitbook.send(request, token)
                except LimitError as error:
                    result = error
                limited = isinstance(result, LimitError) or result.status == 429
                if not limited or result.wait is None or self._clock() + result.wait > deadline:
                    break
                await self._sleep(result.wait)
            if isinstance(result, LimitError):
                raise result
            return credentials.scrub_response(result)

        return send


def build_report(facts: Facts, evaluation: Evaluation, seconds: float) -> Report:
    """Return the report on the collected facts and the results of the rules."""
    inventory, coverage = facts.inventory, facts.coverage
    installations = tuple(_build_installation(facts, installed) for installed in inventory.installations.values())
    sites = tuple(site.model_copy(update={"scripts": _list_scripts(facts, site)}) for site in inventory.sites.values())
    open_findings = [finding for finding in evaluation.findings if finding.accepted is None]
    return Report(
        generator=f"gitbook-integrations-mcp {__version__}",
        generatedAt=facts.time,
        organization=AuditedOrganization(
            id=inventory.organization, title=inventory.organizations.get(inventory.organization)
        ),
        others=tuple(
            AuditedOrganization(id=identifier, title=title)
            for identifier, title in inventory.organizations.items()
            if identifier != inventory.organization
        ),
        narrowing=inventory.narrowing,
        figures=Figures(
            installations=len(installations),
            spaces=len(inventory.spaces),
            sites=len(sites),
            publishedSites=sum(site.published is True for site in sites),
            spaceInstallations=sum(len(each.spaces) for each in installations),
            siteInstallations=sum(len(each.sites) for each in installations),
            scripts=sum(len(site.scripts or ()) for site in sites),
            findings={
                severity: sum(finding.severity == severity for finding in open_findings) for severity in SEVERITIES
            },
            accepted=len(evaluation.findings) - len(open_findings),
            atLeast=_find_lower_bounds(coverage),
        ),
        installations=installations,
        spaces=tuple(inventory.spaces.values()),
        sites=sites,
        findings=tuple(evaluation.findings),
        rules=tuple(evaluation.outcomes),
        coverage=coverage.summarize(seconds, evaluation.affected),
    )


def _build_installation(facts: Facts, installed: Installed) -> InstallationFacts:
    listed: bool | None = installed.name in facts.inventory.marketplace
    if not listed and facts.coverage.is_incomplete(MARKETPLACE):
        listed = None
    update: dict[str, Any] = {
        "integration": installed.facts.integration.model_copy(update={"listed": listed}),
    }
    for level in LEVELS:
        ids, places = facts.inventory.narrowing.get_places(level), installed.places[level].values()
        update[f"{level}s"] = tuple(place for place in places if ids is None or place.id in ids)
        update[f"{level}sComplete"] = facts.knows_places(installed, level)
    return installed.facts.model_copy(update=update)


def _list_scripts(facts: Facts, site: SiteFacts) -> tuple[ScriptFacts, ...] | None:
    scripts = tuple(_complete_script(facts, script) for script in facts.inventory.scripts.get(site.id, ()))
    return None if not scripts and facts.coverage.is_incomplete(name_scripts(site.id)) else scripts


def _complete_script(facts: Facts, script: ScriptFacts) -> ScriptFacts:
    integration = facts.inventory.find_integration(script.integration)
    if integration is None:
        return script
    return script.model_copy(update={"owner": integration.owner, "verified": integration.verified})


def _find_lower_bounds(coverage: CoverageTracker) -> tuple[str, ...]:
    """Return the names of the figures that may be too low because a list was not read completely."""
    incomplete = {status.tool for status in coverage.lists.values() if status.error and not status.ignored}
    bounds = {
        "installations": {"list_organization_installations"},
        "spaces": {"list_spaces_in_organization_by_id"},
        "sites": {"list_sites"},
        "publishedSites": {"list_sites"},
        "spaceInstallations": {"list_organization_installations", "list_integration_installation_spaces"},
        "siteInstallations": {"list_organization_installations", "list_integration_installation_sites"},
        "scripts": {"list_sites", "list_site_integration_scripts"},
        "findings": incomplete,
    }
    return tuple(figure for figure, tools in bounds.items() if tools & incomplete)
