"""Installations of integrations on organizations, and the tokens that act for them."""

from typing import Annotated

from pydantic import Field

from gitbook_integrations_api.endpoint import (
    INSTALLATION,
    INTEGRATION,
    NOTHING,
    OAUTH,
    USER,
    Endpoint,
    Risk,
    Undo,
    one,
    paged,
)
from gitbook_integrations_api.inputs import (
    InstallationUpdate,
    OfInstallation,
    OfIntegration,
    OfOrganization,
    Paged,
)
from gitbook_integrations_api.objects import (
    Installation,
    InstalledIntegration,
    IntegrationStatus,
    OrganizationInstallation,
    TemporaryToken,
)
from gitbook_integrations_api.parameters import (
    ExternalId,
    InstalledOn,
    NameSearch,
    Selection,
)
from gitbook_integrations_api.schema import ABSENT


class FoundByExternalId(Paged, OfIntegration):
    externalId: ExternalId = ABSENT


class InstallationTarget(OfIntegration):
    organization: Annotated[str, Field(description="From list_organizations_for_authenticated_user")]


class Update(InstallationUpdate, OfInstallation):
    space_selection: Annotated[Selection, Field(description="All spaces, or only selected ones")] = ABSENT
    site_selection: Annotated[Selection, Field(description="All sites, or only selected ones")] = ABSENT


class SearchInOrganization(Paged, OfOrganization):
    search: NameSearch = ABSENT


class StatusFilter(SearchInOrganization):
    target: InstalledOn = "organization"
    site: Annotated[str, Field(description="From list_sites, with target site")] = ABSENT
    space: Annotated[str, Field(description="From list_spaces_in_organization_by_id, with target space")] = ABSENT


class StatusOf(OfIntegration, OfOrganization):
    pass


TOOLS = (
    Endpoint(
        operation="listOrganizationInstallations",
        method="GET",
        path="/orgs/{organizationId}/installations",
        title="List an organization's installations",
        description="List an organization's installations (ID, status, selection), each with its integration.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=SearchInOrganization,
        result=paged(OrganizationInstallation),
    ),
    Endpoint(
        operation="listOrganizationIntegrationsStatus",
        method="GET",
        path="/orgs/{organizationId}/integrations/installations-status",
        title="List installation statuses",
        description="List status and target of what is installed on an organization, its spaces or its sites; "
        "without installation IDs.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        input=StatusFilter,
        result=paged(InstalledIntegration),
    ),
    Endpoint(
        operation="getOrganizationIntegrationStatus",
        method="GET",
        path="/orgs/{organizationId}/integrations/{integrationName}/installation_status",
        title="Get an installation's status",
        description="Whether one integration is active, pending or paused in an organization.",
        risk=Risk.READ,
        credentials=USER | OAUTH,
        input=StatusOf,
        result=one(IntegrationStatus),
    ),
    Endpoint(
        operation="listIntegrationInstallations",
        method="GET",
        path="/integrations/{integrationName}/installations",
        title="List an integration's installations",
        description="List all installations of an integration, as the integration sees them.",
        risk=Risk.READ,
        credentials=INTEGRATION | INSTALLATION,
        input=FoundByExternalId,
        result=paged(Installation),
    ),
    Endpoint(
        operation="getIntegrationInstallationById",
        method="GET",
        path="/integrations/{integrationName}/installations/{installationId}",
        title="Get an installation",
        description="One installation: status, selection, external IDs, configuration.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        input=OfInstallation,
        result=one(Installation),
    ),
    Endpoint(
        operation="installIntegration",
        method="POST",
        path="/integrations/{integrationName}/installations",
        title="Install an integration",
        description="Install an integration on an organization; then configure it and add spaces or sites.",
        risk=Risk.WRITE,
        credentials=USER | OAUTH,
        input=InstallationTarget,
        result=one(Installation),
        success=(201,),
        undo=Undo(
            "uninstall_integration",
            (("integrationName", "arguments.integrationName"), ("installationId", "result.id")),
        ),
    ),
    Endpoint(
        operation="updateIntegrationInstallation",
        method="PATCH",
        path="/integrations/{integrationName}/installations/{installationId}",
        title="Update an installation",
        description="Change configuration, external IDs or selection of an installation.",
        risk=Risk.WRITE,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        input=Update,
        result=one(Installation),
        undo=Undo(
            "update_integration_installation",
            (
                ("integrationName", "arguments.integrationName"),
                ("installationId", "arguments.installationId"),
                ("configuration", "before.configuration"),
                ("externalIds", "before.externalIds"),
                ("space_selection", "before.space_selection"),
                ("site_selection", "before.site_selection"),
            ),
        ),
    ),
    Endpoint(
        operation="uninstallIntegration",
        method="DELETE",
        path="/integrations/{integrationName}/installations/{installationId}",
        title="Uninstall an integration",
        description="Uninstall an integration from an organization and from all its spaces and sites. "
        "A human must confirm.",
        risk=Risk.DESTROY,
        credentials=USER,
        input=OfInstallation,
        result=NOTHING,
        success=(205, 204),
        consequence="The integration stops working in the organization and on all its spaces and sites; their "
        "configuration and external IDs are lost. It can be installed again, but must then be configured anew.",
        undo=Undo(
            "install_integration",
            (
                ("integrationName", "arguments.integrationName"),
                ("organization", "before.target.organization"),
            ),
            whole=False,
        ),
    ),
    Endpoint(
        operation="createIntegrationInstallationToken",
        method="POST",
        path="/integrations/{integrationName}/installations/{installationId}/tokens",
        title="Create an installation token",
        description="Create a temporary API token that acts for an installation. A human must confirm.",
        risk=Risk.SECRET,
        credentials=INTEGRATION,
        input=OfInstallation,
        result=one(TemporaryToken),
        consequence="A live credential is put into the conversation: whoever reads it can act for the installation, "
        "with all its scopes, until it expires. It cannot be revoked before.",
    ),
)
