"""Base of the pydantic models, and the JSON Schemas that are generated from them."""

import functools
import json
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

ABSENT: Any = None
"""Default of an optional argument: never validated and never sent. A call with null leaves it out."""


class DocumentedModel(BaseModel):
    """Validates strictly. Errors never contain the rejected value."""

    model_config = ConfigDict(
        strict=True, frozen=True, defer_build=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class InWords:
    """Marks an object that clients get without its fields, which its description names in fewer tokens."""


class _CompactSchema(GenerateJsonSchema):
    """JSON Schema without titles and without null or false as defaults, which cost tokens and add no meaning."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is ABSENT or schema["default"] is False:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        published = super().tagged_union_schema(schema)
        published.pop("discriminator", None)  # a keyword of OpenAPI that JSON Schema does not have
        return published


_LENGTHY = 500
"""A schema longer than this, in characters, is published once when several properties have it."""


def describe_model(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of `model`: self-contained (no `$ref`, as several clients resolve none) and compact.

    Each result is a new object, which the caller may change.
    """
    schema: dict[str, Any] = json.loads(_render_schema(model))
    return schema


@functools.cache  # generating a schema takes milliseconds, reading it from JSON microseconds
def _render_schema(model: type[BaseModel]) -> str:
    schema = model.model_json_schema(schema_generator=_CompactSchema)
    schema.pop("description", None)  # the class's docstring
    return json.dumps(_compact_object(schema, schema.pop("$defs", {})))


def _compact_object(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        # The description of a definition is its class's docstring; the one beside a reference is the field's.
        definition = definitions[node["$ref"].rpartition("/")[2]]
        merged = {k: v for k, v in definition.items() if k != "description"} | {
            k: v for k, v in node.items() if k != "$ref"
        }
        return _compact_object(merged, definitions)
    compact: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            compact[key] = _refer_to_first({name: _compact_object(child, definitions) for name, child in value.items()})
        elif key == "const":
            compact["enum"] = [value]  # some clients know no const
        elif isinstance(value, dict) and key != "default":
            compact[key] = _compact_object(value, definitions)
        elif key in {"anyOf", "oneOf"}:
            compact[key] = [_compact_object(child, definitions) for child in value]
        elif not _is_redundant(key, value):
            compact[key] = value
    return _hoist_common(compact) if "oneOf" in compact else compact


def _refer_to_first(properties: dict[str, Any]) -> dict[str, Any]:
    """Replace a long schema that an earlier property has by a description, as several clients resolve no `$ref`."""
    return {
        name: {"description": f"Same as {first}"} if len(str(schema)) > _LENGTHY and first != name else schema
        for name, schema in properties.items()
        for first in [next(other for other, its in properties.items() if its == schema)]
    }


def _is_redundant(key: str, value: Any) -> bool:
    """Whether a keyword adds nothing: a generated title, or the meaning that JSON Schema has without it."""
    return key == "title" or (key == "additionalProperties" and value is True) or (key == "minLength" and value == 0)


def _hoist_common(node: dict[str, Any]) -> dict[str, Any]:
    """Move the properties that all arms of a union share to the union itself, as GitBook's specification does."""
    arms = node["oneOf"]
    first = arms[0].get("properties", {})
    common = {
        name: value for name, value in first.items() if all(a.get("properties", {}).get(name) == value for a in arms)
    }
    if not common:
        return node
    required = [name for name in arms[0].get("required", ()) if all(name in a.get("required", ()) for a in arms)]
    rest = [
        {
            "properties": {name: value for name, value in arm["properties"].items() if name not in common},
            **({"required": own} if (own := [n for n in arm.get("required", ()) if n not in required]) else {}),
        }
        for arm in arms
    ]
    return {"type": "object", "properties": common, "required": required, **node, "oneOf": rest}


_LIMITS = frozenset(
    {"pattern", "format", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "maxProperties", "minimum"}
)
"""Keywords that cost tokens and rarely help a model to choose a value. Descriptions name the limits that matter."""


def describe_arguments(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments as clients get it.

    It keeps what a language model uses: names, types, enums, maxima, defaults and descriptions. The server still checks
    every limit. Each result is a new object, which the caller may change.
    """
    schema: dict[str, Any] = json.loads(_render_arguments(model))
    return schema


@functools.cache  # as for `_render_schema`
def _render_arguments(model: type[BaseModel]) -> str:
    schema = _drop_limits(describe_model(model))
    for name, field in model.model_fields.items():
        if InWords in field.metadata:
            schema["properties"][name] = {"description": field.description, "type": "object"}
    return json.dumps(schema)


def _drop_limits(node: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            kept[key] = {name: _drop_limits(child) for name, child in value.items()}
        elif key in {"anyOf", "oneOf"}:
            kept[key] = [_drop_limits(arm) for arm in value]
        elif isinstance(value, dict) and key != "default":
            kept[key] = _drop_limits(value)
        elif key not in _LIMITS and not (key == "additionalProperties" and value is False):
            kept[key] = value
    return kept
