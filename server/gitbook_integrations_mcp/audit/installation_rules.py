"""The checks of the rules about installations as a whole."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gitbook_integrations_api.choices import LEVELS, Level
from gitbook_integrations_api.report import Subject
from gitbook_integrations_api.scopes import VISITOR_POWERS, writes
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, MARKETPLACE, PLACES, name_places
from gitbook_integrations_mcp.audit.integration_jobs import find_protected_job, is_trusted
from gitbook_integrations_mcp.audit.inventory import Installed
from gitbook_integrations_mcp.audit.rule_results import PASS, Facts, Match, RuleCheck, RuleResult, Undecided
from gitbook_integrations_mcp.calls.policy_rules import read_public
from gitbook_integrations_mcp.text import quote
from gitbook_integrations_mcp.times import write_time

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.development_modes import DevelopmentMode

MAX_NAMES = 5
"""Maximum number of spaces or sites that evidence names."""


def for_each_installation(check: Callable[[Facts, Installed], RuleResult | None]) -> RuleCheck:
    def check_all(facts: Facts) -> Iterator[RuleResult]:
        for installed in facts.inventory.installations.values():
            yield check(facts, installed) or PASS
        yield from facts.list_unread(INSTALLATIONS)

    return check_all


def match_installation(installed: Installed, summary: str, *evidence: str, sources: tuple[str, ...] = ()) -> Match:
    return Match(
        key=(installed.id,),
        subject=installed.subject,
        summary=summary,
        evidence=evidence,
        sources=(INSTALLATIONS, *sources),
        arguments=installed.arguments,
    )


def leave_undecided(installed: Installed, what: str, *sources: str) -> Undecided:
    return Undecided(f"{installed.title}: {what}", sources, installed.subject)


def leave_unverified(installed: Installed) -> Undecided:
    """Leave undecided what depends on whether GitBook has verified an integration, if that is unknown."""
    return leave_undecided(installed, "it is unknown whether GitBook has verified it", INSTALLATIONS)


def name_places_of(facts: Facts, level: Level, places: Iterable[str]) -> str:
    """Return the titles of spaces or sites, but not of more than `MAX_NAMES`."""
    ids = list(places)
    names = [facts.name_place(level, place) for place in ids[:MAX_NAMES]]
    more = f" and {len(ids) - MAX_NAMES} more" if len(ids) > MAX_NAMES else ""
    return f"{level}s: {', '.join(names)}{more}"


def _describe_status(installed: Installed) -> str:
    return f"status: {installed.facts.status or 'unknown'}"


def _describe_owner(installed: Installed) -> str:
    owner = installed.facts.integration.owner
    if owner is None:
        return "owner: unknown"
    return f"owner: {quote(owner.title)}" if owner.title else f"owner: {owner.id}"


# Trust: whose code has which power.


@for_each_installation
def _check_unverified_write(_facts: Facts, installed: Installed) -> RuleResult | None:
    integration = installed.facts.integration
    scopes, trusted = list(filter(writes, integration.scopes)), is_trusted(integration)
    if trusted or not scopes:
        return None
    if trusted is None:
        return leave_unverified(installed)
    return match_installation(
        installed,
        f"{installed.title} is unverified and has write scopes",
        f"write scopes: {', '.join(scopes)}",
        _describe_owner(installed),
    )


@for_each_installation
def _check_unverified_script(facts: Facts, installed: Installed) -> RuleResult | None:
    """Only on sites that are not known to be unpublished, because nobody reads those."""
    integration = installed.facts.integration
    powers, trusted = [scope for scope in VISITOR_POWERS if scope in integration.scopes], is_trusted(integration)
    if trusted or not powers or not is_running(installed):
        return None
    if trusted is None:
        return leave_unverified(installed)
    source = name_places("site", installed.id)
    sites = [place for place in installed.places["site"] if is_running_on(installed, "site", place)]
    if installed.covers_all("site"):
        sites = [*sites, *(site for site in facts.inventory.sites if site not in installed.places["site"])]
    sites = [place for place in sites if is_read(facts, place)]
    if sites:
        return match_installation(
            installed,
            f"{installed.title} is unverified and {VISITOR_POWERS[powers[0]]}",
            f"scopes: {', '.join(powers)}",
            _describe_owner(installed),
            name_places_of(facts, "site", sites),
            sources=(source,),
        )
    if facts.knows_places(installed, "site"):
        return None
    return leave_undecided(installed, "it is unknown on which sites it is enabled", facts.find_gap(source))


_NOT_PUBLIC = frozenset({"private", "unlisted"})
_READING: Mapping[Level, str] = {"space": "space:content:read", "site": "site:visitor:claims"}
"""Scopes that show what only some people may see, if a space or site is confidential."""
_CONFIDENTIAL = frozenset({"private", "share-link", "visitor-auth"})


@for_each_installation
def _check_unverified_read(facts: Facts, installed: Installed) -> RuleResult | None:
    """Other rules find integrations that are not public or have write scopes, whatever they read."""
    integration, trusted = installed.facts.integration, is_trusted(installed.facts.integration)
    levels = [level for level, scope in _READING.items() if scope in integration.scopes]
    reported = integration.visibility in _NOT_PUBLIC or any(map(writes, integration.scopes))
    if trusted or not levels or reported or not is_running(installed):
        return None
    if trusted is None:
        return leave_unverified(installed)
    evidence: list[str] = []
    unknown: list[str] = []
    for level in levels:
        places = facts.inventory.get_places(level)
        all_of_them = installed.covers_all(level)
        on = [place for place in places if all_of_them or is_running_on(installed, level, place)]
        if confidential := [place for place in on if places[place].visibility in _CONFIDENTIAL]:
            evidence.append(f"not public {name_places_of(facts, level, confidential)}")
        if not facts.knows_places(installed, level):
            unknown.append(facts.find_gap(name_places(level, installed.id)))
        if facts.coverage.is_incomplete(PLACES[level]) or any(
            read_public(places[place].visibility) is None for place in on
        ):
            unknown.append(PLACES[level])
    if not evidence and unknown:
        return leave_undecided(installed, "it is unknown whether it is enabled on confidential places", *unknown)
    if not evidence:
        return None
    return match_installation(
        installed,
        f"{installed.title} is unverified and reads what is not public",
        f"scopes: {', '.join(_READING[level] for level in levels)}",
        _describe_owner(installed),
        *evidence,
        sources=tuple(PLACES[level] for level in levels),
    )


def is_read(facts: Facts, site: str) -> bool:
    """Whether a site is not known to be unpublished."""
    known = facts.inventory.sites.get(site)
    return known is None or known.published is not False


def is_running(installed: Installed) -> bool:
    """Whether an installation is not known to be pending or paused."""
    return installed.facts.status not in {"pending", "paused"}


def is_running_on(installed: Installed, level: Level, place: str) -> bool:
    """Whether it is enabled on a space or site, and not known to be pending or paused there."""
    placement = installed.places[level].get(place)
    return is_running(installed) and placement is not None and placement.status not in {"pending", "paused"}


_HARMLESS = frozenset({"space:metadata:read", "site:metadata:read"})
"""Scopes that show neither content nor readers, and change nothing."""


def is_working_on(installed: Installed, site: str) -> bool:
    """Whether it is running on a site and has the settings that it needs there."""
    return is_running_on(installed, "site", site) and not installed.lacks_settings(site)


@for_each_installation
def _check_foreign(_facts: Facts, installed: Installed) -> RuleResult | None:
    """Without further scopes, its code only gets what pages give to its blocks."""
    integration, trusted = installed.facts.integration, is_trusted(installed.facts.integration)
    if integration.visibility not in _NOT_PUBLIC or trusted:
        return None
    if integration.own is None or trusted is None:
        return leave_undecided(installed, "its owner or verification is unknown", INSTALLATIONS)
    if _HARMLESS.issuperset(integration.scopes):
        return None
    owner = _describe_owner(installed)
    summary = f"{installed.title} is {integration.visibility} and belongs to {owner.removeprefix('owner: ')}"
    scopes = f"scopes: {', '.join(integration.scopes)}"
    return match_installation(installed, summary, owner, "verified by GitBook: no", scopes)


def _check_marketplace(verified: bool) -> RuleCheck:
    """Return the check of integrations that the marketplace does not list.

    GitBook verifies what it reviewed for the marketplace, so a verified integration was in it if it is public. Others
    never had to be; if they are not public and have scopes, the rule foreign-unlisted finds them.
    """

    def check_all(facts: Facts) -> Iterator[RuleResult]:
        unread = facts.coverage.is_incomplete(MARKETPLACE)
        for installed in facts.inventory.installations.values():
            integration = installed.facts.integration
            concerned = integration.visibility == "public"
            if not verified and integration.visibility in _NOT_PUBLIC:
                concerned = integration.own is False and _HARMLESS.issuperset(integration.scopes)
            trusted = is_trusted(integration)
            concerned = concerned and trusted in {verified, None}
            if not concerned or integration.own or integration.name in facts.inventory.marketplace:
                yield PASS
            elif trusted is None:
                yield leave_unverified(installed)
            elif not unread:
                yield _match_unlisted(installed, verified)
        if unread:
            yield Undecided("public integrations missing from an incomplete list of the marketplace", (MARKETPLACE,))
        yield from facts.list_unread(INSTALLATIONS)

    return check_all


def _match_unlisted(installed: Installed, verified: bool) -> Match:
    title = installed.title
    summary = f"{title} is no longer in the marketplace" if verified else f"{title} was never reviewed by GitBook"
    visibility = installed.facts.integration.visibility
    known = "yes" if installed.facts.integration.verified else "no"
    evidence = f"visibility: {visibility}, verified: {known}, not in the marketplace"
    match = match_installation(installed, summary, evidence, _describe_owner(installed), sources=(MARKETPLACE,))
    if visibility == "private":  # only its owner can look it up
        advice = "The call shows its settings. Keep it only if you know its developer."
        return replace(match, tool="get_integration_installation_by_id", advice=advice)
    return replace(match, arguments={"integrationName": installed.name})


# Extent: more places, more scopes or more time than needed

_FAR_REACHING: Mapping[Level, frozenset[str]] = {
    "space": frozenset({"space:content:read", "space:content:write", "space:metadata:write", "space:git:sync"}),
    "site": frozenset({"site:script:inject", "site:visitor:auth", "site:visitor:claims"}),
}
"""Scopes that matter on a confidential space or site."""


def _check_selection(facts: Facts) -> Iterator[RuleResult]:
    for installed in facts.inventory.installations.values():
        for level in LEVELS:
            yield _check_level_selection(facts, installed, level)
    yield from facts.list_unread(INSTALLATIONS)


def _check_level_selection(facts: Facts, installed: Installed, level: Level) -> RuleResult:
    """Trusted sync, sign-in and consent are wanted everywhere, and new places would lack them."""
    integration, trusted = installed.facts.integration, is_trusted(installed.facts.integration)
    scopes = sorted(_FAR_REACHING[level].intersection(integration.scopes))
    if not installed.covers_all(level) or not is_running(installed):
        return PASS
    if not scopes or (trusted and find_protected_job(integration)):
        return PASS
    places = facts.inventory.get_places(level)
    confidential = [place.id for place in places.values() if place.visibility in _CONFIDENTIAL]
    source = PLACES[level]
    if not confidential and trusted:
        unknown = any(read_public(place.visibility) is None for place in places.values())
        if unknown or facts.is_confined or facts.coverage.is_incomplete(source):
            what = f"it is unknown which {level}s are confidential"
            return leave_undecided(installed, what, facts.find_gap(source))
        return PASS
    if not confidential and trusted is None:
        return leave_unverified(installed)
    reach = [f"not public {name_places_of(facts, level, confidential)}"] if confidential else []
    match = match_installation(
        installed,
        f"{installed.title} is enabled on all current and future {level}s",
        f"{level}_selection: all",
        f"scopes: {', '.join(scopes)}",
        *reach,
        sources=(source,),
    )
    arguments = {**match.arguments, f"{level}_selection": "selected"}
    return replace(match, key=(installed.id, level), arguments=arguments)


@for_each_installation
def _check_stalled(facts: Facts, installed: Installed) -> RuleResult | None:
    """Other rules ask for the settings of a pending one, or name the places where it does nothing."""
    status, changed = installed.facts.status, installed.facts.updatedAt
    reported = any(installed.places.values()) or (status == "pending" and installed.lacks_settings())
    if status not in {"paused", "pending"} or reported:
        return None
    if unread := _list_unread(facts, installed):
        return leave_undecided(installed, _UNKNOWN_PLACES, *unread)
    if changed is None or (days := facts.count_days(changed)) is None:
        return leave_undecided(installed, "the date of its last change is unknown", INSTALLATIONS)
    if days < facts.stalled_days:
        return None
    summary = f"{installed.title} is {status} and has not changed since {changed[:10]}"
    return match_installation(installed, summary, f"last change: {changed}")


_UNKNOWN_PLACES = "it is unknown where it is enabled"


def _list_unread(facts: Facts, installed: Installed) -> tuple[str, ...]:
    """Return the sources of the spaces and sites of an installation that are unknown."""
    return tuple(
        facts.find_gap(name_places(level, installed.id)) for level in LEVELS if not facts.knows_places(installed, level)
    )


@for_each_installation
def _check_nowhere(facts: Facts, installed: Installed) -> RuleResult | None:
    levels = list(filter(installed.may_be_on, LEVELS))
    if any(installed.places.values()) or not levels:
        return None
    unfinished = installed.facts.status == "pending" and installed.lacks_settings()  # another rule asks for them
    if unfinished or any(map(installed.covers_all, levels)):
        return None
    sources = tuple(name_places(level, installed.id) for level in LEVELS)
    if unread := _list_unread(facts, installed):
        return leave_undecided(installed, _UNKNOWN_PLACES, *unread)
    match = match_installation(
        installed,
        f"{installed.title} is not enabled on any space or site",
        f"installed: {installed.facts.createdAt or 'date unknown'}",
        _describe_status(installed),
        f"settings for the organization: {len(installed.settings) or 'none'}",
        sources=sources,
    )
    if not installed.settings or installed.facts.status == "pending":
        return match
    advice = (
        "It is set up for the whole organization, so it may work without a space or site, for example in chats. The "
        "call shows its settings. Enable it where it is needed, or uninstall it if nobody needs it."
    )
    return replace(match, tool="get_integration_installation_by_id", advice=advice)


@for_each_installation
def _check_scopes(_facts: Facts, installed: Installed) -> RuleResult | None:
    """Scopes on spaces need a target or blocks there, and scopes on sites need a target. Other scopes are not checked.

    Nor are integrations that can be enabled everywhere, because scopes are the same for all places.
    """
    integration = installed.facts.integration
    trusted = is_trusted(integration)
    if integration.target not in LEVELS or (trusted and not integration.own):
        return None
    other = "site" if integration.target == "space" else "space"
    scopes = [scope for scope in integration.scopes if scope.startswith(f"{other}:")]
    if other == "space" and (integration.blocks or integration.contentSources):
        scopes = [scope for scope in scopes if not scope.endswith(":read")]
    if not scopes:
        return None
    if trusted is None:
        return leave_unverified(installed)
    match = match_installation(
        installed,
        f"{installed.title} has more scopes than it needs",
        f"unneeded scopes: {', '.join(scopes)}",
        f"target: {integration.target}",
        f"blocks: {integration.blocks}",
    )
    return propose_publication(match, "with fewer scopes") if integration.own else match


def propose_publication(match: Match, change: str) -> Match:
    """Propose to publish an organization's own integration again, rather than to remove it."""
    advice = f"The integration is your own: publish it again {change}. The call shows its current version."
    name = match.arguments["integrationName"]
    return replace(match, tool="get_integration_by_name", arguments={"integrationName": name}, advice=advice)


