"""The checks of the rules about installations."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from gitbook_integrations_api.report import Subject
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, MARKETPLACE, NARROWING, name_places
from gitbook_integrations_mcp.audit.inventory import LEVELS, Installed, Level
from gitbook_integrations_mcp.audit.rule_results import PASS, Facts, Match, RuleCheck, RuleResult, Undecided

MAX_NAMES = 5
"""Maximum number of spaces or sites that evidence names."""

_UNREAD_INSTALLATIONS = Undecided("installations that could not be read", (INSTALLATIONS,))


def _for_each_installation(check: Callable[[Facts, Installed], RuleResult | None]) -> RuleCheck:
    def check_all(facts: Facts) -> Iterator[RuleResult]:
        for installed in facts.inventory.installations.values():
            yield check(facts, installed) or PASS
        if facts.coverage.is_incomplete(INSTALLATIONS):
            yield _UNREAD_INSTALLATIONS

    return check_all


def _match(installed: Installed, summary: str, *evidence: str, sources: tuple[str, ...] = ()) -> Match:
    return Match(
        key=(installed.id,),
        subject=_build_subject(installed),
        summary=summary,
        evidence=evidence,
        sources=(INSTALLATIONS, *sources),
        arguments={"integrationName": installed.name, "installationId": installed.id},
    )


def _build_subject(installed: Installed) -> Subject:
    return Subject(integration=installed.name, installation=installed.id)


def _undecided(installed: Installed, what: str, *sources: str) -> Undecided:
    return Undecided(f"{installed.facts.integration.title}: {what}", sources, _build_subject(installed))


def _is_write_scope(scope: str) -> bool:
    return scope.endswith(":write") or scope == "space:git:sync"


@_for_each_installation
def _check_unverified(_facts: Facts, installed: Installed) -> RuleResult | None:
    integration = installed.facts.integration
    scopes = list(filter(_is_write_scope, integration.scopes))
    if integration.verified is not False or not scopes:
        return None
    owner = (integration.owner and integration.owner.title) or "unknown"
    return _match(
        installed,
        f"{integration.title} is unverified and has write scopes",
        f"write scopes: {', '.join(scopes)}",
        f"owner: {'this organization' if integration.own else owner}",
    )


def _check_selection(facts: Facts) -> Iterator[RuleResult]:
    for installed in facts.inventory.installations.values():
        for level in LEVELS:
            selection = installed.facts.spaceSelection if level == "space" else installed.facts.siteSelection
            if selection == "all" and installed.may_be_on(level):
                match = _match(
                    installed,
                    f"{installed.facts.integration.title} is enabled on all current and future {level}s",
                    f"{level}_selection: all",
                    _describe_status(installed),
                )
                arguments = {**match.arguments, f"{level}_selection": "selected"}
                yield replace(match, key=(installed.id, level), arguments=arguments)
            else:
                yield PASS
    if facts.coverage.is_incomplete(INSTALLATIONS):
        yield _UNREAD_INSTALLATIONS


def _describe_status(installed: Installed) -> str:
    return f"status: {installed.facts.status or 'unknown'}"


@_for_each_installation
def _check_stalled(facts: Facts, installed: Installed) -> RuleResult | None:
    status, changed = installed.facts.status, installed.facts.updatedAt
    if status not in {"paused", "pending"}:
        return None
    try:
        since = datetime.fromisoformat(changed or "")
        days = (facts.now - since).days
    except (ValueError, TypeError):
        return _undecided(installed, "the date of its last change is unknown", INSTALLATIONS)
    if days < facts.stalled_days:
        return None
    title = installed.facts.integration.title
    return _match(installed, f"{title} is {status} and has not changed since {since.date()}", f"last change: {changed}")


@_for_each_installation
def _check_nowhere(facts: Facts, installed: Installed) -> RuleResult | None:
    if any(installed.places.values()) or not any(map(installed.may_be_on, LEVELS)):
        return None
    sources = tuple(name_places(level, installed.id) for level in LEVELS)
    unread = tuple(
        NARROWING if facts.is_confined else name_places(level, installed.id)
        for level in LEVELS
        if not facts.knows_places(installed, level)
    )
    if unread:
        return _undecided(installed, "it is unknown where it is enabled", *unread)
    return _match(
        installed,
        f"{installed.facts.integration.title} is not enabled on any space or site",
        f"installed: {installed.facts.createdAt or 'date unknown'}",
        _describe_status(installed),
        sources=sources,
    )


@_for_each_installation
def _check_foreign(_facts: Facts, installed: Installed) -> RuleResult | None:
    integration = installed.facts.integration
    if integration.visibility not in {"private", "unlisted"} or integration.own:
        return None
    if integration.own is None:
        return _undecided(installed, "its owner is unknown", INSTALLATIONS)
    owner = (integration.owner and (integration.owner.title or integration.owner.id)) or "another organization"
    return _match(
        installed, f"{integration.title} is {integration.visibility} and belongs to {owner}", f"owner: {owner}"
    )


@_for_each_installation
def _check_scopes(facts: Facts, installed: Installed) -> RuleResult | None:
    """Scopes on spaces need a target or blocks there, and scopes on sites need a target. Other scopes are not checked.

    If the target is "all", only the levels count on which the integration is enabled.
    """
    integration = installed.facts.integration
    if integration.target is None:
        return None
    excess: dict[Level, list[str]] = {}
    unread: list[str] = []
    for level in LEVELS:
        scopes = [scope for scope in integration.scopes if scope.startswith(f"{level}:")]
        if level == "space" and (integration.blocks or integration.contentSources):
            scopes = [scope for scope in scopes if not scope.endswith(":read")]
        if not scopes:
            continue
        if not installed.may_be_on(level):
            excess[level] = scopes
        elif integration.target == "all" and not installed.places[level] and _is_enabled_elsewhere(installed, level):
            selection = installed.facts.spaceSelection if level == "space" else installed.facts.siteSelection
            if not facts.knows_places(installed, level):
                unread.append(NARROWING if facts.is_confined else name_places(level, installed.id))
            elif selection != "all":
                excess[level] = scopes
    if excess:
        return _match(
            installed,
            f"{integration.title} has more scopes than it needs",
            f"unneeded scopes: {', '.join(scope for scopes in excess.values() for scope in scopes)}",
            f"target: {integration.target}",
            f"blocks: {integration.blocks}",
            f"not enabled on any {' or '.join(excess)}",
            sources=tuple(name_places(level, installed.id) for level in LEVELS),
        )
    return _undecided(installed, "it is unknown where it is enabled", *unread) if unread else None


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
            yield _match(installed, summary, "visibility: public, but not in the marketplace", sources=(MARKETPLACE,))
    if unread:
        yield Undecided("public integrations missing from an incomplete list of the marketplace", (MARKETPLACE,))
    if facts.coverage.is_incomplete(INSTALLATIONS):
        yield _UNREAD_INSTALLATIONS


_CHAT = re.compile("chat|messenger", re.IGNORECASE)


def find_kind(installed: Installed) -> str | None:
    """Return the job of an integration if an organization needs only one integration for that job."""
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
        counts = {each.id: sum(map(len, each.places.values())) for each in group}
        widest = sorted(group, key=lambda each: (-counts[each.id], each.name))
        names = sorted(each.name for each in group)
        evidence = (f"{each.facts.integration.title}: enabled on {counts[each.id]} spaces and sites" for each in widest)
        match = _match(widest[-1], f"{len(group)} integrations for {kind}: {', '.join(names)}", *evidence)
        yield replace(match, key=(kind, *names))
    if facts.inventory.narrowing.integrations is not None:
        yield Undecided("integrations outside this audit", (NARROWING,))
    if facts.coverage.is_incomplete(INSTALLATIONS):
        yield _UNREAD_INSTALLATIONS


def _check_secrets(facts: Facts) -> Iterator[RuleResult]:
    for installed in facts.inventory.installations.values():
        if keys := installed.secrets.get(""):
            summary = f"{installed.facts.integration.title} has credentials in its configuration"
            match = _match(installed, summary, f"keys: {', '.join(keys)}", "level: organization")
            yield replace(match, key=(installed.id, "account"))
        for level in LEVELS:
            source = name_places(level, installed.id)
            by_place = {place: keys for place in installed.places[level] if (keys := installed.secrets.get(place))}
            if by_place:
                yield _match_secrets(facts, installed, level, by_place)
            if facts.coverage.is_incomplete(source):
                yield _undecided(installed, f"its configurations on {level}s could not be read", source)
        yield PASS
    if facts.coverage.is_incomplete(INSTALLATIONS):
        yield _UNREAD_INSTALLATIONS


def _match_secrets(facts: Facts, installed: Installed, level: Level, by_place: Mapping[str, tuple[str, ...]]) -> Match:
    """Return one finding for all spaces or all sites: an integration has the same settings on each of them."""
    keys = list(dict.fromkeys(key for keys in by_place.values() for key in keys))
    names = [facts.name_place(level, place) for place in list(by_place)[:MAX_NAMES]]
    more = f" and {len(by_place) - MAX_NAMES} more" if len(by_place) > MAX_NAMES else ""
    match = _match(
        installed,
        f"{installed.facts.integration.title} has credentials in its configuration on {level}s",
        f"keys: {', '.join(keys)}",
        f"{level}s: {', '.join(names)}{more}",
        sources=(name_places(level, installed.id),),
    )
    return replace(
        match,
        key=(installed.id, level),
        arguments={**match.arguments, f"{level}Id": next(iter(by_place))},
        tool=f"get_integration_{level}_installation",
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
"""By rule ID."""
