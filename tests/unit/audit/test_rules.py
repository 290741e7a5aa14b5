"""Every rule finds its subject and nothing similar. The remedy of every finding is a valid call."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.choices import SEVERITIES
from gitbook_integrations_api.report import Finding
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp.audit.evaluation import CHECKS
from gitbook_integrations_mcp.calls.arguments import check_arguments
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, create_sandbox
from gitbook_integrations_mcp.sandbox.state import Installation, Integration, Setup, Site, State
from gitbook_integrations_mcp.store.development_modes import DevelopmentMode
from gitbook_integrations_mcp.times import write_time
from tests.support.audit_fixtures import Watched, audit, list_installed
from tests.support.grown_sandbox import Size, create_grown_sandbox

NOW = 1_800_000_000.0
DAY = 86400.0
GITBOOK, STRANGER = "gB0okPlatformTeam001", "h3ATl6nSuV1pJxDq8ZrW"

MANIFEST: dict[str, Any] = {
    "title": "Plain",
    "description": "Does nothing wrong.",
    "visibility": "public",
    "target": "site",
    "scopes": ["site:script:inject"],
    "categories": ["other"],
    "contentSecurityPolicy": "script-src https://cdn.plain.example",
}


class Organization:
    """An organization with one integration without findings on its first site."""

    def __init__(self) -> None:
        self.sandbox = create_sandbox()
        self.sandbox.clock = lambda: NOW
        self.state: State = self.sandbox.state
        self.state.installations.clear()
        self.state.integrations.clear()
        self.site: Site
        self.site, *_ = self.state.get_places("site", ORGANIZATION_ID)  # type: ignore[assignment]
        self.space, *_ = self.state.get_places("space", ORGANIZATION_ID)
        for place in self.state.sites.values():
            place.orphaned_scripts = []
        self.policy: list[dict[str, Any]] = []
        self.development: dict[str, DevelopmentMode] = {}
        self.integration, self.installation = self.install("plain")
        self.installation.enabled["site"][self.site.id] = Setup()

    def install(self, name: str, owner: str = GITBOOK, **manifest: Any) -> tuple[Integration, Installation]:
        """Install another integration, with the manifest of the first and the changes in `manifest`."""
        integration = Integration(
            name=name, owner=owner, verified=True, manifest={**copy.deepcopy(MANIFEST), "title": name, **manifest}
        )
        installation = Installation(
            id=f"installation-{name}",
            integration=name,
            organization=ORGANIZATION_ID,
            created_at=NOW - 90 * DAY,
            updated_at=NOW - 90 * DAY,
        )
        self.state.integrations[name] = integration
        self.state.installations[installation.id] = installation
        return integration, installation


async def find(organization: Organization, **options: Any) -> list[Finding]:
    policy = {"rules": organization.policy}
    report = await audit(
        Watched(organization.sandbox),
        clock=lambda: NOW,
        policy=policy,
        development=organization.development,
        **options,
    )
    assert report.coverage.complete
    return list(report.findings)


Spoil = Callable[[Organization], Any]


def change(**manifest: Any) -> Spoil:
    return lambda organization: organization.integration.manifest.update(manifest)


def unverify(*scopes: str, verified: bool = False) -> Spoil:
    def spoil(organization: Organization) -> None:
        organization.integration.verified = verified
        organization.integration.manifest |= {"scopes": list(scopes), "target": "all"}
        organization.installation.enabled["space"][organization.space.id] = Setup()

    return spoil


def add_rule(effect: str = "deny", **conditions: Any) -> Spoil:
    """Add a rule to the operator's policy."""

    def spoil(organization: Organization) -> None:
        name = f"rule-{len(organization.policy) + 1}"
        organization.policy.append({"name": name, "effect": effect, "reason": "Not here.", **conditions})

    return spoil


def stall(status: Any, days: float) -> Spoil:
    def spoil(organization: Organization) -> None:
        organization.installation.status = status
        organization.installation.updated_at = NOW - days * DAY

    return spoil


def publish(owner: str, visibility: str) -> Spoil:
    def spoil(organization: Organization) -> None:
        organization.integration.owner = owner
        organization.integration.manifest["visibility"] = visibility

    return spoil


def select(level: Any, target: str) -> Spoil:
    def spoil(organization: Organization) -> None:
        organization.integration.manifest["target"] = target
        organization.installation.selection[level] = "all"

    return spoil


def move(target: str, *, to: str | None = None) -> Spoil:
    """Move the installation from its site to a space, or to nowhere."""

    def spoil(organization: Organization) -> None:
        organization.integration.manifest["target"] = target
        organization.installation.enabled["site"].clear()
        if to:
            organization.installation.enabled["space"][organization.space.id] = Setup()

    return spoil


def orphan(url: str, policy: str = "default-src 'self'") -> Spoil:
    def spoil(organization: Organization) -> None:
        script = {"script": url, "cookies": False, "contentSecurityPolicy": policy}
        organization.site.orphaned_scripts = [script]

    return spoil


def add(name: str, **manifest: Any) -> Spoil:
    def spoil(organization: Organization) -> None:
        _, installation = organization.install(name, **manifest)
        installation.enabled["site"][organization.site.id] = Setup()

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(organization: Organization) -> None:
        for each in spoils:
            each(organization)

    return spoil


def declare(level: str, key: str, *, required: bool = False, **declared: Any) -> Spoil:
    """Declare a setting in the form of a level."""

    def spoil(organization: Organization) -> None:
        form = {"properties": {key: {"type": "string", **declared}}, "required": [key] if required else []}
        organization.integration.manifest["configurations"] = {level: form}

    return spoil


def render(level: str) -> Spoil:
    """Let the integration render the form of a level itself."""
    return change(configurations={level: {"componentId": "config"}})


def configure(level: str, configuration: Any) -> Spoil:
    def spoil(organization: Organization) -> None:
        if level == "account":
            organization.installation.configuration = configuration
        elif level == "site":
            organization.installation.enabled["site"][organization.site.id].configuration = configuration
        else:
            organization.integration.manifest["target"] = "all"
            organization.installation.enabled["space"][organization.space.id] = Setup(configuration=configuration)

    return spoil


def enable(level: Any, status: Any, configuration: Any = None) -> Spoil:
    """Enable the integration on a space or site with this status, and nowhere else."""

    def spoil(organization: Organization) -> None:
        organization.integration.manifest["target"] = level
        organization.installation.enabled["site"].clear()
        place = organization.space if level == "space" else organization.site
        organization.installation.enabled[level][place.id] = Setup(status=status, configuration=configuration or {})

    return spoil


def sign_in(configuration: Any = None) -> Spoil:
    """Let the integration sign visitors in, with these settings on its site."""
    settings = {"client_id": "docs"} if configuration is None else configuration
    return both(change(scopes=["site:visitor:auth"]), render("site"), configure("site", settings))


