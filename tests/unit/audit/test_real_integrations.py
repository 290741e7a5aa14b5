"""The findings on an organization with real integrations, each judged by hand.

A finding of high severity is right if somebody should act on it today, one of medium severity if somebody should act on
it at all, and one of low severity if it is true and worth knowing. It is wrong as well if its remedy would do harm.
"""

import pytest

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.report import Finding, IntegrationFacts, Report
from gitbook_integrations_mcp.audit.configuration_forms import read_form
from gitbook_integrations_mcp.audit.integration_jobs import Purpose, find_purpose
from gitbook_integrations_mcp.calls.arguments import check_arguments
from gitbook_integrations_mcp.calls.content_policies import find_weaknesses, parse_policy
from gitbook_integrations_mcp.calls.policy_rules import classify_policy
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.audit_fixtures import Watched, audit, count_requests
from tests.support.real_organization import NOW, REAL, create_real_organization

RIGHT = True

JUDGED: dict[str, tuple[bool, str]] = {
    # high
    "unverified-script salesviewer": (RIGHT, "a stranger's unreviewed script runs in public pages"),
    "foreign-unlisted exporter": (RIGHT, "strangers can change code that reads private spaces"),
    "script-not-installed hotjar help": (RIGHT, "it records readers, and no list of installations shows it"),
    "secrets-in-configuration exporter": (RIGHT, "strangers have the key, and the API shows it"),
    # medium
    "typed-credentials segment": (
        RIGHT,
        "anyone with the write key can send events to the source, and the API shows it",
    ),
    "typed-credentials sentry": (RIGHT, "the token of the whole Sentry organization can be read by API"),
    "typed-credentials our-bot": (RIGHT, "the key can be read by API; the bot could keep it as its secret"),
    "weak-csp posthog docs": (RIGHT, "script-src *"),
    "weak-csp posthog help": (RIGHT, "script-src *"),
    "weak-csp plausible partners": (RIGHT, "script-src allows any host beside its own"),
    "weak-csp heap help": (RIGHT, "'unsafe-inline' in script-src"),
    "weak-csp zoominfo docs": (RIGHT, "'unsafe-inline' in script-src"),
    "all-places-selected github-copilot": (RIGHT, "it reads private spaces, and every new one"),
    "all-places-selected intercom": (RIGHT, "the partners' site, and every new one, runs its script"),
    "all-places-selected slack": (RIGHT, "it reads private spaces, and every new one"),
    "required-setting-missing googleanalytics help": (RIGHT, "active, but nothing is measured"),
    "required-setting-missing helpscout help": (RIGHT, "readers see no chat until the ID is there"),
    "required-setting-missing jira": (RIGHT, "nobody has connected it, so its links stay plain"),
    "required-setting-missing VA-Okta next": (RIGHT, "the site has no sign-in although it looks set up"),
    "required-setting-missing amplitude help": (RIGHT, "active, but nothing is measured"),
    "required-setting-missing cognito help": (RIGHT, "without the secret nobody can sign in"),
    "required-setting-missing github-files": (RIGHT, "nobody has connected it, so it shows no private files"),
    "required-setting-missing onetrust partners": (RIGHT, "scripts set cookies there, but nobody is asked"),
    "sign-in-not-required VA-Auth0 docs": (RIGHT, "everybody can read the site although it looks protected"),
    "git-sync-failed reference": (RIGHT, "the space is not what the repository says"),
    "gone-from-marketplace runkit": (RIGHT, "GitBook withdrew what it had reviewed"),
    # low
    "script-with-cookies fullstory docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies hotjar docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies googleanalytics docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies googleanalytics partners": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies gitbook-hubspot docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies intercom docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies intercom help": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies intercom partners": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies mixpanel docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies posthog docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies posthog help": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies salesviewer docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies unify docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies wistia docs": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies heap help": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies runllm help": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies hotjar help": (RIGHT, "GitBook says so in the list of scripts"),
    "script-with-cookies piwik partners": (RIGHT, "it has the scope for cookies"),
    "script-with-cookies amplitude partners": (RIGHT, "it has the scope for cookies"),
    "paused-place VA-Azure": (RIGHT, "it signs nobody in; the remedy only looks at it"),
    "paused-place salesforce-chat": (RIGHT, "readers see no chat"),
    "paused-place reodotdev help": (RIGHT, "it does nothing there"),
    "installed-nowhere discord": (RIGHT, "no space sends it messages; the remedy only looks at it"),
    "installed-nowhere fathom": (RIGHT, "nobody uses it"),
    "installed-nowhere runkit": (RIGHT, "nobody uses it"),
    "never-listed diagrams": (RIGHT, "public means installable, and nobody at GitBook looked at it"),
    "same-kind ahrefs+googleanalytics docs": (RIGHT, "both count visits"),
    "same-kind bucket+launchdarkly docs": (RIGHT, "both serve feature flags"),
    "same-kind koala+salesviewer+unify+zoominfo docs": (RIGHT, "all identify companies; the unverified one goes"),
    "same-kind mixpanel+posthog docs": (RIGHT, "both analyse what readers do"),
    "same-kind heap+pendo+posthog help": (RIGHT, "all analyse what readers do"),
    "same-kind crisp+intercom help": (RIGHT, "two chats on one page"),
    "same-kind freshdesk+intercom docs": (RIGHT, "two chats on one page"),
    "same-kind fullstory+hotjar docs": (RIGHT, "both record what readers do"),
    "same-kind front+intercom partners": (RIGHT, "two chats on one page"),
    "same-kind googleanalytics+piwik+plausible partners": (RIGHT, "all count visits"),
    "same-tracking-id googleanalytics docs": (RIGHT, "the partners' visits count as those of the documentation"),
    "stored-credentials bucket": (RIGHT, "the key can be read by API"),
    "stored-credentials discord": (RIGHT, "the token can be read by API"),
    "stored-credentials figma": (RIGHT, "the token can be read by API"),
    "stored-credentials github-copilot": (RIGHT, "the token can be read by API"),
    "stored-credentials github": (RIGHT, "the token can be read by API"),
    "stored-credentials gitlab-files": (RIGHT, "the token can be read by API"),
    "stored-credentials gitlab": (RIGHT, "the token can be read by API"),
    "stored-credentials launchdarkly": (RIGHT, "the token can be read by API"),
    "stored-credentials linear": (RIGHT, "the token can be read by API"),
    "stored-credentials mailchimp": (RIGHT, "the token can be read by API"),
    "stored-credentials oidc": (RIGHT, "the client secret can be read by API"),
    "stored-credentials slack": (RIGHT, "the token can be read by API"),
    "stored-credentials VA-Auth0": (RIGHT, "the client secret can be read by API"),
    "stored-credentials webhook": (RIGHT, "the secret can be read by API"),
}
"""Every finding, by rule, integration and place: whether it is right, and why."""

