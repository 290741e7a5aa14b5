"""The facts of a question about power: what an integration may do, where, and what a publication or update changes.

Pure functions. Like those in `facts`, they show the values of the call exactly, and the text of third parties in a form
that cannot imitate a fact.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.scopes import SCOPES, is_powerful
from gitbook_integrations_mcp.calls.masking import MASK, MaskingScope
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.calls.secret_detection import split_key
from gitbook_integrations_mcp.calls.view import is_shown_form
from gitbook_integrations_mcp.confirmation.facts import (
    MAX_LISTED,
    MAX_NAMED,
    UNCLEAR_HOST,
    clean_foreign,
    clean_title,
    clean_value,
    find_host,
    format_item,
    format_name,
    format_text,
    join_items,
    name_argument,
)
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.text import escape_character

_GITBOOK = "gitbook"
"""Subdomain of GitBook's own organization. GitBook gives each subdomain to one organization."""

_MAX_VALUE = 1000
"""Number of characters of an old or new value that are shown."""

_SHORT = 120
"""Number of characters up to which an old and a new value are shown with what they have in common."""
_CONTEXT = 40
"""Number of characters that are shown before and after the difference of longer values."""

Leaf = tuple[Any, MaskingScope]
"""A value that is neither a filled object nor a filled list, with the scope that says whether it is masked."""
Part = Mapping[str, Leaf]
"""The values of a block, a content source or a setting, by their paths."""

_ADDRESS_WORDS = frozenset(
    {"connection", "dsn", "endpoint", "hook", "host", "uri", "uris", "url", "urls", "webhook", "webhooks"}
)
"""Words of keys whose values are addresses. If the value is masked, only its host says where it leads."""


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
    scopes = _read_scopes(integration)
    if scopes is None:
        doubts.append("has unknown scopes")
    elif powerful := [scope for scope in scopes if is_powerful(scope)]:
        doubts.append(f"may {_describe_scopes(powerful, named=False)}")
    return doubts


def describe_trust(integration: Mapping[str, Any] | None) -> Iterator[Fact]:
    """Yield what an integration may do, in words, and why a human decides about its access."""
    yield describe_scopes(integration)
    if doubts := find_doubts(integration):
        yield Fact("Asked because", f"it {'; '.join(doubts)}")


def describe_scopes(integration: Mapping[str, Any] | None) -> Fact:
    """Return what an integration may do, in words."""
    scopes = _read_scopes(integration or {})
    return Fact("It may", "unknown" if scopes is None else _describe_scopes(scopes) or "nothing (it has no scopes)")


def _read_scopes(integration: Mapping[str, Any]) -> list[str] | None:
    scopes = integration.get("scopes")
    return [str(scope) for scope in scopes] if isinstance(scopes, list) else None


def _describe_scopes(scopes: Iterable[str], *, named: bool = True) -> str:
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
    levels: tuple[Level, ...] = ("space", "site")
    selections = ((level, f"{level}_selection") for level in levels)
    return [level for level, name in selections if arguments.get(name) == "all" and (before or {}).get(name) != "all"]


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
    known = {one.get("id"): one for one in places or ()}
    listed = _list_closed([known.get(one, {"id": one}) for one in identifiers])
    return Fact("Gets access to", f"{len(identifiers)} {level}s; not public: {listed}")


def describe_all_places(level: Level, places: Sequence[Mapping[str, Any]] | None, *, more: bool = False) -> Fact:
    """Return all places of a level, and which of them are not public. `more` means that the list is incomplete."""
    label = f"Gets access to all {level}s"
    if places is None:
        return Fact(label, "present and future ones; they could not be read")
    plus = "+" if more else ""
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


# Publications


