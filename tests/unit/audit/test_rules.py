"""Every rule finds its subject and nothing similar. The remedy of every finding is a valid call."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.report import Finding
from gitbook_integrations_api.rules import RULES, SEVERITIES
from gitbook_integrations_mcp.audit.evaluation import CHECKS
from gitbook_integrations_mcp.calls.arguments import check_arguments
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, create_sandbox
from gitbook_integrations_mcp.sandbox.state import Installation, Integration, Setup, Site, State
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
    report = await audit(Watched(organization.sandbox), clock=lambda: NOW, **options)
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


def orphan(url: str) -> Spoil:
    def spoil(organization: Organization) -> None:
        script = {"script": url, "cookies": False, "contentSecurityPolicy": "default-src 'self'"}
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


def declare(level: str, key: str) -> Spoil:
    def spoil(organization: Organization) -> None:
        organization.integration.manifest["configurations"] = {level: {"properties": {key: {"type": "string"}}}}

    return spoil


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


def delist(organization: Organization) -> None:
    organization.integration.delisted = True


RUNTIME = "https://integrations.gitbook.com/v1/integrations"

FIRES: list[tuple[str, Spoil]] = [
    ("unverified-write", unverify("space:content:write")),
    ("unverified-write", unverify("space:git:sync")),
    ("script-without-csp", change(contentSecurityPolicy="")),
    ("script-with-cookies", change(scopes=["site:script:inject", "site:script:cookies"])),
    ("script-not-installed", orphan(f"{RUNTIME}/gone/installations/abc/script.js")),
    ("script-not-installed", orphan(f"{RUNTIME}/gone/script.js?token=x")),
    ("script-not-installed", both(add("elsewhere"), move("site"), orphan(f"{RUNTIME}/plain/script.js"))),
    ("all-places-selected", select("site", "site")),
    ("all-places-selected", both(select("space", "all"), configure("space", {}))),
    ("stalled-installation", stall("paused", 31)),
    ("stalled-installation", stall("pending", 400)),
    ("installed-nowhere", move("site")),
    ("installed-nowhere", move("all")),
    ("foreign-unlisted", publish(STRANGER, "unlisted")),
    ("foreign-unlisted", publish(STRANGER, "private")),
    ("excess-scopes", change(scopes=["site:script:inject", "space:metadata:read"])),
    ("excess-scopes", change(scopes=["site:script:inject", "space:content:read"], target="all")),
    ("excess-scopes", change(scopes=["site:script:inject", "space:content:write"], blocks=[{"id": "b", "title": "B"}])),
    ("gone-from-marketplace", delist),
    ("same-kind", both(change(categories=["analytics"]), add("other", categories=["analytics", "marketing"]))),
    ("same-kind", both(add("live-chat"), add("chat-two"))),
    ("secrets-in-configuration", configure("account", {"api_key": "abc"})),
    ("secrets-in-configuration", configure("account", {"deep": [{"note": "Bearer abc123"}]})),
    ("secrets-in-configuration", configure("space", {"oauth_credentials": {"x": "abc"}})),
    ("secrets-in-configuration", configure("site", {"password": "abc"})),
    ("secrets-in-configuration", both(declare("site", "x"), configure("site", {"api_key": "abc"}))),
    ("secrets-in-configuration", both(declare("account", "api_key"), configure("site", {"api_key": "abc"}))),
    ("secrets-in-configuration", both(declare("site", "api_key"), configure("account", {"api_key": "abc"}))),
    ("secrets-in-configuration", both(declare("site", "api_secret"), configure("site", {"api_secret": "abc"}))),
    (
        "secrets-in-configuration",
        both(declare("site", "api_key"), configure("site", {"api_key": "abc"}), change(scopes=["site:views:read"])),
    ),
    ("secrets-in-configuration", configure("site", {"hook": "https://hooks.slack.com/services/T0/B0/XXXX"})),
]

RESTS: list[tuple[str, Spoil]] = [
    ("unverified-write", unverify("space:content:read")),
    ("unverified-write", unverify("space:content:write", verified=True)),
    ("script-without-csp", change(contentSecurityPolicy={"script-src": "https://cdn.plain.example"})),
    ("script-with-cookies", change(scopes=["site:script:inject", "site:views:read"])),
    ("script-not-installed", orphan(f"{RUNTIME}/plain/installations/installation-plain/extra.js")),
    ("all-places-selected", select("space", "site")),
    ("stalled-installation", stall("paused", 29)),
    ("stalled-installation", stall("active", 400)),
    ("installed-nowhere", move("organization")),
    ("installed-nowhere", move("space", to="space")),
    ("foreign-unlisted", publish(ORGANIZATION_ID, "private")),
    ("foreign-unlisted", publish(ORGANIZATION_ID, "unlisted")),
    ("foreign-unlisted", publish(STRANGER, "public")),
    ("excess-scopes", change(scopes=["site:script:inject", "page:feedback:read", "openapi:read"])),
    ("excess-scopes", change(scopes=["site:script:inject", "space:content:read"], blocks=[{"id": "b", "title": "B"}])),
    ("excess-scopes", both(change(scopes=["space:content:write"]), configure("space", {}))),
    ("gone-from-marketplace", publish(ORGANIZATION_ID, "private")),
    ("same-kind", both(change(categories=["analytics"]), add("other", categories=["content"]))),
    ("same-kind", both(add("live-chat"), add("chat-bot", scopes=[]))),
    ("secrets-in-configuration", configure("account", {"api_key": "", "enabled": True, "channel": "#general"})),
    ("secrets-in-configuration", configure("space", {"tracking_id": "G-1", "token": None})),
    (
        "secrets-in-configuration",
        both(declare("site", "api_key"), configure("site", {"api_key": "abc"})),
    ),
    (
        "secrets-in-configuration",
        configure("account", {"access_token_endpoint": "https://idp.example/token", "project_key": "default"}),
    ),
    ("secrets-in-configuration", configure("space", {"oauth_credentials": {"expires_at": "2026", "n": 5}, "key": "a"})),
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
    # No call alone replaces a credential, so its finding proposes to look at the configuration.
    reads = finding.subject.installation is None or finding.rule == "secrets-in-configuration"
    assert reads or TOOLS[finding.remedy.tool].risk in {"write", "destroy"}


@pytest.mark.parametrize(("rule", "spoil"), RESTS)
async def test_a_rule_does_not_find_similar_things(rule: str, spoil: Spoil) -> None:
    organization = Organization()
    spoil(organization)
    assert rule not in {finding.rule for finding in await find(organization)}


def test_every_rule_has_a_check_and_cases_with_and_without_a_finding() -> None:
    assert set(RULES) == set(CHECKS) == {rule for rule, _ in FIRES} == {rule for rule, _ in RESTS}


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
        "unverified-write:57ac49f217",
        "script-without-csp:37ac58a699",
        "script-not-installed:ac477a73c5",
        "all-places-selected:1e4b5d4b0e",
        "all-places-selected:e239a00edc",
        "installed-nowhere:9ff5a3c225",
        "same-kind:bbdb71055d",
        "secrets-in-configuration:4a11a44c4d",
    }
    assert len(ids) == len(report.findings) == 26


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
    options = {
        "disabled_rules": ["stalled-installation"],
        "severity": {"secrets-in-configuration": "low"},
        "stalled_days": 10,
    }
    report = await audit(Watched(organization.sandbox), clock=lambda: NOW, audit=options)
    assert [(finding.rule, finding.severity) for finding in report.findings] == [("secrets-in-configuration", "low")]
    outcomes = {outcome.id: outcome.outcome for outcome in report.rules}
    assert outcomes["stalled-installation"] == "off"
    assert set(outcomes) == set(RULES)


@pytest.mark.parametrize("options", [{"disabled_rules": ["same-kin"]}, {"severity": {"same-kin": "low"}}])
def test_a_misspelt_rule_is_rejected_with_a_suggestion(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="Did you mean same-kind"):
        load_settings({"audit": options})


CREDENTIALS = ("webhook_url", "api_key", "access_token", "api_token", "secret_key", "client_secret")
"""Keys under which the sandbox's configurations hold credentials."""


