"""How the rules about scripts are judged."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from gitbook_integrations.report import ScriptFacts, SiteFacts, Subject
from gitbook_integrations_mcp.audit.judgement import CLEAR, Facts, Hit, Judge, Undecided, Verdict
from gitbook_integrations_mcp.audit.ledger import INSTALLATIONS, NARROWING, SITES, name_places, name_scripts


def _each_script(judge: Callable[[Facts, SiteFacts, ScriptFacts], Verdict | None]) -> Judge:
    def judge_all(facts: Facts) -> Iterator[Verdict]:
        for site in facts.inventory.sites.values():
            for script in facts.inventory.scripts.get(site.id, ()):
                yield judge(facts, site, script) or CLEAR
            if facts.ledger.misses(name_scripts(site.id)):
                yield Undecided(f"site “{site.title}”", (name_scripts(site.id),), Subject(site=site.id))
        if facts.ledger.misses(SITES):
            yield Undecided("sites that were not read", (SITES,))

    return judge_all


def _hit_script(facts: Facts, site: SiteFacts, script: ScriptFacts, summary: str, *evidence: str) -> Hit:
    name = script.integration or ""
    installation = script.installation or next((each.id for each in facts.inventory.find_installations(name)), "")
    arguments = {"integrationName": name, "installationId": installation, "siteId": site.id}
    tool = None
    if not name or not installation:  # then there is only to look at what it is
        tool = "list_site_integration_scripts"
        arguments = {"organizationId": facts.inventory.organization, "siteId": site.id}
    return Hit(
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
def _judge_policy(facts: Facts, site: SiteFacts, script: ScriptFacts) -> Verdict | None:
    if script.contentSecurityPolicy:
        return None
    summary = f"{_name_script(script)} runs on “{site.title}” without a content security policy"
    return _hit_script(facts, site, script, summary, script.url)


@_each_script
def _judge_cookies(facts: Facts, site: SiteFacts, script: ScriptFacts) -> Verdict | None:
    if script.cookies is None:
        what = f"{_name_script(script)} on “{site.title}”: cookies are not told"
        return Undecided(what, (name_scripts(site.id),), _point_at_script(site, script))
    if not script.cookies:
        return None
    return _hit_script(facts, site, script, f"{_name_script(script)} may set cookies on “{site.title}”", script.url)


@_each_script
def _judge_stray(facts: Facts, site: SiteFacts, script: ScriptFacts) -> Verdict | None:
    if script.integration is None:
        what = f"{script.host} on “{site.title}”: its URL names no integration"
        return Undecided(what, (name_scripts(site.id),), _point_at_script(site, script))
    found = list(facts.inventory.find_installations(script.integration))
    if any(site.id in installed.places["site"] for installed in found):
        return None
    unread = tuple(source for each in found if facts.ledger.misses(source := name_places("site", each.id)))
    if facts.ledger.misses(INSTALLATIONS):
        unread = (INSTALLATIONS, *unread)
    if facts.inventory.narrowing.integrations is not None and not found:
        unread = (NARROWING,)
    what = f"{script.integration} on “{site.title}”"
    if unread:
        return Undecided(what, unread, _point_at_script(site, script))
    where = "installed, but not on this site" if found else "not installed in the organization"
    hit = _hit_script(facts, site, script, f"{what} runs a script, and is {where}", script.url)
    sources = (*hit.sources, INSTALLATIONS, *(name_places("site", each.id) for each in found))
    return replace(hit, sources=sources)


SCRIPT_JUDGES: Mapping[str, Judge] = {
    "script-without-csp": _judge_policy,
    "script-with-cookies": _judge_cookies,
    "script-not-installed": _judge_stray,
}
"""By ID of the rule."""