def copy_to_other_site(organization: Organization) -> None:
    _, other, *_ = organization.state.get_places("site", ORGANIZATION_ID)
    sites = organization.installation.enabled["site"]
    sites[other.id] = copy.deepcopy(sites[organization.site.id])


def enable_everywhere(level: Any, *configurations: Any) -> Spoil:
    """Enable the integration on all spaces or sites, on the first ones with these settings."""

    def spoil(organization: Organization) -> None:
        organization.integration.manifest["target"] = level
        organization.installation.selection[level] = "all"
        organization.installation.enabled = {"space": {}, "site": {}}
        for number, place in enumerate(organization.state.get_places(level, ORGANIZATION_ID)):
            configuration = configurations[number] if number < len(configurations) else {}
            organization.installation.enabled[level][place.id] = Setup(configuration=configuration)

    return spoil


def name(name: str) -> Spoil:
    """Give the integration the name of a well-known one."""

    def spoil(organization: Organization) -> None:
        organization.integration.name = organization.installation.integration = name
        organization.state.integrations[name] = organization.integration

    return spoil


def distrust(**manifest: Any) -> Spoil:
    """Let the integration be one of strangers that GitBook has not verified."""

    def spoil(organization: Organization) -> None:
        organization.integration.owner = STRANGER
        organization.integration.verified = False
        organization.integration.manifest |= manifest

    return spoil


def develop(name: str = "plain", **facts: Any) -> Spoil:
    """Have development mode of the integration enabled through this server."""

    def spoil(organization: Organization) -> None:
        known = {"id": "chg_1", "time": NOW - 60, "owner": "", "tunnel": "abc.tunnel.example", "credentials": ""}
        organization.development[name] = DevelopmentMode(integration=name, **{**known, "all": False, **facts})

    return spoil


def own(**manifest: Any) -> Spoil:
    """Let the integration be the organization's own, which GitBook has not verified."""

    def spoil(organization: Organization) -> None:
        distrust(**manifest)(organization)
        organization.integration.owner = ORGANIZATION_ID

    return spoil


def hide(what: str, value: Any) -> Spoil:
    """Change all spaces and sites of the organization."""

    def spoil(organization: Organization) -> None:
        for level in ("space", "site"):
            for place in organization.state.get_places(level, ORGANIZATION_ID):
                setattr(place, what, value)

    return spoil


def unpublish(organization: Organization) -> None:
    organization.site.published = False


def sync(state: str, status: str = "active", level: str = "space", days: float = 14) -> Spoil:
    def spoil(organization: Organization) -> None:
        place = organization.space if level == "space" else organization.site
        place.git_sync = {
            "installationId": "abc",
            "installationProvider": "github",
            "installationStatus": status,
            "repoName": "acme/docs",
            "operation": {"state": state, "direction": "import", "startedAt": write_time(NOW - days * DAY)},
        }

    return spoil


def delist(organization: Organization) -> None:
    organization.integration.delisted = True


RUNTIME = "https://integrations.gitbook.com/v1/integrations"
CONSENT = {"scopes": ["site:script:inject", "site:script:cookies"], "title": "Cookie Consent"}

SIGN_IN = {"client_id": "docs", "client_secret": "FAKE"}
GIT = {"repository": 7, "branch": "refs/heads/main"}
OAUTH = {"oauth_credentials": {"access_token": "FAKE", "expires_at": 1_790_000_000}}
OIDC = {
    **SIGN_IN,
    "authorization_endpoint": "https://id.example/authorize",
    "access_token_endpoint": "https://id.example/token",
    "scope": "openid",
}
RENDERED: dict[str, tuple[str, dict[str, Any]]] = {
    "bucket": ("site", {"secret_key": "FAKE"}),
    "cognito": ("site", {**SIGN_IN, "cognito_domain": "https://id.example"}),
    "github": ("space", GIT),
    "gitlab": ("space", {"accessToken": "FAKE", "project": 5, "branch": "refs/heads/main"}),
    "launchdarkly": ("site", {"project_key": "default", "service_token": "FAKE"}),
    "oidc": ("site", OIDC),
    "pendo": ("site", {"api_key": "0123456789"}),
    "VA-Auth0": ("site", {**SIGN_IN, "issuer_base_url": "https://id.example"}),
    "VA-Azure": ("site", {**SIGN_IN, "tenant_id": "acme"}),
    "VA-Okta": ("site", {**SIGN_IN, "okta_domain": "acme.okta.example"}),
}
"""Settings that GitBook's own integrations need in forms that they render themselves, with their level, by name."""


def without(settings: dict[str, Any], key: str) -> dict[str, Any]:
    return {**{other: value for other, value in settings.items() if other != key}, "saved": True}


READER = (distrust(), unverify("space:content:read"), hide("visibility", "private"))
"""What lets the integration be one of strangers that reads private content."""

