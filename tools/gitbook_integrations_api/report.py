"""The report of an installation audit, as a data format that people can store, compare and display.

`report.schema.json` next to this module is its JSON Schema. Within one `VERSION`, fields are only added; readers ignore
unknown fields.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gitbook_integrations_api.choices import Level, Severity

VERSION: Literal[2] = 2


class Part(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Organization(Part):
    id: str
    title: str | None = None

    @property
    def name(self) -> str:
        """The title, or the ID if the title is unknown."""
        return self.title or self.id


class AuditedOrganization(_Organization):
    title: str | None = Field(None, description="null if the token cannot list the organization")


def _remove_duplicates(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


_Names = Annotated[tuple[str, ...], AfterValidator(_remove_duplicates)]


class Narrowing(Part):
    """The parts that a partial audit was limited to. null means no limit."""

    integrations: _Names | None = Field(None, description="Names")
    spaces: _Names | None = Field(None, description="IDs")
    sites: _Names | None = Field(None, description="IDs")

    def get_places(self, level: Level) -> tuple[str, ...] | None:
        """Return the IDs of the spaces or sites, or None if there is no limit."""
        return self.spaces if level == "space" else self.sites


class Figures(Part):
    """Totals. Those named in `atLeast` can be higher, because a list was not read completely."""

    installations: int
    spaces: int
    sites: int
    publishedSites: int
    spaceInstallations: int = Field(description="Pairs of an installation and a space where it is enabled")
    siteInstallations: int = Field(description="Pairs of an installation and a site where it is enabled")
    scripts: int
    findings: dict[Severity, int] = Field(description="Findings that are not accepted, by severity")
    accepted: int = Field(description="Findings that were accepted with a reason")
    atLeast: tuple[str, ...] = Field((), description="Names of the figures above that are lower bounds")


class Owner(_Organization):
    """The organization that owns an integration."""


class IntegrationFacts(Part):
    """The integration of an installation."""

    name: str
    title: str
    owner: Owner | None = None
    own: bool | None = Field(None, description="Whether the audited organization owns it; null if unknown")
    visibility: str | None = None
    verified: bool | None = None
    version: int | float | None = None
    target: str | None = Field(None, description="Where it can be enabled: all, space, site or organization")
    scopes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    blocks: int = Field(0, description="Number of blocks that it adds to the editor")
    contentSources: int = Field(0, description="Number of content sources that it provides")
    listed: bool | None = Field(
        None, description="Whether the marketplace lists it; null if the marketplace was not read"
    )


class Placement(Part):
    """An installation on one space or site."""

    id: str = Field(description="ID of the space or site")
    status: str | None = None
    externalIds: tuple[str, ...] = ()


class InstallationFacts(Part):
    """An installation in the organization, with its integration and the places where it is enabled."""

    id: str
    integration: IntegrationFacts
    status: str | None = None
    spaceSelection: str | None = Field(None, description="all or selected")
    siteSelection: str | None = Field(None, description="all or selected")
    externalIds: tuple[str, ...] = ()
    createdAt: str | None = None
    updatedAt: str | None = Field(None, description="Last change")
    spaces: tuple[Placement, ...] = ()
    spacesComplete: bool = Field(description="Whether `spaces` is complete")
    sites: tuple[Placement, ...] = ()
    sitesComplete: bool = Field(description="Whether `sites` is complete")
    app: str | None = Field(None, description="URL in the GitBook app")

    def get_places(self, level: Level) -> tuple[Placement, ...]:
        """Return the spaces or sites."""
        return self.spaces if level == "space" else self.sites


class GitSyncFacts(Part):
    """Git Sync of a space or site, as far as GitBook's lists of spaces and sites tell it."""

    provider: str | None = None
    repository: str | None = None
    status: str | None = Field(None, description="active, pending or unauthenticated")
    state: str | None = Field(None, description="State of the last synchronization")
    direction: str | None = Field(None, description="export (to the repository) or import")
    at: str | None = Field(None, description="Time of the last synchronization")


class SpaceFacts(Part):
    id: str
    title: str
    visibility: str | None = None
    app: str | None = Field(None, description="URL in the GitBook app")
    gitSync: GitSyncFacts | None = None


class ScriptFacts(Part):
    """A script that a site's published pages load."""

    url: str = Field(description="Without query, fragment and credentials")
    host: str
    contentSecurityPolicy: str | None = None
    cookies: bool | None = None
    integration: str | None = Field(None, description="Integration name in its URL")
    installation: str | None = Field(None, description="Installation ID in its URL")
    owner: Owner | None = Field(None, description="Owner of the integration; null if unknown")
    verified: bool | None = Field(None, description="Whether GitBook has verified the integration; null if unknown")


class SiteFacts(Part):
    id: str
    title: str
    type: str | None = None
    visibility: str | None = None
    published: bool | None = None
    url: str | None = Field(None, description="URL of the published site")
    app: str | None = Field(None, description="URL in the GitBook app")
    gitSync: GitSyncFacts | None = None
    scripts: tuple[ScriptFacts, ...] | None = Field(None, description="null if they could not be read")


class Subject(Part):
    """The subject of a finding: IDs and names as in the inventory."""

    integration: str | None = None
    installation: str | None = None
    space: str | None = None
    site: str | None = None
    script: str | None = Field(None, description="URL")


class Remedy(Part):
    """A proposed call that fixes the finding. Calls that delete something still require human approval."""

    tool: str
    arguments: dict[str, Any]
    advice: str


