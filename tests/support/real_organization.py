"""An organization with integrations of GitBook's marketplace, set up as people set them up.

The manifests are real, from `tests/data/real_integrations.json`. The organization, its settings and a few more
integrations are invented: an own one, one of strangers, a consent manager.
"""

import json
from pathlib import Path
from typing import Any

from gitbook_integrations_api.choices import LEVELS, Level
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, Sandbox, create_sandbox
from gitbook_integrations_mcp.sandbox.state import (
    Installation,
    Integration,
    Organization,
    Setup,
    Site,
    Space,
    State,
    Status,
)

NOW = 1_800_000_000.0
DAY = 86400.0
REAL: dict[str, dict[str, Any]] = {
    each["name"]: each
    for each in json.loads(Path(__file__).parents[1].joinpath("data/real_integrations.json").read_text("utf-8"))[
        "integrations"
    ]
}
"""By name."""

RUNTIME = "https://integrations.gitbook.com/v1/integrations"
OAUTH = {
    "oauth_credentials": {
        "access_token": "FAKE-access",
        "refresh_token": "FAKE-refresh",
        "expires_at": 1_790_000_000,
        "requested_scopes": "read",
    }
}

SPACES = {"guide": "public", "reference": "public", "handbook": "private", "security": "private"}
SITES = {
    "docs": ("public", True),
    "help": ("public", True),
    "partners": ("visitor-auth", True),
    "next": ("unlisted", False),
}

INVENTED: dict[str, dict[str, Any]] = {
    "our-bot": {
        "owner": ORGANIZATION_ID,
        "visibility": "private",
        "target": "space",
        "scopes": ["space:content:read", "space:content:write"],
        "configurations": {"account": {"properties": {"api_key": {"type": "string"}}, "required": ["api_key"]}},
    },
    "exporter": {
        "owner": "stranger",
        "visibility": "unlisted",
        "target": "space",
        "scopes": ["space:content:read"],
        "configurations": {"account": {"properties": {"api_key": {"type": "string"}}, "required": ["api_key"]}},
    },
    "diagrams": {
        "owner": "stranger",
        "visibility": "public",
        "target": "space",
        "scopes": [],
        "blocks": [{"id": "diagram", "title": "Diagram"}],
        "delisted": True,
    },
    "cookie-consent": {
        "owner": "gitbook",
        "visibility": "public",
        "target": "site",
        "scopes": ["site:script:inject", "site:script:cookies"],
        "categories": ["analytics"],
        "contentSecurityPolicy": {"script-src": "https://cdn.consent.example;\n"},
        "verified": True,
    },
}
"""Manifests of more integrations, by name."""

UNVERIFIED = {"salesviewer"}
"""Real integrations that are treated as not verified, which manifests do not tell."""


def create_real_organization() -> Sandbox:
    """Return a sandbox with this organization only."""
    sandbox = create_sandbox()
    sandbox.clock = lambda: NOW
    state = sandbox.state
    for table in (state.installations, state.integrations, state.spaces, state.sites):
        table.clear()
    for name, visibility in SPACES.items():
        state.spaces[name] = Space(
            id=name,
            title=name.title(),
            emoji="📘",
            organization=ORGANIZATION_ID,
            visibility=visibility,
            created_at=NOW - 400 * DAY,
            updated_at=NOW - DAY,
        )
    for name, (visibility, published) in SITES.items():
        state.sites[name] = Site(
            id=name,
            title=name.title(),
            organization=ORGANIZATION_ID,
            visibility=visibility,
            created_at=NOW - 400 * DAY,
            type="premium",
            published=published,
            spaces=[],
        )
    for name, manifest in (REAL | INVENTED).items():
        _publish(state, name, dict(manifest))
    _install_all(state)
    return sandbox