FIRES: list[tuple[str, Spoil]] = [
    ("unverified-write", unverify("space:content:write")),
    ("unverified-write", unverify("space:git:sync")),
    ("unverified-script", distrust()),
    ("unverified-script", distrust(scopes=["site:visitor:auth"])),
    ("unverified-script", both(distrust(), move("site"), select("site", "site"))),
    ("unverified-read", both(*READER)),
    ("unverified-read", both(*READER, hide("visibility", "visitor-auth"), change(scopes=["site:visitor:claims"]))),
    ("unverified-read", both(*READER, move("space"), select("space", "space"))),
    ("policy-violated", add_rule(integrations=["pla*"])),
    ("policy-violated", both(distrust(), add_rule(verified=False))),
    ("policy-violated", both(add_rule("allow", owners=[STRANGER]), add_rule())),
    ("policy-violated", both(hide("visibility", "private"), add_rule(places=["non-public-sites"]))),
    (
        "policy-violated",
        both(move("space", to="space"), hide("visibility", "public"), add_rule(places=["public-spaces"])),
    ),
    ("policy-violated", both(move("site"), select("site", "site"), add_rule(places=["non-public-sites"]))),
    ("policy-violated", both(change(contentSecurityPolicy="script-src *"), add_rule(content_security_policy=["weak"]))),
    ("script-without-csp", change(contentSecurityPolicy="")),
    ("script-without-csp", both(distrust(), change(contentSecurityPolicy=""))),
    ("weak-csp", change(contentSecurityPolicy="script-src *; img-src 'self'")),
    ("weak-csp", change(contentSecurityPolicy={"script-src": "https://plausible.io *"})),
    (
        "weak-csp",
        change(contentSecurityPolicy={"font-src": "x.example;\n", "script-src": "x.example\n'unsafe-inline';\n"}),
    ),
    ("weak-csp", change(contentSecurityPolicy="script-src 'self' 'unsafe-eval'")),
    ("weak-csp", change(contentSecurityPolicy="default-src https:")),
    ("weak-csp", change(contentSecurityPolicy=f"img-src {'https://images.example ' * 400}; script-src *")),
    ("weak-csp", both(distrust(), change(contentSecurityPolicy="img-src 'self'"))),
    ("script-with-cookies", change(scopes=["site:script:inject", "site:script:cookies"])),
    ("script-with-cookies", distrust(**CONSENT)),
    ("script-not-installed", orphan(f"{RUNTIME}/gone/installations/abc/script.js")),
    ("script-not-installed", orphan(f"{RUNTIME}/gone/script.js?token=x")),
    ("script-not-installed", both(add("elsewhere"), move("site"), orphan(f"{RUNTIME}/plain/script.js"))),
    ("all-places-selected", select("site", "site")),
    ("all-places-selected", both(select("space", "all"), change(scopes=["space:content:read"]))),
    ("all-places-selected", both(select("site", "site"), distrust(), hide("visibility", "public"))),
    ("all-places-selected", both(select("site", "site"), distrust(scopes=["site:visitor:auth"]))),
    ("all-places-selected", both(select("space", "all"), distrust(scopes=["space:git:sync"]))),
    ("all-places-selected", both(name("cookiebot"), select("site", "site"), distrust())),
    ("development-mode-on", both(own(), develop())),
    ("development-mode-on", both(own(), develop(ends_at=NOW + 60))),
    ("development-mode-on", develop(all=True)),
    ("development-mode-on", develop("not-installed", organization=ORGANIZATION_ID)),
    ("stalled-installation", both(move("site"), stall("paused", 31))),
    ("stalled-installation", both(move("site"), stall("pending", 400))),
    ("installed-nowhere", move("site")),
    ("installed-nowhere", move("all")),
    ("foreign-unlisted", distrust(visibility="unlisted")),
    ("foreign-unlisted", distrust(visibility="private")),
    ("foreign-unlisted", distrust(visibility="unlisted", scopes=["space:metadata:read", "page:feedback:read"])),
    ("excess-scopes", distrust(scopes=["site:script:inject", "space:metadata:read"])),
    ("excess-scopes", distrust(scopes=["space:content:write"], blocks=[{"id": "b", "title": "B"}])),
    ("excess-scopes", own(scopes=["space:content:write"])),
    ("gone-from-marketplace", delist),
    ("never-listed", both(distrust(), delist)),
    ("never-listed", distrust(visibility="unlisted", scopes=[], blocks=[{"id": "b", "title": "B"}])),
    ("never-listed", distrust(visibility="private", scopes=["site:metadata:read"])),
    ("required-setting-missing", declare("site", "tracking_id", required=True)),
    ("required-setting-missing", both(declare("site", "id", required=True), configure("site", {"id": " ", "x": 1}))),
    ("required-setting-missing", both(declare("space", "channel", required=True), enable("space", "pending"))),
    ("required-setting-missing", both(declare("account", "team", required=True), stall("pending", 1))),
    ("required-setting-missing", render("site")),
    ("required-setting-missing", both(render("site"), enable("site", "pending"))),
    ("required-setting-missing", both(render("account"), move("site"), stall("pending", 1))),
    ("required-setting-missing", both(declare("account", "oauth", required=True, type="button"), stall("pending", 1))),
    ("required-setting-missing", both(render("site"), configure("site", {"client_id": "a", "client_secret": " "}))),
    (
        "required-setting-missing",
        both(render("site"), configure("site", {"a": 1}), configure("account", {"key": "k", "api_key": ""})),
    ),
    *(
        ("required-setting-missing", both(name(own), render(level), configure(level, without(complete, key))))
        for own, (level, complete) in RENDERED.items()
        for key in complete
    ),
    ("required-setting-missing", both(name("github"), render("space"), configure("space", {"key": "a", **OAUTH}))),
    ("required-setting-missing", both(name("oidc"), render("site"), configure("site", OIDC | {"scope": "https://"}))),
    ("required-setting-missing", both(declare("site", "url", required=True), configure("site", {"url": "https://"}))),
    # one finding for all that nobody chose
    ("required-setting-missing", both(declare("site", "id", required=True), enable_everywhere("site", {"id": "a"}))),
    ("required-setting-missing", both(render("site"), enable_everywhere("site"))),
    ("required-setting-missing", both(name("github"), render("space"), enable_everywhere("space"))),
    (
        "required-setting-missing",
        both(name("gitlab"), render("space"), enable_everywhere("space", {"accessToken": ""})),
    ),
    (
        "required-setting-missing",
        both(sign_in({}), hide("visibility", "visitor-auth"), enable_everywhere("site", {"id": "a"})),
    ),
    ("pending-place", enable("space", "pending")),
    ("pending-place", both(render("site"), enable("site", "pending", {"region": "EU"}))),
    ("pending-place", stall("pending", 1)),
    ("pending-place", both(render("account"), configure("account", {"team": "a"}), stall("pending", 400))),
    ("sign-in-not-required", both(sign_in(), hide("visibility", "public"))),
    ("sign-in-not-required", both(sign_in(), distrust(), hide("visibility", "share-link"))),
    ("paused-place", enable("site", "paused")),
    ("paused-place", stall("paused", 1)),
    ("paused-place", both(declare("account", "team", required=True), stall("paused", 400))),
    ("paused-place", both(declare("space", "channel", required=True), enable("space", "paused"))),
    ("git-sync-failed", sync("failure")),
    ("git-sync-failed", sync("success", "unauthenticated")),
    ("git-sync-failed", sync("timeout", level="site")),
    ("git-sync-failed", sync("running", days=1)),
    ("same-kind", both(name("plausible"), add("googleanalytics"))),
    ("same-kind", both(distrust(), name("fullstory"), add("hotjar"))),
    ("same-kind", both(change(scopes=["site:visitor:auth"]), add("VA-Okta", scopes=["site:visitor:auth"]))),
    ("same-kind", both(change(categories=["analytics"]), add("googleanalytics"))),
    ("same-kind", both(add("live-chat"), add("chat-two"))),
    ("same-kind", both(name("hotjar"), add("our-hotjar", title="Hotjar", categories=["analytics"]))),
    (
        "same-tracking-id",
        both(
            name("fathom"),
            declare("site", "site_id", required=True),
            configure("site", {"site_id": "A"}),
            copy_to_other_site,
        ),
    ),
    (
        "same-tracking-id",
        both(name("pendo"), render("site"), configure("site", {"api_key": "A"}), copy_to_other_site),
    ),
    ("secrets-in-configuration", both(distrust(), configure("account", {"api_key": "abc"}))),
    ("secrets-in-configuration", both(distrust(), configure("account", {"deep": [{"note": "Bearer abc123"}]}))),
    ("secrets-in-configuration", both(distrust(), declare("site", "password"), configure("site", {"password": "abc"}))),
    (
        "secrets-in-configuration",
        both(distrust(), declare("account", "auth", enum=["none", "sso"]), configure("account", {"auth": "abc"})),
    ),
    ("typed-credentials", both(declare("account", "api_key"), configure("account", {"api_key": "abc"}))),
    ("typed-credentials", both(declare("space", "api_key"), configure("space", {"api_key": "abc"}))),
    ("typed-credentials", both(declare("site", "api_secret"), configure("site", {"api_secret": "abc"}))),
    (
        "typed-credentials",
        both(declare("site", "api_key"), configure("site", {"api_key": "abc"}), change(scopes=["site:views:read"])),
    ),
    (
        "typed-credentials",
        both(declare("account", "hook"), configure("account", {"hook": "https://hooks.slack.com/services/T0/B0/XXXX"})),
    ),
    ("typed-credentials", both(own(), configure("account", {"api_key": "abc"}))),
    ("stored-credentials", configure("space", {"oauth_credentials": {"x": "abc"}})),
    ("stored-credentials", both(distrust(), configure("account", {"oauth_credentials": {"access_token": "abc"}}))),
    (
        "stored-credentials",
        both(render("site"), change(scopes=["site:visitor:auth"]), configure("site", {"client_secret": "abc"})),
    ),
    ("stored-credentials", both(declare("account", "x"), configure("account", {"api_key": "abc"}))),
    # what its form on sites saved for the whole organization
    ("stored-credentials", both(distrust(), render("site"), configure("account", {"secret": "abc"}))),
    ("stored-credentials", both(own(), render("site"), configure("account", {"secret": "abc"}))),
]

