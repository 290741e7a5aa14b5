"""The table of endpoints matches GitBook's official OpenAPI: operations, arguments, limits and tokens.

Both sides are brought into one comparable form. `expand` turns a schema into its plain alternatives, `flatten` lists
what it says about every field by the field's path; what remains is comparing dictionaries.
"""

import json
from collections.abc import Iterator
from functools import reduce
from itertools import product
from typing import Any, NamedTuple

import pytest

from gitbook_integrations_api.catalog import ENDPOINTS, NOT_EXPOSED
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.options import Options
from gitbook_integrations_api.schema import describe_model
from gitbook_integrations_api.summary import Outline, outline
from openapi import belongs_to_family
from tests.support.samples import spell_out

Schema = dict[str, Any]

INTERNAL_TOKENS = {"user-internal", "user-staff"}
"""Kinds of token that only GitBook itself has."""

ONLY_ON_THE_PAGE = {
    "list_organization_integrations_status": {
        "integrationSearchQuery": "the documentation page has `search` here, where the OpenAPI has target, site, space",
    },
}
"""By tool: parameters, as the OpenAPI defines them for other operations, that only the documentation page has here."""

FREE_FORM = {
    "render_integration_ui_with_post": {
        "props": "a recursive schema that says no more than an object of JSON values",
        "context": "five kinds that grow with GitBook's editor; the description tells them in a line",
        "action": "an integration's own actions are free-form, which makes the union any object with `action`",
    },
    "publish_integration": {
        "contentSecurityPolicy": "the 31 directives are a web standard's; they are still checked to be text",
    },
}
"""By tool: objects that GitBook documents field by field and the tool publishes as such, shorter and never stricter."""

DERIVED = {
    "publish_integration": {
        "runtime": "v1, the default, cannot run what GitBook's command line builds; the server sends what fits",
    },
}
"""By tool: arguments that the server derives from others, and so sends where GitBook documents a default."""

ANNOTATIONS = {"title", "description", "example", "examples", "deprecated", "discriminator", "externalDocs"}
"""Keywords that constrain nothing."""

WITHOUT_EFFECT = [("minLength", 0), ("additionalProperties", True), ("uniqueItems", False), ("default", False)]
"""Keywords with the value that everybody assumes where they are left out, as the tools do to be shorter."""


# Schemas in a comparable form


def resolve(node: Schema, document: Schema) -> Schema:
    """Return what the `$ref` of `node` points to, or `node` where it has none."""
    if "$ref" not in node:
        return node
    target = document
    for key in node["$ref"].removeprefix("#/").split("/"):
        target = target[key]
    return target


def expand(schema: Schema, document: Schema) -> list[Schema]:
    """Return the alternatives of `schema`, one level deep.

    References are resolved, `allOf` merged, `oneOf` and `anyOf` multiplied out; `const` is an enum of one, an object or
    a string needs no `type` to be one.
    """
    own = {
        key: value
        for key, value in schema.items()
        if key not in ANNOTATIONS | {"$ref", "allOf", "oneOf", "anyOf"} and (key, value) not in WITHOUT_EFFECT
    }
    if "const" in own:
        own["enum"] = [own.pop("const")]
    if "enum" in own:
        own["enum"] = sorted(own["enum"], key=canonical)
        if all(isinstance(value, str) for value in own["enum"]):
            own.setdefault("type", "string")
    if "properties" in own or "additionalProperties" in own:
        own.setdefault("type", "object")
    together = [expand(part, document) for part in schema.get("allOf", ())]
    if "$ref" in schema:
        together.append(expand(resolve(schema, document), document))
    unions = [schema[keyword] for keyword in ("oneOf", "anyOf") if keyword in schema]
    together += [[arm for option in union for arm in expand(option, document)] for union in unions]
    return [reduce(merge, parts) for parts in product([own], *together)]


def merge(left: Schema, right: Schema) -> Schema:
    """Return the schema of what satisfies both."""
    merged = {**left, **right}
    for key in left.keys() & right.keys():
        if key == "required":
            merged[key] = [*left[key], *right[key]]
        elif key == "properties":
            both = left[key].keys() & right[key].keys()
            shared = {name: {"allOf": [left[key][name], right[key][name]]} for name in both}
            merged[key] = {**left[key], **right[key], **shared}
        elif left[key] != right[key]:
            raise ValueError(f"{key} is {left[key]} and {right[key]} at once")
    return merged


