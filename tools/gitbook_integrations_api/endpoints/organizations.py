"""The authenticated user, and lists of the organizations, spaces and sites that other tools take as IDs."""

from typing import Annotated

from pydantic import Field

from gitbook_integrations_api.endpoint import (
    INSTALLATION,
    OAUTH,
    USER,
    Endpoint,
    Input,
    Risk,
    one,
    paged,
)
from gitbook_integrations_api.inputs import OfOrganization, Paged
from gitbook_integrations_api.objects import Organization, Site, Space, User
from gitbook_integrations_api.parameters import SiteType
from gitbook_integrations_api.schema import ABSENT


class PagedInOrganization(Paged, OfOrganization):
    pass


class SiteFilter(PagedInOrganization):
    space: Annotated[str, Field(description="Filter by a space that it contains (ID)")] = ABSENT
    title: Annotated[str, Field(description="Text that the title contains")] = ABSENT
    published: Annotated[bool, Field(description="Filter by whether it is published")] = ABSENT
    type: Annotated[list[SiteType], Field(description="Filter by type")] = ABSENT


TOOLS = (
    Endpoint(
        operation="getAuthenticatedUser",
        method="GET",
        path="/user",
        title="Get the authenticated user",
        description="Get the user that owns the server's token.",
        risk=Risk.READ,
        credentials=USER | OAUTH,
        scopes=("user:read",),
        input=Input,
        result=one(User),
    ),
    Endpoint(
        operation="listOrganizationsForAuthenticatedUser",
        method="GET",
        path="/orgs",
        title="List organizations",
        description="List the organizations of the authenticated user, with their IDs.",
        risk=Risk.READ,
        credentials=USER | OAUTH,
        scopes=("organization:read",),
        input=Paged,
        result=paged(Organization),
    ),
    Endpoint(
        operation="listSpacesInOrganizationById",
        method="GET",
        path="/orgs/{organizationId}/spaces",
        title="List spaces",
        description="List an organization's spaces, with their IDs.",
        risk=Risk.READ,
        credentials=USER | INSTALLATION | OAUTH,
        scopes=("space:read",),
        input=PagedInOrganization,
        result=paged(Space),
    ),
    Endpoint(
        operation="listSites",
        method="GET",
        path="/orgs/{organizationId}/sites",
        title="List sites",
        description="List an organization's sites, with their IDs.",
        risk=Risk.READ,
        credentials=USER | OAUTH,
        scopes=("site:read",),
        input=SiteFilter,
        result=paged(Site),
    ),
)