def describe_publication(
    arguments: Mapping[str, Any], live: Mapping[str, Any], organization: Any = None, *, readable: bool
) -> Iterator[Fact]:
    """Yield how a publication differs from the `live` version, or all that it is able to do if there is none.

    `organization` is the one that the call names, if it was read.

    `live` is empty if no integration has this name, or if it is not `readable`.
    """
    if not readable:
        yield Fact("Published version", "unknown; everything is shown as new")
    elif live:
        yield Fact("Published version", f"{clean_foreign(live.get('version'), 40)}, which is replaced")
    else:
        yield Fact("Published version", "none: this is the first publication")
    if "organization" in arguments:
        named = isinstance(organization, Mapping) and organization.get("id") == arguments["organization"]
        shown = format_name(organization) if named else format_text(str(arguments["organization"]))
        yield Fact("Organization", shown)
    yield from _describe_scope_changes(arguments, live)
    script = str(arguments.get("script", "")).encode("utf-8", "surrogatepass")
    runtime = f", runtime {arguments['runtime']}" if "runtime" in arguments else ""
    yield Fact("Script", f"{len(script):,} bytes, SHA-256 {hashlib.sha256(script).hexdigest()}{runtime}")
    secrets = arguments.get("secrets")
    names = join_items([format_text(name, 60) for name in secrets]) if isinstance(secrets, Mapping) else ""
    yield Fact("Secrets", f"{names} (values not shown)" if names else "none sent")
    for label, name in (("Blocks", "blocks"), ("Content sources", "contentSources")):
        yield from _describe_difference(label, _list_parts(arguments.get(name)), _list_parts(live.get(name)))
    yield from _describe_difference(
        "Settings", _list_settings(arguments.get("configurations")), _list_settings(live.get("configurations"))
    )
    unchanged = []
    for name, render in _PUBLISHED.items():
        old, new = render(live.get(name)), render(arguments.get(name, _DEFAULTS.get(name) if live else None))
        if old == new:
            unchanged += [name_argument(name).lower()] if name in live else []
        else:
            if name in live and name in arguments:
                old, new = _cut_to_difference(old, new)
            before = f"“{clean_value(old, _MAX_VALUE)}” → " if name in live and old else ""
            if name in arguments:
                after = f"“{format_text(new, _MAX_VALUE)}”"
            else:
                after = f"“{new}” (not sent)" if new else "not sent, so GitBook keeps it or deletes it"
            yield Fact(name_argument(name), f"{before}{after}")
    if unchanged:
        yield Fact("Unchanged", ", ".join(unchanged))


def _describe_scope_changes(arguments: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Fact]:
    new, old = arguments.get("scopes") or [], _read_scopes(live) or []
    added, dropped = [one for one in new if one not in old], [one for one in old if one not in new]
    kept = [one for one in new if one in old]
    if added or not kept:
        label = "It may now also" if live else "It may"
        yield Fact(label, _describe_scopes(added) or "nothing (it has no scopes)")
    if kept:
        yield Fact("It may still", _describe_scopes(kept))
    if dropped:
        yield Fact("It may no longer", _describe_scopes(dropped))


def _describe_difference(label: str, new: Mapping[str, Part], old: Mapping[str, Part]) -> Iterator[Fact]:
    """Yield what was added, dropped and changed, by name, with the values that are new."""
    added = [f"{format_text(one, 80)}{_show_values(part, {})}" for one, part in new.items() if one not in old]
    dropped = [clean_title(one, 80) for one in old if one not in new]
    changed = [
        f"{format_text(one, 80)}{_show_values(part, old[one])}"
        for one, part in new.items()
        if one in old and part != old[one]
    ]
    for what, items in (("added", added), ("dropped", dropped), ("changed", changed)):
        if items:
            yield Fact(f"{label} {what}", join_items(items))


def _show_values(new: Part, old: Part) -> str:
    """Return the values of a part that differ, in parentheses. Without `old`, these are all values."""
    values = [
        f"{_show_path(path)} {_show_change(path, old.get(path), new.get(path)) if old else _show_new(path, new[path])}"
        for path in {**old, **new}
        if old.get(path) != new.get(path)
    ]
    return f" ({join_items(values)})" if values else ""


def _list_parts(items: Any) -> dict[str, Part]:
    """Return blocks or content sources by ID."""
    objects = items if isinstance(items, list) else []
    return {str(one["id"]): _list_values(one) for one in objects if isinstance(one, Mapping) and "id" in one}


