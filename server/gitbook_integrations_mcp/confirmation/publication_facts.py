"""The facts of a publication: how it differs from the published version, or all that it is able to do.

Pure functions.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gitbook_integrations_mcp.calls.masking import MaskingScope
from gitbook_integrations_mcp.confirmation.facts import (
    clean_foreign,
    clean_title,
    format_name,
    format_text,
    join_items,
    name_argument,
    quote_text,
    quote_value,
)
from gitbook_integrations_mcp.confirmation.setting_facts import (
    MAX_VALUE,
    Leaf,
    cut_to_difference,
    list_leaves,
    show_change,
    show_new,
    show_path,
)
from gitbook_integrations_mcp.confirmation.widening import name_scopes, read_scopes
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.text import format_count

Part = Mapping[str, Leaf]
"""The values of a block, a content source or a setting, by their paths."""


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
    yield Fact("Images", _name_images(arguments))
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
                old, new = cut_to_difference(old, new)
            before = f"{quote_value(old, MAX_VALUE)} → " if name in live and old else ""
            if name in arguments:
                after = quote_text(new, MAX_VALUE)
            else:
                after = f"“{new}” (not sent)" if new else "not sent, so GitBook keeps it or deletes it"
            yield Fact(name_argument(name), f"{before}{after}")
    if unchanged:
        yield Fact("Unchanged", ", ".join(unchanged))


def _name_images(arguments: Mapping[str, Any]) -> str:
    """Return which images are sent. GitBook returns their addresses only, so they cannot be compared."""
    images = ["icon"] if "icon" in arguments else []
    if previews := arguments.get("previewImages"):
        images.append(format_count(len(previews), "preview image"))
    return f"{' and '.join(images)} (not shown)" if images else "none sent"


def _describe_scope_changes(arguments: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Fact]:
    new, old = arguments.get("scopes") or [], read_scopes(live) or []
    added, dropped = [one for one in new if one not in old], [one for one in old if one not in new]
    kept = [one for one in new if one in old]
    if added or not kept:
        label = "It may now also" if live and added else "It may"
        yield Fact(label, name_scopes(added) or "nothing (it has no scopes)")
    if kept:
        yield Fact("It may still", name_scopes(kept))
    if dropped:
        yield Fact("It may no longer", name_scopes(dropped))


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
        f"{show_path(path)} {show_change(path, old.get(path), new.get(path)) if old else show_new(path, new[path])}"
        for path in {**old, **new}
        if old.get(path) != new.get(path)
    ]
    return f" ({join_items(values)})" if values else ""


def _list_parts(items: Any) -> dict[str, Part]:
    """Return blocks or content sources by ID."""
    objects = items if isinstance(items, list) else []
    return {str(one["id"]): _list_values(one) for one in objects if isinstance(one, Mapping) and "id" in one}


def _list_settings(configurations: Any) -> dict[str, Part]:
    """Return the settings by level and name, and by the level alone what else it has."""
    found: dict[str, Part] = {}
    for level, schema in configurations.items() if isinstance(configurations, Mapping) else ():
        if not isinstance(schema, Mapping):
            continue
        properties, required = schema.get("properties"), schema.get("required")
        for name, one in properties.items() if isinstance(properties, Mapping) else ():
            needed = {"required": True} if isinstance(required, list) and name in required else {}
            found[f"{level} {name}"] = _list_values({**(one if isinstance(one, Mapping) else {}), **needed})
        if others := {name: one for name, one in schema.items() if name not in {"properties", "required"}}:
            found[level] = _list_values(others)
    return found


def _list_values(part: Mapping[str, Any]) -> Part:
    return {path: leaf for path, leaf in list_leaves(part, MaskingScope.SCHEMA) if path not in {"", "id"}}


def _render_text(value: Any) -> str:
    return "" if value is None else str(value)


def _render_list(value: Any) -> str:
    return ", ".join(sorted(map(str, value))) if isinstance(value, list) else ""


def _render_links(value: Any) -> str:
    links = [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
    return ", ".join(f"{one.get('label')} {one.get('url')}{_render_others(one)}" for one in links)


def _render_others(link: Mapping[str, Any]) -> str:
    others = {name: one for name, one in link.items() if name not in {"label", "url"}}
    return f" {json.dumps(others, ensure_ascii=False)}" if others else ""


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
