"""Audits: one question, one answer out of many endpoints."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from gitbook_integrations_api.endpoint import USER, Composite, Risk, one
from gitbook_integrations_api.inputs import OfOrganization
from gitbook_integrations_api.parameters import IntegrationName, PageCursor
from gitbook_integrations_api.schema import ABSENT

Section = Literal["findings", "installations", "scripts", "coverage", "changes"]
SECTIONS: tuple[Section, ...] = get_args(Section)


_CHOSEN = 100
"""Things to which an audit is confined at most: each may take a request of its own. For more, audit all."""


class Audit(OfOrganization):
    integrations: Annotated[list[str], Field(min_length=1, max_length=_CHOSEN, description="Only these names")] = ABSENT
    spaces: Annotated[list[str], Field(min_length=1, max_length=_CHOSEN, description="Only these IDs")] = ABSENT
    sites: Annotated[list[str], Field(min_length=1, max_length=_CHOSEN, description="Only these IDs")] = ABSENT
    section: Annotated[
        Literal["summary", Section, "report"],
        Field(description="Details of the last audit while fresh; report: all, long"),
    ] = ABSENT
    integration: Annotated[IntegrationName, Field(description="Only what is about it")] = ABSENT
    page: PageCursor = ABSENT
    refresh: Annotated[bool, Field(description="Audit anew")] = False
    baseline: Annotated[
        Literal["last"] | dict[str, Any], Field(description="Compare with last audit or this report")
    ] = ABSENT


class Answer(BaseModel):
    """What the tool answers: a summary, or a page of a section, or the report."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    generatedAt: str
    ageSeconds: float
    complete: bool
    organization: dict[str, Any] | None = None
    figures: dict[str, Any] | None = None
    findings: dict[str, int] | None = None
    byRule: list[dict[str, Any]] | None = None
    coverage: dict[str, Any] | None = None
    changes: dict[str, Any] | None = None
    section: str | None = None
    items: list[dict[str, Any]] | None = None
    next: dict[str, Any] | None = None
    count: int | None = None
    report: dict[str, Any] | None = None
    more: str | None = None


TOOLS = (
    Composite(
        operation="auditInstallations",
        title="Audit installations",
        description="What is installed where in an organization, with which rights, what scripts run on its sites, and "
        "what is questionable. The answer is short; details by section and integration.",
        risk=Risk.READ,
        credentials=USER,
        input=Audit,
        result=one(Answer),
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
)
