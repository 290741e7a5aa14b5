"""What an installation audit looks for: the rules as data. How each is judged is the server's business."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Severity = Literal["high", "medium", "low"]

SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
"""The gravest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing an audit looks for.

    `meaning` says what a finding states, `why` why that matters, `advice` what to weigh before the call that would mend
    it, whose tool is `remedy`.
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
        title="Unverified integration may write",
        meaning="GitBook has not verified the integration, and it was granted scopes that change content or metadata.",
        why="Nobody but its developer has looked at code that can rewrite your documentation.",
        remedy="uninstall_integration",
        advice="Uninstall it, unless you know and trust its developer; scopes cannot be taken away one by one.",
    ),
    Rule(
        id="script-without-csp",
        severity="medium",
        title="Script without a content security policy",
        meaning="Pages of the site load the script, and it came without a content security policy.",
        why="Should the script's host be taken over, nothing limits what it loads and where it sends readers' data.",
        remedy="uninstall_integration_from_site",
        advice="Only the integration's developer can add a policy; ask for one, or take it off the site.",
    ),
    Rule(
        id="script-with-cookies",
        severity="low",
        title="Script with cookies",
        meaning="Pages of the site load the script, and it may set cookies.",
        why="In many countries readers must be asked before.",
        remedy="uninstall_integration_from_site",
        advice="See that the site asks for consent; or take it off the site.",
    ),
    Rule(
        id="script-not-installed",
        severity="high",
        title="Script of an integration that is not installed there",
        meaning="Pages of the site load a script of an integration that is not installed on it.",
        why="It runs on public pages, and no list of installations shows it.",
        remedy="uninstall_integration_from_site",
        advice="If the script stays after that, GitBook's support must remove it.",
    ),
    Rule(
        id="all-places-selected",
        severity="medium",
        title="Enabled on everything, now and later",
        meaning="The installation covers all spaces or all sites, not selected ones.",
        why="Whatever is created later, confidential or not, is covered without anybody deciding so.",
        remedy="update_integration_installation",
        advice="Select where it is needed. It stays enabled where it is now; take it off the rest one by one.",
    ),
    Rule(
        id="stalled-installation",
        severity="low",
        title="Paused or pending for long",
        meaning="The installation has been paused or pending, unchanged, for longer than audit.stalled_days.",
        why="It keeps its scopes and its configuration, and nobody uses it.",
        remedy="uninstall_integration",
        advice="Finish its configuration, or uninstall it.",
    ),
    Rule(
        id="installed-nowhere",
        severity="low",
        title="Installed on nothing",
        meaning="The integration is installed in the organization but enabled on no space and no site.",
        why="It keeps its scopes and its configuration to no use.",
        remedy="uninstall_integration",
        advice="Enable it where it is needed, or uninstall it.",
    ),
    Rule(
        id="foreign-unlisted",
        severity="high",
        title="Private or unlisted integration of another organization",
        meaning="Another organization owns the integration and does not offer it in the marketplace.",
        why="It was installed by a link, outside GitBook's review, and its owner can replace its code at any time.",
        remedy="uninstall_integration",
        advice="Find out who installed it and what for, before you uninstall it.",
    ),
    Rule(
        id="excess-scopes",
        severity="medium",
        title="Scopes beyond its targets and blocks",
        meaning="The integration was granted scopes that neither its targets nor its blocks need.",
        why="What it does not need for its work only helps whoever takes it over.",
        remedy="uninstall_integration",
        advice="Only the integration's developer can give scopes back; ask for that, or uninstall it.",
    ),
    Rule(
        id="gone-from-marketplace",
        severity="high",
        title="Gone from the marketplace",
        meaning="The integration calls itself public, and the marketplace no longer has it.",
        why="It may have been withdrawn for a reason; nobody mends it, and nobody new reviews it.",
        remedy="uninstall_integration",
        advice="Look for its successor in list_integrations, then uninstall it.",
    ),
    Rule(
        id="same-kind",
        severity="low",
        title="Several of the same kind",
        meaning="Several integrations that do the same job (analytics, sign-in, chat) are installed.",
        why="Each costs readers time and sends their data to one more company.",
        remedy="uninstall_integration",
        advice="Keep one; the call would uninstall the one enabled on the fewest places.",
    ),
    Rule(
        id="secrets-in-configuration",
        severity="high",
        title="Secrets in plain configuration",
        meaning="A configuration holds what its key or its shape gives away as a credential, readable by API.",
        why="Every token that may read installations, and everybody who holds one, reads the credential, too.",
        remedy="update_integration_installation",
        advice="Renew the credential at its issuer, with the least power it needs, then add configuration to the call: "
        "all of its settings, as what is left out is lost.",
    ),
)

RULES: MappingProxyType[str, Rule] = MappingProxyType({rule.id: rule for rule in _ALL})
"""All rules by ID, in the order in which reports have them."""
