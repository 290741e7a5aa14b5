"""Turns objects of the state into the JSON objects of GitBook's OpenAPI."""

from typing import Any

from gitbook_integrations_api.choices import Level
from gitbook_integrations_mcp.sandbox.state import (
    Event,
    Installation,
    Integration,
    Organization,
    Place,
    Setup,
    Site,
    Space,
    State,
    User,
    identify,
)
from gitbook_integrations_mcp.times import write_time

API = "https://api.gitbook.com/v1"
APP = "https://app.gitbook.com"
RUNTIME = "https://integrations.gitbook.com/v1"
CONTENT = "https://integrations.gitbook-content.com/v1"

ADMIN_OF_ORGANIZATION = (
    "view access admin ownTeam createContent createOpenAPISpec viewBilling listMembers listTeams listIntegrations "
    "listInstallations installIntegration"
)
ADMIN_OF_SPACE = "view access admin viewInviteLinks edit triggerGitSync comment merge review installIntegration"
ADMIN_OF_SITE = "view access edit create admin installIntegration viewAdaptiveSchema editAdaptiveSchema"


def show_time(seconds: float) -> str:
    return write_time(seconds, "milliseconds")


def show_user(user: User) -> dict[str, Any]:
    return {
        "object": "user",
        "id": user.id,
        "displayName": user.name,
        "email": user.email,
        "urls": {"location": f"{API}/users/{user.id}"},
    }


def show_organization(organization: Organization) -> dict[str, Any]:
    return {
        "object": "organization",
        "id": organization.id,
        "title": organization.title,
        "createdAt": show_time(organization.created_at),
        "emailDomains": [f"{organization.hostname}.example"] if organization.member else [],
        "hostname": organization.hostname,
        "type": organization.type,
        "plan": organization.plan,
        "inviteLinks": False,
        "mergeRules": {"type": "none"},
        "trial": {"status": "none", "count": 0},
        "urls": {"location": f"{API}/orgs/{organization.id}", "app": f"{APP}/o/{organization.id}"},
        "permissions": dict.fromkeys(ADMIN_OF_ORGANIZATION.split(), organization.member),
    }


def show_space(space: Space) -> dict[str, Any]:
    path = f"{APP}/o/{space.organization}/s/{space.id}"
    return {
        "object": "space",
        "id": space.id,
        "title": space.title,
        "emoji": space.emoji,
        "organization": space.organization,
        "visibility": space.visibility,
        "revision": identify("revision", space.id),
        "createdAt": show_time(space.created_at),
        "updatedAt": show_time(space.updated_at),
        "comments": 0,
        "changeRequests": 3,
        "changeRequestsOpen": 1,
        "changeRequestsDraft": 0,
        "mergeRules": {"type": "inherit"},
        "defaultLevel": "inherit",
        "urls": {"location": f"{API}/spaces/{space.id}", "app": path},
        "permissions": dict.fromkeys(ADMIN_OF_SPACE.split(), True),
    } | _show_git_sync(space)


def show_site(site: Site, organization: Organization) -> dict[str, Any]:
    path = f"{APP}/o/{site.organization}/sites/{site.id}"
    urls = {"location": f"{API}/orgs/{site.organization}/sites/{site.id}", "app": path, "preview": f"{path}/preview"}
    address = site.hostname or f"{organization.hostname}.gitbook.io/{site.id}"
    return (
        {
            "object": "site",
            "id": site.id,
            "title": site.title,
            "type": site.type,
            "appliedType": site.type,
            "visibility": site.visibility,
            "published": site.published,
            "createdAt": show_time(site.created_at),
            "siteSpaces": len(site.spaces),
            "defaultLevel": "inherit",
            "features": [],
            "permissions": dict.fromkeys(ADMIN_OF_SITE.split(), True),
            "urls": urls | ({"published": f"https://{address}/"} if site.published else {}),
        }
        | ({"hostname": site.hostname} if site.hostname else {})
        | _show_git_sync(site)
    )


def _show_git_sync(place: Place) -> dict[str, Any]:
    return {"gitSync": place.git_sync} if place.git_sync else {}


def show_place(state: State, place: Place) -> dict[str, Any]:
    if isinstance(place, Site):
        return show_site(place, state.organizations[place.organization])
    assert isinstance(place, Space)
    return show_space(place)


