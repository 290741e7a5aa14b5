"""The API's parameters, each named once: type, documented limits, and where an assistant finds such a value.

Limits and patterns are those of GitBook's documentation and OpenAPI, never stricter. Descriptions are read by a model
in every tool that has the parameter: each word is paid for many times.
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
    str, Field(pattern=INTEGRATION_NAME, max_length=100, description="From list_organization_integrations")
]
OrganizationId = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9_-]+$", description="From list_organizations_for_authenticated_user")
]
InstallationId = Annotated[str, Field(description="From list_organization_installations")]
SpaceId = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$", description="From list_spaces_in_organization_by_id")]
SiteId = Annotated[str, Field(description="From list_sites")]
EventId = Annotated[str, Field(description="From list_integration_events")]

# Paging and filters

PageCursor = Annotated[str, Field(description="next.page of the answer")]
Limit = Annotated[float, Field(ge=0, le=1000, description="Page size")]
Extended = Annotated[bool, Query, Field(description="Objects, not IDs")]
NameSearch = Annotated[str, Field(description="Text in its name")]
ExternalId = Annotated[str, Field(description="One of its externalIds")]
CategoryFilter = Annotated[Category, Field(description="Category of the integration")]
BlockDomain = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9-_.]+$", max_length=100, description="Domain whose links its blocks unfurl")
]
HasBlocks = Annotated[bool, Field(description="Only with, or only without, blocks")]
HasContentSources = Annotated[bool, Field(description="Only with, or only without, such")]
OwnerFilter = Annotated[str, Field(description="ID of the owning organization")]
ScopeFilter = Annotated[Scope, Field(description="Scope it asks for")]
TargetFilter = Annotated[Target, Field(description="Where it can be installed")]
InstalledOn = Annotated[
    Literal["organization", "space", "site"], Field(description="Level of the installations to list")
]

# Contents of an installation

ExternalIds = Annotated[list[str], Field(max_length=5, description="IDs in other systems; replaces all")]
Configuration = Annotated[
    dict[str, Any],
    Field(description="All settings, not only changed ones; schema: configurations of get_integration_by_name"),
]
