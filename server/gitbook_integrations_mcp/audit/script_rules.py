"""The checks of the rules about scripts on sites."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from gitbook_integrations_api.report import ScriptFacts, SiteFacts, Subject
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, NARROWING, SITES, name_places, name_scripts
from gitbook_integrations_mcp.audit.rule_results import PASS, Facts, Match, RuleCheck, RuleResult, Undecided


def _for_each_script(check: Callable[[Facts, SiteFacts, ScriptFacts], RuleResult | None]) -> RuleCheck:
    def check_all(facts: Facts) -> Iterator[RuleResult]:
        for site in facts.inventory.sites.values():
            for script in facts.inventory.scripts.get(site.id, ()):
                yield check(facts, site, script) or PASS
            if facts.coverage.is_incomplete(name_scripts(site.id)):
                what = f"scripts of “{site.title}” that could not be read"
                yield Undecided(what, (name_scripts(site.id),), Subject(site=site.id))
        if facts.coverage.is_incomplete(SITES):
            yield Undecided("scripts of sites that could not be read", (SITES,))

    return check_all


def _match(facts: Facts, site: SiteFacts, script: ScriptFacts, summary: str) -> Match:
    name = script.integration or ""
    installation = script.installation or next((each.id for each in facts.inventory.find_installations(name)), "")
    arguments = {"integrationName": name, "installationId": installation, "siteId": site.id}
    tool = None
    if not name or not installation:  # nothing to uninstall: the remedy can only list the site's scripts
        tool = "list_site_integration_scripts"
        arguments = {"organizationId": facts.inventory.organization, "siteId": site.id}
    return Match(
        key=(site.id, script.url),
        subject=_build_subject(site, script),
        summary=summary,
        evidence=(f"script: {script.url}",),
        sources=(SITES, name_scripts(site.id)),
        arguments=arguments,
        tool=tool,
    )


def _undecided(site: SiteFacts, script: ScriptFacts, what: str, *sources: str) -> Undecided:
    return Undecided(f"{_name_script(script)} on “{site.title}”: {what}", sources, _build_subject(site, script))


def _build_subject(site: SiteFacts, script: ScriptFacts) -> Subject:
    return Subject(integration=script.integration, installation=script.installation, site=site.id, script=script.url)


def _name_script(script: ScriptFacts) -> str:
    return script.integration or script.host


@_for_each_script
def _check_policy(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    if script.contentSecurityPolicy:
        return None
    summary = f"{_name_script(script)} runs on “{site.title}” without a content security policy"
    return _match(facts, site, script, summary)


@_for_each_script
def _check_cookies(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    if script.cookies is None:
        return _undecided(site, script, "it is unknown whether the script may set cookies", name_scripts(site.id))
    if not script.cookies:
        return None
    return _match(facts, site, script, f"{_name_script(script)} may set cookies on “{site.title}”")


@_for_each_script
def _check_orphaned(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    if script.integration is None:
        return _undecided(site, script, "the URL of the script names no integration", name_scripts(site.id))
    installations = list(facts.inventory.find_installations(script.integration))
    if any(site.id in installed.places["site"] for installed in installations):
        return None
    sources = tuple(name_places("site", each.id) for each in installations)
    unread = tuple(filter(facts.coverage.is_incomplete, sources))
    if facts.coverage.is_incomplete(INSTALLATIONS):
        unread = (INSTALLATIONS, *unread)
    if facts.inventory.narrowing.integrations is not None and not installations:
        unread = (NARROWING,)
    if unread:
        return _undecided(site, script, "it is unknown whether the integration is installed there", *unread)
    where = "on this site" if installations else "in the organization"
    summary = f"{script.integration} runs a script on “{site.title}” but is not installed {where}"
    match = _match(facts, site, script, summary)
    return replace(match, sources=(*match.sources, INSTALLATIONS, *sources))


SCRIPT_CHECKS: Mapping[str, RuleCheck] = {
    "script-without-csp": _check_policy,
    "script-with-cookies": _check_cookies,
    "script-not-installed": _check_orphaned,
}
"""By rule ID."""
