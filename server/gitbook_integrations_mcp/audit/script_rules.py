"""How the rules about scripts are judged."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from gitbook_integrations_api.report import ScriptFacts, SiteFacts, Subject
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, NARROWING, SITES, name_places, name_scripts
from gitbook_integrations_mcp.audit.rule_results import PASS, Facts, Match, RuleCheck, RuleResult, Undecided


def _each_script(check: Callable[[Facts, SiteFacts, ScriptFacts], RuleResult | None]) -> RuleCheck:
    def check_all(facts: Facts) -> Iterator[RuleResult]:
        for site in facts.inventory.sites.values():
            for script in facts.inventory.scripts.get(site.id, ()):
                yield check(facts, site, script) or PASS
            if facts.coverage.is_incomplete(name_scripts(site.id)):
                yield Undecided(f"site “{site.title}”", (name_scripts(site.id),), Subject(site=site.id))
        if facts.coverage.is_incomplete(SITES):
            yield Undecided("sites that were not read", (SITES,))

    return check_all


def _match_script(facts: Facts, site: SiteFacts, script: ScriptFacts, summary: str, *evidence: str) -> Match:
    name = script.integration or ""
    installation = script.installation or next((each.id for each in facts.inventory.find_installations(name)), "")
    arguments = {"integrationName": name, "installationId": installation, "siteId": site.id}
    tool = None
    if not name or not installation:  # then there is only to look at what it is
        tool = "list_site_integration_scripts"
        arguments = {"organizationId": facts.inventory.organization, "siteId": site.id}
    return Match(
        key=(site.id, script.url),
        subject=_point_at_script(site, script),
        summary=summary,
        evidence=evidence,
        sources=(SITES, name_scripts(site.id)),
        arguments=arguments,
        tool=tool,
    )


def _point_at_script(site: SiteFacts, script: ScriptFacts) -> Subject:
    return Subject(integration=script.integration, installation=script.installation, site=site.id, script=script.url)


def _name_script(script: ScriptFacts) -> str:
    return script.integration or script.host


@_each_script
def _check_policy(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    if script.contentSecurityPolicy:
        return None
    summary = f"{_name_script(script)} runs on “{site.title}” without a content security policy"
    return _match_script(facts, site, script, summary, script.url)


@_each_script
def _check_cookies(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    if script.cookies is None:
        what = f"{_name_script(script)} on “{site.title}”: cookies are not told"
        return Undecided(what, (name_scripts(site.id),), _point_at_script(site, script))
    if not script.cookies:
        return None
    return _match_script(facts, site, script, f"{_name_script(script)} may set cookies on “{site.title}”", script.url)


@_each_script
def _check_stray(facts: Facts, site: SiteFacts, script: ScriptFacts) -> RuleResult | None:
    if script.integration is None:
        what = f"{script.host} on “{site.title}”: its URL names no integration"
        return Undecided(what, (name_scripts(site.id),), _point_at_script(site, script))
    found = list(facts.inventory.find_installations(script.integration))
    if any(site.id in installed.places["site"] for installed in found):
        return None
    unread = tuple(source for each in found if facts.coverage.is_incomplete(source := name_places("site", each.id)))
    if facts.coverage.is_incomplete(INSTALLATIONS):
        unread = (INSTALLATIONS, *unread)
    if facts.inventory.narrowing.integrations is not None and not found:
        unread = (NARROWING,)
    what = f"{script.integration} on “{site.title}”"
    if unread:
        return Undecided(what, unread, _point_at_script(site, script))
    where = "installed, but not on this site" if found else "not installed in the organization"
    match = _match_script(facts, site, script, f"{what} runs a script, and is {where}", script.url)
    sources = (*match.sources, INSTALLATIONS, *(name_places("site", each.id) for each in found))
    return replace(match, sources=sources)


SCRIPT_CHECKS: Mapping[str, RuleCheck] = {
    "script-without-csp": _check_policy,
    "script-with-cookies": _check_cookies,
    "script-not-installed": _check_stray,
}
"""By ID of the rule."""
