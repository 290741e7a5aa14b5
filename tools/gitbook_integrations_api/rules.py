"""The rules of an installation audit, as data. The server evaluates them."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Severity = Literal["high", "medium", "low"]

SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
"""The most severe first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the audit.

    `meaning` is the statement of a finding, `why` its importance. `remedy` is the tool that fixes a finding, `advice`
    what to consider before calling it.
    """

    id: str
    severity: Severity
    title: str
    meaning: str
    why: str
    remedy: str
    advice: str


_ALL = (
    Rule(
        id="unverified-write",
        severity="high",
        title="Unverified integration with write access",
        meaning="GitBook has not verified the integration, but it has scopes that change content or metadata.",
        why="Only its developer has reviewed code that can rewrite your documentation.",
        remedy="uninstall_integration",
        advice="Uninstall it unless you know and trust its developer. Single scopes cannot be revoked.",
    ),
    Rule(
        id="script-without-csp",
        severity="medium",
        title="Script without a content security policy",
        meaning="The site's pages load a script that has no content security policy.",
        why="If the script's host is compromised, nothing limits what the script loads or where it sends readers' "
        "data.",
        remedy="uninstall_integration_from_site",
        advice="Only the integration's developer can add a policy. Ask for one, or uninstall it from the site.",
    ),
    Rule(
        id="script-with-cookies",
        severity="low",
        title="Script with cookies",
        meaning="The site's pages load a script that can set cookies.",
        why="Many countries require the readers' consent before cookies are set.",
        remedy="uninstall_integration_from_site",
        advice="Make sure that the site asks for consent, or uninstall it from the site.",
    ),
    Rule(
        id="script-not-installed",
        severity="high",
        title="Script of an integration that is not installed",
        meaning="The site's pages load a script of an integration that is not installed on the site.",
        why="The script runs on public pages, but no list of installations shows it.",
        remedy="uninstall_integration_from_site",
        advice="If the script remains after that, ask GitBook's support to remove it.",
    ),
    Rule(
        id="all-places-selected",
        severity="medium",
        title="Enabled on all current and future places",
        meaning="The installation covers all current and future spaces or sites instead of selected ones.",
        why="New spaces or sites are covered automatically, even confidential ones.",
        remedy="update_integration_installation",
        advice="Change to selected places. It stays enabled where it is now; uninstall it from each place that does "
        "not need it.",
    ),
    Rule(
        id="stalled-installation",
        severity="low",
        title="Paused or pending for a long time",
        meaning="The installation has been paused or pending without a change for more than audit.stalled_days days.",
        why="It is not in use but keeps its scopes and configuration.",
        remedy="uninstall_integration",
        advice="Complete its configuration, or uninstall it.",
    ),
    Rule(
        id="installed-nowhere",
        severity="low",
        title="Not enabled anywhere",
        meaning="The integration is installed in the organization but not enabled on any space or site.",
        why="It has no use but keeps its scopes and configuration.",
        remedy="uninstall_integration",
        advice="Enable it where it is needed, or uninstall it.",
    ),
    Rule(
        id="foreign-unlisted",
        severity="high",
        title="Private or unlisted integration of another organization",
        meaning="Another organization owns the integration, and the marketplace does not list it.",
        why="It was installed through a link, without GitBook's review. Its owner can replace its code at any time.",
        remedy="uninstall_integration",
        advice="Find out who installed it and why before you uninstall it.",
    ),
    Rule(
        id="excess-scopes",
        severity="medium",
        title="More scopes than needed",
        meaning="The integration has scopes that neither its target nor its blocks need.",
        why="If the integration is compromised, an attacker gets these scopes, too.",
        remedy="uninstall_integration",
        advice="Only the integration's developer can remove scopes. Ask for that, or uninstall it.",
    ),
    Rule(
        id="gone-from-marketplace",
        severity="high",
        title="No longer in the marketplace",
        meaning="The integration is public, but the marketplace does not list it any more.",
        why="It may have been withdrawn for a reason, and may no longer be maintained or reviewed.",
        remedy="uninstall_integration",
        advice="Look for a replacement with list_integrations, then uninstall it.",
    ),
    Rule(
        id="same-kind",
        severity="low",
        title="Several integrations for the same job",
        meaning="Several integrations for the same job (analytics, sign-in, chat) are installed.",
        why="Each one slows pages down and sends readers' data to another company.",
        remedy="uninstall_integration",
        advice="Keep one. The proposed call uninstalls the one that is enabled in the fewest places.",
    ),
    Rule(
        id="secrets-in-configuration",
        severity="high",
        title="Secrets in a readable configuration",
        meaning="The configuration contains values that look like credentials.",
        why="Anyone with a token that can read installations can read these credentials.",
        remedy="get_integration_installation_by_id",
        advice="The call shows where the credential is used. Rotate it at its issuer with minimal permissions, then "
        "update the configuration with all of its settings: omitted ones are deleted.",
    ),
)

RULES: MappingProxyType[str, Rule] = MappingProxyType({rule.id: rule for rule in _ALL})
"""All rules by ID, in the order of reports."""
