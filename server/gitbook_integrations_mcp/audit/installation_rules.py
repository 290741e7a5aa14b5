"""How the rules about installations are judged."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from gitbook_integrations_api.report import Subject
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, MARKETPLACE, NARROWING, name_places
from gitbook_integrations_mcp.audit.inventory import LEVELS, Installed, Level
from gitbook_integrations_mcp.audit.rule_results import PASS, Facts, Match, RuleCheck, RuleResult, Undecided

SHOWN = 5
"""How many places evidence names."""


def _each_installation(check: Callable[[Facts, Installed], RuleResult | None]) -> RuleCheck:
    def check_all(facts: Facts) -> Iterator[RuleResult]:
        for installed in facts.inventory.installations.values():
            yield check(facts, installed) or PASS
        if facts.coverage.is_incomplete(INSTALLATIONS):
            yield Undecided("installations that were not read", (INSTALLATIONS,))

    return check_all


def _match(installed: Installed, summary: str, *evidence: str, sources: tuple[str, ...] = ()) -> Match:
    return Match(
        key=(installed.id,),
        subject=_point_at(installed),
        summary=summary,
        evidence=evidence,
        sources=(INSTALLATIONS, *sources),
        arguments={"integrationName": installed.name, "installationId": installed.id},
    )


def _point_at(installed: Installed) -> Subject:
    return Subject(integration=installed.name, installation=installed.id)


def _doubt(installed: Installed, what: str, *sources: str) -> Undecided:
    return Undecided(f"{installed.facts.integration.title}: {what}", sources, _point_at(installed))


def _writes(scope: str) -> bool:
    return scope.endswith(":write") or scope == "space:git:sync"


@_each_installation
def _check_unverified(_facts: Facts, installed: Installed) -> RuleResult | None:
    integration = installed.facts.integration
    scopes = list(filter(_writes, integration.scopes))
    if integration.verified is not False or not scopes:
        return None
    owner = (integration.owner and integration.owner.title) or "an owner that is not told"
    whose = "this organization itself" if integration.own else owner
    return _match(installed, f"{integration.title}, unverified, may write", ", ".join(scopes), f"owned by {whose}")


def _check_selection(facts: Facts) -> Iterator[RuleResult]:
    for installed in facts.inventory.installations.values():
        for level in LEVELS:
            chosen = installed.facts.spaceSelection if level == "space" else installed.facts.siteSelection
            if chosen == "all" and installed.may_be_on(level):
                title = installed.facts.integration.title
                match = _match(
                    installed,
                    f"{title} covers all {level}s, those to come included",
                    f"{level}_selection is all, status {installed.facts.status}",
                )
                arguments = {**match.arguments, f"{level}_selection": "selected"}
                yield replace(match, key=(installed.id, level), arguments=arguments)
            else:
                yield PASS
    if facts.coverage.is_incomplete(INSTALLATIONS):
        yield Undecided("installations that were not read", (INSTALLATIONS,))


@_each_installation
def _check_stalled(facts: Facts, installed: Installed) -> RuleResult | None:
    status, changed = installed.facts.status, installed.facts.updatedAt
    if status not in {"paused", "pending"}:
        return None
    try:
        since = datetime.fromisoformat(changed or "")
        days = (facts.now - since).days
    except (ValueError, TypeError):
        return _doubt(installed, "its last change is not told", INSTALLATIONS)
    if days < facts.stalled_days:
        return None
    title = installed.facts.integration.title
    return _match(installed, f"{title} is {status}, unchanged since {since.date()}", f"last change {changed}")


@_each_installation
def _check_nowhere(facts: Facts, installed: Installed) -> RuleResult | None:
    if any(installed.places.values()) or not any(map(installed.may_be_on, LEVELS)):
        return None
    sources = tuple(name_places(level, installed.id) for level in LEVELS)
    unknown = tuple(
        NARROWING if facts.is_confined else name_places(level, installed.id)
        for level in LEVELS
        if not facts.knows_places(installed, level)
    )
    title = installed.facts.integration.title
    if unknown:
        return _doubt(installed, "where it is enabled is not known", *unknown)
    since = f"installed {installed.facts.createdAt}, status {installed.facts.status}"
    return _match(installed, f"{title} is enabled on no space and no site", since, sources=sources)


@_each_installation
def _check_foreign(_facts: Facts, installed: Installed) -> RuleResult | None:
    integration = installed.facts.integration
    if integration.visibility not in {"private", "unlisted"} or integration.own:
        return None
    if integration.own is None:
        return _doubt(installed, "its owner is not told", INSTALLATIONS)
    owner = (integration.owner and (integration.owner.title or integration.owner.id)) or "somebody else"
    return _match(
        installed, f"{integration.title} is {integration.visibility} and belongs to {owner}", f"owner {owner}"
    )


@_each_installation
def _check_scopes(facts: Facts, installed: Installed) -> RuleResult | None:
    """Scopes on spaces need a target or blocks there, scopes on sites a target; those on neither are not judged.

    Where the target is everything, it is what it is enabled on that counts.
    """
    integration = installed.facts.integration
    if integration.target is None:
        return None
    excess: dict[Level, list[str]] = {}
    unknown: list[str] = []
    for level in LEVELS:
        scopes = [scope for scope in integration.scopes if scope.startswith(f"{level}:")]
        if level == "space" and (integration.blocks or integration.contentSources):
            scopes = [scope for scope in scopes if not scope.endswith(":read")]
        if not scopes:
            continue
        if not installed.may_be_on(level):
            excess[level] = scopes
        elif integration.target == "all" and not installed.places[level] and _is_enabled_elsewhere(installed, level):
            chosen = installed.facts.spaceSelection if level == "space" else installed.facts.siteSelection
            if not facts.knows_places(installed, level):
                unknown.append(NARROWING if facts.is_confined else name_places(level, installed.id))
            elif chosen != "all":
                excess[level] = scopes
    if excess:
        scopes = [scope for found in excess.values() for scope in found]
        where = " and ".join(f"no {level}" for level in excess)
        return _match(
            installed,
            f"{integration.title} has more scopes than it needs",
            f"beyond its need: {', '.join(scopes)}",
            f"target {integration.target}, {integration.blocks} blocks, enabled on {where}",
            sources=tuple(name_places(level, installed.id) for level in LEVELS),
        )
    return _doubt(installed, "where it is enabled is not known", *unknown) if unknown else None


def _is_enabled_elsewhere(installed: Installed, level: Level) -> bool:
    return any(places for other, places in installed.places.items() if other != level)


def _check_gone(facts: Facts) -> Iterator[RuleResult]:
    unread = facts.coverage.is_incomplete(MARKETPLACE)
    for installed in facts.inventory.installations.values():
        integration = installed.facts.integration
        if integration.visibility != "public" or integration.name in facts.inventory.marketplace:
            yield PASS
        elif not unread:
            summary = f"{integration.title} is no longer in the marketplace"
            yield _match(installed, summary, "not among the public integrations", sources=(MARKETPLACE,))
    if unread:
        yield Undecided("public integrations that the marketplace was not read to", (MARKETPLACE,))
    if facts.coverage.is_incomplete(INSTALLATIONS):
        yield Undecided("installations that were not read", (INSTALLATIONS,))


_CHAT = re.compile("chat|messenger", re.IGNORECASE)


def find_kind(installed: Installed) -> str | None:
    """Return which job an integration does that no second one is needed for, if it does one."""
    integration = installed.facts.integration
    for kind in ("analytics", "visitor-auth"):
        if kind in integration.categories:
            return kind
    is_chat = "site:script:inject" in integration.scopes and _CHAT.search(f"{integration.name} {integration.title}")
    return "chat" if is_chat else None


def _check_same_kind(facts: Facts) -> Iterator[RuleResult]:
    kinds: dict[str, list[Installed]] = {}
    for installed in facts.inventory.installations.values():
        if kind := find_kind(installed):
            kinds.setdefault(kind, []).append(installed)
    for kind, group in kinds.items():
        if len(group) < 2:
            yield PASS
            continue
        widest = sorted(group, key=lambda each: (-sum(map(len, each.places.values())), each.name))
        counted = [f"{each.facts.integration.title}: {sum(map(len, each.places.values()))} places" for each in widest]
        names = sorted(each.name for each in group)
        match = _match(widest[-1], f"{len(group)} integrations for {kind}: {', '.join(names)}", *counted)
        yield replace(match, key=(kind, *names))
    if facts.inventory.narrowing.integrations is not None:
        yield Undecided("integrations that the audit was not about", (NARROWING,))
    if facts.coverage.is_incomplete(INSTALLATIONS):
        yield Undecided("installations that were not read", (INSTALLATIONS,))


def _check_secrets(facts: Facts) -> Iterator[RuleResult]:
    for installed in facts.inventory.installations.values():
        title = installed.facts.integration.title
        if keys := installed.secrets.get(""):
            summary = f"{title}: its configuration holds secrets"
            match = _match(installed, summary, f"in the organization: {', '.join(keys)}")
            yield replace(match, key=(installed.id, "account"))
        for level in LEVELS:
            source = name_places(level, installed.id)
            found = {place: keys for place in installed.places[level] if (keys := installed.secrets.get(place))}
            if found:
                yield _report_secrets(facts, installed, level, found)
            if facts.coverage.is_incomplete(source):
                yield _doubt(installed, f"its configurations on {level}s", source)
        yield PASS
    if facts.coverage.is_incomplete(INSTALLATIONS):
        yield Undecided("installations that were not read", (INSTALLATIONS,))


def _report_secrets(facts: Facts, installed: Installed, level: Level, found: Mapping[str, tuple[str, ...]]) -> Match:
    """Return one finding for all places of a level, as one integration has the same settings on each."""
    keys = list(dict.fromkeys(key for keys in found.values() for key in keys))
    names = [facts.name_place(level, place) for place in list(found)[:SHOWN]]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    where = f"on {len(found)} {level}s: {', '.join(names)}{more}"
    summary = f"{installed.facts.integration.title}: its configuration on {level}s holds secrets"
    match = _match(installed, summary, ", ".join(keys), where, sources=(name_places(level, installed.id),))
    return replace(
        match,
        key=(installed.id, level),
        arguments={**match.arguments, f"{level}Id": next(iter(found))},
        tool=f"update_integration_{level}_installation",
    )


INSTALLATION_CHECKS: Mapping[str, RuleCheck] = {
    "unverified-write": _check_unverified,
    "all-places-selected": _check_selection,
    "stalled-installation": _check_stalled,
    "installed-nowhere": _check_nowhere,
    "foreign-unlisted": _check_foreign,
    "excess-scopes": _check_scopes,
    "gone-from-marketplace": _check_gone,
    "same-kind": _check_same_kind,
    "secrets-in-configuration": _check_secrets,
}
"""By ID of the rule."""