def _list_settings(configurations: Any) -> dict[str, Part]:
    """Return the settings by level and name."""
    found: dict[str, Part] = {}
    for level, schema in configurations.items() if isinstance(configurations, Mapping) else ():
        if not isinstance(schema, Mapping):
            continue
        properties, required = schema.get("properties"), schema.get("required")
        for name, one in properties.items() if isinstance(properties, Mapping) else ():
            needed = {"required": True} if isinstance(required, list) and name in required else {}
            found[f"{level} {name}"] = _list_values({**(one if isinstance(one, Mapping) else {}), **needed})
        if "componentId" in schema:
            found[f"{level} (component {clean_foreign(schema['componentId'], 60)})"] = {}
    return found


def _list_values(part: Mapping[str, Any]) -> Part:
    return {path: leaf for path, leaf in _list_leaves(part, MaskingScope.SCHEMA) if path not in {"", "id"}}


def _render_text(value: Any) -> str:
    return "" if value is None else str(value)


def _render_list(value: Any) -> str:
    return ", ".join(sorted(map(str, value))) if isinstance(value, list) else ""


def _render_links(value: Any) -> str:
    links = value if isinstance(value, list) else []
    return ", ".join(f"{one.get('label')} {one.get('url')}" for one in links if isinstance(one, Mapping))


def _render_policy(value: Any) -> str:
    """Return a content security policy as a header has it."""
    if isinstance(value, Mapping):
        value = "; ".join(f"{str(name).replace('_', '-')} {sources}" for name, sources in sorted(value.items()))
    return " ".join(str(value or "").split())


_PUBLISHED: Mapping[str, Callable[[Any], str]] = {
    "visibility": _render_text,
    "target": _render_text,
    "contentSecurityPolicy": _render_policy,
    "title": _render_text,
    "description": _render_text,
    "summary": _render_text,
    "categories": _render_list,
    "externalLinks": _render_links,
}
"""Fields of a publication that GitBook returns, with the function that makes one text of their value."""
_DEFAULTS = {"target": "all"}
"""Values of fields that a publication does not have."""


# Settings and payloads


def describe_changes(arguments: Mapping[str, Any], target: Mapping[str, Any] | None) -> Iterator[Fact]:
    """Yield old and new value of each setting that an update adds, deletes or replaces. Credentials are masked.

    `target` is None if it could not be read.
    """
    before = target or {}
    for level in ("space", "site"):
        name = f"{level}_selection"
        if name in arguments and name in before and arguments[name] != before[name]:
            yield Fact(
                f"Selection of {level}s", f"{clean_foreign(before[name], 40)} → {format_text(str(arguments[name]))}"
            )
    current = before.get("externalIds") or ()
    if added := [format_item(one, 80) for one in arguments.get("externalIds", ()) if one not in current]:
        yield Fact("External IDs added", join_items(added))
    if "configuration" not in arguments:
        return
    if before.get("status") == "pending":
        yield Fact("Pending", "with these settings, it may become active and use its scopes")
    scope = MaskingScope.OPEN.enter("configuration", before)
    old = dict(_list_leaves(before.get("configuration"), scope))
    new = dict(_list_leaves(arguments["configuration"], scope))
    # An empty configuration is one leaf without a path.
    changed = [path for path in {**old, **new} if path and not _is_kept(old.get(path), new.get(path))]
    if len(changed) > MAX_LISTED:
        rest = f"{len(changed) - MAX_LISTED:,} of {len(changed):,} values that are added, deleted or replaced"
        yield Fact("configuration, not shown", rest)
    for path in changed[:MAX_LISTED]:
        label = _show_path(path) if path in new else clean_title(path, 100)
        shown = _show_change(path, old.get(path), new.get(path), "nothing" if target is not None else "unknown")
        yield Fact(f"configuration {label}", shown)