def _publish(state: State, name: str, manifest: dict[str, Any]) -> None:
    known = {"gitbook": "gB0okPlatformTeam001", ORGANIZATION_ID: ORGANIZATION_ID}
    owner = known.get(manifest.pop("owner"), name)
    if owner not in state.organizations:
        state.organizations[owner] = Organization(id=owner, title=f"{name} Inc.", hostname=owner, created_at=0.0)
    verified = manifest.pop("verified", name in REAL and name not in UNVERIFIED)
    delisted = manifest.pop("delisted", False)
    blocks = [{"title": block["id"], **block} for block in manifest.pop("blocks", [])]
    manifest = {"title": name, "description": name, "categories": [], **manifest} | {"blocks": blocks}
    state.integrations[name] = Integration(
        name=name, owner=owner, verified=verified, delisted=delisted, manifest=manifest
    )


def _install(
    state: State,
    name: str,
    places: dict[str, dict[str, Any] | Setup] | None = None,
    account: dict[str, Any] | None = None,
    status: Status = "active",
    everywhere: str = "",
    days: float = 10,
) -> None:
    """Install an integration. `places` has the configuration by space or site; `everywhere` is a level with all."""
    installation = state.installations[f"i-{name}"] = Installation(
        id=f"i-{name}",
        integration=name,
        organization=ORGANIZATION_ID,
        status=status,
        configuration=account or {},
        created_at=NOW - 300 * DAY,
        updated_at=NOW - days * DAY,
    )
    for place, setup in (places or {}).items():
        level: Level = "space" if place in SPACES else "site"
        installation.enabled[level][place] = setup if isinstance(setup, Setup) else Setup(configuration=setup)
    for level in LEVELS:
        if everywhere == level:
            installation.selection[level] = "all"
            for each in state.get_places(level, ORGANIZATION_ID):
                installation.enabled[level].setdefault(each.id, Setup())


