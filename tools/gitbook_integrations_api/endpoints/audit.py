"""Audits: a tool that reads many endpoints and returns one result, and tools that accept its findings."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from gitbook_integrations_api.checks import Check
from gitbook_integrations_api.choices import ExportFormat
from gitbook_integrations_api.endpoint import USER, Composite, Risk, one
from gitbook_integrations_api.inputs import OfOrganization
from gitbook_integrations_api.parameters import WITHOUT_OUTER_SPACE, IntegrationName, PageCursor
from gitbook_integrations_api.schema import ABSENT

Section = Literal["findings", "installations", "access", "scripts", "coverage", "changes"]
SECTIONS: tuple[Section, ...] = get_args(Section)

REPORT_ID = r"^rep_[0-9a-f]{16}$"
"""The ID of a kept report."""

_CHOSEN = 100
"""Maximum number of integrations, spaces or sites in a partial audit, as each can need its own requests."""


FindingId = Annotated[
    str,
    Field(
        pattern=WITHOUT_OUTER_SPACE, max_length=100, description="ID of a finding, or of a rule for all its findings"
    ),
]


class Audit(OfOrganization):
    organizations: Annotated[Literal["all"], Field(description="Every organization, side by side")] = ABSENT
    integrations: Annotated[
        list[str], Field(min_length=1, max_length=_CHOSEN, description="Audit only these (names, at most 100)")
    ] = ABSENT
    spaces: Annotated[
        list[str], Field(min_length=1, max_length=_CHOSEN, description="Audit only these (IDs, at most 100)")
    ] = ABSENT
    sites: Annotated[
        list[str], Field(min_length=1, max_length=_CHOSEN, description="Audit only these (IDs, at most 100)")
    ] = ABSENT
    section: Annotated[
        Literal["summary", Section, "report"],
        Field(description="Part of the latest audit if it is recent. report: everything (long)"),
    ] = ABSENT
    integration: Annotated[IntegrationName, Field(description="With a section: only this integration (name)")] = ABSENT
    explain: Annotated[
        str,
        Field(pattern=WITHOUT_OUTER_SPACE, max_length=100, description="ID of a finding: why, evidence and fix"),
    ] = ABSENT
    page: PageCursor = ABSENT
    refresh: Annotated[bool, Field(description="Run a new audit")] = False
    baseline: Annotated[
        str | dict[str, Any],
        Check.MOMENT,
        Field(
            description="Compare with an earlier audit: last, at least 24h, 7d or 4w old, up to 2026-11-18, or a "
            "JSON report"
        ),
    ] = ABSENT


class Export(OfOrganization):
    format: Annotated[ExportFormat, Field(description="html: a page. csv: findings")]
    reportId: Annotated[str, Field(pattern=REPORT_ID, description="ID of an earlier audit or export")] = ABSENT


class AcceptedFinding(OfOrganization):
    finding: FindingId
    reason: Annotated[str, Field(min_length=1, max_length=250, description="Why the risk is acceptable")]
    until: Annotated[
        str, Field(pattern=r"^(\d{4}(-\d\d){2}|\d{1,4}[dw])$", description="Last day: 2027-06-30, or 30d")
    ] = ABSENT


class WithdrawnAcceptance(OfOrganization):
    finding: FindingId


class AuditResult(BaseModel):
    """The result of the tool: a summary, a page of a section, or the report."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    generatedAt: str
    ageSeconds: float
    complete: bool
    organization: dict[str, Any] | None = None
    figures: dict[str, Any] | None = None
    findings: dict[str, int] | None = None
    byRule: list[dict[str, Any]] | None = None
    installations: list[str] | None = None
    notAudited: list[str] | None = None
    organizations: list[dict[str, Any]] | None = None
    onlyIn: list[dict[str, Any]] | None = None
    different: list[dict[str, Any]] | None = None
    explanation: dict[str, Any] | None = None
    coverage: dict[str, Any] | None = None
    changes: dict[str, Any] | None = None
    changeExamples: list[str] | None = None
    section: str | None = None
    items: list[dict[str, Any]] | None = None
    next: dict[str, Any] | None = None
    count: int | None = None
    report: dict[str, Any] | None = None
    more: str | None = None
    reportUri: str | None = None
    kept: bool | None = None
    note: str | None = None


class ExportResult(BaseModel):
    """Where an exported report is: a resource, and a file if the server runs on the user's machine."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    uri: str
    path: str | None = None
    format: str
    reportId: str
    generatedAt: str
    complete: bool
    verdict: str


class AcceptanceResult(BaseModel):
    """The result of an acceptance or of its withdrawal."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    status: str
    message: str
    finding: str | None = None
    until: str | None = None
    undo: Any = None


TOOLS = (
    Composite(
        operation="auditInstallations",
        title="Audit installations",
        description="Audit an organization: installations, scopes, locations, site scripts and risk findings. Returns "
        "a summary and changes; use section for details. Use this instead of many list calls.",
        risk=Risk.READ,
        credentials=USER,
        input=Audit,
        result=one(AuditResult),
        view="ui://gitbook-integrations/audit",
        uses=(
            "list_organizations_for_authenticated_user",
            "list_organization_installations",
            "list_spaces_in_organization_by_id",
            "list_sites",
            "list_integrations",
            "list_organization_integrations_status",
            "list_integration_installation_spaces",
            "list_integration_installation_sites",
            "list_site_integration_scripts",
        ),
    ),
    Composite(
        operation="exportReport",
        title="Export an audit report",
        description="Export the whole report of a recent or new audit, for people or programs. Returns a link and, on "
        "the user's machine, a file path.",
        risk=Risk.READ,
        credentials=USER,
        input=Export,
        result=one(ExportResult),
        uses=("audit_installations",),
    ),
    Composite(
        operation="acceptFinding",
        title="Accept a finding",
        description="Accept a finding of audit_installations, or all findings of a rule, instead of fixing it. Audits "
        "then show it as accepted, in section findings.",
        risk=Risk.WRITE,
        credentials=USER,
        input=AcceptedFinding,
        result=one(AcceptanceResult),
        always_confirmed=True,
        act="Accept {finding}",
        consequence="Every audit of this organization by this server, for every user, then shows the finding as "
        "accepted, with this reason, and no longer counts it as open.",
        uses=("list_organization_installations",),
    ),
    Composite(
        operation="withdrawAcceptance",
        title="Withdraw an acceptance",
        description="Withdraw the acceptance of a finding or rule. Audits then report its findings as open again.",
        risk=Risk.WRITE,
        credentials=USER,
        input=WithdrawnAcceptance,
        result=one(AcceptanceResult),
        always_confirmed=True,
        act="Withdraw the acceptance of {finding}",
        consequence="Every audit of this organization by this server then reports the finding as open again. The "
        "acceptance stays on record as withdrawn.",
        uses=("list_organization_installations",),
    ),
)
