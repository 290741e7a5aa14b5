"""The facts of GitBook's OpenAPI that tests compare with: `python .ci/openapi.py [VERSION]` renews them from npm.

It writes `tests/data/openapi.json`, the operations of the tools and of the integrations family without any prose, and
prints what changed. Without a version it takes the newest one.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS

Node = dict[str, Any]

FACTS = Path(__file__).parent.parent / "tests" / "data" / "openapi.json"
PACKAGE = "@gitbook/api"
METHODS = ("get", "put", "post", "delete", "patch")
FAMILY_TAGS = {"integrations", "space-integrations"}

EXTRA_COMPONENTS = ("#/components/parameters/integrationSearchQuery", "#/components/schemas/Error")
"""Components that tests use although no kept operation refers to them."""

OPERATION_KEYS = ("operationId", "tags", "security", "parameters", "requestBody", "responses")
PARAMETER_KEYS = ("name", "in", "required", "schema")
SCHEMA_KEYS = (
    {"type", "format", "enum", "const", "default", "pattern", "required", "minimum", "maximum"}
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems"}
    | {"uniqueItems", "minProperties", "maxProperties", "nullable"}
)
"""Keywords whose value is a fact as it stands."""
SCHEMA_LISTS = {"allOf", "anyOf", "oneOf", "prefixItems"}
SCHEMA_MAPS = {"properties", "patternProperties"}
SCHEMAS_BELOW = {"items", "additionalProperties", "not", "propertyNames"}
PROSE = {"title", "description", "summary", "example", "examples", "deprecated", "externalDocs", "discriminator"}


def belongs_to_family(path: str, operation: Node) -> bool:
    """Return whether an operation is about integrations: then it is a tool, or has a reason not to be one."""
    return not FAMILY_TAGS.isdisjoint(operation.get("tags", ())) or "ntegration" in path + operation["operationId"]


def extract_facts(document: Node) -> Node:
    """Return the part of an OpenAPI document that tests need, as a smaller OpenAPI document."""
    wanted = {endpoint.operation for endpoint in ENDPOINTS.values()}
    paths: Node = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            operation = item[method]
            if operation["operationId"] in wanted:
                shared = item.get("parameters", [])
                own = {**operation, "parameters": [*shared, *operation.get("parameters", ())]}
                paths.setdefault(path, {})[method] = _reduce_operation(own)
            elif belongs_to_family(path, operation):
                paths.setdefault(path, {})[method] = {
                    key: operation[key] for key in ("operationId", "tags") if key in operation
                }
    facts = {
        "openapi": document["openapi"],
        "info": {"version": document["info"]["version"]},
        "security": document["security"],
        "paths": dict(sorted(paths.items())),
    }
    return {**facts, "components": _collect_components(facts, document)}


def _reduce_operation(operation: Node) -> Node:
    kept = {key: operation[key] for key in OPERATION_KEYS if key in operation}
    kept["parameters"] = [_reduce_parameter(one) for one in operation["parameters"]]
    if "requestBody" in operation:
        kept["requestBody"] = _reduce_content(operation["requestBody"])
    kept["responses"] = {status: _reduce_content(one) for status, one in operation["responses"].items()}
    return kept


def _reduce_parameter(parameter: Node) -> Node:
    if "$ref" in parameter:
        return parameter
    kept = {key: parameter[key] for key in PARAMETER_KEYS if key in parameter}
    return {**kept, "schema": reduce_schema(parameter["schema"])}


def _reduce_content(part: Node) -> Node:
    """Return a request body or a response with nothing but the schemas of its content."""
    if "$ref" in part or "content" not in part:
        return {key: part[key] for key in ("$ref",) if key in part}
    content = {kind: {"schema": reduce_schema(one["schema"])} for kind, one in part["content"].items()}
    return {"content": content}


def reduce_schema(schema: Any) -> Any:
    """Return a schema without prose.

    Raises:
        ValueError: a keyword is unknown, so it is unclear whether tests need it.
    """
    if not isinstance(schema, dict):
        return schema
    kept: Node = {}
    for key, value in schema.items():
        if key in SCHEMA_KEYS or key == "$ref":
            kept[key] = value
        elif key in SCHEMAS_BELOW:
            kept[key] = reduce_schema(value)
        elif key in SCHEMA_LISTS:
            kept[key] = [reduce_schema(one) for one in value]
        elif key in SCHEMA_MAPS:
            kept[key] = {name: reduce_schema(one) for name, one in value.items()}
        elif key not in PROSE and not key.startswith("x-"):
            raise ValueError(f"unknown keyword {key} in {json.dumps(schema)[:200]}")
    return kept


def _collect_components(facts: Node, document: Node) -> Node:
    """Return all components that `facts` refer to, directly or through other components."""
    reducers = {"parameters": _reduce_parameter, "responses": _reduce_content, "schemas": reduce_schema}
    components: Node = {kind: {} for kind in reducers}
    waiting = [*find_references(facts), *EXTRA_COMPONENTS]
    while waiting:
        kind, name = waiting.pop().removeprefix("#/components/").split("/")
        if name not in components[kind]:
            components[kind][name] = reducers[kind](document["components"][kind][name])
            waiting += find_references(components[kind][name])
    return {kind: dict(sorted(found.items())) for kind, found in components.items()}


def find_references(node: Any) -> Iterator[str]:
    """Yield every `$ref` in `node`."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from find_references(value)
    elif isinstance(node, list):
        for value in node:
            yield from find_references(value)