def expect(state: State, now: float) -> set[tuple[str, str]]:
    """Return the expected findings (rule and subject), computed independently of the program."""
    expected: set[tuple[str, str]] = set()
    kinds: dict[str, list[str]] = {}
    for each in list_installed(state):
        integration = state.integrations[each.integration]
        manifest = integration.manifest
        scopes = manifest["scopes"]
        target = integration.target
        spaces, sites = each.enabled["space"], each.enabled["site"]
        if not integration.verified and any("write" in scope or "sync" in scope for scope in scopes):
            expected.add(("unverified-write", each.id))
        for level in ("space", "site"):
            if each.selection[level] == "all" and target in ("all", level):
                expected.add(("all-places-selected", each.id))
        if each.status != "active" and now - each.updated_at >= 30 * DAY:
            expected.add(("stalled-installation", each.id))
        if target != "organization" and not spaces and not sites:
            expected.add(("installed-nowhere", each.id))
        if integration.visibility != "public" and integration.owner != ORGANIZATION_ID:
            expected.add(("foreign-unlisted", each.id))
        if "analytics" in manifest["categories"]:
            kinds.setdefault("analytics", []).append(each.id)
        elif "visitor-auth" in manifest["categories"]:
            kinds.setdefault("sign-in", []).append(each.id)
        elif "chat" in integration.name and "site:script:inject" in scopes:
            kinds.setdefault("chat", []).append(each.id)
        settings = [each.configuration, *(setup.configuration for setup in [*spaces.values(), *sites.values()])]
        if any(f'"{key}"' in json.dumps(one) for key in CREDENTIALS for one in settings):
            expected.add(("secrets-in-configuration", each.id))
    expected |= {("same-kind", kind) for kind, ids in kinds.items() if len(ids) > 1}
    return expected


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
    rules = {rule for rule, _ in expected} | {"unverified-write", "foreign-unlisted", "installed-nowhere"}
    found = {(each.rule, each.subject.installation) for each in report.findings if each.rule in rules - {"same-kind"}}
    assert found == {pair for pair in expected if pair[0] != "same-kind"}
    assert sum(each.rule == "same-kind" for each in report.findings) == sum(rule == "same-kind" for rule, _ in expected)
    assert len({each.id for each in report.findings}) == len(report.findings)
    for each in report.findings:
        check_arguments(TOOLS[each.remedy.tool], each.remedy.arguments)
    assert [each.severity for each in report.findings] == sorted(
        (each.severity for each in report.findings), key=SEVERITIES.index
    )
    bare = [script for site in report.sites for script in site.scripts or () if not script.contentSecurityPolicy]
    assert sum(each.rule == "script-without-csp" for each in report.findings) == len(bare)