def parts_of(arm: Schema) -> dict[str, Schema]:
    """Return the schemas below an alternative by path: `.name`, `[]` for the items, `{}` for other properties."""
    parts = {f".{name}": child for name, child in arm.get("properties", {}).items()}
    for name in arm.get("required", ()):
        parts[f".{name}"] = {"allOf": [parts.get(f".{name}", {})], "isRequired": True}
    for path, keyword in {"[]": "items", "{}": "additionalProperties"}.items():
        if isinstance(arm.get(keyword), dict):
            parts[path] = arm[keyword]
    return parts


def flatten(schema: Schema, document: Schema) -> dict[str, Schema]:
    """Return what `schema` says about itself and about each field below it, by path; `|n` tells alternatives apart."""
    arms = sorted((flatten_arm(arm, document) for arm in expand(schema, document)), key=canonical)
    if len(arms) == 1:
        return arms[0]
    return {f"|{n}{path}": facts for n, arm in enumerate(arms) for path, facts in arm.items()}


def flatten_arm(arm: Schema, document: Schema) -> dict[str, Schema]:
    """Do the same for one alternative."""
    own = {
        key: value
        for key, value in arm.items()
        if key not in {"properties", "required", "items"} and not (key == "additionalProperties" and value)
    }
    below = {
        path + rest: facts for path, part in parts_of(arm).items() for rest, facts in flatten(part, document).items()
    }
    return {"": own, **below}


def canonical(value: Any) -> str:
    """Return `value` as text that is the same in whatever order its keys came."""
    return json.dumps(value, sort_keys=True)


