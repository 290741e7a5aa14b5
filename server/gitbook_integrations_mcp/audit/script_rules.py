"""The checks of the rules about scripts on sites."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from gitbook_integrations_api.report import IntegrationFacts, ScriptFacts, SiteFacts, Subject
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, NARROWING, SITES, name_places, name_scripts
from gitbook_integrations_mcp.audit.installation_rules import is_working_on, propose_publication
from gitbook_integrations_mcp.audit.integration_jobs import find_purpose, is_trusted
from gitbook_integrations_mcp.audit.inventory import Installed
from gitbook_integrations_mcp.audit.rule_results import PASS, Facts, Match, RuleCheck, RuleResult, Undecided
from gitbook_integrations_mcp.calls.content_policies import find_weaknesses, parse_policy
from gitbook_integrations_mcp.text import quote


def _for_each_script(check: Callable[[Facts, SiteFacts, ScriptFacts], RuleResult | None]) -> RuleCheck:
    """Return the check of all scripts, but for those of unpublished sites: nobody loads them."""

    def check_all(facts: Facts) -> Iterator[RuleResult]:
        for site in facts.inventory.sites.values():
            for script in facts.inventory.scripts.get(site.id, ()):
                yield PASS if site.published is False else check(facts, site, script) or PASS
            if facts.coverage.is_incomplete(name_scripts(site.id)):
                what = f"scripts of {quote(site.title)} that could not be read"
                yield Undecided(what, (name_scripts(site.id),), Subject(site=site.id))
        if facts.coverage.is_incomplete(SITES):
            yield Undecided("scripts of sites that could not be read", (SITES,))

    return check_all


def _match(facts: Facts, site: SiteFacts, script: ScriptFacts, summary: str, *evidence: str) -> Match:
    """Return a finding. If the script's installation is not on the site, it cannot be uninstalled from it.

    The ID of an installation in a script's URL need not be the one that the API uses.
    """
    installed = _find_installed(facts, script)
    arguments = {"organizationId": facts.inventory.organization, "siteId": site.id}
    tool: str | None = "list_site_integration_scripts"
    if installed is not None and site.id in installed.places["site"]:
        arguments = {**installed.arguments, "siteId": site.id}
        tool = None
    return Match(
        key=(site.id, script.url),
        subject=_build_subject(site, script),
        summary=summary,
        evidence=(f"script: {script.url}", *evidence),
        sources=(SITES, name_scripts(site.id)),
        arguments=arguments,
        tool=tool,
    )


def _find_installed(facts: Facts, script: ScriptFacts) -> Installed | None:
    """Return the installation of a script, by its ID if possible."""
    installations = _list_installed(facts, script)
    return next((each for each in installations if each.id == script.installation), next(iter(installations), None))


def _list_installed(facts: Facts, script: ScriptFacts) -> list[Installed]:
    return list(facts.inventory.find_installations(script.integration or ""))


def _undecided(site: SiteFacts, script: ScriptFacts, what: str, *sources: str) -> Undecided:
    return Undecided(f"{_name_script(script)} on {quote(site.title)}: {what}", sources, _build_subject(site, script))


def _build_subject(site: SiteFacts, script: ScriptFacts) -> Subject:
    return Subject(integration=script.integration, installation=script.installation, site=site.id, script=script.url)


def _name_script(script: ScriptFacts) -> str:
    return script.integration or script.host


@_for_each_script
def _check_policy(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    if script.contentSecurityPolicy:
        return None
    summary = f"{_name_script(script)} runs on {quote(site.title)} without a content security policy"
    return _spare_trusted(facts, script, _match(facts, site, script, summary))


@_for_each_script
def _check_policy_strength(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    """A trusted integration that names no hosts for scripts, but others, needs none beside GitBook's own."""
    policy = script.contentSecurityPolicy or ""
    weaknesses = find_weaknesses(policy) if policy else ()
    installed = _find_installed(facts, script)
    if not weaknesses or (installed and is_trusted(installed.facts.integration) and not _names_scripts(policy)):
        return None
    summary = f"{_name_script(script)} runs on {quote(site.title)} with a weak content security policy"
    match = _match(facts, site, script, summary, f"weak: {', '.join(weaknesses)}")
    return _spare_trusted(facts, script, match)


