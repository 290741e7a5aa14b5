"""Inputs that several tools share, named after the object that they identify."""

from gitbook_integrations_api.endpoint import Input
from gitbook_integrations_api.parameters import (
    Configuration,
    Extended,
    ExternalIds,
    InstallationId,
    IntegrationName,
    Limit,
    OrganizationId,
    PageCursor,
    SiteId,
    SpaceId,
)
from gitbook_integrations_api.schema import ABSENT


class Paged(Input):
    page: PageCursor = ABSENT
    limit: Limit = ABSENT


class OfIntegration(Input):
    integrationName: IntegrationName


class OfInstallation(OfIntegration):
    installationId: InstallationId


class OfSpaceInstallation(OfInstallation):
    spaceId: SpaceId


class OfSiteInstallation(OfInstallation):
    siteId: SiteId


class OfOrganization(Input):
    organizationId: OrganizationId


class Extendable(Input):
    extended: Extended = False


class InstallationUpdate(Input):
    configuration: Configuration = ABSENT
    externalIds: ExternalIds = ABSENT
