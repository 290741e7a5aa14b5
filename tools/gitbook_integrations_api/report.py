"""The report of an installation audit, as people keep it, compare it and build pages of it.

`report.schema.json` beside this module is its JSON Schema. Within one `VERSION` fields are only added; readers ignore
what they do not know.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gitbook_integrations_api.rules import Severity

VERSION: Literal[1] = 1


class Part(BaseModel):
    """A part of a report."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class AuditedOrganization(Part):
    id: str
    title: str | None = Field(None, description="None where the token may not list the organization.")


class Narrowing(Part):
    """What the audit was confined to; None is no confinement."""

    integrations: tuple[str, ...] | None = Field(None, description="Names")
    spaces: tuple[str, ...] | None = Field(None, description="IDs")
    sites: tuple[str, ...] | None = Field(None, description="IDs")


class Figures(Part):
    """Sums. Those named in `atLeast` could be higher, as a list they count was not read whole."""

    installations: int
    spaces: int
    sites: int
    publishedSites: int
    spaceInstallations: int = Field(description="Places on spaces: one for each installation on each space")
    siteInstallations: int = Field(description="Places on sites: one for each installation on each site")
    scripts: int
    findings: dict[Severity, int] = Field(description="Without accepted ones")
    accepted: int = Field(description="Findings that somebody accepted with a reason")
    atLeast: tuple[str, ...] = Field((), description="Names of the figures above that are lower bounds")


class Owner(Part):
    id: str
    title: str | None = None


class IntegrationFacts(Part):
    """What is installed."""

    name: str
    title: str
    owner: Owner | None = None
    own: bool | None = Field(None, description="Whether the audited organization owns it; None where it is not told")
    visibility: str | None = None
    verified: bool | None = None
    version: int | float | None = None
    target: str | None = Field(None, description="Where it can be enabled: all, space, site or organization")
    scopes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    blocks: int = Field(0, description="How many blocks it brings into the editor")
    contentSources: int = Field(0, description="How many kinds of content it brings in")
    listed: bool | None = Field(None, description="Whether the marketplace has it; None where that was not read")


class Placement(Part):
    """An installation on one space or site."""

    id: str = Field(description="Of the space or site")
    status: str | None = None
    externalIds: tuple[str, ...] = ()


class InstallationFacts(Part):
    """An installation in the organization, with the integration and the places it is enabled on."""

    id: str
    integration: IntegrationFacts
    status: str | None = None
    spaceSelection: str | None = Field(None, description="all or selected")
    siteSelection: str | None = Field(None, description="all or selected")
    externalIds: tuple[str, ...] = ()
    createdAt: str | None = None
    updatedAt: str | None = Field(None, description="Last change")
    spaces: tuple[Placement, ...] = ()
    spacesComplete: bool = Field(description="Whether `spaces` is all of them")
    sites: tuple[Placement, ...] = ()
    sitesComplete: bool = Field(description="Whether `sites` is all of them")
    app: str | None = Field(None, description="Where GitBook shows it to people")


class SpaceFacts(Part):
    id: str
    title: str
    visibility: str | None = None
    app: str | None = Field(None, description="Where GitBook shows it to people")


class ScriptFacts(Part):
    """A script that a site's published pages load."""

    url: str = Field(description="Without query, fragment and credentials")
    host: str
    contentSecurityPolicy: str | None = None
    cookies: bool | None = None
    integration: str | None = Field(None, description="Name in its URL")
    installation: str | None = Field(None, description="ID in its URL")


class SiteFacts(Part):
    id: str
    title: str
    type: str | None = None
    visibility: str | None = None
    published: bool | None = None
    url: str | None = Field(None, description="Where it is published")
    app: str | None = Field(None, description="Where GitBook shows it to people")
    scripts: tuple[ScriptFacts, ...] | None = Field(None, description="None where they could not be read")


