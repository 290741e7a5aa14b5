"""One call of an operation: its caller, its arguments, its response, and the part of the state that it may access.

Unknown objects are a 404, objects without access a 403. A user gets a 404 for another organization's private
integration, so that its name stays secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import CredentialKind, Endpoint
from gitbook_integrations_mcp.sandbox.credentials import Caller
from gitbook_integrations_mcp.sandbox.state import Installation, Integration, Organization, Place, Site, Space, State


class FailureError(Exception):
    """A call that GitBook rejects, with the HTTP status and the message of the response."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """The response of an operation: HTTP status, JSON body if any, and the URL of the object that was created."""

    status: int
    body: Any = None
    location: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A request with valid arguments and a token that the endpoint accepts."""

    state: State
    endpoint: Endpoint
    caller: Caller
    arguments: Mapping[str, Any]
    now: float

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str) -> Any:
        """Return an argument, or None if it is missing and has no default."""
        return self.arguments.get(name)

    def respond(self, body: Any = None, location: str = "") -> ApiResponse:
        """Return the endpoint's usual response of success."""
        return ApiResponse(self.endpoint.success[0], body, location)

    def find_integration(self) -> Integration:
        """Return the integration in the path, if it is visible to the caller."""
        integration = self.state.integrations.get(self["integrationName"])
        if integration is None or not self._can_see(integration):
            raise FailureError(404, "Integration not found")
        return integration

    def find_own_integration(self) -> Integration:
        """Return the integration in the path; unless it is a user's, the token must belong to it."""
        if not self.caller.is_user:
            if self["integrationName"] not in self.state.integrations:
                raise FailureError(404, "Integration not found")
            if self["integrationName"] != self.caller.integration:
                raise FailureError(403, "This token belongs to another integration")
        return self.find_integration()

    def find_managed_integration(self) -> Integration:
        """Return the integration in the path; the caller must be the integration, or a user of its organization."""
        integration = self.find_own_integration()
        if self.caller.is_user and not self.state.organizations[integration.owner].member:
            raise FailureError(403, "Only the organization that published the integration may do this")
        return integration

    def find_installation(self) -> Installation:
        """Return the installation in the path, if the caller has access to it."""
        integration = self.find_own_integration()
        installation = self.state.installations.get(self["installationId"])
        if installation is None or installation.integration != integration.name:
            raise FailureError(404, "Installation not found")
        if not self.sees(installation):
            raise FailureError(403, "This token gives no access to the installation")
        return installation

    def find_organization(self) -> Organization:
        """Return the organization in the path, if the caller belongs to it or is installed there."""
        return self._admit(self["organizationId"])

    def find_space(self) -> Space:
        """Return the space in the path, if the caller has access to its organization."""
        space = self.state.spaces.get(self["spaceId"])
        if space is None:
            raise FailureError(404, "Space not found")
        self._admit(space.organization)
        return space

    def find_site(self) -> Site:
        """Return the site in the path, which must belong to the organization in the path."""
        site = self.state.sites.get(self["siteId"])
        if site is None or site.organization != self.find_organization().id:
            raise FailureError(404, "Site not found")
        return site

    def find_place(self, level: Level, place_id: str, installation: Installation) -> Place:
        """Return a space or site of the organization that the installation is on."""
        place = self.state.get_place(level, place_id)
        if place is None or place.organization != installation.organization:
            raise FailureError(404, f"{level.capitalize()} not found")
        return place

    def sees(self, installation: Installation) -> bool:
        """Whether the caller is the installation, its integration, or a user of its organization."""
        match self.caller.kind:
            case CredentialKind.INSTALLATION:
                return installation.id == self.caller.installation
            case CredentialKind.INTEGRATION:
                return installation.integration == self.caller.integration
            case _:
                return self.state.organizations[installation.organization].member

    def _can_see(self, integration: Integration) -> bool:
        if integration.visibility != "private" or integration.name == self.caller.integration:
            return True
        owned = self.state.organizations[integration.owner].member
        installed = self.state.get_installations(integration=integration.name)
        return self.caller.is_user and (owned or any(map(self.sees, installed)))

    def _admit(self, organization_id: str) -> Organization:
        organization = self.state.organizations.get(organization_id)
        if organization is None:
            raise FailureError(404, "Organization not found")
        if self.caller.is_user:
            admitted = organization.member
        else:
            admitted = any(map(self.sees, self.state.get_installations(organization=organization_id)))
        if not admitted:
            raise FailureError(403, "This token gives no access to the organization")
        return organization
