"""Summaries of list items: only the fields that the model's `summary` names."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from gitbook_integrations_api.objects import GitBookObject

Outline = Mapping[str, "Outline | None"]
"""Fields to show by name: None shows the whole field, a nested outline only the fields that it names."""


def summarize(model: type[BaseModel], item: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of `item`, or `item` itself if it has no field of the summary."""
    picked: dict[str, Any] = _pick(item, outline(model))
    return picked or item


def shorten(model: type[BaseModel], content: dict[str, Any]) -> dict[str, Any]:
    """Return an object with the summaries of the `brief` objects in its fields."""
    brief = {name: nested for name in model.model_fields if (nested := _find_nested(model, name)) and nested.brief}
    shown = {name: summarize(nested, content[name]) for name, nested in brief.items() if _is_object(content, name)}
    return {**content, **shown}


def _is_object(content: Mapping[str, Any], name: str) -> bool:
    return isinstance(content.get(name), dict)


@cache
def outline(model: type[BaseModel]) -> Outline:
    """Return the outline of the summary of `model`, including its nested objects."""
    fields: dict[str, Any] = {}
    for path in model.summary if issubclass(model, GitBookObject) else ():
        *parents, name = path.split(".")
        place = fields
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = None if parents else _outline_field(model, name)
    return fields


def _outline_field(model: type[BaseModel], name: str) -> Outline | None:
    nested = _find_nested(model, name)
    return outline(nested) or None if nested else None


def _find_nested(model: type[BaseModel], name: str) -> type[GitBookObject] | None:
    """Return the model of an object in a field."""
    kinds = get_args(model.model_fields[name].annotation)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, GitBookObject)), None)


def _pick(value: Any, fields: Outline | None) -> Any:
    if fields is None:
        return value
    if isinstance(value, dict):
        return {name: _pick(value[name], fields[name]) for name in fields if name in value}
    return [_pick(item, fields) for item in value] if isinstance(value, list) else value
