"""The API's parameters, each defined once: type, documented limits, and the tool that lists its values.

Limits and patterns are those of GitBook's documentation and OpenAPI, never stricter. A description is published with
every tool that has the parameter, so each word costs tokens many times.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from gitbook_integrations_api.endpoint import Query

Category = Literal["analytics", "collaboration", "content", "marketing", "visitor-auth", "other"]
Scope = Literal[
    "space:content:read",
    "space:content:write",
    "space:metadata:read",
    "space:metadata:write",
    "space:git:sync",
    "page:feedback:read",
    "site:metadata:read",
    "site:views:read",
    "site:script:inject",
    "site:script:cookies",
    "site:visitor:auth",
    "site:visitor:claims",
    "site:adaptive:read",
    "site:adaptive:write",
    "conversations:ingest",
    "openapi:read",
    "openapi:write",
]
Target = Literal["all", "site", "space", "organization"]
Selection = Literal["all", "selected"]
SiteType = Literal["basic", "premium", "ultimate", "sponsored", "legacy-basic", "legacy-premium"]

# Identifiers

INTEGRATION_NAME = r"^[a-zA-Z0-9-_.]+$"
IntegrationName = Annotated[
    str, Field(pattern=INTEGRATION_NAME, max_length=100, description="Name from list_organization_integrations")
]
OrganizationId = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9_-]+$", description="ID from list_organizations_for_authenticated_user")
]
InstallationId = Annotated[str, Field(description="ID from list_organization_installations")]
SpaceId = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$", description="ID from list_spaces_in_organization_by_id")]
SiteId = Annotated[str, Field(description="ID from list_sites")]
EventId = Annotated[str, Field(description="ID from list_integration_events")]
WITHOUT_OUTER_SPACE = r"^\S(.*\S)?$"
"""An ID of this server. Errors show texts without outer space, and would call the right ID unknown."""

# Paging and filters

PageCursor = Annotated[str, Field(description="next.page of the last result")]
Since = Annotated[str, Field(description="30min, 24h, 7d, or a date (ISO 8601)")]
Until = Annotated[str, Field(description="Same form as since")]
Limit = Annotated[float, Field(ge=0, le=1000, description="Page size")]
Extended = Annotated[bool, Query, Field(description="Return objects instead of IDs")]
NameSearch = Annotated[str, Field(description="Text in the name")]
ExternalId = Annotated[str, Field(description="Filter by external ID")]
CategoryFilter = Annotated[Category, Field(description="Filter by category")]
BlockDomain = Annotated[
    str,
    Field(pattern=r"^[a-zA-Z0-9-_.]+$", max_length=100, description="Filter by a domain whose links its blocks unfurl"),
]
HasBlocks = Annotated[bool, Field(description="Filter by whether it has blocks")]
HasContentSources = Annotated[bool, Field(description="Filter by whether it provides content sources")]
OwnerFilter = Annotated[str, Field(description="Filter by owner (organization ID)")]
ScopeFilter = Annotated[Scope, Field(description="Filter by a scope that it requests")]
TargetFilter = Annotated[Target, Field(description="Filter by where it can be installed")]
InstalledOn = Annotated[
    Literal["organization", "space", "site"], Field(description="Level of the listed installations")
]

ONLY_ACTIVE = "Pending and paused ones are in list_organization_integrations_status."
"""The lists of the integrations on a space or site leave these out."""

# Contents of an installation

ExternalIds = Annotated[list[str], Field(max_length=5, description="At most 5 IDs in other systems; replaces the list")]
Configuration = Annotated[
    dict[str, Any],
    Field(description="All settings: omitted ones are deleted. Schema: configurations in get_integration_by_name"),
]