RESTS: list[tuple[str, Spoil]] = [
    ("unverified-write", unverify("space:content:read")),
    ("unverified-write", unverify("space:content:write", verified=True)),
    ("unverified-write", own(scopes=["space:content:write"])),
    ("unverified-script", own()),
    ("unverified-script", distrust(scopes=["site:views:read"])),
    ("unverified-script", both(distrust(), enable("site", "pending"))),
    ("unverified-script", both(distrust(), unpublish)),
    ("unverified-script", both(distrust(), name("devtune"))),
    ("unverified-write", both(distrust(scopes=["space:git:sync"]), name("github"))),
    ("unverified-read", both(*READER, hide("visibility", "public"))),
    ("unverified-read", both(*READER, change(scopes=["space:metadata:read", "site:views:read"]))),
    ("unverified-read", both(*READER, change(scopes=["space:content:write", "space:content:read"]))),
    ("unverified-read", both(*READER, change(visibility="unlisted"))),
    ("unverified-read", both(*READER, own())),
    ("unverified-read", both(*READER, unverify("space:content:read", verified=True))),
    ("unverified-read", both(*READER, move("space"), enable("space", "paused"))),
    ("unverified-read", both(*READER, move("space"), stall("paused", 1))),
    ("policy-violated", add_rule(actions=["publish", "tunnel"])),
    ("policy-violated", add_rule(verified=False)),
    ("policy-violated", both(add_rule("allow", owners=[GITBOOK], scopes=["site:script:*"]), add_rule())),
    ("policy-violated", both(hide("visibility", "public"), add_rule(places=["non-public-sites", "public-spaces"]))),
    (
        "policy-violated",
        both(select("site", "space"), add_rule(places=["non-public-sites"]), hide("visibility", "public")),
    ),
    ("script-without-csp", change(contentSecurityPolicy={"script-src": "https://cdn.plain.example"})),
    ("script-without-csp", both(change(contentSecurityPolicy=""), unpublish)),
    ("weak-csp", change(contentSecurityPolicy="script-src *.plain.example; style-src 'unsafe-inline'; img-src *")),
    ("weak-csp", change(contentSecurityPolicy={"style-src": "unsafe-inline;\nself;\n", "script-src": "x.example;\n"})),
    ("weak-csp", change(contentSecurityPolicy="script-src 'nonce-abc' 'unsafe-inline'; default-src *")),
    ("weak-csp", change(contentSecurityPolicy="default-src 'none'")),
    ("weak-csp", change(contentSecurityPolicy={"connect-src": "devtune.ai"})),
    ("script-with-cookies", change(scopes=["site:script:inject", "site:views:read"])),
    ("script-with-cookies", change(**CONSENT)),
    (
        "script-with-cookies",
        change(
            scopes=["site:script:inject", "site:script:cookies"],
            configurations={"site": {"properties": {"id": {"type": "string"}}, "required": ["id"]}},
        ),
    ),
    ("script-with-cookies", both(name("onetrust"), change(scopes=["site:script:inject", "site:script:cookies"]))),
    ("script-not-installed", orphan(f"{RUNTIME}/plain/installations/{'0f' * 32}/sites/x/script.js")),
    ("script-not-installed", both(select("site", "site"), move("site"), orphan(f"{RUNTIME}/plain/script.js"))),
    ("script-not-installed", both(move("all", to="space"), orphan(f"{RUNTIME}/plain/script.js"))),
    ("all-places-selected", select("space", "site")),
    ("all-places-selected", both(select("space", "space"), change(scopes=[]))),
    ("all-places-selected", both(select("site", "site"), hide("visibility", "public"))),
    ("all-places-selected", both(select("site", "site"), change(scopes=["site:visitor:auth", "site:visitor:claims"]))),
    ("all-places-selected", both(select("site", "site"), stall("pending", 1))),
    ("stalled-installation", both(move("site"), stall("paused", 29))),
    ("stalled-installation", stall("paused", 400)),
    ("stalled-installation", stall("active", 400)),
    ("stalled-installation", stall("pending", 400)),
    ("stalled-installation", both(move("site"), declare("account", "x", required=True), stall("pending", 400))),
    ("installed-nowhere", move("organization")),
    ("installed-nowhere", move("space", to="space")),
    ("installed-nowhere", both(move("all"), select("space", "all"))),
    ("installed-nowhere", both(move("site"), declare("account", "x", required=True), stall("pending", 1))),
    ("foreign-unlisted", publish(ORGANIZATION_ID, "private")),
    ("foreign-unlisted", publish(ORGANIZATION_ID, "unlisted")),
    ("foreign-unlisted", publish(GITBOOK, "unlisted")),
    ("foreign-unlisted", distrust(visibility="public")),
    ("foreign-unlisted", distrust(visibility="unlisted", scopes=["space:metadata:read"])),
    ("foreign-unlisted", both(distrust(visibility="unlisted"), name("gitlab"))),
    ("development-mode-on", develop()),
    ("development-mode-on", both(own(), develop("other"))),
    ("development-mode-on", develop("not-installed", organization="elsewhere")),
    ("excess-scopes", distrust(scopes=["site:script:inject", "page:feedback:read", "openapi:read"])),
    ("excess-scopes", distrust(scopes=["space:content:read"], blocks=[{"id": "b", "title": "B"}])),
    ("excess-scopes", distrust(scopes=["site:script:inject", "space:content:write"], target="all")),
    ("excess-scopes", change(scopes=["site:script:inject", "space:metadata:read"])),
    ("gone-from-marketplace", publish(ORGANIZATION_ID, "private")),
    ("gone-from-marketplace", both(distrust(), delist)),
    ("never-listed", delist),
    ("never-listed", both(own(), delist)),
    ("never-listed", distrust(visibility="unlisted")),
    ("never-listed", own(visibility="private", scopes=[])),
    ("required-setting-missing", both(declare("site", "id", required=True), configure("site", {"id": "G-1"}))),
    (
        "required-setting-missing",
        both(declare("site", "on", required=True, type="boolean"), configure("site", {"on": False})),
    ),
    ("required-setting-missing", declare("site", "region", required=True, default="EU")),
    ("required-setting-missing", both(render("site"), configure("site", {"on": False}))),
    ("required-setting-missing", both(render("site"), enable("site", "paused"))),
    ("required-setting-missing", declare("site", "optional")),
    ("required-setting-missing", declare("account", "oauth", required=True, type="button")),
    ("required-setting-missing", both(declare("site", "id", required=True), stall("paused", 1))),
    ("required-setting-missing", both(render("site"), configure("site", {"client_id": "a", "logout_url": ""}))),
    ("required-setting-missing", both(declare("site", "api_key"), configure("site", {"api_key": ""}))),
    *(
        ("required-setting-missing", both(name(own), render(level), configure(level, complete)))
        for own, (level, complete) in RENDERED.items()
    ),
    ("required-setting-missing", both(name("bucket"), declare("site", "x"), configure("site", {"x": "a"}))),
    ("required-setting-missing", both(name("github"), render("space"), enable_everywhere("space", GIT))),
    ("required-setting-missing", both(sign_in({}), hide("visibility", "public"), enable_everywhere("site"))),
    ("pending-place", both(declare("space", "channel", required=True), enable("space", "pending"))),
    ("pending-place", enable("space", "active")),
    ("pending-place", both(declare("account", "x", required=True), stall("pending", 1))),
    ("pending-place", both(move("site"), stall("pending", 1))),
    ("pending-place", both(render("site"), enable("site", "pending"))),
    ("sign-in-not-required", hide("visibility", "public")),
    ("sign-in-not-required", both(sign_in(), hide("visibility", "visitor-auth"))),
    ("sign-in-not-required", both(sign_in(), hide("visibility", "public"), unpublish)),
    ("sign-in-not-required", both(sign_in(), hide("visibility", "public"), stall("paused", 1))),
    ("sign-in-not-required", both(sign_in({}), hide("visibility", "public"))),
    ("paused-place", enable("site", "pending")),
    ("paused-place", stall("pending", 1)),
    ("paused-place", both(move("site"), stall("paused", 1))),
    ("git-sync-failed", sync("success")),
    ("git-sync-failed", sync("running", days=0.9)),
    ("same-kind", both(name("plausible"), add("intercom", categories=["analytics"]))),
    ("same-kind", both(name("crisp"), add("onetrust", categories=["analytics"]))),
    ("same-kind", both(name("plausible"), add("googleanalytics"), enable("site", "pending"))),
    ("same-kind", both(name("plausible"), add("googleanalytics"), move("site"))),
    ("same-kind", both(add("live-chat"), add("chat-bot", scopes=[]))),
    ("same-kind", both(add("live-chat"), add("chatgpt-referrals"))),
    ("same-kind", both(name("amplitude"), add("our-hotjar", title="Hotjar", categories=["analytics"]))),
    ("same-kind", both(name("plausible"), add("our-hotjar", title="Hotjar", categories=["analytics"]))),
    ("same-kind", both(name("plausible"), add("googleanalytics"), unpublish)),
    ("same-kind", both(name("plausible"), declare("site", "id", required=True), add("googleanalytics"))),
    ("same-kind", both(name("plausible"), declare("account", "id", required=True), add("googleanalytics"))),
    (
        "same-tracking-id",
        both(name("fathom"), declare("site", "site_id", required=True), configure("site", {"site_id": "A"})),
    ),
    (
        "same-tracking-id",
        both(
            name("fathom"),
            declare("site", "site_id", required=True),
            configure("site", {"site_id": "A"}),
            copy_to_other_site,
            unpublish,
        ),
    ),
    (
        "same-tracking-id",
        both(
            name("crisp"),
            declare("site", "site_id", required=True),
            configure("site", {"site_id": "A"}),
            copy_to_other_site,
        ),
    ),
    (
        "same-tracking-id",
        both(
            name("heap"),
            declare("site", "org_id", required=True),
            configure("site", {"org_id": "A"}),
            copy_to_other_site,
        ),
    ),
    (
        "secrets-in-configuration",
        both(distrust(), configure("account", {"api_key": "", "enabled": True, "channel": "#general"})),
    ),
    ("secrets-in-configuration", both(distrust(), configure("space", {"tracking_id": "G-1", "token": None}))),
    ("secrets-in-configuration", both(distrust(), declare("site", "api_key"), configure("site", {"api_key": "abc"}))),
    ("secrets-in-configuration", both(own(), configure("account", {"api_key": "abc"}))),
    (
        "secrets-in-configuration",
        both(distrust(), declare("account", "auth", enum=["none", "sso"]), configure("account", {"auth": "sso"})),
    ),
    ("secrets-in-configuration", both(distrust(), render("site"), configure("account", {"secret": "abc"}))),
    ("typed-credentials", both(declare("site", "api_key"), configure("site", {"api_key": "abc"}))),
    (
        "typed-credentials",
        both(
            declare("account", "project_key"),
            configure("account", {"access_token_endpoint": "https://idp.example/token", "project_key": "default"}),
        ),
    ),
    ("stored-credentials", configure("space", {"oauth_credentials": {"expires_at": "2026", "n": 5}, "key": "a"})),
    ("stored-credentials", both(render("site"), configure("site", {"apiKey": "abc"}))),
]