PROTECTED = {"github", "gitlab", "cognito", "oidc", "VA-Auth0", "VA-Azure", "VA-Okta", "cookie-consent", "onetrust"}
"""Integrations whose removal would end sync, sign-in or consent."""


def describe(finding: Finding) -> str:
    subject = finding.subject
    name = subject.integration
    if finding.rule == "same-kind":
        name = "+".join(finding.summary.rpartition(": ")[2].split(", "))
    return " ".join(filter(None, (finding.rule, name, subject.space or subject.site)))


def rate(report: Report, severity: str) -> float:
    """Return which part of the findings of a severity is right."""
    judged = [JUDGED[describe(finding)][0] for finding in report.findings if finding.severity == severity]
    return sum(judged) / len(judged)


async def test_every_finding_is_judged_and_high_and_medium_ones_are_right() -> None:
    report = await audit(Watched(create_real_organization()), clock=lambda: NOW)
    assert report.coverage.complete
    assert sorted(map(describe, report.findings)) == sorted(JUDGED)
    assert rate(report, "high") >= 0.95
    assert rate(report, "medium") >= 0.9
    assert rate(report, "low") >= 0.9


async def test_remedies_are_valid_calls_that_remove_nothing_needed() -> None:
    report = await audit(Watched(create_real_organization()), clock=lambda: NOW)
    for finding in report.findings:
        tool, arguments = TOOLS[finding.remedy.tool], finding.remedy.arguments
        check_arguments(tool, arguments)
        assert tool.risk != "destroy" or arguments["integrationName"] not in PROTECTED
        assert tool.risk != "write" or arguments.keys() - {"integrationName", "installationId", "spaceId", "siteId"}
    removed = {each.remedy.arguments["integrationName"] for each in report.findings if "uninstall" in each.remedy.tool}
    assert removed == {"salesviewer", "exporter", "fathom", "runkit"}


async def test_the_rules_need_no_further_requests() -> None:
    sandbox = create_real_organization()
    watched = Watched(sandbox)
    await audit(watched, clock=lambda: NOW)
    assert len(watched.requests) == count_requests(sandbox.state)


async def test_a_policy_finds_what_it_denies_and_needs_no_further_requests() -> None:
    sandbox = create_real_organization()
    watched = Watched(sandbox)
    shared = {"effect": "deny", "reason": "Not here."}
    rules = [
        {**shared, "name": "own", "effect": "allow", "owners": [ORGANIZATION_ID]},
        {**shared, "name": "strangers", "verified": False, "scopes": ["*"]},
        {**shared, "name": "scripts", "scopes": ["site:script:inject"], "content_security_policy": ["weak", "missing"]},
        {**shared, "name": "confidential", "scopes": ["space:content:*"], "places": ["space:security"]},
    ]
    report = await audit(watched, clock=lambda: NOW, policy={"rules": rules})
    found = {(one.subject.integration, one.summary.rpartition(" ")[2]) for one in _select(report, "policy-violated")}
    assert found == {
        ("salesviewer", "strangers"),
        ("exporter", "strangers"),
        *((name, "scripts") for name in ("devtune", "posthog", "plausible", "heap", "zoominfo")),
        *((name, "confidential") for name in ("github", "github-copilot", "slack")),
    }
    assert all(one.severity == "high" for one in _select(report, "policy-violated"))
    assert len(watched.requests) == count_requests(sandbox.state)


