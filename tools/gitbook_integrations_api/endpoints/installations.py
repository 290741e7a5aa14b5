"""Installations of integrations on organizations, and their temporary tokens."""

from typing import Annotated

from pydantic import Field

from gitbook_integrations_api.endpoint import (
    INSTALLATION,
    INTEGRATION,
    NOTHING,
    OAUTH,
    USER,
    Composite,
    Endpoint,
    Input,
    Risk,
    Undo,
    UndoStep,
    Widening,
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
    SiteId,
    SpaceId,
)
from gitbook_integrations_api.plans import OffboardingResult, PlanResult
from gitbook_integrations_api.schema import ABSENT, InWords

_NAME = "arguments.integrationName"
_SETTINGS = tuple(
    (name, f"before.{name}") for name in ("configuration", "externalIds", "space_selection", "site_selection")
)
"""Parts of an installation that an undo restores."""


class FoundByExternalId(Paged, OfIntegration):
    externalId: ExternalId = ABSENT


class InstallationTarget(OfIntegration):
    organization: Annotated[str, Field(description="ID from list_organizations_for_authenticated_user")]


class Update(InstallationUpdate, OfInstallation):
    space_selection: Annotated[
        Selection, Field(description="all includes future spaces; selected keeps the current ones")
    ] = ABSENT
    site_selection: Annotated[
        Selection, Field(description="all includes future sites; selected keeps the current ones")
    ] = ABSENT


class SearchInOrganization(Paged, OfOrganization):
    search: NameSearch = ABSENT


class StatusFilter(SearchInOrganization):
    target: InstalledOn = "organization"
    site: Annotated[str, Field(description="With target site: only this site (ID from list_sites)")] = ABSENT
    space: Annotated[str, Field(description="With target space: only this space (ID)")] = ABSENT


class StatusOf(OfIntegration, OfOrganization):
    pass


class DesiredPlaces(OfInstallation):
    spaces: Annotated[list[str], Field(description="IDs of all spaces that it should be on")] = ABSENT
    sites: Annotated[list[str], Field(description="IDs of all sites that it should be on")] = ABSENT


class Place(OfInstallation):
    spaceId: SpaceId = ABSENT
    siteId: SiteId = ABSENT


class ConfigurationCopy(Input):
    source: Annotated[Place, Field(description="Without spaceId and siteId, the installation itself")]
    target: Annotated[Place, InWords, Field(description="The same fields as source")]
    keys: Annotated[list[str], Field(min_length=1, description="Only these settings; default all")] = ABSENT