async def test_an_organization_without_problems_has_no_findings() -> None:
    assert await find(Organization()) == []


@pytest.mark.parametrize(("rule", "spoil"), FIRES)
async def test_a_rule_finds_its_subject(rule: str, spoil: Spoil) -> None:
    organization = Organization()
    spoil(organization)
    found = [finding for finding in await find(organization) if finding.rule == rule]
    assert len(found) == 1
    (finding,) = found
    assert finding.summary
    assert finding.evidence
    check_arguments(TOOLS[finding.remedy.tool], finding.remedy.arguments)
    # A call that changes something names the change
    change = finding.remedy.arguments.keys() - {"integrationName", "installationId", "spaceId", "siteId"}
    assert TOOLS[finding.remedy.tool].risk != "write" or change


@pytest.mark.parametrize(("rule", "spoil"), RESTS)
async def test_a_rule_does_not_find_similar_things(rule: str, spoil: Spoil) -> None:
    organization = Organization()
    spoil(organization)
    assert rule not in {finding.rule for finding in await find(organization)}


def test_every_rule_has_a_check_and_cases_with_and_without_a_finding() -> None:
    assert set(RULES) == set(CHECKS) == {rule for rule, _ in FIRES} == {rule for rule, _ in RESTS}


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("unverified-write", unverify("space:git:sync")),
        ("unverified-script", distrust(scopes=["site:visitor:auth"])),
        ("foreign-unlisted", distrust(visibility="unlisted", scopes=["site:visitor:auth"])),
        ("policy-violated", both(change(**CONSENT), add_rule())),
        ("stalled-installation", both(name("onetrust"), move("site"), stall("paused", 90))),
        ("paused-place", both(name("onetrust"), stall("paused", 90))),
        ("installed-nowhere", both(name("onetrust"), move("site"))),
    ],
)
async def test_no_remedy_removes_sync_sign_in_or_consent(rule: str, spoil: Spoil) -> None:
    organization = Organization()
    spoil(organization)
    findings = [finding for finding in await find(organization) if finding.rule == rule]
    assert [TOOLS[finding.remedy.tool].risk for finding in findings] == ["read"]