def _select(report: Report, rule: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule == rule]


async def test_coverage_says_what_the_api_does_not_tell() -> None:
    report = await audit(Watched(create_real_organization()), clock=lambda: NOW)
    assert {fact.partition(":")[0] for fact in report.coverage.unavailable} == {
        "Installations",
        "Development mode",
        "Git Sync",
        "Consent",
    }


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("ahrefs-web-analytics", "web analytics"),
        ("amplitude", "product analytics"),
        ("cookiescript", "consent"),
        ("freshdesk", "chat"),
        ("gravito", "consent"),
        ("gurubase", "assistant"),
        ("hotjar", "session recording"),
        ("onetrust", "consent"),
        ("reodotdev", "visitor identification"),
        ("salesforce-chat", "chat"),
    ],
)
def test_the_job_of_an_integration_that_gitbook_calls_analytics_is_known_by_name(name: str, job: str) -> None:
    facts = IntegrationFacts(name=name, title=name, scopes=("site:script:inject",), categories=("analytics",))
    assert find_purpose(facts) == Purpose(job)  # type: ignore[arg-type]


POLICIES = [(name, policy) for name, each in REAL.items() if (policy := each.get("contentSecurityPolicy"))]


@pytest.mark.parametrize(("name", "policy"), POLICIES)
def test_the_policies_of_real_manifests_are_read(name: str, policy: dict[str, str]) -> None:
    header = "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
    weak = {"posthog": ("script-src *",), "plausible": ("script-src *",)}
    weak |= dict.fromkeys(("heap", "zoominfo"), ("script-src 'unsafe-inline'",))
    weak["devtune"] = ("no script-src or default-src",)
    assert find_weaknesses(header) == weak.get(name, ())
    assert set(parse_policy(header)) == set(policy)


@pytest.mark.parametrize(
    ("policy", "weaknesses"),
    [
        ("script-src *, https://cdn.example", ("script-src *",)),  # authors write commas between sources
        ("script-src https:, 'self'", ("script-src https:",)),
        ("script-src https://cdn.example, https://www.example", ()),
        ("script-src 'self'; script-src-attr 'unsafe-inline'", ("script-src-attr 'unsafe-inline'",)),
        ("script-src 'self'; script-src-attr 'none'", ()),
        ("script-src-elem 'self'", ("no script-src or default-src",)),
        ("script-src-elem 'self'; default-src 'unsafe-eval'", ("default-src 'unsafe-eval'",)),
        ("script-src-elem 'self'; default-src 'none'", ()),
        ("script-src 'self' 'unsafe-inline' 'nonce-YWJj='", ()),
        ("script-src 'self' 'unsafe-inline' 'nonce-'", ("script-src 'unsafe-inline'",)),
        ("script-src 'self' 'unsafe-inline' 'sha256-", ("script-src 'unsafe-inline'",)),
        ("script-src 'self' https://cdn.exa…", ("its end was cut",)),
        # browsers take what follows as sources of the same directive
        ("script-src 'none' default-src *", ("script-src *",)),
        ("script-src 'self'\nframe-src *", ("script-src *",)),
        ("script-src 'self'\nframe-src https://frame.example", ()),
    ],
)
def test_a_policy_is_weak_if_it_leaves_one_kind_of_script_unlimited(policy: str, weaknesses: tuple[str, ...]) -> None:
    assert find_weaknesses(policy) == weaknesses


def test_of_a_repeated_directive_the_first_counts() -> None:
    assert find_weaknesses("script-src 'self'; script-src *") == ()
    assert find_weaknesses("script-src-elem *; script-src 'self'") == ("script-src-elem *",)
    hidden = {"img-src": "'self'; script-src 'none'", "script-src": "*"}
    assert classify_policy(hidden) == classify_policy(dict(reversed(hidden.items()))) == "weak"


@pytest.mark.parametrize("name", REAL)
def test_the_forms_of_real_manifests_name_what_is_missing(name: str) -> None:
    for level in ("account", "space", "site"):
        form = read_form(REAL[name], level, public=False)
        declared = REAL[name].get("configurations", {}).get(level, {})
        assert set(form.find_missing({}, "pending")) == set(declared.get("required", []))
        assert not form.find_missing(dict.fromkeys(form.required, "x"), "active")