class Subject(Part):
    """What a finding is about; IDs and names as they are in the inventory."""

    integration: str | None = None
    installation: str | None = None
    space: str | None = None
    site: str | None = None
    script: str | None = Field(None, description="URL")


class Remedy(Part):
    """The call that would mend a finding. It is a proposal: what deletes waits for a human's yes."""

    tool: str
    arguments: dict[str, Any]
    advice: str


class Acceptance(Part):
    """That somebody knows of a finding and leaves it."""

    reason: str
    date: str = Field(description="When it was accepted, YYYY-MM-DD")
    expires: str | None = Field(None, description="When it must be looked at again, YYYY-MM-DD")


class Finding(Part):
    """One finding. Its `id` is the same in every report as long as rule and subject are."""

    id: str
    rule: str
    severity: Severity
    summary: str
    subject: Subject
    evidence: tuple[str, ...]
    remedy: Remedy
    sources: tuple[str, ...] = Field(description="What was read for it; where one is among the gaps, it is undecided")
    accepted: Acceptance | None = None


class Undecided(Part):
    """Something that could not be judged; `subject` is empty where it is a whole list."""

    what: str
    subject: Subject = Subject()


class RuleOutcome(Part):
    """What became of one rule. What was `partly` checked, or not, may hide findings: `undecided` says where."""

    id: str
    severity: Severity
    title: str
    meaning: str
    why: str
    outcome: Literal["checked", "partly", "unchecked", "off"]
    findings: int = Field(description="With accepted ones")
    undecided: tuple[Undecided, ...] = ()


class ListCoverage(Part):
    """How far the lists of one tool were read."""

    tool: str
    lists: int
    complete: int
    pages: int
    items: int


class Gap(Part):
    """Something that could not be read, wholly or from some page on."""

    source: str
    tool: str
    arguments: dict[str, Any]
    read: int = Field(description="Items that were read before")
    reason: str
    status: int | None = Field(None, description="HTTP status, where GitBook answered with an error")
    consequence: str
    rules: tuple[str, ...] = Field((), description="Rules that could not be judged everywhere because of it")


class Coverage(Part):
    complete: bool
    requests: int
    seconds: float
    lists: tuple[ListCoverage, ...]
    gaps: tuple[Gap, ...] = ()


class Change(Part):
    """One difference between two reports; `field`, `before` and `after` tell what changed."""

    kind: Literal["installation", "space", "site", "on space", "on site", "script"]
    subject: Subject
    title: str
    field: str | None = None
    before: Any = None
    after: Any = None


class Comparison(Part):
    """What differs from an earlier report. Data that either report lacks is never listed as added, removed or fixed."""

    baseline: str = Field(description="When the earlier report was made")
    baselineComplete: bool
    added: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    newFindings: tuple[str, ...] = Field((), description="IDs of findings that the earlier report does not have")
    possiblyOlder: tuple[str, ...] = Field(
        (), description="New findings that the earlier report could not have detected, because data was missing"
    )
    fixed: tuple[Finding, ...] = Field((), description="Findings of the earlier report that no longer exist")
    undecided: tuple[str, ...] = Field((), description="What could not be compared, and why")


class Report(Part):
    """An installation audit."""

    version: Literal[1] = VERSION
    generator: str = Field(description="Program and version")
    generatedAt: str = Field(description="UTC, ISO 8601")
    organization: AuditedOrganization
    narrowing: Narrowing = Narrowing()
    figures: Figures
    installations: tuple[InstallationFacts, ...]
    spaces: tuple[SpaceFacts, ...]
    sites: tuple[SiteFacts, ...]
    findings: tuple[Finding, ...] = Field(description="The gravest first; accepted ones are among them")
    rules: tuple[RuleOutcome, ...]
    coverage: Coverage
    comparison: Comparison | None = None

    @property
    def titles(self) -> dict[str, str]:
        """Titles of spaces and sites by ID."""
        return {space.id: space.title for space in self.spaces} | {site.id: site.title for site in self.sites}