_WRITES = {"scopes": ["space:content:read", "space:content:write"], "target": "space"}


@pytest.mark.parametrize(
    ("rule", "spoil", "job"),
    [
        ("unverified-write", distrust(**_WRITES, title="Cookie Notice Helper"), None),
        ("foreign-unlisted", distrust(**_WRITES, categories=["visitor-auth"], visibility="unlisted"), None),
        ("unverified-write", both(distrust(**_WRITES), name("termly")), None),
        ("unverified-write", both(distrust(**_WRITES), name("bitbucket-sync")), None),
        ("unverified-script", distrust(**CONSENT), "consent"),
        ("unverified-script", both(distrust(), name("termly")), "consent"),
    ],
)
async def test_a_name_title_or_category_that_a_stranger_chose_does_not_change_the_remedy(
    rule: str, spoil: Spoil, job: str | None
) -> None:
    organization = Organization()
    spoil(organization)
    [finding] = [finding for finding in await find(organization) if finding.rule == rule]
    assert finding.remedy.tool == "uninstall_integration"
    assert finding.remedy.advice.startswith(RULES[rule].advice)
    assert (f"used for {job}" in finding.remedy.advice) if job else finding.remedy.advice == RULES[rule].advice


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("unverified-write", distrust(scopes=["space:content:write"])),
        ("unverified-script", distrust(scopes=["site:script:inject"])),
        ("foreign-unlisted", distrust(visibility="unlisted", scopes=["space:content:read"])),
        ("unverified-read", both(*READER)),
    ],
)
async def test_what_another_organization_of_the_user_owns_is_not_advised_to_be_uninstalled_as_a_strangers(
    rule: str, spoil: Spoil
) -> None:
    organization = Organization()
    spoil(organization)
    for member, tool in ((False, "uninstall_integration"), (True, "get_integration_installation_by_id")):
        organization.state.organizations[STRANGER].member = member
        [finding] = [finding for finding in await find(organization) if finding.rule == rule]
        assert finding.remedy.tool == tool
        assert ("If that one is yours" in finding.remedy.advice) is member


@pytest.mark.parametrize(
    ("servers", "found"), [("aa", ["2 sites"]), ("ab", []), ("aab", ["2 sites"]), ("aabb", ["4 sites"])]
)
async def test_a_tracking_id_is_the_same_only_on_the_same_server(servers: str, found: list[str]) -> None:
    organization = Organization()
    form = {"properties": {key: {"type": "string"} for key in ("server_url", "site_id")}}
    settings = [{"server_url": f"https://{server}.example", "site_id": "1"} for server in servers]
    both(
        name("matomo"),
        change(configurations={"site": {**form, "required": ["server_url", "site_id"]}}),
        enable_everywhere("site", *settings),
    )(organization)
    summaries = [each.summary for each in await find(organization) if each.rule == "same-tracking-id"]
    assert [summary.rpartition(" on ")[2] for summary in summaries] == found


async def test_one_finding_about_all_places_keeps_its_id_while_they_get_their_settings() -> None:
    found = []
    for complete in (0, 2, 4):  # of five
        organization = Organization()
        both(declare("site", "id", required=True), enable_everywhere("site", *[{"id": "a"}] * complete))(organization)
        found += [each for each in await find(organization) if each.rule == "required-setting-missing"]
    assert len(found) == 3
    assert len({each.id for each in found}) == 1
    assert [each.subject.site is None for each in found] == [True, True, False]


@pytest.mark.parametrize(("rule", "policy"), [("script-without-csp", ""), ("weak-csp", "script-src *")])
async def test_what_is_installed_nowhere_is_not_advised_to_be_uninstalled(rule: str, policy: str) -> None:
    organization = Organization()
    orphan(f"{RUNTIME}/gone/script.js", policy)(organization)
    [finding] = [finding for finding in await find(organization) if finding.rule == rule]
    assert finding.remedy.tool == "list_site_integration_scripts"
    assert "uninstall it" not in finding.remedy.advice


@pytest.mark.parametrize(
    ("spoil", "tool"),
    [
        (both(name("plausible"), distrust(), add("googleanalytics")), "uninstall_integration_from_site"),
        (both(name("plausible"), add("googleanalytics")), "list_site_integrations"),  # none is the riskiest
        (both(distrust(categories=["analytics"]), add("googleanalytics")), "list_site_integrations"),  # only a hint
        (both(name("plausible"), own(visibility="private"), add("googleanalytics")), "list_site_integrations"),
        (
            both(distrust(scopes=["site:visitor:auth"]), add("VA-Okta", scopes=["site:visitor:auth"])),
            "list_site_integrations",
        ),
    ],
)
async def test_of_several_of_a_kind_only_the_riskiest_is_proposed_for_removal(spoil: Spoil, tool: str) -> None:
    organization = Organization()
    spoil(organization)
    (finding,) = [finding for finding in await find(organization) if finding.rule == "same-kind"]
    assert finding.remedy.tool == tool
    if tool == "uninstall_integration_from_site":
        assert finding.remedy.arguments["integrationName"] == "plausible"


