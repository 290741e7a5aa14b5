"""The rules of an installation audit, as data. The server evaluates them."""

from dataclasses import dataclass
from types import MappingProxyType

from gitbook_integrations_api.choices import Severity


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
        meaning="GitBook has not verified the integration of another organization, but it has scopes that change "
        "content or metadata.",
        why="Only its developer vouches for code that can change your documentation or what readers see of it.",
        remedy="uninstall_integration",
        advice="Uninstall it unless you know and trust its developer. Single scopes cannot be revoked.",
    ),
    Rule(
        id="unverified-script",
        severity="high",
        title="Unverified integration in published pages",
        meaning="GitBook has not verified the integration of another organization, but it runs a script in the pages "
        "of a site or decides who may read them.",
        why="Only its developer vouches for code that your readers run or that guards your pages.",
        remedy="uninstall_integration",
        advice="Uninstall it unless you know and trust its developer. Single scopes cannot be revoked.",
    ),
    Rule(
        id="unverified-read",
        severity="medium",
        title="Unverified integration that reads confidential content",
        meaning="GitBook has not verified the public integration of another organization. It reads the content of "
        "spaces, or what is known about visitors of sites, that are not public.",
        why="Only its developer vouches for code that gets what only some people may read.",
        remedy="uninstall_integration",
        advice="Uninstall it, or only from the spaces and sites that are not public, unless you know and trust its "
        "developer. Single scopes cannot be revoked.",
    ),
    Rule(
        id="foreign-unlisted",
        severity="high",
        title="Private or unlisted integration of another organization",
        meaning="Another organization owns the integration, the marketplace does not list it, and GitBook has not "
        "verified it. Its scopes show more than titles and settings.",
        why="It was installed through a link, without GitBook's review. Its owner can replace its code at any time.",
        remedy="uninstall_integration",
        advice="Before you uninstall it, ask your administrators who installed it and why. GitBook's API does not show "
        "that.",
    ),
    Rule(
        id="policy-violated",
        severity="high",
        title="Denied by the operator's policy",
        meaning="A rule of policy.rules denies the integration, or one of the spaces and sites where it is enabled.",
        why="It was installed in GitBook itself, or before the rule. This server would refuse the same installation.",
        remedy="uninstall_integration",
        advice="Uninstall it, or ask the operator to allow it with a rule before the one that denies it.",
    ),
    Rule(
        id="script-not-installed",
        severity="high",
        title="Script of an integration that is not installed",
        meaning="The site's pages load a script of an integration that is not installed on the site.",
        why="The script runs in published pages, but no list of installations shows it.",
        remedy="list_site_integration_scripts",
        advice="No installation can be removed. Save the site's settings in GitBook again, and ask GitBook's "
        "support if the call still lists the script.",
    ),
    Rule(
        id="secrets-in-configuration",
        severity="high",
        title="Credentials given to an unverified integration",
        meaning="The configuration of an unverified integration of another organization contains values that look like "
        "credentials, and the integration is not known to have stored them itself.",
        why="Its developer can use them, and so can anyone with a token that can read installations.",
        remedy="get_integration_installation_by_id",
        advice="The call shows where the credential is used. Rotate it at its issuer with minimal permissions, then "
        "update the configuration with all of its settings: omitted ones are deleted.",
    ),
    Rule(
        id="typed-credentials",
        severity="medium",
        title="Credentials typed into a form",
        meaning="The settings of an integration that is verified or your own contain credentials, and the integration "
        "is not known to have stored them itself.",
        why="Anyone with a token that can read installations can read these credentials.",
        remedy="get_integration_installation_by_id",
        advice="The call shows where the credential is used. Make sure that it has minimal permissions, and rotate it "
        "at its issuer if it may have been read. Then update the configuration with all of its settings: omitted ones "
        "are deleted.",
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
        id="weak-csp",
        severity="medium",
        title="Script with a weak content security policy",
        meaning="The policy of a script that the site's pages load allows scripts from any host, inline scripts or "
        "scripts made of text.",
        why="If the script's host is compromised, the policy does not stop other scripts.",
        remedy="uninstall_integration_from_site",
        advice="Only the integration's developer can make the policy stricter. Ask for that, or uninstall it from the "
        "site.",
    ),
    Rule(
        id="all-places-selected",
        severity="medium",
        title="Enabled on all current and future places",
        meaning="The installation covers all current and future spaces or sites, and its scopes reach confidential "
        "content or it is unverified.",
        why="New spaces or sites are covered automatically, even confidential ones.",
        remedy="update_integration_installation",
        advice="Change to selected places. It stays enabled where it is now; uninstall it from each place that does "
        "not need it.",
    ),
    Rule(
        id="required-setting-missing",
        severity="medium",
        title="Required setting missing",
        meaning="The integration is enabled, but a setting that it requires has no value, or its form was never saved.",
        why="The integration does not work without it: analytics measure nothing, and messages go nowhere.",
        remedy="get_integration_installation_by_id",
        advice="The call shows the settings. Update the configuration with all of them and the missing one. Press "
        "buttons, and save forms that the integration renders itself, in GitBook.",
    ),
    Rule(
        id="pending-place",
        severity="medium",
        title="Pending on a space or site",
        meaning="The integration is enabled on a space or site, but not set up completely, there or in the "
        "organization.",
        why="It does nothing there, although it is listed as enabled.",
        remedy="get_integration_installation_by_id",
        advice="The call shows the settings. Complete the setup in GitBook, or uninstall it where nobody needs it.",
    ),
    Rule(
        id="sign-in-not-required",
        severity="medium",
        title="Sign-in that the site does not require",
        meaning="An integration for sign-in is set up on a published site whose visibility is not visitor-auth.",
        why="The site looks protected, but everyone who has its link can read it.",
        remedy="get_integration_site_installation",
        advice="The call shows the settings. In GitBook, set the site's audience to authenticated access with this "
        "integration. If everyone may read the site, uninstall the integration from it.",
    ),
    Rule(
        id="git-sync-failed",
        severity="medium",
        title="Git Sync failed",
        meaning="The last synchronization of a space or site with its repository failed or has run for more than a "
        "day, or Git Sync is not connected any more.",
        why="The content and the repository differ, and each change makes it worse.",
        remedy="list_spaces_in_organization_by_id",
        advice="The call shows the error. Open the space in GitBook, and connect or synchronize it again.",
    ),
    Rule(
        id="gone-from-marketplace",
        severity="medium",
        title="No longer in the marketplace",
        meaning="GitBook verified the public integration, but the marketplace does not list it any more.",
        why="It may have been withdrawn for a reason, and may no longer be maintained or reviewed.",
        remedy="get_integration_by_name",
        advice="The call shows its developer's links. Find out why it was withdrawn, and look for a replacement with "
        "list_integrations.",
    ),
    Rule(
        id="script-with-cookies",
        severity="low",
        title="Script with cookies",
        meaning="The site's pages load a script that can set cookies.",
        why="Many countries require the readers' consent before cookies are set.",
        remedy="list_site_integration_scripts",
        advice="The call lists the site's scripts. Make sure that the site asks for consent: in GitBook, in the site's "
        "settings about cookies, or with a consent manager.",
    ),
    Rule(
        id="development-mode-on",
        severity="medium",
        title="Development mode is on",
        meaning="Development mode was enabled through this server and is not known to be off: events go to a tunnel.",
        why="A developer's machine receives the events with their content, and the published script handles none.",
        remedy="disable_integration_development_mode",
        advice="Disable it, unless someone is developing with it now.",
    ),
    Rule(
        id="stalled-installation",
        severity="low",
        title="Paused or pending for a long time",
        meaning="The installation has been paused or pending for more than audit.stalled_days days without a change, "
        "and is not enabled on any space or site.",
        why="It is not in use but keeps its scopes and configuration.",
        remedy="get_integration_installation_by_id",
        advice="The call shows its settings. Complete or resume it in GitBook, or uninstall it if nobody needs it.",
    ),
    Rule(
        id="paused-place",
        severity="low",
        title="Paused on a space or site",
        meaning="The integration is enabled on a space or site, but paused, there or in the organization.",
        why="It does nothing there, although it is listed as enabled.",
        remedy="get_integration_installation_by_id",
        advice="The call shows the settings. The API cannot resume it: do that in GitBook, or uninstall it from there.",
    ),
    Rule(
        id="installed-nowhere",
        severity="low",
        title="Not enabled anywhere",
        meaning="The integration is installed in the organization but not enabled on any space or site.",
        why="It probably has no use, but keeps its scopes and configuration.",
        remedy="uninstall_integration",
        advice="Enable it where it is needed, or uninstall it.",
    ),
    Rule(
        id="excess-scopes",
        severity="low",
        title="More scopes than needed",
        meaning="The unverified integration has scopes that neither its target nor its blocks need.",
        why="If the integration is compromised, an attacker gets these scopes, too.",
        remedy="uninstall_integration",
        advice="Only the integration's developer can remove scopes. Ask for that, or uninstall it.",
    ),
    Rule(
        id="never-listed",
        severity="low",
        title="Never reviewed by GitBook",
        meaning="Another organization published the integration. The marketplace does not list it, and GitBook has not "
        "verified it. It is public, or its scopes show only titles and settings.",
        why="Any organization can publish an integration, even for everybody. GitBook reviews only what it lists.",
        remedy="get_integration_by_name",
        advice="The call shows its developer's links. Keep it only if you know its developer.",
    ),
    Rule(
        id="same-kind",
        severity="low",
        title="Several integrations for the same job",
        meaning="Several integrations for the same job (for example analytics, sign-in or chat) are enabled on a site.",
        why="Usually one is enough. Each further one keeps its scopes and often gets readers' data.",
        remedy="list_site_integrations",
        advice="Decide which one to keep. The call lists what is active on the site.",
    ),
    Rule(
        id="same-tracking-id",
        severity="low",
        title="The same tracking ID on several sites",
        meaning="An integration that measures visits uses the same ID on several sites.",
        why="The visits of these sites are counted together. A copied ID distorts the figures of both.",
        remedy="get_integration_site_installation",
        advice="The call shows the settings on one of the sites. If the sites are to be counted separately, give each "
        "its own ID.",
    ),
    Rule(
        id="stored-credentials",
        severity="low",
        title="Credentials stored by the integration",
        meaning="The integration stored credentials in its configuration, for example when it was connected to another "
        "service.",
        why="That is how integrations work, but anyone with a token that can read installations can read them.",
        remedy="get_integration_installation_by_id",
        advice="The call shows where they are. Know who has tokens of this organization. To renew the credentials, "
        "connect the integration again or save its form again in GitBook.",
    ),
)

RULES: MappingProxyType[str, Rule] = MappingProxyType({rule.id: rule for rule in _ALL})
"""All rules by ID, in the order of reports."""