class Acceptance(Part):
    """The decision to accept a finding instead of fixing it."""

    reason: str
    date: str = Field(description="Date of the acceptance, YYYY-MM-DD")
    expires: str | None = Field(None, description="Last day of the acceptance, YYYY-MM-DD")
    by: str | None = Field(None, description="Name of the person who accepted it; null if unknown")


class FindingPlace(Part):
    """The space or site that a finding is about."""

    level: Level
    id: str
    title: str
    visibility: str | None = None


class Finding(Part):
    """One finding. Its `id` stays the same in all reports while its rule and subject stay the same."""

    id: str
    rule: str
    severity: Severity
    summary: str
    subject: Subject
    place: FindingPlace | None = Field(None, description="null if it is about the organization as a whole")
    owner: Owner | None = Field(None, description="Owner of the integration; null if unknown")
    firstSeen: str = Field(
        description="Time of the first audit that had the finding (UTC, ISO 8601); the problem can be older"
    )
    since: str = Field(
        description="Time of the audit since which no audit showed it as fixed; later than `firstSeen` if it returned"
    )
    evidence: tuple[str, ...]
    remedy: Remedy
    sources: tuple[str, ...] = Field(
        description="Lists that the finding is based on. If one of them is among the gaps, the finding is undecided"
    )
    accepted: Acceptance | None = None


class PastFinding(Part):
    """A finding that an earlier report had and this one does not have."""

    id: str
    firstSeen: str
    since: str | None = Field(
        None, description="As in the finding, if this audit could not check it; null if it is fixed"
    )


class Undecided(Part):
    """A check that could not be decided because data is missing. `subject` is empty if a whole list is missing."""

    what: str
    subject: Subject = Subject()


class RuleOutcome(Part):
    """The outcome of one rule. If it was `partly` checked or `unchecked`, `undecided` lists the open checks."""

    id: str
    severity: Severity
    title: str
    meaning: str
    why: str
    outcome: Literal["checked", "partly", "unchecked", "off"]
    findings: int = Field(description="Number of findings, including accepted ones")
    undecided: tuple[Undecided, ...] = ()


class ListCoverage(Part):
    """How completely the lists of one tool were read."""

    tool: str
    lists: int
    complete: int
    pages: int
    items: int


class Gap(Part):
    """A list that could not be read, or could be read only in part."""

    source: str
    tool: str
    arguments: dict[str, Any]
    read: int = Field(description="Number of items that were read")
    reason: str
    status: int | None = Field(None, description="HTTP status, if GitBook returned an error")
    consequence: str
    rules: tuple[str, ...] = Field((), description="Rules that could not be fully checked because of it")


class Coverage(Part):
    complete: bool
    requests: int
    seconds: float
    lists: tuple[ListCoverage, ...]
    gaps: tuple[Gap, ...] = ()
    unavailable: tuple[str, ...] = Field((), description="Facts that GitBook's API does not have")


class Change(Part):
    """One difference between two reports. For a changed object, `field`, `before` and `after` say what changed."""

    kind: Literal["installation", "space", "site", "on space", "on site", "script"]
    subject: Subject
    title: str
    field: str | None = None
    before: Any = None
    after: Any = None


class Comparison(Part):
    """Differences from an earlier report. Data that either report lacks is never listed as added, removed or fixed."""

    baseline: str = Field(description="Time of the earlier report")
    baselineComplete: bool
    added: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    newFindings: tuple[str, ...] = Field((), description="IDs of findings that the earlier report does not have")
    possiblyOlder: tuple[str, ...] = Field(
        (), description="New findings that the earlier report could not have detected, because data was missing"
    )
    reopened: tuple[str, ...] = Field(
        (), description="IDs of open findings that were accepted in the earlier report: withdrawn or expired since"
    )
    fixed: tuple[Finding, ...] = Field((), description="Findings of the earlier report that no longer exist")
    undecided: tuple[str, ...] = Field((), description="Parts that could not be compared, with the reason")

    @property
    def newly_open(self) -> frozenset[str]:
        """IDs of findings that nobody had to act on at the time of the earlier report."""
        return frozenset((*self.newFindings, *self.reopened))


class TrendPoint(Part):
    """The open findings of one audit, by severity."""

    time: str = Field(description="Time of the audit (UTC, ISO 8601)")
    findings: dict[Severity, int]
    complete: bool = Field(description="Whether the audit was complete; if not, there may have been more findings")


class Report(Part):
    """An installation audit."""

    version: Literal[2] = VERSION
    generator: str = Field(description="Program and version")
    generatedAt: str = Field(description="UTC, ISO 8601")
    organization: AuditedOrganization
    others: tuple[AuditedOrganization, ...] = Field(
        (), description="Organizations that the token can list, too, and that this report is not about"
    )
    narrowing: Narrowing = Narrowing()
    figures: Figures
    installations: tuple[InstallationFacts, ...]
    spaces: tuple[SpaceFacts, ...]
    sites: tuple[SiteFacts, ...]
    findings: tuple[Finding, ...] = Field(description="All findings, including accepted ones; the most severe first")
    rules: tuple[RuleOutcome, ...]
    coverage: Coverage
    comparison: Comparison | None = None
    past: tuple[PastFinding, ...] = Field((), description="Findings of earlier reports that this one does not have")
    trend: tuple[TrendPoint, ...] = Field(
        (), description="This audit and earlier ones of the same part, the last one of each day, the oldest first"
    )

    @property
    def titles(self) -> dict[str, str]:
        """Titles of spaces and sites by ID."""
        return {space.id: space.title for space in self.spaces} | {site.id: site.title for site in self.sites}