def describe_payload(name: str, payload: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield the values of an object that a call sends to an integration. Credentials are masked."""
    leaves = dict(_list_leaves(payload, MaskingScope.GUARDED))
    if len(leaves) > MAX_LISTED:
        yield Fact(f"{name}, not shown", f"{len(leaves) - MAX_LISTED:,} of {len(leaves):,} values")
    for path in list(leaves)[:MAX_LISTED]:
        yield Fact(f"{name} {_show_path(path)}".rstrip(), _show_new(path, leaves[path]))


def _list_leaves(value: Any, scope: MaskingScope, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Yield the values in an object or list by their paths, for example `account/0/url`."""
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _list_leaves(child, scope.enter(key, value), f"{path}/{key}".removeprefix("/"))
    elif isinstance(value, list) and value:
        for number, child in enumerate(value):
            yield from _list_leaves(child, scope, f"{path}/{number}".removeprefix("/"))
    elif path or value is not None:
        yield path, (value, scope)


def _show_path(path: str) -> str:
    """Return a path with keys of the call. No key can end the label of its fact."""
    return format_text(path, 100).replace(": ", escape_character(":") + " ")


def _is_kept(old: Leaf | None, new: Leaf | None) -> bool:
    """Whether a value stays. Only the mask keeps a credential: a question must not show whether a guess is right."""
    if old is None or new is None:
        return (old or new or (None,))[0] is None
    if old[1].masks(old[0]):
        return bool(new[0] == MASK)
    if isinstance(old[0], str) and isinstance(new[0], str):
        return is_shown_form(new[0], old[0])
    return bool(new[0] == old[0]) and isinstance(new[0], bool) == isinstance(old[0], bool)  # in Python, 1 is True


def _show_change(path: str, old: Leaf | None, new: Leaf | None, absent: str = "nothing") -> str:
    """Return an old and a new value. `absent` stands for an old value that is missing."""
    secrets = [leaf is not None and leaf[1].masks(leaf[0]) for leaf in (old, new)]
    host = find_host(new[0]) if new else None
    if old and new and isinstance(old[0], str) and isinstance(new[0], str) and not any(secrets):
        was, becomes = _cut_to_difference(old[0], new[0])
        old, new = (was, MaskingScope.OPEN), (becomes, MaskingScope.OPEN)
    before = _show_leaf(old, clean_value) if old else absent
    after = "deleted" if new is None or new[0] is None else _show_new(path, new, host)
    same = ", possibly the same" if all(secrets) else ""  # a question must not show whether a guess is right
    return f"{before} → {after}{same}"


def _cut_to_difference(old: str, new: str) -> tuple[str, str]:
    """Return two texts; if one is long, without most of what both begin and end with."""
    if max(len(old), len(new)) <= _SHORT:
        return old, new
    start = _count_common(old, new)
    end = _count_common(old[start:][::-1], new[start:][::-1])
    start, end = max(0, start - _CONTEXT), max(0, end - _CONTEXT)
    first, last = "…" if start else "", "…" if end else ""
    was, becomes = (f"{first}{text[start : len(text) - end]}{last}" for text in (old, new))
    return was, becomes


def _count_common(one: str, other: str) -> int:
    """Return the number of characters with which both texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (left, right) in pairs if left != right), min(len(one), len(other)))


def _show_new(path: str, leaf: Leaf, host: str | None = None) -> str:
    """Return a new value, with its host if it is an address. `host` is that of an address which is cut."""
    value, scope = leaf
    host = host or find_host(value)
    if host is None and scope.masks(value) and not _ADDRESS_WORDS.isdisjoint(split_key(path)):
        host = UNCLEAR_HOST
    return _show_leaf(leaf, format_text) + (f", host {format_text(host)}" if host else "")


def _show_leaf(leaf: Leaf, render: Callable[[str, int], str]) -> str:
    value, scope = leaf
    if value is None:
        return "nothing"
    if isinstance(value, Mapping | list):
        return "empty"
    if scope.masks(value):
        return "a credential (not shown)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"“{render(value, _MAX_VALUE)}”" if isinstance(value, str) else str(value)
