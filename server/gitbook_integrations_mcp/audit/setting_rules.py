"""The checks of the rules about settings and the places that they are for."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from gitbook_integrations_api.choices import LEVELS, Level
from gitbook_integrations_api.report import GitSyncFacts, Subject
from gitbook_integrations_api.scopes import SIGN_IN
from gitbook_integrations_api.sources import PLACE_LISTS
from gitbook_integrations_mcp.audit.configuration_forms import Origin
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, NARROWING, PLACES, SITES, name_places
from gitbook_integrations_mcp.audit.installation_rules import (
    is_read,
    is_running,
    is_running_on,
    is_working_on,
    leave_undecided,
    leave_unverified,
    match_installation,
    name_places_of,
)
from gitbook_integrations_mcp.audit.integration_jobs import (
    EXCLUSIVE,
    PROTECTED,
    Purpose,
    find_protected_job,
    find_purpose,
    is_trusted,
)
from gitbook_integrations_mcp.audit.inventory import Installed
from gitbook_integrations_mcp.audit.rule_results import PASS, Facts, Match, RuleCheck, RuleResult, Undecided
from gitbook_integrations_mcp.text import quote

# Places: what does not work where it is enabled.


def _match_place(installed: Installed, level: Level, place: str, summary: str, *evidence: str) -> Match:
    return Match(
        key=(installed.id, level, place),
        subject=installed.subject.model_copy(update={level: place}),
        summary=summary,
        evidence=evidence,
        sources=(INSTALLATIONS, name_places(level, installed.id)),
        arguments={**installed.arguments, f"{level}Id": place},
        tool=f"get_integration_{level}_installation",
    )


def _list_undecided_places(facts: Facts, levels: Iterable[Level] = LEVELS) -> Iterator[Undecided]:
    """Yield what rules about single places cannot decide."""
    for installed in facts.inventory.installations.values():
        for level in levels:
            if facts.coverage.is_incomplete(source := name_places(level, installed.id)):
                yield leave_undecided(installed, f"its {level}s could not be read", source)
    yield from facts.list_unread(INSTALLATIONS)


def _list_places(facts: Facts, installed: Installed) -> Iterator[tuple[Level, str, str | None]]:
    """Yield the places in the audit where an installation is enabled, with its status there.

    There is none if the installation is pending or paused as a whole.
    """
    confined = facts.is_confined
    for level in LEVELS if is_running(installed) else ():
        for place, placement in installed.places[level].items():
            if not confined or facts.is_requested(level, place):
                yield level, place, placement.status


def _check_missing_settings(facts: Facts) -> Iterator[RuleResult]:
    for installed in facts.inventory.installations.values():
        if installed.facts.status != "paused" and (lack := _describe_lack(installed, "", "")):
            evidence = f"status: {installed.facts.status or 'unknown'}", _describe_change(installed)
            match = match_installation(installed, lack, "level: organization", *evidence)
            yield replace(match, key=(installed.id, "account"))
        lacking: dict[Level, dict[str, str | None]] = {"space": {}, "site": {}}
        for level, place, status in _list_places(facts, installed) if installed.missing or installed.empty else ():
            if status != "paused" and (place in installed.missing or place in installed.empty):
                lacking[level][place] = status
        for level, places in lacking.items():
            yield from _match_missing_settings(facts, installed, level, places)
        yield PASS
    yield from _list_undecided_places(facts)


def _match_missing_settings(
    facts: Facts, installed: Installed, level: Level, lacking: Mapping[str, str | None]
) -> Iterator[Match]:
    """Yield a finding for each space or site, or one for all if nobody chose them: if all are selected."""
    everywhere = installed.covers_all(level)
    if everywhere:
        lacking = {place: lacking[place] for place in _list_needing(facts, installed, level, lacking)}
        if len(lacking) > 1:
            yield _match_missing_everywhere(facts, installed, level, lacking)
            return
    for place, status in lacking.items():
        lack = _describe_lack(installed, place, f" on {facts.name_place(level, place)}")
        match = _match_place(installed, level, place, lack, f"status: {status or 'unknown'}")
        yield replace(match, key=(installed.id, level)) if everywhere else match


def _list_needing(facts: Facts, installed: Installed, level: Level, lacking: Collection[str]) -> list[str]:
    """Return which of all spaces or sites need the settings that they lack.

    If sync was set up on one space, the others need no settings. Only where visitors sign in, sign-in needs some.
    """
    job = find_protected_job(installed.facts.integration)
    if job == "sync" and not installed.empty.issuperset(installed.places[level]):
        return [place for place in lacking if place in installed.missing]
    if job == "sign-in" and level == "site":
        sites = facts.inventory.sites
        return [place for place in lacking if place not in sites or sites[place].visibility not in _OPEN]
    return list(lacking)


def _match_missing_everywhere(facts: Facts, installed: Installed, level: Level, lacking: Collection[str]) -> Match:
    keys = list(dict.fromkeys(key for place in lacking for key in installed.missing.get(place, ())))
    where = f"{len(lacking)} {level}s"
    lack = f"lacks required settings on {where}: {', '.join(keys)}"
    summary = f"{installed.title} {lack if keys else f'has a form for settings on {where}, but no setting'}"
    named = name_places_of(facts, level, lacking)
    match = _match_place(installed, level, next(iter(lacking)), summary, f"{level}_selection: all", named)
    advice = (
        f"The call shows the settings on one of the {level}s. Enter them on each {level} that needs the integration."
    )
    return replace(match, key=(installed.id, level), subject=installed.subject, advice=advice)


def _describe_lack(installed: Installed, place: str, where: str) -> str:
    """Return a sentence, or nothing if it has its settings."""
    if missing := installed.missing.get(place):
        return f"{installed.title} lacks required settings{where}: {', '.join(missing)}"
    return f"{installed.title} has a form for settings{where}, but no setting" if place in installed.empty else ""


def _describe_change(installed: Installed) -> str:
    return f"last change: {installed.facts.updatedAt or 'unknown'}"


def _check_status(status: str) -> RuleCheck:
    """Return the check of what is pending, or paused, where it is enabled: there or in the organization.

    The rule about required settings finds what is pending because it lacks them.
    """

    def is_reported(installed: Installed, place: str = "") -> bool:
        return status == "pending" and installed.lacks_settings(place)

    def check_all(facts: Facts) -> Iterator[RuleResult]:
        for installed in facts.inventory.installations.values():
            if installed.facts.status == status and any(installed.places.values()) and not is_reported(installed):
                summary = f"{installed.title} is {status} in the organization, so it does nothing where it is enabled"
                named = [name_places_of(facts, level, places) for level, places in installed.places.items() if places]
                match = match_installation(installed, summary, *named, _describe_change(installed))
                yield replace(match, key=(installed.id, "account"))
            for level, place, there in _list_places(facts, installed):
                if there == status and not is_reported(installed, place):
                    yield _match_status(facts, installed, level, place, status)
            yield PASS
        yield from _list_undecided_places(facts)

    return check_all


def _match_status(facts: Facts, installed: Installed, level: Level, place: str, status: str) -> Match:
    summary = f"{installed.title} is {status} on {facts.name_place(level, place)}"
    return _match_place(installed, level, place, summary, f"status: {status}")


_OPEN = frozenset({"public", "unlisted", "share-link"})
"""Visibilities of sites on which nobody has to sign in."""


def _check_sign_in(facts: Facts) -> Iterator[RuleResult]:
    for installed in facts.inventory.installations.values():
        signs_in = SIGN_IN in installed.facts.integration.scopes
        for place in installed.places["site"] if signs_in else ():
            site = facts.inventory.sites.get(place)
            if site and site.visibility in _OPEN and is_read(facts, place) and is_working_on(installed, place):
                summary = f"Nobody has to sign in on {quote(site.title)}, although {installed.title} is enabled there"
                match = _match_place(installed, "site", place, summary, f"visibility: {site.visibility}")
                yield replace(match, sources=(*match.sources, SITES))
        yield PASS
    yield from facts.list_unread(SITES)
    yield from _list_undecided_places(facts, ("site",))


def _check_git_sync(facts: Facts) -> Iterator[RuleResult]:
    for level in LEVELS:
        for place in facts.inventory.get_places(level).values():
            sync = place.gitSync
            if sync is None or (what := _describe_failure(facts, sync)) is None:
                yield PASS
                continue
            yield Match(
                key=(level, place.id),
                subject=Subject(**{level: place.id}),
                summary=f"Git Sync of {quote(place.title)} {what}",
                evidence=(
                    f"repository: {sync.repository or 'unknown'}",
                    f"provider: {sync.provider or 'unknown'}, status: {sync.status or 'unknown'}",
                    f"last synchronization: {sync.state or 'none'}, {sync.at or 'time unknown'}",
                ),
                sources=(PLACES[level],),
                arguments={"organizationId": facts.inventory.organization},
                tool=PLACE_LISTS[level],
            )
        yield from facts.list_unread(PLACES[level])


def _describe_failure(facts: Facts, sync: GitSyncFacts) -> str | None:
    """Return what is wrong, if anything is. Rules about installations report a pending one."""
    if sync.status == "unauthenticated":
        return "is not connected"
    if sync.state in {"failure", "timeout"}:
        return "failed"
    hangs = sync.state == "running" and (facts.count_days(sync.at) or 0) > 0
    return f"has not finished since {sync.at}" if hangs else None


# Several of a kind


def _check_same_kind(facts: Facts) -> Iterator[RuleResult]:
    """Judge each site for itself: two integrations for the same job on different sites are no duplicates.

    Nobody reads an unpublished site, and an integration without its settings does nothing.
    """
    purposes = {each.id: find_purpose(each.facts.integration) for each in facts.inventory.installations.values()}
    for site in filter(partial(is_read, facts), facts.inventory.sites):
        groups: dict[str, list[Installed]] = {}
        for installed in facts.inventory.installations.values():
            purpose = purposes[installed.id]
            if purpose and purpose.job in EXCLUSIVE and is_working_on(installed, site):
                groups.setdefault(purpose.job, []).append(installed)
        yield PASS
        for job, group in groups.items():
            if len(group) > 1:
                yield _match_same_kind(facts, site, job, group, purposes)
    if facts.inventory.narrowing.integrations is not None:
        yield Undecided("integrations outside this audit", (NARROWING,))
    yield from facts.list_unread(SITES)
    yield from _list_undecided_places(facts, ("site",))


def _match_same_kind(
    facts: Facts, site: str, job: str, group: list[Installed], purposes: Mapping[str, Purpose | None]
) -> Match:
    """Propose to remove one only if its risk is higher than that of all others, and its job is certain."""
    group = sorted(group, key=lambda each: (_rate_risk(each), each.name), reverse=True)
    names = sorted(each.name for each in group)
    certain = all((purpose := purposes[each.id]) and purpose.certain for each in group)
    known = all(is_trusted(each.facts.integration) is not None for each in group)
    evidence = [f"{each.title}: {_describe_risk(each)}" for each in group]
    if not certain:
        evidence.append("GitBook's category or the title hints at the same job")
    has = "has" if certain else "may have"
    summary = f"{facts.name_place('site', site)} {has} {len(group)} integrations for {job}: {', '.join(names)}"
    match = _match_place(group[0], "site", site, summary, *evidence)
    sources = tuple(name_places("site", each.id) for each in group)
    match = replace(match, key=(job, site, *names), sources=(INSTALLATIONS, SITES, *sources))
    if certain and known and job not in PROTECTED and _rate_risk(group[0]) > _rate_risk(group[1]):
        advice = "Keep one. The proposed call removes the one with the highest risk from this site."
        return replace(match, tool="uninstall_integration_from_site", advice=advice)
    arguments = {"organizationId": facts.inventory.organization, "siteId": site}
    return replace(match, tool="list_site_integrations", arguments=arguments)


def _rate_risk(installed: Installed) -> int:
    integration = installed.facts.integration
    return 0 if is_trusted(integration) else 1 if integration.visibility == "public" else 2


def _describe_risk(installed: Installed) -> str:
    integration = installed.facts.integration
    owner = integration.owner.name if integration.owner else "an unknown owner"
    verified = {True: "verified", False: "not verified", None: "unknown whether verified"}[integration.verified]
    return f"{'own' if integration.own else verified}, {integration.visibility or 'unknown'}, of {owner}"


_MEASURING = frozenset({"web analytics", "product analytics", "session recording"})
_NOT_OF_ONE_SITE = ("account", "app", "company", "host", "name", "org", "region", "url", "workspace")
"""Parts of keys whose values are the same on all sites of an organization."""


def _check_same_identifier(facts: Facts) -> Iterator[RuleResult]:
    """Compare only sites with the same server and account: servers give the same ID to different sites."""
    for installed in facts.inventory.installations.values():
        purpose = find_purpose(installed.facts.integration)
        by_value: dict[tuple[str, str], dict[frozenset[tuple[str, str]], list[str]]] = {}
        if purpose and purpose.job in _MEASURING:
            for site, identifiers in installed.identifiers.items():
                if not is_running_on(installed, "site", site) or not is_read(facts, site):
                    continue
                server = frozenset(
                    item for item in identifiers.items() if any(part in item[0].lower() for part in _NOT_OF_ONE_SITE)
                )
                for item in identifiers.items():
                    if item not in server:
                        by_value.setdefault(item, {}).setdefault(server, []).append(site)
        yield PASS
        for (key, digest), by_server in by_value.items():
            sites = [site for group in by_server.values() if len(group) > 1 for site in group]
            if any(facts.is_requested("site", site) for site in sites):
                summary = f"{installed.title} has the same {key} on {len(sites)} sites"
                match = _match_place(installed, "site", sites[0], summary, name_places_of(facts, "site", sites))
                yield replace(match, key=(installed.id, key, digest))
    yield from _list_undecided_places(facts, ("site",))


# Credentials


def _check_credentials(rule: str) -> RuleCheck:
    """Return the check of one of the three rules about credentials. Each credential belongs to one of them."""

    def check_all(facts: Facts) -> Iterator[RuleResult]:
        for installed in facts.inventory.installations.values():
            by_place = {
                place: keys
                for place, secrets in installed.secrets.items()
                if (
                    keys := [key for key, origin in secrets.items() if _find_credential_rule(installed, origin) == rule]
                )
            }
            if own := by_place.get(""):
                summary = f"{installed.title} has credentials in its configuration"
                match = match_installation(installed, summary, f"keys: {', '.join(own)}", "level: organization")
                yield replace(match, key=(installed.id, "account"))
            for level in LEVELS:
                if places := {place: keys for place, keys in by_place.items() if place in installed.places[level]}:
                    yield _match_credentials(facts, installed, level, places)
                if facts.coverage.is_incomplete(source := name_places(level, installed.id)):
                    yield leave_undecided(installed, f"its configurations on {level}s could not be read", source)
            origins = {origin for secrets in installed.secrets.values() for origin in secrets.values()}
            undecided = rule != "stored-credentials" and None in map(partial(_find_credential_rule, installed), origins)
            yield leave_unverified(installed) if undecided else PASS
        yield from facts.list_unread(INSTALLATIONS)

    return check_all


def _find_credential_rule(installed: Installed, origin: Origin) -> str | None:
    """Return the rule for credentials of this origin, or None if it is unknown whether the integration is trusted."""
    integration = installed.facts.integration
    if origin == "stored":
        return "stored-credentials"
    if (trusted := is_trusted(integration)) is None:
        return None
    if not trusted:
        return "secrets-in-configuration"
    return "typed-credentials" if origin == "typed" or integration.own else "stored-credentials"


def _match_credentials(facts: Facts, installed: Installed, level: Level, by_place: Mapping[str, list[str]]) -> Match:
    """Return one finding for all spaces or all sites: an integration has the same settings on each of them."""
    keys = list(dict.fromkeys(key for keys in by_place.values() for key in keys))
    match = _match_place(
        installed,
        level,
        next(iter(by_place)),
        f"{installed.title} has credentials in its configuration on {level}s",
        f"keys: {', '.join(keys)}",
        name_places_of(facts, level, by_place),
    )
    return replace(match, key=(installed.id, level), subject=installed.subject)


SETTING_CHECKS: Mapping[str, RuleCheck] = {
    "required-setting-missing": _check_missing_settings,
    "pending-place": _check_status("pending"),
    "paused-place": _check_status("paused"),
    "sign-in-not-required": _check_sign_in,
    "git-sync-failed": _check_git_sync,
    "same-kind": _check_same_kind,
    "same-tracking-id": _check_same_identifier,
    "secrets-in-configuration": _check_credentials("secrets-in-configuration"),
    "typed-credentials": _check_credentials("typed-credentials"),
    "stored-credentials": _check_credentials("stored-credentials"),
}
"""By rule ID."""