def name_facts(facts: Node) -> dict[str, Any]:
    """Return the facts by a name: each operation, and each component."""
    named: dict[str, Any] = {"global security": facts.get("security")}
    for path, item in facts.get("paths", {}).items():
        for method, operation in item.items():
            named[f"operation {operation['operationId']}"] = {"method": method, "path": path, **operation}
    for kind, components in facts.get("components", {}).items():
        for name, component in components.items():
            named[f"{kind.removesuffix('s')} {name}"] = component
    return named


def describe_changes(old: Node, new: Node) -> list[str]:
    """Return a line for every operation and component that was added, removed or changed.

    A changed operation or component is followed by its changed fields.
    """
    before, after = name_facts(old), name_facts(new)
    lines = [f"added: {name}" for name in after.keys() - before.keys()]
    lines += [f"removed: {name}" for name in before.keys() - after.keys()]
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            fields = "; ".join(_compare(before[name], after[name]))
            lines.append(f"changed: {name}: {fields}")
    return sorted(lines)


def _compare(old: Any, new: Any, place: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _compare(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _compare(before, after, f"{place}[{index}]")
    elif old != new:
        yield f"{place} {json.dumps(old)} → {json.dumps(new)}"


def render(facts: Node) -> str:
    """Return the facts as text: one line for each operation and component, so that differences can be read."""
    lines = ["{", *(f"{json.dumps(key)}: {_write(facts[key])}," for key in ("openapi", "info", "security"))]
    lines += ['"paths": {', _render_lines(facts["paths"]), "},", '"components": {']
    kinds = [f"{json.dumps(kind)}: {{\n{_render_lines(found)}\n}}" for kind, found in facts["components"].items()]
    return "\n".join([*lines, ",\n".join(kinds), "}", "}"]) + "\n"


def _render_lines(members: Node) -> str:
    return ",\n".join(f"{json.dumps(name)}: {_write(value)}" for name, value in members.items())


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def download(version: str) -> Node:
    """Return GitBook's OpenAPI from the npm package that carries it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, f"{PACKAGE}@{version}"]
        packed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as package:
            package.extractall(folder, filter="data")
        root = Path(folder) / "package"
        manifest = json.loads((root / "package.json").read_bytes())
        document: Node = json.loads((root / "spec" / "openapi.json").read_bytes())
    document["info"]["version"] = f"{PACKAGE}@{manifest['version']}"
    return document


def main(version: str = "latest") -> None:
    """Renew the facts and print what changed."""
    old = json.loads(FACTS.read_text(encoding="utf-8")) if FACTS.exists() else {}
    new = extract_facts(download(version))
    FACTS.parent.mkdir(exist_ok=True)
    FACTS.write_text(render(new), encoding="utf-8")
    print(f"{old.get('info', {}).get('version', 'nothing')} → {new['info']['version']}")
    print("\n".join(describe_changes(old, new)) or "no change")


if __name__ == "__main__":
    main(*sys.argv[1:])
