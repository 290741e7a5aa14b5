"""Valid arguments for any tool, made from its published schema."""

import base64
from typing import Any

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Composite, Endpoint, Tool
from gitbook_integrations_api.schema import describe_model

OFFERED = {name: tool for name, tool in TOOLS.items() if not (isinstance(tool, Composite) and tool.reads_folder)}
"""The tools that a server offers by default: those for folders need `publishing.roots`."""

SCRIPT = "export default {};"
"""A script that GitBook can run."""

# What a schema cannot say is checked by the server.
_BY_NAME = {
    "tunnelUrl": "https://tunnel.example/hook",
    "url": "https://docs.example/start",
    "script": SCRIPT,
    "baseline": "7d",
    "required": ["anything"],
}


def make_arguments(tool: Tool, *, optional: bool = True) -> dict[str, Any]:
    """Return arguments that fit `tool`: all of them, or only the required ones, and one change for an update."""
    arguments = _make_object(spell_out(describe_model(tool.input)), optional=optional)
    if isinstance(tool, Endpoint) and tool.method == "PATCH" and not tool.body_names.intersection(arguments):
        arguments["externalIds"] = ["x"]
    return arguments


def make_png(size: int = 8) -> str:
    """Return something that begins like a PNG, of `size` bytes, in Base64."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n".ljust(size, b"\0")).decode()


def spell_out(schema: Any) -> Any:
    """Return a schema in which a property that is "Same as" another one has the schema of that other one."""
    if isinstance(schema, list):
        return [spell_out(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    beside = schema.get("properties", {})
    meant = {
        name: beside.get(child.get("description", "").removeprefix("Same as "), child)
        if isinstance(child, dict)
        else child
        for name, child in beside.items()
    }
    return {key: spell_out(meant if key == "properties" else value) for key, value in schema.items()}


def make_value(name: str, schema: dict[str, Any]) -> Any:
    """Return a value that fits `schema`."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            arm = make_value(name, schema[union][0])
            common = _make_object(schema) if "properties" in schema else {}
            return {**common, **arm} if isinstance(arm, dict) else arm
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][-1]
    match schema.get("type"):
        case "string" if schema.get("format") == "byte":
            return make_png()
        case "string":
            return f"{name}-1"[: schema.get("maxLength", 100)]
        case "number" | "integer":
            return max(schema.get("minimum", 0), 7)
        case "boolean":
            return True
        case "array":
            return [make_value(name, schema["items"])]
        case _:
            return _make_object(schema)


def _make_object(schema: dict[str, Any], *, optional: bool = True) -> dict[str, Any]:
    required = schema.get("required", [])
    made = {
        name: make_value(name, child)
        for name, child in schema.get("properties", {}).items()
        if optional or name in required
    }
    if isinstance(schema.get("additionalProperties"), dict):
        made["anything"] = make_value("anything", schema["additionalProperties"])
    return made
