"""The facts of a question about power: what an integration may do, where, and whose events it gets.

Pure functions. Like those in `facts`, they show the values of the call exactly, and the text of third parties in a form
that cannot imitate a fact.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gitbook_integrations_api.choices import LEVELS, Level
from gitbook_integrations_api.endpoint import Widening
from gitbook_integrations_api.scopes import SCOPES, is_powerful
from gitbook_integrations_api.sources import PLACE_ARGUMENTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.confirmation.facts import (
    MAX_NAMED,
    clean_foreign,
    format_name,
    format_text,
    join_items,
)
from gitbook_integrations_mcp.store.pending import Fact

_GITBOOK = "gitbook"
"""Subdomain of GitBook's own organization. GitBook gives each subdomain to one organization."""


# Trust and scopes


def find_doubts(integration: Mapping[str, Any] | None) -> list[str]:
    """Return why a human decides about the access of an integration: predicates, or nothing if GitBook vouches for it.

    GitBook vouches for its own listed integrations, unless they have a powerful scope. An unknown fact is a doubt.
    """
    if integration is None:
        return ["could not be read"]
    doubts = [] if integration.get("verified") is True else ["is not verified by GitBook"]
    if (visibility := integration.get("visibility")) != "public":
        doubts.append(f"is {clean_foreign(visibility, 40) if visibility else 'of unknown visibility'}")
    if get_path(integration, "owner.hostname") != _GITBOOK:
        doubts.append("is not made by GitBook")
    scopes = read_scopes(integration)
    if scopes is None:
        doubts.append("has unknown scopes")
    elif powerful := [scope for scope in scopes if is_powerful(scope)]:
        doubts.append(f"may {name_scopes(powerful, named=False)}")
    return doubts


def describe_trust(integration: Mapping[str, Any] | None) -> Iterator[Fact]:
    """Yield what an integration may do, in words, and why a human decides about its access."""
    yield describe_scopes(integration)
    if doubts := find_doubts(integration):
        yield Fact("Asked because", f"it {'; '.join(doubts)}")


def describe_scopes(integration: Mapping[str, Any] | None) -> Fact:
    """Return what an integration may do, in words."""
    scopes = read_scopes(integration or {})
    return Fact("It may", "unknown" if scopes is None else name_scopes(scopes) or "nothing (it has no scopes)")


def read_scopes(integration: Mapping[str, Any]) -> list[str] | None:
    """Return the scopes of an integration, or None if GitBook does not say them."""
    scopes = integration.get("scopes")
    return [str(scope) for scope in scopes] if isinstance(scopes, list) else None


def name_scopes(scopes: Iterable[str], *, named: bool = True) -> str:
    """Return scopes in words, and with `named` also by name. Powerful ones come first."""
    ordered = sorted(dict.fromkeys(scopes), key=lambda scope: not is_powerful(scope))
    shown = []
    for scope in ordered:
        name = clean_foreign(scope, 60)
        words = SCOPES.get(scope, "do something that this server does not know")
        shown.append(f"{words} ({name})" if named or scope not in SCOPES else words)
    return join_items(shown)


# Places


def list_widened(arguments: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[Level]:
    """Return the levels on which an update selects all places, and the selection was not known to be all before."""
    selections = ((level, f"{level}_selection") for level in LEVELS)
    return [level for level, name in selections if arguments.get(name) == "all" and (before or {}).get(name) != "all"]


def list_enabled(call: Call, target: Mapping[str, Any] | None) -> list[Level]:
    """Return the levels on which a call enables an integration; `target` is None if it could not be read."""
    match call.tool.widens:
        case Widening.ACCESS:
            return [level for level, name in PLACE_ARGUMENTS.items() if name in call.arguments]
        case Widening.SELECTION:
            return list_widened(call.arguments, target)
        case _:
            return []


def describe_place(level: Level, identifier: str, places: Sequence[Mapping[str, Any]] | None) -> Fact:
    """Return the place that an integration gets access to, and whether everyone can read it."""
    place = next((one for one in places or () if one.get("id") == identifier), None)
    if place is None:
        return Fact("Gets access to", f"{level} {format_text(identifier)} (its visibility could not be read)")
    return Fact("Gets access to", f"{level} {format_name(place)}: {_describe_visibility(place)}")


def describe_places(level: Level, identifiers: Sequence[str], places: Sequence[Mapping[str, Any]] | None) -> Fact:
    """Return the places that an integration gets access to, and which of them not everyone can read."""
    if len(identifiers) == 1:
        return describe_place(level, identifiers[0], places)
    known = {str(one.get("id")): one for one in places or ()}
    listed = _list_closed([known.get(one, {"id": one}) for one in identifiers])
    return Fact("Gets access to", f"{len(identifiers)} {level}s; not public: {listed}")


def describe_all_places(level: Level, page: Mapping[str, Any] | None) -> Fact:
    """Return all places of a level, and which of them are not public, from the first page of them if it was read."""
    label = f"Gets access to all {level}s"
    if page is None:
        return Fact(label, "present and future ones; they could not be read")
    places, plus = page["items"], "" if page.get("next") is None else "+"
    return Fact(label, f"{len(places)}{plus} and all future ones; not public: {_list_closed(places, plus)}")


def _list_closed(places: Sequence[Mapping[str, Any]], plus: str = "") -> str:
    """Return how many of the places are not public, and which; `plus` means that there are more places."""
    closed = [place for place in places if not _is_public(place)]
    named = ", ".join(f"{format_name(place)} {_name_visibility(place)}" for place in closed[:MAX_NAMED])
    rest = f", and {len(closed) - MAX_NAMED}{plus} more" if len(closed) > MAX_NAMED else ""
    return f"{len(closed)}{plus}" + (f" ({named}{rest})" if closed else "")


def _is_public(place: Mapping[str, Any]) -> bool:
    return place.get("visibility") == "public" and place.get("published") is not False


def _describe_visibility(place: Mapping[str, Any]) -> str:
    return "public" if _is_public(place) else f"not public ({_name_visibility(place)})"


def _name_visibility(place: Mapping[str, Any]) -> str:
    visibility = place.get("visibility")
    if visibility == "public":
        return "not published"
    return clean_foreign(visibility, 40) if visibility else "visibility unknown"


# Events


def describe_events(
    arguments: Mapping[str, Any], integration: Mapping[str, Any], duration: str | None = None
) -> Iterator[Fact]:
    """Yield whose events go to a tunnel, and until when: for `duration`, or without an end."""
    owner = integration.get("owner")
    owned = f"its owner, {format_name(owner)}" if owner else "its owner"
    yield Fact("Events of", "every organization that installed it" if arguments.get("all") else f"{owned}, only")
    ended = (
        f"{duration} from now, or when this server stops"
        if duration
        else "disable_integration_development_mode is called"
    )
    yield Fact("Until", ended)
