"""Integrations on spaces."""

from typing import Annotated

from pydantic import Field

from gitbook_integrations_api.endpoint import (
    INSTALLATION,
    INTEGRATION,
    NOTHING,
    OAUTH,
    USER,
    Endpoint,
    Input,
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
    OfSpaceInstallation,
    Paged,
)
from gitbook_integrations_api.objects import (
    Integration,
    IntegrationBlocks,
    SpaceInstallation,
)
from gitbook_integrations_api.parameters import ONLY_ACTIVE, ExternalId, NameSearch, SpaceId
from gitbook_integrations_api.schema import ABSENT


class OfSpace(Input):
    spaceId: SpaceId


class SearchInSpace(OfSpace):
    search: NameSearch = ABSENT


class FoundByExternalId(Extendable, Paged, OfIntegration):
    externalId: ExternalId = ABSENT


class PagedInstallation(Extendable, Paged, OfInstallation):
    pass


class InstallationTarget(Extendable, OfInstallation):
    space: Annotated[str, Field(description="ID from list_spaces_in_organization_by_id")]


class Read(Extendable, OfSpaceInstallation):
    pass


class Update(Extendable, InstallationUpdate, OfSpaceInstallation):
    pass


TOOLS = (
    Endpoint(
        operation="listSpaceIntegrations",
        method="GET",
        path="/spaces/{spaceId}/integrations",
        title="List a space's integrations",
        description=f"List the integrations that are active on a space. {ONLY_ACTIVE}",
        omits=ONLY_ACTIVE,
        risk=Risk.READ,
        credentials=USER | OAUTH,
        scopes=("space:read",),
        input=SearchInSpace,
        result=paged(Integration),
    ),
    Endpoint(
        operation="listSpaceIntegrationsBlocks",
        method="GET",
        path="/spaces/{spaceId}/integration-blocks",
        title="List a space's integration blocks",
        description="List the blocks that integrations add to a space's editor.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=OfSpace,
        result=array(IntegrationBlocks),
    ),
    Endpoint(
        operation="listIntegrationSpaceInstallations",
        method="GET",
        path="/integrations/{integrationName}/spaces",
        title="List an integration's space installations",
        description="List an integration's spaces in all organizations. Requires an integration token; with a user "
        "token, use list_integration_installation_spaces.",
        risk=Risk.READ,
        credentials=INTEGRATION | INSTALLATION,
        user_alternative="list_integration_installation_spaces",
        input=FoundByExternalId,
        result=paged(SpaceInstallation),
    ),
    Endpoint(
        operation="listIntegrationInstallationSpaces",
        method="GET",
        path="/integrations/{integrationName}/installations/{installationId}/spaces",
        title="List an installation's spaces",
        description="List the spaces where one installation is enabled, with status and external IDs.",
        omits="With space_selection all, it may be for all spaces: see get_integration_installation_by_id.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:read",),
        input=PagedInstallation,
        result=paged(SpaceInstallation),
    ),
    Endpoint(
        operation="getIntegrationSpaceInstallation",
        method="GET",
        path="/integrations/{integrationName}/installations/{installationId}/spaces/{spaceId}",
        title="Get a space installation",
        description="Get one installation on one space: status, configuration, external IDs.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:read",),
        input=Read,
        result=one(SpaceInstallation),
    ),
    Endpoint(
        operation="installIntegrationOnSpace",
        method="POST",
        path="/integrations/{integrationName}/installations/{installationId}/spaces",
        title="Install on a space",
        description="Enable an existing installation on a space.",
        risk=Risk.WRITE,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:write",),
        input=InstallationTarget,
        policy_action="install",
        result=one(SpaceInstallation),
        success=(201,),
        widens=Widening.ACCESS,
        act="Install {integration} on {space}",
        consequence="The integration runs on this space, with all scopes below.",
        undo=Undo(
            (
                UndoStep(
                    "uninstall_integration_from_space",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        ("spaceId", "arguments.space"),
                    ),
                ),
            )
        ),
    ),
    Endpoint(
        operation="updateIntegrationSpaceInstallation",
        method="PATCH",
        path="/integrations/{integrationName}/installations/{installationId}/spaces/{spaceId}",
        title="Update a space installation",
        description="Change the configuration or external IDs of an installation on one space.",
        risk=Risk.WRITE,
        credentials=USER | INTEGRATION | INSTALLATION | OAUTH,
        scopes=("integration:installations:write",),
        input=Update,
        result=one(SpaceInstallation),
        configures="space",
        act="Update {integration} on {space}",
        consequence="The installation on this space gets the settings below.",
        undo=Undo(
            (
                UndoStep(
                    "update_integration_space_installation",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        ("spaceId", "arguments.spaceId"),
                        ("configuration", "before.configuration"),
                        ("externalIds", "before.externalIds"),
                    ),
                ),
            )
        ),
    ),
    Endpoint(
        operation="uninstallIntegrationFromSpace",
        method="DELETE",
        path="/integrations/{integrationName}/installations/{installationId}/spaces/{spaceId}",
        title="Uninstall from a space",
        description="Uninstall an integration from one space. Its configuration there is deleted.",
        risk=Risk.DESTROY,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=OfSpaceInstallation,
        result=NOTHING,
        success=(205, 204),
        act="Uninstall {integration} from {space}",
        consequence="The integration stops working on this space. Its configuration and external IDs there are "
        "deleted. If all spaces are selected, this may end that selection, and future spaces are then not in it. "
        "undo_change can install it again and restore what the store keeps.",
        effect="The installation {installationId} of {integrationName} is not on the space {spaceId}.",
        undo=Undo(
            (
                UndoStep(
                    "install_integration_on_space",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        ("space", "arguments.spaceId"),
                    ),
                ),
                UndoStep(
                    "update_integration_space_installation",
                    (
                        ("integrationName", "arguments.integrationName"),
                        ("installationId", "arguments.installationId"),
                        ("spaceId", "arguments.spaceId"),
                        ("configuration", "before.configuration"),
                        ("externalIds", "before.externalIds"),
                    ),
                ),
            ),
            lost="Data that the integration itself kept for this space is lost. If the removal from the "
            "space ended a selection of all spaces, that is not restored.",
        ),
    ),
)
