"""Integrations that can be installed, and their details."""

from gitbook_integrations_api.endpoint import (
    INSTALLATION,
    INTEGRATION,
    OAUTH,
    USER,
    Endpoint,
    Risk,
    one,
    paged,
)
from gitbook_integrations_api.inputs import OfIntegration, OfOrganization, Paged
from gitbook_integrations_api.objects import Integration
from gitbook_integrations_api.parameters import (
    BlockDomain,
    CategoryFilter,
    HasBlocks,
    HasContentSources,
    NameSearch,
    OwnerFilter,
    ScopeFilter,
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
        "unlisted ones. Use list_organization_installations for integrations that are already installed.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:read",),
        input=FilteredInOrganization,
        result=paged(Integration),
    ),
)