TOOLS = (
    Endpoint(
        operation="listOrganizationInstallations",
        method="GET",
        path="/orgs/{organizationId}/installations",
        title="List an organization's installations",
        description="List an organization's installations: ID, status, space and site selection, integration, "
        "number of spaces (not sites).",
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
        description="List the status and target of installations on an organization, its spaces or its sites. Does not "
        "return installation IDs; for those, use list_organization_installations.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:read",),
        input=StatusFilter,
        result=paged(InstalledIntegration),
    ),
    Endpoint(
        operation="getOrganizationIntegrationStatus",
        method="GET",
        path="/orgs/{organizationId}/integrations/{integrationName}/installation_status",
        title="Get an installation's status",
        description="Get an integration's status in an organization: active, pending or paused.",
        risk=Risk.READ,
        credentials=USER | OAUTH,
        scopes=("integration:read",),
        input=StatusOf,
        result=one(IntegrationStatus),
    ),
    Endpoint(
        operation="listIntegrationInstallations",
        method="GET",
        path="/integrations/{integrationName}/installations",
        title="List an integration's installations",
        description="List an integration's installations in all organizations. Requires an integration token; with "
        "a user token, use list_organization_installations.",
        risk=Risk.READ,
        credentials=INTEGRATION | INSTALLATION,
        user_alternative="list_organization_installations",
        input=FoundByExternalId,
        result=paged(Installation),
    ),
    Endpoint(
        operation="getIntegrationInstallationById",
        method="GET",
        path="/integrations/{integrationName}/installations/{installationId}",
        title="Get an installation",
        description="Get one installation: status, space and site selection, external IDs, configuration.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:read",),
        input=OfInstallation,
        result=one(Installation),
    ),
    Endpoint(
        operation="installIntegration",
        method="POST",
        path="/integrations/{integrationName}/installations",
        title="Install an integration",
        description="Install an integration on an organization. Then configure the installation and enable it with "
        "install_integration_on_space or install_integration_on_site.",
        risk=Risk.WRITE,
        credentials=USER | OAUTH,
        scopes=("integration:installations:write",),
        input=InstallationTarget,
        policy_action="install",
        result=one(Installation),
        success=(201,),
        widens=Widening.ACCESS,
        act="Install {integration} on {organization}",
        consequence="The integration becomes part of the organization, and runs there with all scopes below.",
        undo=Undo(
            (
                UndoStep(
                    "uninstall_integration",
                    (("integrationName", "arguments.integrationName"), ("installationId", "result.id")),
                ),
            )
        ),
    ),
    Endpoint(
        operation="updateIntegrationInstallation",
        method="PATCH",
        path="/integrations/{integrationName}/installations/{installationId}",
        title="Update an installation",
        description="Change the configuration, external IDs, or space and site selection of an installation. Spaces "
        "and sites have their own update tools.",
        risk=Risk.WRITE,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:write",),
        input=Update,
        policy_action="widen",
        result=one(Installation),
        configures="account",
        widens=Widening.SELECTION,
        act="Update {integration} in {organization}",
        consequence="The installation gets the settings below.",
        undo=Undo(
            (
                UndoStep(
                    "update_integration_installation",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        *_SETTINGS,
                    ),
                ),
            )
        ),
    ),
    Endpoint(
        operation="uninstallIntegration",
        method="DELETE",
        path="/integrations/{integrationName}/installations/{installationId}",
        title="Uninstall an integration",
        description="Uninstall an integration from an organization and from all its spaces and sites. For one place, "
        "use uninstall_integration_from_space or uninstall_integration_from_site.",
        risk=Risk.DESTROY,
        credentials=USER,
        input=OfInstallation,
        result=NOTHING,
        success=(205, 204),
        act="Uninstall {integration} from {organization}",
        consequence="The integration stops working in the organization and on all its spaces and sites. Its "
        "configuration and external IDs there are deleted. undo_change can install it again and restore "
        "what the store keeps.",
        effect="{integrationName} is uninstalled ({installationId}).",
        undo=Undo(
            (
                UndoStep(
                    "install_integration",
                    (("integrationName", _NAME), ("organization", "before.target.organization")),
                ),
                UndoStep(
                    "install_integration_on_space",
                    (("integrationName", _NAME), ("installationId", "created.id"), ("space", "each.space")),
                    each="spaces",
                ),
                UndoStep(
                    "update_integration_space_installation",
                    (
                        ("integrationName", _NAME),
                        ("installationId", "created.id"),
                        ("spaceId", "each.space"),
                        ("configuration", "each.configuration"),
                        ("externalIds", "each.externalIds"),
                    ),
                    each="spaces",
                ),
                UndoStep(
                    "install_integration_on_site",
                    (("integrationName", _NAME), ("installationId", "created.id"), ("siteId", "each.site")),
                    each="sites",
                ),
                UndoStep(
                    "update_integration_site_installation",
                    (
                        ("integrationName", _NAME),
                        ("installationId", "created.id"),
                        ("siteId", "each.site"),
                        ("configuration", "each.configuration"),
                        ("externalIds", "each.externalIds"),
                    ),
                    each="sites",
                ),
                # Last: a selection of all places needs no places, and one of selected places needs them first.
                UndoStep(
                    "update_integration_installation",
                    (("integrationName", _NAME), ("installationId", "created.id"), *_SETTINGS),
                ),
            ),
            lost="The installation gets a new ID. Events, tasks, tokens and the integration's own data are lost.",
        ),
    ),
    Endpoint(
        operation="createIntegrationInstallationToken",
        method="POST",
        path="/integrations/{integrationName}/installations/{installationId}/tokens",
        title="Create an installation token",
        description="Create a temporary API token for an installation. Requires an integration token.",
        risk=Risk.SECRET,
        credentials=INTEGRATION,
        input=OfInstallation,
        result=one(TemporaryToken),
        act="Create a token for {integration} in {organization}",
        consequence="A live credential is added to the conversation. Anyone who reads it can act for the installation, "
        "with all its scopes, until it expires. It cannot be revoked earlier.",
    ),
    Composite(
        operation="setInstallationPlaces",
        title="Set an installation's places",
        description="Bring an installation to exactly these spaces or sites. Removed places lose their configuration: "
        "copy it first. A level left out stays.",
        act="Change the places of {integration}",
        risk=Risk.DESTROY,
        credentials=USER,
        input=DesiredPlaces,
        result=one(PlanResult),
        consequence="The integration works on the added places. On the removed ones it stops working, and its "
        "configuration and external IDs there are deleted. If one call fails, the others are not sent.",
        uses=(
            "update_integration_installation",
            "install_integration_on_space",
            "uninstall_integration_from_space",
            "install_integration_on_site",
            "uninstall_integration_from_site",
            "get_integration_installation_by_id",
            "list_integration_installation_spaces",
            "list_integration_installation_sites",
            "list_spaces_in_organization_by_id",
            "list_sites",
        ),
    ),
    Composite(
        operation="copyConfiguration",
        title="Copy a configuration",
        description="Copy settings, credentials unseen, from one installation, space or site to another with the "
        "integration. The target keeps its other settings and external IDs.",
        act="Copy a configuration of {integration}",
        risk=Risk.DESTROY,
        credentials=USER,
        input=ConfigurationCopy,
        result=one(PlanResult),
        consequence="The target gets these settings. Credentials among them are shown to nobody.",
        uses=(
            "update_integration_installation",
            "update_integration_space_installation",
            "update_integration_site_installation",
            "get_integration_installation_by_id",
            "get_integration_space_installation",
            "get_integration_site_installation",
        ),
    ),
    Composite(
        operation="uninstallEverywhere",
        title="Uninstall an integration everywhere",
        description="Uninstall an integration from an organization and from all its spaces and sites, found by name.",
        act="Uninstall {integration} everywhere in {organization}",
        risk=Risk.DESTROY,
        credentials=USER,
        input=StatusOf,
        result=one(OffboardingResult),
        consequence="The integration stops working in the organization and on all its spaces and sites. Its "
        "configuration and external IDs are deleted there. undo_change can install it again and restore "
        "what the store keeps.",
        uses=(
            "uninstall_integration",
            "list_organization_installations",
            "get_integration_installation_by_id",
            "list_integration_installation_spaces",
            "list_integration_installation_sites",
        ),
    ),
)