@pytest.mark.parametrize(
    ("rule", "spoil", "tool", "advice"),
    [
        ("weak-csp", both(own(), change(contentSecurityPolicy="script-src *")), "get_integration_by_name", "publish"),
        ("script-without-csp", both(own(), change(contentSecurityPolicy="")), "get_integration_by_name", "publish"),
        ("excess-scopes", own(scopes=["space:content:write"]), "get_integration_by_name", "publish"),
        ("weak-csp", change(contentSecurityPolicy="script-src *"), "get_integration_by_name", "Ask its developer"),
        (
            "weak-csp",
            distrust(contentSecurityPolicy="script-src *"),
            "uninstall_integration_from_site",
            "uninstall",
        ),
        # its script comes with a space of the site, so there is nothing to uninstall from the site
        (
            "weak-csp",
            both(distrust(), move("all", to="space"), orphan(f"{RUNTIME}/plain/script.js", "script-src *")),
            "list_site_integration_scripts",
            "uninstall",
        ),
        (
            "stalled-installation",
            both(move("site"), stall("paused", 90)),
            "get_integration_installation_by_id",
            "resume",
        ),
        ("installed-nowhere", move("space"), "uninstall_integration", "uninstall it"),
        # a chat can ask for the content of the organization
        (
            "installed-nowhere",
            both(move("space"), configure("account", {"channel": "docs"})),
            "get_integration_installation_by_id",
            "may work without",
        ),
        (
            "required-setting-missing",
            both(render("site"), enable_everywhere("site")),
            "get_integration_site_installation",
            "on each site that needs",
        ),
        ("never-listed", both(distrust(), delist), "get_integration_by_name", "links"),
        # nobody but its owner can look it up by name
        (
            "never-listed",
            distrust(visibility="private", scopes=[]),
            "get_integration_installation_by_id",
            "if you know its developer",
        ),
        (
            "sign-in-not-required",
            both(sign_in(), hide("visibility", "public")),
            "get_integration_site_installation",
            "audience",
        ),
    ],
)
async def test_a_remedy_helps_and_breaks_nothing(rule: str, spoil: Spoil, tool: str, advice: str) -> None:
    organization = Organization()
    spoil(organization)
    (finding,) = [finding for finding in await find(organization) if finding.rule == rule]
    assert finding.remedy.tool == tool
    assert advice in finding.remedy.advice
    check_arguments(TOOLS[tool], finding.remedy.arguments)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (distrust(), "“plain” is unverified and runs a script in the pages of sites"),
        (distrust(scopes=["site:visitor:auth"]), "“plain” is unverified and decides who may read sites"),
    ],
)
async def test_an_unverified_integration_is_reported_with_what_it_does(spoil: Spoil, sentence: str) -> None:
    organization = Organization()
    spoil(organization)
    assert sentence in {finding.summary for finding in await find(organization)}


@pytest.mark.parametrize(
    ("spoil", "evidence"),
    [
        (both(), "consent manager on the site: none known"),
        (add("onetrust", title="OneTrust"), "consent manager on the site: “OneTrust”"),
        (
            add("onetrust", configurations={"site": {"properties": {"id": {"type": "string"}}, "required": ["id"]}}),
            "consent manager on the site: none known",
        ),
    ],
)
async def test_scripts_with_cookies_are_reported_with_the_consent_manager_that_works(
    spoil: Spoil, evidence: str
) -> None:
    organization = Organization()
    both(change(scopes=["site:script:inject", "site:script:cookies"]), spoil)(organization)
    (finding,) = [finding for finding in await find(organization) if finding.rule == "script-with-cookies"]
    assert evidence in finding.evidence


async def test_unknown_verification_is_undecided() -> None:
    organization = Organization()
    distrust(scopes=["site:script:inject", "space:content:write"], visibility="unlisted")(organization)
    organization.integration.verified = None  # type: ignore[assignment]
    report = await audit(Watched(organization.sandbox), clock=lambda: NOW)
    rules = ("unverified-write", "unverified-script", "foreign-unlisted")
    assert {each.id: each.outcome for each in report.rules if each.id in rules} == dict.fromkeys(rules, "unchecked")


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("secrets-in-configuration", configure("account", {"api_key": "abc"})),
        ("typed-credentials", configure("account", {"api_key": "abc"})),
        ("excess-scopes", change(scopes=["site:script:inject", "space:metadata:read"])),
        ("all-places-selected", both(select("site", "site"), hide("visibility", "public"))),
        ("never-listed", delist),
        ("gone-from-marketplace", delist),
        ("unverified-read", both(*READER)),
    ],
)
async def test_unknown_verification_is_undecided_in_every_rule_that_needs_it(rule: str, spoil: Spoil) -> None:
    organization = Organization()
    both(distrust(), spoil)(organization)
    organization.integration.verified = None  # type: ignore[assignment]
    report = await audit(Watched(organization.sandbox), clock=lambda: NOW)
    (outcome,) = [each for each in report.rules if each.id == rule]
    assert outcome.findings == 0
    assert [each.subject.integration for each in outcome.undecided] == ["plain"]


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("weak-csp", change(contentSecurityPolicy="script-src *")),
        ("script-without-csp", change(contentSecurityPolicy="")),
        ("same-kind", both(name("plausible"), add("googleanalytics"))),
    ],
)
async def test_what_may_be_verified_is_not_proposed_for_removal(rule: str, spoil: Spoil) -> None:
    organization = Organization()
    both(distrust(), spoil)(organization)
    organization.integration.verified = None  # type: ignore[assignment]
    (finding,) = [finding for finding in await find(organization) if finding.rule == rule]
    assert TOOLS[finding.remedy.tool].risk == "read"


async def test_a_fact_that_a_policy_rule_needs_and_nobody_knows_is_undecided() -> None:
    organization = Organization()
    organization.integration.verified = None  # type: ignore[assignment]
    add_rule(verified=False)(organization)
    report = await audit(Watched(organization.sandbox), clock=lambda: NOW, policy={"rules": organization.policy})
    (outcome,) = [each for each in report.rules if each.id == "policy-violated"]
    assert (outcome.outcome, outcome.findings) == ("partly", 0)
    assert "rule-1: verified" in outcome.undecided[0].what


@pytest.mark.parametrize(
    ("spoil", "tool"),
    [
        (add_rule(), "uninstall_integration"),
        (both(hide("visibility", "public"), add_rule(places=["public-sites"])), "uninstall_integration_from_site"),
        (both(select("site", "site"), add_rule(places=["public-sites"])), "update_integration_installation"),
        (both(change(scopes=["site:visitor:auth"]), add_rule()), "get_integration_installation_by_id"),
    ],
)
async def test_the_remedy_of_a_violated_policy_ends_no_more_than_the_violation(spoil: Spoil, tool: str) -> None:
    organization = Organization()
    spoil(organization)
    (finding,) = [finding for finding in await find(organization) if finding.rule == "policy-violated"]
    assert finding.remedy.tool == tool
    check_arguments(TOOLS[tool], finding.remedy.arguments)


async def test_one_call_ends_the_violations_on_several_places() -> None:
    organization = Organization()
    move("space")(organization)
    first, second, third, *_ = organization.state.get_places("space", ORGANIZATION_ID)
    for space in (first, second, third):
        organization.installation.enabled["space"][space.id] = Setup()
        space.visibility = "public"
    third.visibility = "private"
    add_rule(places=["public-spaces"])(organization)
    (finding,) = [finding for finding in await find(organization) if finding.rule == "policy-violated"]
    assert finding.remedy.tool == "set_installation_places"
    assert finding.remedy.arguments == {
        "integrationName": "plain",
        "installationId": organization.installation.id,
        "spaces": [third.id],
    }