# Development

_TUNNELLED = "sends its events to a tunnel: development mode is on"


def _describe_tunnel(mode: "DevelopmentMode") -> tuple[str, ...]:
    ends = "no end is known" if mode.ends_at is None else f"until {write_time(mode.ends_at)}"
    return f"host of the tunnel: {mode.tunnel}", f"enabled through this server: {write_time(mode.time)}, {ends}"


def _check_development_modes(facts: Facts) -> Iterator[RuleResult]:
    yield from _check_development_mode(facts)
    if facts.development is None:
        yield Undecided("development modes, because the store failed", ())
        return
    installed = {each.name for each in facts.inventory.installations.values()}
    requested = facts.inventory.narrowing.integrations
    for name, mode in facts.development.items():
        owned = mode.organization == facts.inventory.organization
        asked = name in requested if requested is not None else not facts.is_confined
        if owned and asked and name not in installed:
            summary, evidence = f"{name} {_TUNNELLED}", _describe_tunnel(mode)
            yield Match((name,), Subject(integration=name), summary, evidence, (), {"integrationName": name})


@for_each_installation
def _check_development_mode(facts: Facts, installed: Installed) -> RuleResult | None:
    integration = installed.facts.integration
    mode = facts.development and facts.development.get(installed.name)
    if not mode or not (mode.all or integration.own):
        return None  # without `all`, only events of the owner go to the tunnel
    match = match_installation(installed, f"{installed.title} {_TUNNELLED}", *_describe_tunnel(mode))
    if not integration.own:
        advice = "Only its owner can disable it. Ask them, or uninstall it until they do."
        return replace(match, tool="get_integration_installation_by_id", advice=advice)
    return replace(match, arguments={"integrationName": installed.name})


INSTALLATION_CHECKS: Mapping[str, RuleCheck] = {
    "unverified-write": _check_unverified_write,
    "unverified-script": _check_unverified_script,
    "unverified-read": _check_unverified_read,
    "foreign-unlisted": _check_foreign,
    "gone-from-marketplace": _check_marketplace(verified=True),
    "never-listed": _check_marketplace(verified=False),
    "all-places-selected": _check_selection,
    "stalled-installation": _check_stalled,
    "installed-nowhere": _check_nowhere,
    "excess-scopes": _check_scopes,
    "development-mode-on": _check_development_modes,
}
"""By rule ID."""