_NOT_INSTALLED = (
    "The call lists the site's scripts. The API shows no installation that could be uninstalled. Find out in GitBook "
    "where the script comes from, and ask its developer for a policy that names its hosts."
)


_UNKNOWN = "It is unknown whether GitBook has verified the integration."


def _spare_trusted(facts: Facts, script: ScriptFacts, match: Match) -> Match:
    """Propose a stricter policy to the developer of an integration that may be trusted, rather than to remove it."""
    installed = _find_installed(facts, script)
    if installed is None:
        return replace(match, advice=_NOT_INSTALLED)
    trusted = is_trusted(installed.facts.integration)
    if trusted is False:
        return match
    if installed.facts.integration.own:
        named = replace(match, arguments={"integrationName": installed.name})
        return propose_publication(named, "with a content security policy that names its hosts")
    known = "The integration is GitBook's own or verified by it."
    advice = f"{known if trusted else _UNKNOWN} Ask its developer for a strict policy."
    return replace(match, tool="get_integration_by_name", arguments={"integrationName": installed.name}, advice=advice)


def _names_scripts(policy: str) -> bool:
    return not {"script-src", "script-src-elem", "default-src"}.isdisjoint(parse_policy(policy))


def _check_cookies(facts: Facts) -> Iterator[RuleResult]:
    """A consent manager sets a cookie to remember what the reader consented to.

    A script without its settings does nothing yet.
    """
    installations = facts.inventory.installations
    managers = {each.id: each for each in installations.values() if _asks_for_consent(each.facts.integration)}

    none = "none known" if facts.inventory.narrowing.integrations is None else "unknown"

    @_for_each_script
    def check_all(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
        if script.cookies is None:
            return _undecided(site, script, "it is unknown whether the script may set cookies", name_scripts(site.id))
        installed = _find_installed(facts, script)
        if not script.cookies or (installed and (installed.id in managers or installed.lacks_settings(site.id))):
            return None
        working = ", ".join(each.title for each in managers.values() if is_working_on(each, site.id))
        consent = f"consent manager on the site: {working or none}"
        match = _match(facts, site, script, f"{_name_script(script)} may set cookies on {quote(site.title)}", consent)
        arguments = {"organizationId": facts.inventory.organization, "siteId": site.id}
        return replace(match, tool="list_site_integration_scripts", arguments=arguments)

    return check_all(facts)


def _asks_for_consent(integration: IntegrationFacts) -> bool:
    purpose = find_purpose(integration)
    return purpose is not None and purpose.job == "consent" and bool(purpose.certain or is_trusted(integration))


@_for_each_script
def _check_orphaned(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    if script.integration is None:
        return _undecided(site, script, "the URL of the script names no integration", name_scripts(site.id))
    installations = _list_installed(facts, script)
    if any(site.id in installed.places["site"] or _may_be_on_all(installed) for installed in installations):
        return None
    sources = tuple(name_places("site", each.id) for each in installations)
    unread = tuple(filter(facts.coverage.is_incomplete, sources))
    if facts.coverage.is_incomplete(INSTALLATIONS):
        unread = (INSTALLATIONS, *unread)
    if script.integration in facts.inventory.installed and not installations:
        unread = (NARROWING,)
    if unread:
        return _undecided(site, script, "it is unknown whether the integration is installed there", *unread)
    where = "on this site" if installations else "in the organization"
    summary = f"{script.integration} runs a script on {quote(site.title)} but is not installed {where}"
    match = _match(facts, site, script, summary)
    arguments = {"organizationId": facts.inventory.organization, "siteId": site.id}
    return replace(
        match,
        sources=(*match.sources, INSTALLATIONS, *sources),
        tool="list_site_integration_scripts",
        arguments=arguments,
    )


def _may_be_on_all(installed: Installed) -> bool:
    """Whether it covers all sites, or is on spaces, which can be in any site."""
    return installed.covers_all("site") or bool(installed.count)


SCRIPT_CHECKS: Mapping[str, RuleCheck] = {
    "script-without-csp": _check_policy,
    "weak-csp": _check_policy_strength,
    "script-with-cookies": _check_cookies,
    "script-not-installed": _check_orphaned,
}
"""By rule ID."""