def show_integration(state: State, integration: Integration) -> dict[str, Any]:
    owner = state.organizations[integration.owner]
    assets = f"{RUNTIME}/assets/{integration.name}/{integration.version}"
    urls = {
        "location": f"{API}/integrations/{integration.name}",
        "app": f"{APP}/integrations/{integration.name}",
        "assets": assets,
        "publicEndpoint": f"{RUNTIME}/integrations/{integration.name}/integration",
        "publicContentEndpoint": f"{CONTENT}/integrations/{integration.name}",
    }
    return {
        "object": "integration",
        "name": integration.name,
        "version": integration.version,
        "verified": integration.verified,
        "visibility": integration.visibility,
        "target": integration.target,
        "categories": [],
        "externalLinks": [],
        **integration.manifest,
        "previewImages": [f"{assets}/preview-{number}.png" for number in range(1, integration.previews + 1)],
        "owner": show_organization(owner),
        "urls": urls | ({"icon": f"{assets}/icon.png"} if integration.has_icon else {}),
        "permissions": {"admin": owner.member},
    }


def show_installation(installation: Installation) -> dict[str, Any]:
    path = locate(installation)
    return {
        "id": installation.id,
        "status": installation.status,
        "space_selection": installation.selection["space"],
        "site_selection": installation.selection["site"],
        "spaces": len(installation.enabled["space"]),
        "configuration": installation.configuration,
        "externalIds": installation.external_ids,
        "target": {"organization": installation.organization},
        "createdAt": show_time(installation.created_at),
        "updatedAt": show_time(installation.updated_at),
        "urls": {
            "location": f"{API}{path}",
            "app": f"{APP}/o/{installation.organization}/integrations/{installation.integration}",
            "publicEndpoint": f"{RUNTIME}{path}",
            "publicContentEndpoint": f"{CONTENT}{path}",
        },
    }


def show_setup(
    state: State, level: Level, installation: Installation, place_id: str, *, extended: bool
) -> dict[str, Any]:
    """Show an installation on a space or site: with the ID of the space or site or, if `extended`, with all of it."""
    setup: Setup = installation.enabled[level][place_id]
    path = locate(installation, level, place_id)
    place = state.get_place(level, place_id)
    return {
        "integration": installation.integration,
        "installation": installation.id,
        "status": setup.status,
        "configuration": setup.configuration,
        "externalIds": setup.external_ids,
        level: show_place(state, place) if extended and place else place_id,
        "urls": {
            "location": f"{API}{path}",
            "publicEndpoint": f"{RUNTIME}{path}",
            "publicContentEndpoint": f"{CONTENT}{path}",
        },
    }


def show_script(integration: Integration, installation: Installation, site_id: str) -> dict[str, Any]:
    """Show the script that an installation adds to the published pages of a site."""
    policy = integration.manifest.get("contentSecurityPolicy")
    if isinstance(policy, dict):
        # Manifests have line breaks and semicolons in the sources of a directive; the result is one line.
        policy = "; ".join(" ".join([name, *sources.replace(";", " ").split()]) for name, sources in policy.items())
    version = f"?version={integration.version}.0"
    return {
        "script": f"{RUNTIME}{locate(installation, 'site', site_id)}/script.js{version}",
        "cookies": "site:script:cookies" in integration.manifest["scopes"],
    } | ({"contentSecurityPolicy": policy} if policy else {})


def show_event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "integrationId": identify("integration", event.integration),
        "createdAt": show_time(event.created_at),
        "status": event.status,
        "payload": event.payload,
    } | ({"installationId": event.installation} if event.installation else {})


def show_trace(event: Event) -> dict[str, Any]:
    return {
        "logs": [
            {"timestamp": show_time(event.created_at + 0.12 * number), "level": level, "message": message}
            for number, (level, message) in enumerate(event.logs, start=1)
        ]
    }


def locate(installation: Installation, level: Level | None = None, place_id: str = "") -> str:
    """Return the path of an installation below the API's base URL."""
    path = f"/integrations/{installation.integration}/installations/{installation.id}"
    return f"{path}/{level}s/{place_id}" if level else path