async def test_a_script_without_an_integration_in_its_url_is_undecided() -> None:
    organization = Organization()
    orphan("https://cdn.somewhere.example/tag.js")(organization)
    report = await audit(Watched(organization.sandbox), clock=lambda: NOW)
    (outcome,) = [outcome for outcome in report.rules if outcome.id == "script-not-installed"]
    assert (outcome.outcome, outcome.findings) == ("partly", 0)
    assert "cdn.somewhere.example" in outcome.undecided[0].what


async def test_the_ids_of_findings_never_change() -> None:
    report = await audit(Watched())
    ids = {finding.id for finding in report.findings}
    # Baselines and files of accepted findings contain IDs: one for each form of key
    assert ids >= {
        "unverified-write:c136ee74b4",
        "script-without-csp:2c1fa86a53",
        "script-not-installed:ac477a73c5",
        "required-setting-missing:17331c9ba5",
        "required-setting-missing:5900b9d908",
        "paused-place:5e8bc63eaf",
        "same-kind:ccf4e37bf7",
        "typed-credentials:4a11a44c4d",
    }
    assert len(ids) == len(report.findings) == 22


async def test_reports_contain_no_secrets() -> None:
    organization = Organization()
    secret = "sk_live_0123456789abcdef"
    for level in ("account", "space", "site"):
        configure(level, {"api_key": secret, "note": secret})(organization)
    organization.installation.external_ids = [secret]
    orphan(f"https://user:{secret}@cdn.example/integrations/x/installations/y/a.js?key={secret}#{secret}")(organization)
    report = await audit(Watched(organization.sandbox), clock=lambda: NOW)
    text = report.model_dump_json()
    assert secret not in text
    assert "api_key" in text


async def test_rules_can_be_disabled_and_their_severity_changed() -> None:
    organization = Organization()
    both(change(contentSecurityPolicy=""), stall("paused", 40), configure("account", {"api_key": "x"}))(organization)
    options = {"disabled_rules": ["paused-place"], "severity": {"stored-credentials": "high"}}
    report = await audit(Watched(organization.sandbox), clock=lambda: NOW, audit=options)
    assert [(finding.rule, finding.severity) for finding in report.findings] == [("stored-credentials", "high")]
    outcomes = {outcome.id: outcome.outcome for outcome in report.rules}
    assert outcomes["paused-place"] == "off"
    assert set(outcomes) == set(RULES)


@pytest.mark.parametrize("options", [{"disabled_rules": ["same-kin"]}, {"severity": {"same-kin": "low"}}])
def test_a_misspelt_rule_is_rejected_with_a_suggestion(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="Did you mean same-kind"):
        load_settings({"audit": options})


CREDENTIALS = (
    "oauth_credentials",
    "webhook_url",
    "api_key",
    "access_token",
    "api_token",
    "secret_key",
    "client_secret",
)
"""Keys under which the sandbox's configurations hold credentials."""

CREDENTIAL_RULES = {"secrets-in-configuration", "typed-credentials", "stored-credentials"}


def expect(state: State, now: float) -> set[tuple[str, str]]:
    """Return the expected findings (rule and subject), computed independently of the program."""
    expected: set[tuple[str, str]] = set()
    for each in list_installed(state):
        integration = state.integrations[each.integration]
        manifest = integration.manifest
        scopes = manifest["scopes"]
        target = integration.target
        spaces, sites = each.enabled["space"], each.enabled["site"]
        strange = not integration.verified and integration.owner != ORGANIZATION_ID
        if strange and any("write" in scope or "sync" in scope for scope in scopes):
            expected.add(("unverified-write", each.id))
        required = manifest.get("configurations", {}).get("account", {}).get("required", [])
        missing = [key for key in required if not each.configuration.get(key)]
        explained = spaces or sites or (missing and each.status == "pending")
        if each.status != "active" and now - each.updated_at >= 30 * DAY and not explained:
            expected.add(("stalled-installation", each.id))
        everywhere = any(each.selection[level] == "all" and target in ("all", level) for level in ("space", "site"))
        unfinished = everywhere or (missing and each.status == "pending")
        if target != "organization" and not spaces and not sites and not unfinished:
            expected.add(("installed-nowhere", each.id))
        if integration.visibility != "public" and strange and any("metadata:read" not in scope for scope in scopes):
            expected.add(("foreign-unlisted", each.id))
        settings = [each.configuration, *(setup.configuration for setup in [*spaces.values(), *sites.values()])]
        if any(f'"{key}"' in json.dumps(one) for key in CREDENTIALS for one in settings):
            expected.add(("credentials", each.id))
    return expected


def count_same_kind(state: State) -> int:
    """Return on how many published sites there are several integrations for one job, once for each job."""
    count = 0
    for site in state.get_places("site", ORGANIZATION_ID):
        if not state.sites[site.id].published:
            continue
        kinds: dict[str, int] = {}
        for each in list_installed(state):
            manifest, setup = state.integrations[each.integration].manifest, each.enabled["site"].get(site.id)
            if not setup or not setup.status == each.status == "active":
                continue
            injects = "site:script:inject" in manifest["scopes"]
            if "site:visitor:auth" in manifest["scopes"]:
                kinds["sign-in"] = kinds.get("sign-in", 0) + 1
            elif injects and "chat" in f"{each.integration} {manifest['title']}".lower():
                kinds["chat"] = kinds.get("chat", 0) + 1
            elif injects and "analytics" in manifest["categories"]:
                kinds["analytics"] = kinds.get("analytics", 0) + 1
        count += sum(number > 1 for number in kinds.values())
    return count


@pytest.mark.slow
@given(
    st.builds(
        Size,
        integrations=st.integers(1, 30),
        spaces=st.integers(1, 30),
        sites=st.integers(1, 10),
        installations=st.integers(0, 50),
    )
)
async def test_findings_match_the_state(size: Size) -> None:
    try:
        sandbox = create_grown_sandbox(size)
    except ValueError:
        return  # the sandbox cannot have that many installations
    report = await audit(Watched(sandbox), clock=lambda: NOW)
    expected = expect(sandbox.state, NOW)
    rules = {"unverified-write", "stalled-installation", "foreign-unlisted", "installed-nowhere", *CREDENTIAL_RULES}
    found = {
        ("credentials" if each.rule in CREDENTIAL_RULES else each.rule, each.subject.installation)
        for each in report.findings
        if each.rule in rules
    }
    assert found == expected
    assert sum(each.rule == "same-kind" for each in report.findings) == count_same_kind(sandbox.state)
    assert len({each.id for each in report.findings}) == len(report.findings)
    for each in report.findings:
        check_arguments(TOOLS[each.remedy.tool], each.remedy.arguments)
    assert [each.severity for each in report.findings] == sorted(
        (each.severity for each in report.findings), key=SEVERITIES.index
    )
    read = [script for site in report.sites if site.published for script in site.scripts or ()]
    bare = [script for script in read if not script.contentSecurityPolicy]
    assert sum(each.rule == "script-without-csp" for each in report.findings) == len(bare)
