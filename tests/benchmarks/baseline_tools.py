"""The baseline's tools, listed by hand: what an engineer types from the API's reference in an hour.

Plain data on purpose. Nothing is shared with the product, so neither's schemas can make the other's numbers better.
"""

from typing import Any, NamedTuple


class Operation(NamedTuple):
    """One tool and the request it makes. Arguments that are neither in `path` nor in `query` are the JSON body."""

    name: str
    description: str
    method: str
    path: str
    query: tuple[str, ...]
    input_schema: dict[str, Any]


INTEGRATION = {
    "type": "string",
    "pattern": "^[a-zA-Z0-9-_.]+$",
    "maxLength": 100,
    "description": "Name of the integration",
}
INSTALLATION = {"type": "string", "description": "ID of the installation"}
ORGANIZATION = {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$", "description": "ID of the organization"}
SPACE = {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$", "description": "ID of the space"}
SITE = {"type": "string", "description": "ID of the site"}
EVENT = {"type": "string", "description": "ID of the event"}
PAGE = {"type": "string", "description": "Identifier of the page of results to fetch"}
LIMIT = {"type": "number", "minimum": 0, "maximum": 1000, "description": "Number of results per page"}
EXTERNAL_ID = {"type": "string", "description": "External ID to filter by"}
EXTENDED = {"type": "boolean", "description": "Return whole objects instead of their IDs", "default": False}
SEARCH = {"type": "string", "description": "Text to filter integrations by name"}
EXTERNAL_IDS = {
    "type": "array",
    "maxItems": 5,
    "items": {"type": "string"},
    "description": "External IDs of the installation",
}
CONFIGURATION = {"type": "object", "additionalProperties": True, "description": "Configuration of the installation"}
CATEGORY = {
    "type": "string",
    "enum": ["analytics", "collaboration", "content", "marketing", "visitor-auth", "other"],
    "description": "Category of the integration",
}
SCOPE = {
    "type": "string",
    "enum": [
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
    ],
    "description": "Scope of the integration",
}
TARGET = {
    "type": "string",
    "enum": ["all", "site", "space", "organization"],
    "description": "What the integration can be installed on",
}
INTEGRATION_FILTERS = {
    "page": PAGE,
    "limit": LIMIT,
    "search": SEARCH,
    "category": CATEGORY,
    "blockDomain": {"type": "string", "pattern": "^[a-zA-Z0-9-_.]+$", "maxLength": 100, "description": "Link domain"},
    "blocks": {"type": "boolean", "description": "Only integrations with blocks"},
    "contentSources": {"type": "boolean", "description": "Only integrations with content sources"},
    "owner": {"type": "string", "description": "ID of the organization that owns the integration"},
    "scope": SCOPE,
    "target": TARGET,
}

OPERATIONS = [
    Operation(
        "list_integrations",
        "List all public integrations.",
        "GET",
        "/integrations",
        tuple(INTEGRATION_FILTERS),
        {"type": "object", "properties": INTEGRATION_FILTERS},
    ),
    Operation(
        "get_integration_by_name",
        "Get an integration by its name.",
        "GET",
        "/integrations/{integrationName}",
        (),
        {"type": "object", "properties": {"integrationName": INTEGRATION}, "required": ["integrationName"]},
    ),
    Operation(
        "publish_integration",
        "Publish a new integration, or a new version of an existing one.",
        "POST",
        "/integrations/{integrationName}",
        (),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "runtime": {"type": "string", "enum": ["v1", "v2"], "default": "v1"},
                "icon": {"type": "string", "format": "byte", "description": "Icon, Base64"},
                "title": {"type": "string", "minLength": 2, "maxLength": 30},
                "description": {"type": "string", "maxLength": 100},
                "summary": {"type": "string", "maxLength": 2048, "description": "Longer description, Markdown"},
                "previewImages": {"type": "array", "maxItems": 3, "items": {"type": "string", "format": "byte"}},
                "visibility": {"type": "string", "enum": ["public", "private", "unlisted"]},
                "target": TARGET,
                "scopes": {"type": "array", "items": SCOPE},
                "categories": {"type": "array", "items": CATEGORY},
                "blocks": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "string"},
                            "title": {"type": "string", "minLength": 2, "maxLength": 40},
                            "description": {"type": "string", "maxLength": 150},
                            "icon": {"type": "string"},
                            "urlUnfurl": {"type": "array", "items": {"type": "string"}},
                            "markdown": {"type": "object"},
                        },
                        "required": ["id", "title"],
                    },
                },
                "contentSources": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "string"},
                            "title": {"type": "string", "minLength": 2, "maxLength": 40},
                            "description": {"type": "string", "maxLength": 150},
                            "icon": {"type": "string"},
                            "configuration": {"type": "object"},
                        },
                        "required": ["id", "title"],
                    },
                },
                "externalLinks": {
                    "type": "array",
                    "maxItems": 5,
                    "items": {
                        "type": "object",
                        "properties": {
                            "url": {"type": "string", "format": "uri", "maxLength": 2048},
                            "label": {"type": "string", "minLength": 1, "maxLength": 100},
                        },
                        "required": ["url", "label"],
                    },
                },
                "configurations": {
                    "type": "object",
                    "properties": {
                        "account": {"type": "object"},
                        "space": {"type": "object"},
                        "site": {"type": "object"},
                    },
                },
                "script": {"type": "string", "description": "Code of the integration"},
                "organization": ORGANIZATION,
                "secrets": {"type": "object", "maxProperties": 20, "additionalProperties": {"type": "string"}},
                "contentSecurityPolicy": {"description": "Policy as text, or as an object of directives"},
            },
            "required": ["integrationName", "organization", "title", "description", "script", "scopes"],
        },
    ),
    Operation(
        "unpublish_integration",
        "Unpublish an integration.",
        "DELETE",
        "/integrations/{integrationName}",
        (),
        {"type": "object", "properties": {"integrationName": INTEGRATION}, "required": ["integrationName"]},
    ),
    Operation(
        "set_integration_development_mode",
        "Route an integration's traffic to a tunnel while developing it.",
        "PUT",
        "/integrations/{integrationName}/dev",
        (),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "tunnelUrl": {"type": "string", "minLength": 1, "maxLength": 256, "description": "URL of the tunnel"},
                "all": {"type": "boolean", "default": False, "description": "Route every event"},
            },
            "required": ["integrationName", "tunnelUrl"],
        },
    ),
    Operation(
        "disable_integration_development_mode",
        "Disable an integration's development mode.",
        "DELETE",
        "/integrations/{integrationName}/dev",
        (),
        {"type": "object", "properties": {"integrationName": INTEGRATION}, "required": ["integrationName"]},
    ),
    Operation(
        "list_integration_events",
        "List an integration's events.",
        "GET",
        "/integrations/{integrationName}/events",
        ("page", "limit"),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "page": PAGE, "limit": LIMIT},
            "required": ["integrationName"],
        },
    ),
    Operation(
        "get_integration_event",
        "Get one event of an integration, with its trace.",
        "GET",
        "/integrations/{integrationName}/events/{eventId}",
        (),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "eventId": EVENT},
            "required": ["integrationName", "eventId"],
        },
    ),
    Operation(
        "list_integration_installations",
        "List an integration's installations.",
        "GET",
        "/integrations/{integrationName}/installations",
        ("page", "limit", "externalId"),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "page": PAGE, "limit": LIMIT, "externalId": EXTERNAL_ID},
            "required": ["integrationName"],
        },
    ),
    Operation(
        "install_integration",
        "Install an integration on an organization.",
        "POST",
        "/integrations/{integrationName}/installations",
        (),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "organization": ORGANIZATION},
            "required": ["integrationName", "organization"],
        },
    ),
    Operation(
        "get_integration_installation_by_id",
        "Get an installation of an integration.",
        "GET",
        "/integrations/{integrationName}/installations/{installationId}",
        (),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "installationId": INSTALLATION},
            "required": ["integrationName", "installationId"],
        },
    ),
    Operation(
        "update_integration_installation",
        "Update the configuration or the selection of an installation.",
        "PATCH",
        "/integrations/{integrationName}/installations/{installationId}",
        (),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "externalIds": EXTERNAL_IDS,
                "configuration": CONFIGURATION,
                "space_selection": {"type": "string", "enum": ["all", "selected"], "description": "Spaces it is on"},
                "site_selection": {"type": "string", "enum": ["all", "selected"], "description": "Sites it is on"},
            },
            "required": ["integrationName", "installationId"],
        },
    ),
    Operation(
        "uninstall_integration",
        "Uninstall an integration from an organization.",
        "DELETE",
        "/integrations/{integrationName}/installations/{installationId}",
        (),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "installationId": INSTALLATION},
            "required": ["integrationName", "installationId"],
        },
    ),
    Operation(
        "create_integration_installation_token",
        "Create a temporary API token for an installation.",
        "POST",
        "/integrations/{integrationName}/installations/{installationId}/tokens",
        (),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "installationId": INSTALLATION},
            "required": ["integrationName", "installationId"],
        },
    ),
    Operation(
        "list_integration_installation_spaces",
        "List the spaces an installation is on.",
        "GET",
        "/integrations/{integrationName}/installations/{installationId}/spaces",
        ("page", "limit", "extended"),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "page": PAGE,
                "limit": LIMIT,
                "extended": EXTENDED,
            },
            "required": ["integrationName", "installationId"],
        },
    ),
    Operation(
        "install_integration_on_space",
        "Install an integration on a space.",
        "POST",
        "/integrations/{integrationName}/installations/{installationId}/spaces",
        ("extended",),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "extended": EXTENDED,
                "space": SPACE,
            },
            "required": ["integrationName", "installationId", "space"],
        },
    ),
    Operation(
        "get_integration_space_installation",
        "Get an integration's installation on a space.",
        "GET",
        "/integrations/{integrationName}/installations/{installationId}/spaces/{spaceId}",
        ("extended",),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "spaceId": SPACE,
                "extended": EXTENDED,
            },
            "required": ["integrationName", "installationId", "spaceId"],
        },
    ),
    Operation(
        "update_integration_space_installation",
        "Update an integration's installation on a space.",
        "PATCH",
        "/integrations/{integrationName}/installations/{installationId}/spaces/{spaceId}",
        ("extended",),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "spaceId": SPACE,
                "extended": EXTENDED,
                "externalIds": EXTERNAL_IDS,
                "configuration": CONFIGURATION,
            },
            "required": ["integrationName", "installationId", "spaceId"],
        },
    ),
    Operation(
        "uninstall_integration_from_space",
        "Uninstall an integration from a space.",
        "DELETE",
        "/integrations/{integrationName}/installations/{installationId}/spaces/{spaceId}",
        (),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "installationId": INSTALLATION, "spaceId": SPACE},
            "required": ["integrationName", "installationId", "spaceId"],
        },
    ),
    Operation(
        "list_integration_installation_sites",
        "List the sites an installation is on.",
        "GET",
        "/integrations/{integrationName}/installations/{installationId}/sites",
        ("page", "limit", "extended"),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "page": PAGE,
                "limit": LIMIT,
                "extended": EXTENDED,
            },
            "required": ["integrationName", "installationId"],
        },
    ),
    Operation(
        "install_integration_on_site",
        "Install an integration on a site.",
        "POST",
        "/integrations/{integrationName}/installations/{installationId}/sites",
        ("extended",),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "extended": EXTENDED,
                "siteId": SITE,
            },
            "required": ["integrationName", "installationId", "siteId"],
        },
    ),
    Operation(
        "get_integration_site_installation",
        "Get an integration's installation on a site.",
        "GET",
        "/integrations/{integrationName}/installations/{installationId}/sites/{siteId}",
        ("extended",),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "siteId": SITE,
                "extended": EXTENDED,
            },
            "required": ["integrationName", "installationId", "siteId"],
        },
    ),
    Operation(
        "update_integration_site_installation",
        "Update an integration's installation on a site.",
        "PATCH",
        "/integrations/{integrationName}/installations/{installationId}/sites/{siteId}",
        ("extended",),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "installationId": INSTALLATION,
                "siteId": SITE,
                "extended": EXTENDED,
                "externalIds": EXTERNAL_IDS,
                "configuration": CONFIGURATION,
            },
            "required": ["integrationName", "installationId", "siteId"],
        },
    ),
    Operation(
        "uninstall_integration_from_site",
        "Uninstall an integration from a site.",
        "DELETE",
        "/integrations/{integrationName}/installations/{installationId}/sites/{siteId}",
        (),
        {
            "type": "object",
            "properties": {"integrationName": INTEGRATION, "installationId": INSTALLATION, "siteId": SITE},
            "required": ["integrationName", "installationId", "siteId"],
        },
    ),
    Operation(
        "list_integration_space_installations",
        "List an integration's installations on spaces.",
        "GET",
        "/integrations/{integrationName}/spaces",
        ("page", "limit", "externalId", "extended"),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "page": PAGE,
                "limit": LIMIT,
                "externalId": EXTERNAL_ID,
                "extended": EXTENDED,
            },
            "required": ["integrationName"],
        },
    ),
    Operation(
        "list_integration_site_installations",
        "List an integration's installations on sites.",
        "GET",
        "/integrations/{integrationName}/sites",
        ("page", "limit", "externalId", "extended"),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "page": PAGE,
                "limit": LIMIT,
                "externalId": EXTERNAL_ID,
                "extended": EXTENDED,
            },
            "required": ["integrationName"],
        },
    ),
    Operation(
        "queue_integration_task",
        "Queue a task, which the integration receives as an event.",
        "POST",
        "/integrations/{integrationName}/tasks",
        (),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "task": {"type": "object", "description": "Payload of the task"},
                "schedule": {"type": "number", "minimum": 0, "maximum": 86400, "description": "Delay in seconds"},
            },
            "required": ["integrationName", "task"],
        },
    ),
    Operation(
        "render_integration_ui_with_post",
        "Render an integration's UI in the context of an installation.",
        "POST",
        "/integrations/{integrationName}/render",
        (),
        {
            "type": "object",
            "properties": {
                "integrationName": INTEGRATION,
                "componentId": {"type": "string", "description": "ID of the component"},
                "props": {"type": "object", "description": "Properties of the component"},
                "state": {"type": "object", "description": "State of the component"},
                "context": {"type": "object", "description": "Where it is rendered"},
                "action": {"type": "object", "description": "Action to dispatch"},
            },
            "required": ["integrationName", "componentId", "props", "context"],
        },
    ),
    Operation(
        "list_organization_integrations",
        "List the integrations available to an organization.",
        "GET",
        "/orgs/{organizationId}/integrations",
        tuple(INTEGRATION_FILTERS),
        {
            "type": "object",
            "properties": {"organizationId": ORGANIZATION, **INTEGRATION_FILTERS},
            "required": ["organizationId"],
        },
    ),
    Operation(
        "list_organization_integrations_status",
        "List the installation status of an organization's integrations.",
        "GET",
        "/orgs/{organizationId}/integrations/installations-status",
        ("page", "limit", "search", "target", "site", "space"),
        {
            "type": "object",
            "properties": {
                "organizationId": ORGANIZATION,
                "page": PAGE,
                "limit": LIMIT,
                "search": SEARCH,
                "target": {"type": "string", "enum": ["organization", "space", "site"], "default": "organization"},
                "site": SITE,
                "space": SPACE,
            },
            "required": ["organizationId"],
        },
    ),
    Operation(
        "get_organization_integration_status",
        "Get the installation status of one integration in an organization.",
        "GET",
        "/orgs/{organizationId}/integrations/{integrationName}/installation_status",
        (),
        {
            "type": "object",
            "properties": {"organizationId": ORGANIZATION, "integrationName": INTEGRATION},
            "required": ["organizationId", "integrationName"],
        },
    ),
    Operation(
        "list_organization_installations",
        "List the installations of all integrations in an organization.",
        "GET",
        "/orgs/{organizationId}/installations",
        ("page", "limit", "search"),
        {
            "type": "object",
            "properties": {"organizationId": ORGANIZATION, "page": PAGE, "limit": LIMIT, "search": SEARCH},
            "required": ["organizationId"],
        },
    ),
    Operation(
        "list_site_integrations",
        "List the integrations enabled on a site.",
        "GET",
        "/orgs/{organizationId}/sites/{siteId}/integrations",
        ("search",),
        {
            "type": "object",
            "properties": {"organizationId": ORGANIZATION, "siteId": SITE, "search": SEARCH},
            "required": ["organizationId", "siteId"],
        },
    ),
    Operation(
        "list_site_integration_scripts",
        "List the scripts that integrations inject into a site.",
        "GET",
        "/orgs/{organizationId}/sites/{siteId}/integration-scripts",
        (),
        {
            "type": "object",
            "properties": {"organizationId": ORGANIZATION, "siteId": SITE},
            "required": ["organizationId", "siteId"],
        },
    ),
    Operation(
        "list_space_integrations",
        "List the integrations enabled in a space.",
        "GET",
        "/spaces/{spaceId}/integrations",
        ("search",),
        {"type": "object", "properties": {"spaceId": SPACE, "search": SEARCH}, "required": ["spaceId"]},
    ),
    Operation(
        "list_space_integrations_blocks",
        "List the blocks of the integrations in a space.",
        "GET",
        "/spaces/{spaceId}/integration-blocks",
        (),
        {"type": "object", "properties": {"spaceId": SPACE}, "required": ["spaceId"]},
    ),
    Operation(
        "get_authenticated_user",
        "Get the user the token belongs to.",
        "GET",
        "/user",
        (),
        {"type": "object", "properties": {}},
    ),
    Operation(
        "list_organizations_for_authenticated_user",
        "List the organizations the user is a member of.",
        "GET",
        "/orgs",
        ("page", "limit"),
        {"type": "object", "properties": {"page": PAGE, "limit": LIMIT}},
    ),
    Operation(
        "list_spaces_in_organization_by_id",
        "List the spaces of an organization.",
        "GET",
        "/orgs/{organizationId}/spaces",
        ("page", "limit"),
        {
            "type": "object",
            "properties": {"organizationId": ORGANIZATION, "page": PAGE, "limit": LIMIT},
            "required": ["organizationId"],
        },
    ),
    Operation(
        "list_sites",
        "List the sites of an organization.",
        "GET",
        "/orgs/{organizationId}/sites",
        ("page", "limit", "space", "title", "published", "type"),
        {
            "type": "object",
            "properties": {
                "organizationId": ORGANIZATION,
                "page": PAGE,
                "limit": LIMIT,
                "space": SPACE,
                "title": {"type": "string", "description": "Text to filter sites by title"},
                "published": {"type": "boolean", "description": "Only published sites, or only unpublished ones"},
                "type": {
                    "type": "array",
                    "items": {
                        "type": "string",
                        "enum": ["basic", "premium", "ultimate", "sponsored", "legacy-basic", "legacy-premium"],
                    },
                    "description": "Types of site",
                },
            },
            "required": ["organizationId"],
        },
    ),
]
