"""Integrations that can be installed, and their details."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gitbook_integrations_api.endpoint import (
    INSTALLATION,
    INTEGRATION,
    OAUTH,
    USER,
    Composite,
    Endpoint,
    Input,
    PolicyAction,
    Risk,
    one,
    paged,
)
from gitbook_integrations_api.endpoints.development import check_tunnel_host
from gitbook_integrations_api.inputs import OfIntegration, OfOrganization, Paged
from gitbook_integrations_api.objects import Integration
from gitbook_integrations_api.parameters import (
    BlockDomain,
    CategoryFilter,
    HasBlocks,
    HasContentSources,
    IntegrationName,
    NameSearch,
    OrganizationId,
    OwnerFilter,
    ScopeFilter,
    SiteId,
    SpaceId,
    TargetFilter,
)
from gitbook_integrations_api.schema import ABSENT


class Filtered(Paged):
    search: NameSearch = ABSENT
    category: CategoryFilter = ABSENT
    blockDomain: BlockDomain = ABSENT
    blocks: HasBlocks = ABSENT
    contentSources: HasContentSources = ABSENT
    owner: OwnerFilter = ABSENT
    scope: ScopeFilter = ABSENT
    target: TargetFilter = ABSENT


class FilteredInOrganization(Filtered, OfOrganization):
    pass


class PolicyQuestion(Input):
    integrationName: IntegrationName = ABSENT
    organizationId: OrganizationId = ABSENT
    action: Annotated[
        PolicyAction, Field(description="Default install. widen: select all spaces or sites; tunnel: development mode")
    ] = ABSENT
    spaceId: SpaceId = ABSENT
    siteId: SiteId = ABSENT
    tunnelHost: Annotated[
        str,
        AfterValidator(check_tunnel_host),
        Field(min_length=1, max_length=256, description="Host of the tunnel's URL"),
    ] = ABSENT


class PolicyAnswer(BaseModel):
    """The decision, with the facts that it is based on; or all rules."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    decision: str | None = None
    message: str | None = None
    rule: dict[str, Any] | None = None
    unknown: list[str] | None = None
    facts: dict[str, Any] | None = None
    rules: list[dict[str, Any]] | None = None


TOOLS = (
    Endpoint(
        operation="listIntegrations",
        method="GET",
        path="/integrations",
        title="List public integrations",
        description="List the public integrations of GitBook's marketplace. Use list_organization_integrations to "
        "include an organization's private integrations.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=Filtered,
        result=paged(Integration),
    ),
    Endpoint(
        operation="getIntegrationByName",
        method="GET",
        path="/integrations/{integrationName}",
        title="Get an integration",
        description="Get all details of one integration: version, scopes, blocks, configuration schema, owner.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=OfIntegration,
        result=one(Integration),
    ),
    Endpoint(
        operation="listOrganizationIntegrations",
        method="GET",
        path="/orgs/{organizationId}/integrations",
        title="List an organization's available integrations",
        description="List the integrations that an organization can install: public ones and its own private or "
        "unlisted ones. For installed ones, use list_organization_installations.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:read",),
        input=FilteredInOrganization,
        result=paged(Integration),
    ),
    Composite(
        operation="checkPolicy",
        title="Check the policy",
        description="Check whether the operator's policy allows to install or publish an integration, which rule "
        "decides, and why. Without integrationName: all rules.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=PolicyQuestion,
        result=one(PolicyAnswer),  # a fact whose tool needs approval stays unknown, so that this one never needs it
    ),
)
