"""The facts of settings and payloads: what an update changes, and what a call sends to an integration.

Pure functions. Credentials are masked.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_mcp.calls.masking import MASK, MaskingScope
from gitbook_integrations_mcp.calls.secret_detection import split_key
from gitbook_integrations_mcp.calls.view import is_shown_form
from gitbook_integrations_mcp.confirmation.facts import (
    MAX_LISTED,
    UNCLEAR_HOST,
    clean_foreign,
    clean_title,
    find_host,
    format_item,
    format_text,
    join_items,
    quote_text,
    quote_value,
)
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.text import escape_character

MAX_VALUE = 1000
"""Number of characters of an old or new value that are shown."""

_SHORT = 120
"""Number of characters up to which an old and a new value are shown with what they have in common."""
_CONTEXT = 40
"""Number of characters that are shown before and after the difference of longer values."""

_PLAIN_KEY = re.compile(r"[^/\"]+")

Leaf = tuple[Any, MaskingScope]
"""A value that is neither a filled object nor a filled list, with the scope that says whether it is masked."""

_ADDRESS_WORDS = frozenset(
    {"connection", "dsn", "endpoint", "hook", "host", "uri", "uris", "url", "urls", "webhook", "webhooks"}
)
"""Words of keys whose values are addresses. If the value is masked, only its host says where it leads."""


def describe_changes(arguments: Mapping[str, Any], target: Mapping[str, Any] | None) -> Iterator[Fact]:
    """Yield old and new value of each setting that an update adds, deletes or replaces. Credentials are masked.

    `target` is None if it could not be read.
    """
    before = target or {}
    for level in LEVELS:
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
    configurations = (before.get("configuration"), arguments["configuration"])
    scopes = {MaskingScope.OPEN.enter("configuration", {**before, "configuration": one}) for one in configurations}
    # Settings are public only if they are so before and after the update.
    scope = scopes.pop() if len(scopes) == 1 else MaskingScope.GUARDED
    old, new = (dict(list_leaves(one, scope)) for one in configurations)
    # An empty configuration is one leaf without a path.
    changed = [path for path in {**old, **new} if path and not _is_kept(old.get(path), new.get(path))]
    if len(changed) > MAX_LISTED:
        rest = f"{len(changed) - MAX_LISTED:,} of {len(changed):,} values that are added, deleted or replaced"
        yield Fact("configuration, not shown", rest)
    for path in changed[:MAX_LISTED]:
        label = show_path(path) if path in new else clean_title(path, 100)
        shown = show_change(path, old.get(path), new.get(path), "nothing" if target is not None else "unknown")
        yield Fact(f"configuration {label}", shown)


def describe_payload(name: str, payload: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield the values of an object that a call sends to an integration. Credentials are masked."""
    leaves = dict(list_leaves(payload, MaskingScope.GUARDED))
    if len(leaves) > MAX_LISTED:
        yield Fact(f"{name}, not shown", f"{len(leaves) - MAX_LISTED:,} of {len(leaves):,} values")
    for path in list(leaves)[:MAX_LISTED]:
        yield Fact(f"{name} {show_path(path)}".rstrip(), show_new(path, leaves[path]))


def list_leaves(value: Any, scope: MaskingScope, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Yield the values in an object or list by their paths, for example `account/0/url`. No two have the same path."""
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from list_leaves(child, scope.enter(key, value), _extend_path(path, _quote_key(key)))
    elif isinstance(value, list) and value:
        for number, child in enumerate(value):
            yield from list_leaves(child, scope, _extend_path(path, str(number)))
    elif path or value is not None:
        yield path, (value, scope)


def _extend_path(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _quote_key(key: str) -> str:
    """Return a key as a part of a path, in quotation marks if it could be read as several keys, a number or nothing."""
    return key if _PLAIN_KEY.fullmatch(key) and not key.isdecimal() else json.dumps(key, ensure_ascii=False)


def show_path(path: str) -> str:
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


def show_change(path: str, old: Leaf | None, new: Leaf | None, absent: str = "nothing") -> str:
    """Return an old and a new value. `absent` stands for an old value that is missing."""
    secrets = [leaf is not None and leaf[1].masks(leaf[0]) for leaf in (old, new)]
    host = find_host(new[0]) if new else None
    if old and new and isinstance(old[0], str) and isinstance(new[0], str) and not any(secrets):
        was, becomes = cut_to_difference(old[0], new[0])
        old, new = (was, MaskingScope.OPEN), (becomes, MaskingScope.OPEN)
    before = _show_leaf(old, quote_value) if old else absent
    after = "deleted" if new is None or new[0] is None else show_new(path, new, host)
    same = ", possibly the same" if all(secrets) else ""  # a question must not show whether a guess is right
    return f"{before} → {after}{same}"


def cut_to_difference(old: str, new: str) -> tuple[str, str]:
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


def show_new(path: str, leaf: Leaf, host: str | None = None) -> str:
    """Return a new value, with its host if it is an address. `host` is that of an address which is cut."""
    value, scope = leaf
    host = host or find_host(value)
    if host is None and scope.masks(value) and not _ADDRESS_WORDS.isdisjoint(split_key(path)):
        host = UNCLEAR_HOST
    return _show_leaf(leaf, quote_text) + (f", host {format_text(host)}" if host else "")


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
    return render(value, MAX_VALUE) if isinstance(value, str) else str(value)
