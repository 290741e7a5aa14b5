"""Integrations on sites, and the scripts that they add to published pages."""

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
    UndoStep,
    Widening,
    array,
    one,
    paged,
)
from gitbook_integrations_api.inputs import (
    Extendable,
    InstallationUpdate,
    OfInstallation,
    OfIntegration,
    OfOrganization,
    OfSiteInstallation,
    Paged,
)
from gitbook_integrations_api.objects import Integration, SiteInstallation, SiteScript
from gitbook_integrations_api.parameters import ONLY_ACTIVE, ExternalId, NameSearch, SiteId
from gitbook_integrations_api.schema import ABSENT


class OfSite(OfOrganization):
    siteId: SiteId


class SearchInSite(OfSite):
    search: NameSearch = ABSENT


class FoundByExternalId(Extendable, Paged, OfIntegration):
    externalId: ExternalId = ABSENT


class PagedInstallation(Extendable, Paged, OfInstallation):
    pass


class InstallationTarget(Extendable, OfInstallation):
    siteId: Annotated[str, Field(description="ID from list_sites")]


class Read(Extendable, OfSiteInstallation):
    pass


class Update(Extendable, InstallationUpdate, OfSiteInstallation):
    pass


TOOLS = (
    Endpoint(
        operation="listSiteIntegrations",
        method="GET",
        path="/orgs/{organizationId}/sites/{siteId}/integrations",
        title="List a site's integrations",
        description=f"List the integrations that are active on a site. {ONLY_ACTIVE}",
        omits=ONLY_ACTIVE,
        risk=Risk.READ,
        credentials=USER | OAUTH,
        scopes=("site:read",),
        input=SearchInSite,
        result=paged(Integration),
    ),
    Endpoint(
        operation="listSiteIntegrationScripts",
        method="GET",
        path="/orgs/{organizationId}/sites/{siteId}/integration-scripts",
        title="List a site's scripts",
        description="List the integration scripts that a site's published pages load: URL, content security policy, "
        "cookies.",
        risk=Risk.READ,
        credentials=USER | OAUTH,
        scopes=("site:read",),
        input=OfSite,
        result=array(SiteScript),
    ),
    Endpoint(
        operation="listIntegrationSiteInstallations",
        method="GET",
        path="/integrations/{integrationName}/sites",
        title="List an integration's site installations",
        description="List an integration's sites in all organizations. Requires an integration token; with a user "
        "token, use list_integration_installation_sites.",
        risk=Risk.READ,
        credentials=INTEGRATION,
        user_alternative="list_integration_installation_sites",
        input=FoundByExternalId,
        result=paged(SiteInstallation),
    ),
    Endpoint(
        operation="listIntegrationInstallationSites",
        method="GET",
        path="/integrations/{integrationName}/installations/{installationId}/sites",
        title="List an installation's sites",
        description="List the sites where one installation is enabled, with status and external IDs.",
        omits="With site_selection all, it may be for all sites: see get_integration_installation_by_id.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:read",),
        input=PagedInstallation,
        result=paged(SiteInstallation),
    ),
    Endpoint(
        operation="getIntegrationSiteInstallation",
        method="GET",
        path="/integrations/{integrationName}/installations/{installationId}/sites/{siteId}",
        title="Get a site installation",
        description="Get one installation on one site: status, configuration, external IDs.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:read",),
        input=Read,
        result=one(SiteInstallation),
    ),
    Endpoint(
        operation="installIntegrationOnSite",
        method="POST",
        path="/integrations/{integrationName}/installations/{installationId}/sites",
        title="Install on a site",
        description="Enable an existing installation on a site.",
        risk=Risk.WRITE,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:write",),
        input=InstallationTarget,
        policy_action="install",
        result=one(SiteInstallation),
        success=(201,),
        widens=Widening.ACCESS,
        act="Install {integration} on {site}",
        consequence="The integration runs on this site, with all scopes below.",
        undo=Undo(
            (
                UndoStep(
                    "uninstall_integration_from_site",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        ("siteId", "arguments.siteId"),
                    ),
                ),
            )
        ),
    ),
    Endpoint(
        operation="updateIntegrationSiteInstallation",
        method="PATCH",
        path="/integrations/{integrationName}/installations/{installationId}/sites/{siteId}",
        title="Update a site installation",
        description="Change the configuration or external IDs of an installation on one site.",
        risk=Risk.WRITE,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:write",),
        input=Update,
        result=one(SiteInstallation),
        configures="site",
        act="Update {integration} on {site}",
        consequence="The installation on this site gets the settings below.",
        undo=Undo(
            (
                UndoStep(
                    "update_integration_site_installation",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        ("siteId", "arguments.siteId"),
                        ("configuration", "before.configuration"),
                        ("externalIds", "before.externalIds"),
                    ),
                ),
            )
        ),
    ),
    Endpoint(
        operation="uninstallIntegrationFromSite",
        method="DELETE",
        path="/integrations/{integrationName}/installations/{installationId}/sites/{siteId}",
        title="Uninstall from a site",
        description="Uninstall an integration from one site. Its configuration there is deleted.",
        risk=Risk.DESTROY,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=OfSiteInstallation,
        result=NOTHING,
        success=(205, 204),
        act="Uninstall {integration} from {site}",
        consequence="The integration stops working on this site. Its configuration and external IDs there are "
        "deleted. If all sites are selected, this may end that selection, and future sites are then not in it. "
        "undo_change can install it again and restore what the store keeps.",
        effect="The installation {installationId} of {integrationName} is not on the site {siteId}.",
        undo=Undo(
            (
                UndoStep(
                    "install_integration_on_site",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        ("siteId", "arguments.siteId"),
                    ),
                ),
                UndoStep(
                    "update_integration_site_installation",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        ("siteId", "arguments.siteId"),
                        ("configuration", "before.configuration"),
                        ("externalIds", "before.externalIds"),
                    ),
                ),
            ),
            lost="Data that the integration itself kept for this site is lost. If the removal from the "
            "site ended a selection of all sites, that is not restored.",
        ),
    ),
)
