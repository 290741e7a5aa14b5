"""The check of the rule about the operator's policy: what is installed is judged as if it were installed now."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, PLACES, name_places
from gitbook_integrations_mcp.audit.installation_rules import (
    leave_undecided,
    match_installation,
    name_places_of,
)
from gitbook_integrations_mcp.audit.inventory import Installed
from gitbook_integrations_mcp.audit.rule_results import PASS, Facts, Match, RuleCheck, RuleResult
from gitbook_integrations_mcp.calls.policy_rules import Case, JudgedPlace, judge, list_conditions, read_public
from gitbook_integrations_mcp.config.models import PolicyRule

_MOST_KEPT = 50
"""Number of places that a proposed call names, at most."""


def _check_policy(facts: Facts) -> Iterator[RuleResult]:
    for installed in facts.inventory.installations.values() if facts.policy else ():
        yield from _check_installation(facts, installed)
        yield PASS
    yield from facts.list_unread(INSTALLATIONS)


def _check_installation(facts: Facts, installed: Installed) -> Iterator[RuleResult]:
    """Yield a finding for each rule that denies the installation, or else its selections and places.

    The organization's own facts decide first: what may not be installed at all has no findings about places.
    """
    rules = {rule.name: rule for rule in facts.policy}
    found: dict[str, list[Case]] = {}
    unknown: dict[tuple[str, tuple[str, ...]], list[Case]] = {}
    for case in _list_cases(facts, installed):
        decision = judge(facts.policy, case)
        if not decision.is_denied or decision.rule is None:
            continue
        if decision.unknown:
            unknown.setdefault((decision.rule.name, decision.unknown), []).append(case)
            continue
        found.setdefault(decision.rule.name, []).append(case)
        if case.place is None:
            break
    for name, cases in found.items():
        yield _match_rule(facts, installed, rules[name], cases)
    for (name, lacking), [case, *_] in unknown.items():
        source = facts.find_gap(PLACES[case.place.level]) if case.place else INSTALLATIONS
        what = f"unknown for the policy rule {name}: {', '.join(lacking)}"
        yield leave_undecided(installed, what, source)
    if "places" in list_conditions(facts.policy, "install") and not found:
        for level in filter(installed.may_be_on, LEVELS):
            if not facts.knows_places(installed, level):
                source = facts.find_gap(name_places(level, installed.id))
                yield leave_undecided(installed, f"it is unknown on which {level}s it is enabled", source)


def _list_cases(facts: Facts, installed: Installed) -> Iterator[Case]:
    yield Case("install", installed.judged)
    for level in filter(installed.covers_all, LEVELS):
        yield Case("widen", installed.judged, JudgedPlace(level))
    for level in LEVELS:
        known = facts.inventory.get_places(level)
        for place in installed.places[level]:
            visibility = known[place].visibility if place in known else None
            yield Case("install", installed.judged, JudgedPlace(level, place, read_public(visibility)))


def _match_rule(facts: Facts, installed: Installed, rule: PolicyRule, cases: list[Case]) -> Match:
    """Return the finding of one rule, with a call that ends the denied `cases`, or else the first of them."""
    places = [case.place for case in cases if case.place]
    evidence = [f"{place.level}_selection: all" for place in places if place.id is None]
    ids = {level: [place.id for place in places if place.level == level and place.id] for level in LEVELS}
    evidence += [name_places_of(facts, level, named) for level, named in ids.items() if named]
    match = match_installation(
        installed,
        f"{installed.title} is denied by the policy rule {rule.name}",
        f"reason: {rule.reason}",
        *evidence,
        sources=tuple(dict.fromkeys(PLACES[place.level] for place in places)),
    )
    match = replace(match, key=(installed.id, rule.name))
    if not places:
        return match
    first = places[0]
    if first.id is None:
        arguments = {**match.arguments, f"{first.level}_selection": "selected"}
        return replace(match, arguments=arguments, tool="update_integration_installation")
    kept = {
        f"{level}s": [one for one in installed.places[level] if one not in ids[level]] for level in LEVELS if ids[level]
    }
    known = all(facts.knows_places(installed, level) for level in LEVELS if ids[level])
    if len(places) > 1 and known and sum(map(len, kept.values())) <= _MOST_KEPT:
        return replace(match, arguments={**match.arguments, **kept}, tool="set_installation_places")
    arguments = {**match.arguments, f"{first.level}Id": first.id}
    subject = match.subject.model_copy(update={first.level: first.id})
    tool = f"uninstall_integration_from_{first.level}"
    return replace(match, subject=subject, arguments=arguments, tool=tool)


POLICY_CHECKS: Mapping[str, RuleCheck] = {"policy-violated": _check_policy}
"""By rule ID."""
