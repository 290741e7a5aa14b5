"""Changes made through this server: one tool that lists them, and one that undoes one."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gitbook_integrations_api.choices import Outcome
from gitbook_integrations_api.endpoint import INTEGRATION, OAUTH, USER, Composite, Input, Risk, one
from gitbook_integrations_api.parameters import (
    WITHOUT_OUTER_SPACE,
    IntegrationName,
    OrganizationId,
    PageCursor,
    Since,
    Until,
)
from gitbook_integrations_api.plans import PlanResult
from gitbook_integrations_api.schema import ABSENT

_UNDOING = (
    "install_integration",
    "update_integration_installation",
    "uninstall_integration",
    "install_integration_on_space",
    "update_integration_space_installation",
    "uninstall_integration_from_space",
    "install_integration_on_site",
    "update_integration_site_installation",
    "uninstall_integration_from_site",
    "disable_integration_development_mode",
    "get_integration_installation_by_id",
    "get_integration_space_installation",
    "get_integration_site_installation",
    "list_integration_installation_spaces",
    "list_integration_installation_sites",
)


class ChangeFilter(Input):
    changeId: Annotated[str, Field(pattern=WITHOUT_OUTER_SPACE, description="Only this change, in detail")] = ABSENT
    organizationId: OrganizationId = ABSENT
    integrationName: IntegrationName = ABSENT
    tool: Annotated[str, Field(description="Only calls of this tool")] = ABSENT
    outcome: Annotated[Outcome, Field(description="Only with this outcome")] = ABSENT
    since: Since = ABSENT
    until: Until = ABSENT
    limit: Annotated[int, Field(ge=1, le=100, description="Page size; default 25")] = ABSENT
    page: PageCursor = ABSENT


class OneChange(Input):
    changeId: Annotated[str, Field(pattern=WITHOUT_OUTER_SPACE, description="ID from list_changes")]


class ChangePage(BaseModel):
    """Changes, newest first."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    items: list[dict[str, Any]]
    next: dict[str, Any] | None = None
    note: str | None = None


TOOLS = (
    Composite(
        operation="listChanges",
        title="List changes",
        description="List your changes through this server, newest first: when, what, outcome, and whether "
        "undo_change can undo it.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | OAUTH,
        input=ChangeFilter,
        result=one(ChangePage),
    ),
    Composite(
        operation="undoChange",
        title="Undo a change",
        description="Undo a change from list_changes: restores configuration with credentials, external IDs, spaces "
        "and sites.",
        act="Undo a change of {integration}",
        risk=Risk.DESTROY,
        credentials=USER | INTEGRATION | OAUTH,
        input=OneChange,
        result=one(PlanResult),
        consequence="The calls below run in this order. If one fails, the others are not sent.",
        uses=_UNDOING,
    ),
)