def _install_all(state: State) -> None:
    def add(name: str, places: Any = None, **more: Any) -> None:
        _install(state, name, places, **more)

    pending = Setup(status="pending")
    add("ahrefs", {"docs": {"tracking_id": "ahrefs-1"}})
    add("amplitude", {"partners": {"amplitude_api_key": "0123456789abcdef"}, "help": {}})
    add("arcade", {"guide": {}})
    add("bucket", {"docs": {"secret_key": "FAKE-secret"}})
    add("cognito", {"help": {"client_id": "docs", "cognito_domain": "https://id.example", "client_secret": ""}})
    add("crisp", {"help": {"tracking_id": "1f2e3d"}})
    add("devtune", {"docs": {"snippet_key": "dt_0123456789ab"}})
    add("discord", account=OAUTH)
    add("fathom")
    add("figma", {"guide": {}, "handbook": {}}, account=OAUTH)
    add("formspree", {"guide": {"formspree_id": "xyz", "email": True}})
    add("freshdesk", {"docs": {"widget_id": "1"}})
    add("front", {"partners": {"chat_id": "c-1"}})
    add("fullstory", {"docs": {"organization_id": "o-1"}})
    add("github-files", {"guide": {}}, status="pending")
    add("github", {"guide": {"key": "5/7", "repository": 7, "branch": "main", **OAUTH}}, everywhere="space")
    add("github-copilot", account={"installation_id": "5", **OAUTH}, everywhere="space")
    add("gitlab-files", account=OAUTH, everywhere="space")
    add(
        "gitlab",
        {"reference": {"accessToken": "glpat-FAKE0123456789abcdef", "key": "a", "project": 7, "branch": "main"}},
    )
    add("googleanalytics", {"docs": {"tracking_id": "G-1"}, "help": {}, "partners": {"tracking_id": "G-1"}})
    add("heap", {"help": {"tracking_id": "77"}})
    add("helpscout", {"help": pending})
    add("hotjar", {"docs": {"tracking_id": "123"}})
    add("gitbook-hubspot", {"docs": {"hubspot_id": "123"}})
    add("intercom", {name: {"app_id": "app", "region": "EU"} for name in SITES}, everywhere="site")
    add("jira", status="pending", days=5)
    add("koala", {"docs": {"koala_key": "pk_live_0123456789abcdef"}})
    add("launchdarkly", {"docs": {"project_key": "default", "service_token": "FAKE-token"}})
    add("linear", {"handbook": {}}, account=OAUTH)
    add("lucid", {"guide": {}})
    add("mailchimp", {"guide": {}}, account={**OAUTH, "api_endpoint": "https://us1.api.mailchimp.com"})
    add("marketo", {"docs": {}}, account={"account": "123-ABC"})
    add("mermaid", everywhere="space")
    add("mixpanel", {"docs": {"project_token": "0123456789abcdef", "server_region": "EU"}})
    add(
        "oidc",
        {
            "partners": {
                "client_id": "docs",
                "client_secret": "FAKE-secret",
                "authorization_endpoint": "https://id.example/authorize",
                "access_token_endpoint": "https://id.example/token",
                "scope": "openid",
            }
        },
    )
    add("onetrust", {"help": {"domain_script_id": "abc"}, "partners": {}})
    add("pendo", {"help": {"api_key": "0123456789", "is_eu_region": True}})
    add("piwik", {"partners": {"piwik_container_name": "acme", "piwik_site_id": "5"}})
    add("plantuml", {"reference": {}})
    add("plausible", {"partners": {"scriptKey": "pa-1"}})
    add("posthog", {name: {"projectApiKey": f"phc_{name}", "instanceAddress": "EU"} for name in ("docs", "help")})
    add("reodotdev", {"help": Setup(status="paused", configuration={"tracking_id": "r"})})
    add("runkit", days=200)
    add("runllm", {"help": {"assistant_id": "42", "name": "Robot"}})
    add("salesforce-chat", {"next": {"org_id": "1"}}, status="paused", days=60)
    add("salesviewer", {"docs": {"tracking_id": "sv"}})
    add("segment", {"docs": {"write_key": "0123456789abcdef"}})
    add("sentry", {"reference": {}}, account={"auth_token": "FAKE-sentry"})
    add("slack", {"security": {"channel": "C2"}}, account={**OAUTH, "default_channel": "C1"}, everywhere="space")
    add("toucantoco", {"guide": {}})
    add("unify", {"docs": {"api_key": "wk_0123456789"}})
    add(
        "VA-Auth0",
        {
            "docs": {
                "client_id": "docs",
                "issuer_base_url": "https://acme.auth0.example",
                "client_secret": "FAKE-secret",
            }
        },
    )
    add("VA-Azure", {"partners": Setup(status="paused")}, status="paused", days=90)
    add("VA-Okta", {"next": pending})
    add(
        "webhook",
        {"guide": {"space_content_updated": True}, "docs": {"site_view": True}},
        account={"webhookUrl": "https://acme.example/gitbook", "secret": "FAKE-secret"},
    )
    add("wistia", {"docs": {}})
    add("zoominfo", {"docs": {"script": "<script>window.zi='abc'</script>"}})
    add("our-bot", {"security": {}}, account={"api_key": "FAKE-own"})
    add("exporter", {"handbook": {}}, account={"api_key": "FAKE-foreign"})
    add("diagrams", {"guide": {}})
    add("cookie-consent", {"docs": {}})
    state.integrations["runkit"].delisted = True
    state.sites["help"].orphaned_scripts = [
        {
            "script": f"{RUNTIME}/hotjar/installations/{'0f' * 32}/sites/help/script.js",
            "contentSecurityPolicy": "script-src https://static.hotjar.com",
            "cookies": True,
        }
    ]
    state.spaces["reference"].git_sync = {
        "installationId": "i-gitlab",
        "installationProvider": "gitlab",
        "installationStatus": "active",
        "repoName": "acme/reference",
        "operation": {"state": "failure", "direction": "import", "startedAt": "2027-01-14T08:00:00.000Z"},
    }