def compare(tool: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return one line for each field that the two sides do not say the same about."""
    return [
        f"{tool}{field}: ours {ours.get(field, 'has none')}, theirs {theirs.get(field, 'has none')}"
        for field in sorted(ours.keys() | theirs.keys())
        if ours.get(field) != theirs.get(field)
    ]


# Reading the OpenAPI


class Operation(NamedTuple):
    """An operation of the OpenAPI, with what its path item shares."""

    method: str
    path: str
    spec: Schema

    @property
    def belongs_to_family(self) -> bool:
        return belongs_to_family(self.path, self.spec)

    @property
    def name(self) -> str:
        return str(self.spec["operationId"])

    @property
    def success(self) -> dict[int, Schema]:
        return {int(code): response for code, response in self.spec["responses"].items() if code.startswith("2")}


def operations_of(openapi: Schema) -> Iterator[Operation]:
    for path, item in openapi["paths"].items():
        for method in item.keys() & {"get", "put", "post", "delete", "patch"}:
            parameters = [*item.get("parameters", ()), *item[method].get("parameters", ())]
            yield Operation(method.upper(), path, {**item[method], "parameters": parameters})


def parameters_of(endpoint: Endpoint, operation: Operation, openapi: Schema) -> list[Schema]:
    parameters = [resolve(parameter, openapi) for parameter in operation.spec["parameters"]]
    for component in ONLY_ON_THE_PAGE.get(endpoint.name, ()):
        extra = openapi["components"]["parameters"][component]
        assert extra["name"] not in {parameter["name"] for parameter in parameters}, (
            f"{endpoint.name}.{extra['name']}: the OpenAPI has it by now, strike it from ONLY_ON_THE_PAGE"
        )
        parameters.append(extra)
    return parameters


def body_of(operation: Operation, openapi: Schema) -> Schema:
    if "requestBody" not in operation.spec:
        return {}
    content = resolve(operation.spec["requestBody"], openapi)["content"]
    assert list(content) == ["application/json"], f"{operation.name} takes {list(content)}"
    schema: Schema = content["application/json"]["schema"]
    return schema


def arguments_of(endpoint: Endpoint, operation: Operation, openapi: Schema) -> Schema:
    """Return the schema of parameters and body together, flat, as a tool takes them."""
    parameters = parameters_of(endpoint, operation, openapi)
    (arguments,) = expand(
        {
            "type": "object",
            "properties": {parameter["name"]: parameter["schema"] for parameter in parameters},
            "required": [parameter["name"] for parameter in parameters if parameter.get("required")],
            "allOf": [body_of(operation, openapi)],
        },
        openapi,
    )
    properties = dict(arguments.get("properties", {}))
    for name in FREE_FORM.get(endpoint.name, ()):
        arms = expand(properties[name], openapi)
        objects = [arm for arm in arms if arm.get("type") == "object"]
        assert any(arm.keys() - {"type"} for arm in objects), f"{endpoint.name}.{name}: theirs is free-form too"
        properties[name] = {"anyOf": [*(arm for arm in arms if arm not in objects), {"type": "object"}]}
    for name in DERIVED.get(endpoint.name, ()):
        properties[name] = {key: value for key, value in properties[name].items() if key != "default"}
    return {**arguments, "properties": properties}


def answer_of(operation: Operation, openapi: Schema) -> tuple[str, Schema]:
    """Return the shape of the answer and the schema of the object in it."""
    answers = [resolve(response, openapi) for response in operation.success.values()]
    schemas = [answer["content"]["application/json"]["schema"] for answer in answers if "content" in answer]
    if not schemas:
        return "nothing", {}
    arms = expand({"anyOf": schemas}, openapi)
    if all(arm.get("type") == "array" for arm in arms):
        return "array", {"anyOf": [arm["items"] for arm in arms]}
    if all(arm.get("properties", {}).keys() >= {"items", "next"} for arm in arms):
        pages = [items for arm in arms for items in expand(arm["properties"]["items"], openapi)]
        return "page", {"anyOf": [items["items"] for items in pages]}
    return "object", {"anyOf": arms}


def find_misfits(ours: Schema, theirs: Schema, openapi: Schema, field: str) -> Iterator[str]:
    """Yield what a result model names that the answer does not have, or that would refuse a documented value."""
    arms, their_arms = expand(ours, {}), expand(theirs, openapi)
    for their_arm in their_arms:
        if not any(accepts(arm, their_arm) for arm in arms):
            yield f"{field}: ours {arms}, theirs {their_arm}"
    for arm in arms:
        for path, part in parts_of(arm).items():
            matches = [parts_of(their_arm)[path] for their_arm in their_arms if path in parts_of(their_arm)]
            if matches:
                yield from find_misfits(part, {"anyOf": matches}, openapi, field + path)
            elif path != "{}":
                yield f"{field}{path}: ours {part}, theirs has none"


def accepts(ours: Schema, theirs: Schema) -> bool:
    """Whether values of `theirs` pass `ours`, as far as type and enum tell."""
    types = (ours.get("type"), theirs.get("type"))
    return ("type" not in ours or types[0] == types[1] or types == ("number", "integer")) and (
        "enum" not in ours or ("enum" in theirs and set(theirs["enum"]) <= set(ours["enum"]))
    )


@pytest.fixture
def operations(openapi: Schema) -> dict[str, Operation]:
    return {operation.name: operation for operation in operations_of(openapi)}


# The family


def test_every_operation_of_the_family_is_a_tool_or_has_a_reason_not_to_be(operations: dict[str, Operation]) -> None:
    family = {name for name, operation in operations.items() if operation.belongs_to_family}
    exposed = {endpoint.operation for endpoint in ENDPOINTS.values()}
    assert not family - exposed - NOT_EXPOSED.keys(), (
        "operations of GitBook's that are neither tools nor in NOT_EXPOSED"
    )


def test_what_is_not_exposed_exists_is_no_tool_and_has_a_reason(operations: dict[str, Operation]) -> None:
    exposed = {endpoint.operation for endpoint in ENDPOINTS.values()}
    family = {name for name, operation in operations.items() if operation.belongs_to_family}
    assert not NOT_EXPOSED.keys() - family, "NOT_EXPOSED names operations that the family does not have"
    assert not NOT_EXPOSED.keys() & exposed, "NOT_EXPOSED names operations that are tools"
    assert all(reason.strip() for reason in NOT_EXPOSED.values())


def test_exceptions_are_about_tools_that_exist() -> None:
    assert {*ONLY_ON_THE_PAGE, *FREE_FORM} <= ENDPOINTS.keys()


# Each endpoint

each_tool = pytest.mark.parametrize("tool", ENDPOINTS)


@each_tool
def test_method_and_path_are_the_documented_ones(tool: str, operations: dict[str, Operation]) -> None:
    endpoint = ENDPOINTS[tool]
    assert endpoint.operation in operations, f"{tool}: the OpenAPI has no operation {endpoint.operation}"
    theirs = operations[endpoint.operation]
    ours = (endpoint.method, endpoint.path)
    assert ours == theirs[:2], f"{tool}: ours {ours}, theirs {theirs[:2]}"


@each_tool
def test_arguments_travel_where_documented(tool: str, operations: dict[str, Operation], openapi: Schema) -> None:
    endpoint = ENDPOINTS[tool]
    operation = operations[endpoint.operation]
    ours = {
        *((name, "path") for name in endpoint.path_names),
        *((name, "query") for name in endpoint.query_names),
        *((name, "body") for name in endpoint.body_names),
    }
    theirs = {(parameter["name"], parameter["in"]) for parameter in parameters_of(endpoint, operation, openapi)}
    theirs |= {
        (name, "body") for arm in expand(body_of(operation, openapi), openapi) for name in arm.get("properties", ())
    }
    assert ours == theirs, f"{tool}: ours {sorted(ours - theirs)}, theirs {sorted(theirs - ours)}"


@each_tool
def test_arguments_have_the_documented_limits(tool: str, operations: dict[str, Operation], openapi: Schema) -> None:
    endpoint = ENDPOINTS[tool]
    published = spell_out(describe_model(endpoint.input))
    # The one thing stricter than documented, as a misspelt argument must not be lost silently.
    assert published.pop("additionalProperties") is False
    ours = flatten(published, {})
    theirs = flatten(arguments_of(endpoint, operations[endpoint.operation], openapi), openapi)
    found = compare(tool, ours, theirs)
    assert not found, "\n".join(found)


@each_tool
def test_success_codes_are_the_documented_ones(tool: str, operations: dict[str, Operation]) -> None:
    endpoint = ENDPOINTS[tool]
    ours, theirs = set(endpoint.success), operations[endpoint.operation].success.keys()
    assert ours == theirs, f"{tool}: ours {sorted(ours)}, theirs {sorted(theirs)}"


@each_tool
def test_tokens_are_the_documented_ones(tool: str, operations: dict[str, Operation], openapi: Schema) -> None:
    endpoint = ENDPOINTS[tool]
    alternatives = {**openapi, **operations[endpoint.operation].spec}["security"]
    ours = {str(token) for token in endpoint.credentials}
    theirs = {kind for alternative in alternatives for kind in alternative} - INTERNAL_TOKENS
    assert ours == theirs, f"{tool}: ours {sorted(ours)}, theirs {sorted(theirs)}"
    scopes = [alternative["oauth"] for alternative in alternatives if "oauth" in alternative]
    assert [list(endpoint.scopes)] * bool(endpoint.scopes) == scopes, f"{tool}: ours {endpoint.scopes}"


@each_tool
def test_results_have_the_documented_shape_and_fields(
    tool: str, operations: dict[str, Operation], openapi: Schema
) -> None:
    endpoint = ENDPOINTS[tool]
    shape, theirs = answer_of(operations[endpoint.operation], openapi)
    assert endpoint.result.shape == shape, f"{tool}: ours {endpoint.result.shape}, theirs {shape}"
    if shape != "nothing":
        found = list(find_misfits(describe_model(endpoint.result.model), theirs, openapi, tool))
        assert not found, "\n".join(found)


@each_tool
def test_no_parameter_has_the_name_of_an_option_of_this_server(
    tool: str, operations: dict[str, Operation], openapi: Schema
) -> None:
    endpoint = ENDPOINTS[tool]
    theirs = arguments_of(endpoint, operations[endpoint.operation], openapi).get("properties", {})
    assert not set(Options.model_fields) & set(theirs)


@each_tool
def test_a_summary_shows_fields_that_the_answer_has(
    tool: str, operations: dict[str, Operation], openapi: Schema
) -> None:
    endpoint = ENDPOINTS[tool]
    if endpoint.is_list:
        theirs = answer_of(operations[endpoint.operation], openapi)[1]
        assert not list(find_strangers(outline(endpoint.result.model), theirs, openapi, tool))


def find_strangers(fields: Outline, theirs: Schema, openapi: Schema, place: str) -> Iterator[str]:
    """Yield the fields of a summary that no alternative of the answer has; lists are looked through."""
    arms = expand(theirs, openapi)
    while items := [parts_of(arm)["[]"] for arm in arms if "[]" in parts_of(arm)]:
        arms = [arm for one in items for arm in expand(one, openapi)]
    for name, inner in fields.items():
        found = [parts_of(arm)[f".{name}"] for arm in arms if f".{name}" in parts_of(arm)]
        if not found:
            yield f"{place}.{name}"
        elif inner is not None and any(
            {"properties", "items"} & arm.keys() for one in found for arm in expand(one, openapi)
        ):
            yield from find_strangers(inner, {"anyOf": found}, openapi, f"{place}.{name}")


# The comparison itself

DOCUMENT = {
    "Name": {"type": "string", "maxLength": 9, "description": "A name"},
    "Base": {"properties": {"name": {"$ref": "#/Name"}}, "required": ["name"]},
}
THEIRS = {
    "allOf": [
        {"$ref": "#/Base"},
        {
            "oneOf": [
                {"type": "object", "properties": {"kind": {"type": "string", "enum": ["a"]}}, "required": ["kind"]},
                {"type": "object", "properties": {"tags": {"type": "array", "items": {"minLength": 0}}}},
            ]
        },
    ]
}
OURS = {
    "type": "object",
    "properties": {"name": {"maxLength": 9, "type": "string"}},
    "required": ["name"],
    "anyOf": [
        {"properties": {"tags": {"items": {}, "type": "array"}}},
        {"properties": {"kind": {"const": "a"}}, "required": ["kind"]},
    ],
}


def test_schemas_that_say_the_same_in_other_words_are_equal() -> None:
    assert flatten(OURS, {}) == flatten(THEIRS, DOCUMENT)
    assert flatten(OURS, {}) == {
        "|0": {"type": "object"},
        "|0.kind": {"type": "string", "enum": ["a"], "isRequired": True},
        "|0.name": {"type": "string", "maxLength": 9, "isRequired": True},
        "|1": {"type": "object"},
        "|1.name": {"type": "string", "maxLength": 9, "isRequired": True},
        "|1.tags": {"type": "array"},
        "|1.tags[]": {},
    }


@pytest.mark.parametrize(
    "constraint",
    [
        {"type": "number"},
        {"enum": ["x"]},
        {"minimum": 0},
        {"maximum": 1},
        {"pattern": "x"},
        {"minLength": 1},
        {"maxLength": 1},
        {"minItems": 0},
        {"maxItems": 1},
        {"uniqueItems": True},
        {"format": "uri"},
        {"default": None},
        {"default": True},
        {"properties": {"x": {}}},
        {"required": ["x"]},
        {"items": {"type": "string"}},
        {"additionalProperties": False},
        {"additionalProperties": {"type": "string"}},
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
    ],
    ids=canonical,
)
def test_a_constraint_on_one_side_only_is_reported_with_tool_and_field(constraint: Schema) -> None:
    constrained = {"properties": {"outer": {"items": constraint}}}
    free = {"properties": {"outer": {"items": {"description": "anything"}}}}
    found = compare("tool", flatten(constrained, {}), flatten(free, {}))
    assert found
    assert all(line.startswith("tool.outer[]") for line in found)


def test_a_result_field_that_is_missing_or_of_another_type_is_reported() -> None:
    theirs = {"properties": {"status": {"enum": ["on", "off"]}, "owner": {"$ref": "#/Base"}}}
    ours = {
        "properties": {
            "status": {"enum": ["on"]},
            "owner": {"properties": {"name": {"type": "number"}, "gone": {"type": "string"}}},
        }
    }
    assert [line.partition(":")[0] for line in find_misfits(ours, theirs, DOCUMENT, "tool")] == [
        "tool.status",
        "tool.owner.name",
        "tool.owner.gone",
    ]
