"""Validates the arguments of a call, and describes to the model what to fix."""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from gitbook_integrations_api.checks import INTERNAL_SCOPES, REPLACED_VALUES
from gitbook_integrations_api.endpoint import Composite, Endpoint, Request, Risk, SegmentError, Tool
from gitbook_integrations_api.options import Options, name_options
from gitbook_integrations_api.schema import describe_model
from gitbook_integrations_mcp.calls.checks import WRONG_FORM, Problem, find_problems
from gitbook_integrations_mcp.errors import ArgumentsError, ErrorCode
from gitbook_integrations_mcp.spelling import find_nearest, suggest

ORGANIZATION = "organizationId"
ORGANIZATION_NAMES = (ORGANIZATION, "organization")
"""Arguments that the default organization fills where they are required."""

NOTHING: Mapping[str, Any] = MappingProxyType({})

_OTHER_NAMES: Mapping[str, str] = {
    "organizationId": "organization",
    "organization": "organizationId",
    "spaceId": "space",
    "space": "spaceId",
    "siteId": "site",
    "site": "siteId",
}
"""GitBook names IDs in paths and in bodies differently; a model that mixes them up means the same."""

_STRUCTURED: Mapping[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
"""Types of JSON Schema that are no text, and their Python types."""

Model = TypeVar("Model", bound=BaseModel)


_ID_LISTS = frozenset({"integrations", "spaces", "sites"})
"""Arguments of composite tools that are lists of IDs. Errors would not show the space around an ID."""


def normalize_arguments(
    tool: Tool, arguments: Mapping[str, Any], option_names: Container[str], organization: str | None
) -> dict[str, Any]:
    """Return `arguments` as they are meant where there is only one reading, with the default `organization`.

    Clients send null or an empty text for what the model left out, and JSON in a string for what is no text. These are
    read here, once, so that everything after it sees the same arguments: checks, confirmation, request and record. So
    are whole numbers that stand for a text, and the IDs in a list without the space around them. Names of the other
    form (`organizationId` for `organization`) are taken, too. Everything else stays as it is, and is checked strictly.
    """
    fields, kinds = tool.input.model_fields, _find_kinds(tool.input)
    read: dict[str, Any] = {}
    for given, value in arguments.items():
        name = given
        if given not in fields and (other := _OTHER_NAMES.get(given)) in fields and arguments.get(other) is None:
            name = other
        is_option = name in option_names
        if value is None and (name in fields or is_option):
            continue
        if value == "" and (is_option or _may_be_left_out(tool, name, organization)):
            continue
        kind = (_find_kinds(Options) if is_option else kinds).get(name, "")
        if isinstance(value, str) and kind in _STRUCTURED:
            value = _read_structured(kind, value)
        if name in fields:
            value = _drop_nulls(fields[name].annotation, value)
        if name in _ID_LISTS and isinstance(tool, Composite) and isinstance(value, list):
            value = [one.strip() if isinstance(one, str) else one for one in value]
        if kind == "string" and type(value) is int:
            value = str(value)
        if kind == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)
        read[name] = value
    for name in ORGANIZATION_NAMES:
        if organization and name in fields and fields[name].is_required():
            read.setdefault(name, organization)
    return read


@cache
def _find_kinds(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the type in JSON Schema of each argument, or "" if it has several."""
    properties = describe_model(model)["properties"]
    return {name: schema.get("type") or _find_object(schema) for name, schema in properties.items()}


def _find_object(schema: Mapping[str, Any]) -> str:
    """Return "object" if a value can be an object or a text that is no JSON, like a baseline or a policy, else ""."""
    kinds = {one.get("type") for one in schema.get("anyOf", ())}
    return "object" if kinds == {"object", "string"} else ""


def _may_be_left_out(tool: Tool, name: str, organization: str | None) -> bool:
    """Whether an empty text stands for an argument that the model left out, because it can mean nothing else.

    In an optional argument of a call that changes something, it can be a value.
    """
    info = tool.input.model_fields.get(name)
    if info is None:
        return False
    if organization and name in ORGANIZATION_NAMES:
        return True
    is_query = isinstance(tool, Endpoint) and name in tool.query_names
    return not info.is_required() and (tool.risk is Risk.READ or is_query)


def _drop_nulls(kind: Any, value: Any) -> Any:
    """Return `value` without null for optional fields, in objects with fixed fields and in lists of them.

    In other objects, null is a value.
    """
    if isinstance(value, list) and get_origin(kind) is list:
        return [_drop_nulls(get_args(kind)[0], item) for item in value]
    if not isinstance(value, dict) or not isinstance(kind, type) or not issubclass(kind, BaseModel):
        return value
    fields = {info.alias or name: info for name, info in kind.model_fields.items()}
    return {
        name: _drop_nulls(fields[name].annotation, child) if name in fields else child
        for name, child in value.items()
        if child is not None or name not in fields or fields[name].is_required()
    }


def _read_structured(kind: str, text: str) -> Any:
    """Return the value of which `text` is the JSON, if it is one of that kind; otherwise `text`.

    A text that is no JSON is the only item of a list. JSON with a key twice has no single reading.
    """
    if kind == "boolean":
        text = {"True": "true", "False": "false"}.get(text.strip(), text)  # as Python writes them
    try:
        value = json.loads(text, object_pairs_hook=_build_object)
    except (ValueError, RecursionError):
        return [text] if kind == "array" and text and text.lstrip()[:1] not in {"[", "{", '"'} else text
    if kind == "integer" and isinstance(value, float):
        return value
    return value if type(value) in _STRUCTURED[kind] else text


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs.

    Raises:
        ValueError: a key is there twice.
    """
    built = dict(pairs)
    if len(built) < len(pairs):
        raise ValueError("a key twice")
    return built


def split_options(arguments: Mapping[str, Any], names: Container[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return GitBook's arguments and, separately, this server's own options: those with one of `names`."""
    option_values = {name: value for name, value in arguments.items() if name in names}
    return {name: value for name, value in arguments.items() if name not in option_values}, option_values


def check_arguments(
    tool: Tool,
    arguments: Mapping[str, Any],
    option_values: Mapping[str, Any] = NOTHING,
    *,
    private_tunnels: bool = False,
) -> Options:
    """Check `arguments` against the tool's schema and its further checks, and return the validated options.

    `private_tunnels` allows tunnels that do not lead to the internet.

    Raises:
        ArgumentsError: an argument or option is invalid. The message has a line for each, and repeats no value.
    """
    given = {**arguments, **option_values}
    if not is_json(given):
        raise ArgumentsError(f"The arguments of {tool.name} contain {NOT_JSON}. Nothing was sent.")
    options, problems = _validate(Options, option_values)
    listed = [*_list_schema_problems(tool, arguments), *(_read_problem(tool, one, given) for one in problems)]
    if not listed and (missing := _name_missing_changes(tool, arguments)):
        raise _create_error(tool, [f"The update changes nothing. Give at least one of: {', '.join(missing)}."])
    if "maxItems" in option_values and options is not None and not options.fetchAll:
        problem = "has an effect only with fetchAll. Add fetchAll, or use limit"
        listed.append(Problem(("maxItems",), problem, ErrorCode.INVALID_ARGUMENTS))
    listed += _list_further_problems(tool, arguments, listed, private_tunnels=private_tunnels)
    if options is None or listed:
        unknown = any(problem.code is ErrorCode.UNKNOWN_ARGUMENT for problem in listed)
        raise _create_error(
            tool, dict.fromkeys(_explain(tool, listed)), ErrorCode.UNKNOWN_ARGUMENT if unknown else listed[0].code
        )
    return options


NOT_JSON = "invalid Unicode, NaN, Infinity, or nesting that is too deep"
"""The reasons why a value is no JSON that every program can read."""


def is_json(value: Any) -> bool:
    """Whether a value is JSON that every program can read."""
    try:
        from_json(to_json(value), allow_inf_nan=False)  # nesting has the same limit in every version of Python
    except ValueError:
        return False
    return True


def list_problems(tool: Tool, arguments: Mapping[str, Any]) -> list[Problem]:
    """Return everything that is wrong with `arguments`: against the schema first, then the further checks."""
    problems = _list_schema_problems(tool, arguments)
    # The check of a name says which form is right; a pattern does not.
    formless = [str(one.path[0]) for one in problems if one.text == WRONG_FORM and len(one.path) == 1]
    explained = {one.path: one for one in find_problems(tool, {name: arguments[name] for name in formless})}
    return [
        *(explained.get(one.path, one) for one in problems),
        *_list_further_problems(tool, arguments, problems),
    ]


def _list_schema_problems(tool: Tool, arguments: Mapping[str, Any]) -> list[Problem]:
    """Return what does not fit. If a part of a value does not, other forms of the whole are left out."""
    problems = [_read_problem(tool, one, arguments) for one in _validate(tool.input, arguments)[1]]
    outer = {one.path[:length] for one in problems for length in range(1, len(one.path))}
    return [one for one in problems if one.path not in outer]


def _explain(tool: Tool, problems: Iterable[Problem]) -> Iterator[str]:
    """Yield a sentence for each problem. The first about an argument or its field also says what that is."""
    explained: set[str] = set()
    for problem in problems:
        name, description = join_names(problem.path), ""
        if problem.path and name not in explained and problem.code is ErrorCode.INVALID_ARGUMENTS:
            explained.add(name)
            first, *below = map(str, problem.path)
            description = _find_nested_description(tool, first, below) if below else _find_description(tool, first)
        yield f"{problem.describe(name)} {description}".rstrip()


def _list_further_problems(
    tool: Tool, arguments: Mapping[str, Any], problems: Iterable[Problem], *, private_tunnels: bool = False
) -> list[Problem]:
    """Return the problems of the arguments that have none yet."""
    invalid = {str(problem.path[0]) for problem in problems if problem.path}
    return list(find_problems(tool, arguments, invalid, private_tunnels=private_tunnels))


def build_request(endpoint: Endpoint, arguments: Mapping[str, Any]) -> Request:
    """Return the request for validated arguments.

    Raises:
        ArgumentsError: an argument cannot be part of a path.
    """
    try:
        return endpoint.build_request(arguments)
    except SegmentError as error:
        raise _create_error(endpoint, [f"{error}."]) from None


def _name_missing_changes(tool: Tool, arguments: Mapping[str, Any]) -> list[str]:
    """Return what an update could change, if it changes nothing: GitBook would accept it and move its date."""
    if not isinstance(tool, Endpoint) or tool.method != "PATCH" or tool.body_names.intersection(arguments):
        return []
    return [name for name in tool.input.model_fields if name in tool.body_names]


def _validate(model: type[Model], given: Mapping[str, Any]) -> tuple[Model | None, list[ErrorDetails]]:
    try:
        return model.model_validate({**given}), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)


def _create_error(tool: Tool, lines: Iterable[str], code: ErrorCode = ErrorCode.INVALID_ARGUMENTS) -> ArgumentsError:
    listed = "\n".join(f"- {line}" for line in lines)
    return ArgumentsError(f"Invalid arguments for {tool.name}. Nothing was sent.\n{listed}", code)


def _read_problem(tool: Tool, problem: ErrorDetails, arguments: Mapping[str, Any]) -> Problem:
    location = _trim_location(problem, arguments)
    code = ErrorCode.INVALID_ARGUMENTS
    match problem["type"]:
        case "extra_forbidden":
            text = f"unknown argument.{_describe_valid_names(list(map(str, location)), tool)}"
            if location == ["status"] and isinstance(tool, Endpoint) and tool.configures:
                text += " Only GitBook sets the status: no call pauses or activates an installation."
            code = ErrorCode.UNKNOWN_ARGUMENT
        case "literal_error":
            text = f"{_describe_rule(problem)}.{_suggest_value(problem, location, arguments)}"
        case "string_pattern_mismatch":
            text = WRONG_FORM  # the description of the argument says what is right
        case _:
            text = _describe_rule(problem)
    return Problem(tuple(location), text, code)


def _trim_location(problem: ErrorDetails, arguments: Mapping[str, Any]) -> list[int | str]:
    """Return the location of the problem in the arguments, without the union members that pydantic adds."""
    value: Any = arguments
    location: list[int | str] = []
    for index, part in enumerate(problem["loc"]):
        is_last = index == len(problem["loc"]) - 1
        if isinstance(part, int) or (isinstance(value, Mapping) and part in value):
            location.append(part)
            value = value[part]
        elif is_last and problem["type"] == "missing":
            location.append(part)
    return location


def _describe_rule(problem: ErrorDetails) -> str:
    """Return the rule that the value breaks, from pydantic's message, to follow the argument's name."""
    if problem["type"] == "union_tag_invalid":
        return f"must have one of the types {problem['ctx']['expected_tags']}"
    message = problem["msg"].replace("Field required", "is required").replace(" after validation", "")
    message = message.replace("dictionary", "object").partition(" or instance of ")[0]
    return re.sub(r"^\w+ should", "must", message)


def join_names(parts: Iterable[int | str]) -> str:
    """Return a path in the arguments. A part that does not look like a name is not repeated."""
    return ".".join(_format_name(part) for part in parts)


def _format_name(part: int | str) -> str:
    """Return `part`, unless it does not look like a name: names of unknown arguments are the caller's text."""
    text = str(part)
    is_name = len(text) <= 64 and re.sub(r"[_.-]", "", text).isalnum()
    return f'"{text}"' if is_name and "." in text else text if is_name else "(unprintable name)"


def _describe_valid_names(location: Sequence[str], tool: Tool) -> str:
    """Return the names that are valid where an unknown one was given, or "" below a value without fixed fields."""
    *above, unknown = location
    if (model := _find_model(tool, above)) is None:
        return ""
    valid = [*model.model_fields, *(() if above else name_options(tool))]
    return f"{suggest(unknown, valid, likeness=0.5)} Valid names: {', '.join(valid) or 'none'}."


def _suggest_value(problem: ErrorDetails, location: list[int | str], arguments: Mapping[str, Any]) -> str:
    value: Any = arguments
    for part in location:
        value = value[part]
    valid = re.findall(r"'([^']+)'", problem["ctx"]["expected"])
    if isinstance(value, str) and (replaced := REPLACED_VALUES.get(value)) in valid:
        reserved = ", which only GitBook's own integrations may request" if replaced in INTERNAL_SCOPES else ""
        return f" {value} no longer exists. Its successor is {replaced}{reserved}."
    nearest = find_nearest(value, valid) if isinstance(value, str) else []
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def find_models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the fields of a model that are objects with fields of their own, and the models of these."""
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def _find_model(tool: Tool, path: Iterable[str]) -> type[BaseModel] | None:
    """Return the model of the arguments, or of the argument with fixed fields to which a path leads."""
    model: type[BaseModel] | None = tool.input
    for one in path:
        model = find_models(model).get(one) if model else None
    return model


def _find_nested_description(tool: Tool, name: str, below: Sequence[str]) -> str:
    """Return what a field below an argument with fixed fields is, or "" for any other value below an argument."""
    model = _find_model(tool, (name, *below[:-1]))
    field = model.model_fields.get(below[-1]) if model else None
    return f"{field.description}." if field and field.description else ""


def _find_description(tool: Tool, name: str) -> str:
    """Return what an argument is: its description, and its fields if it is an object with fixed ones."""
    model = tool.input if name in tool.input.model_fields else Options
    schema = describe_model(model)["properties"].get(name, {})
    described = f"{schema['description']}." if "description" in schema else ""
    fields = f"Its fields: {', '.join(schema['properties'])}." if "properties" in schema else ""
    return f"{described} {fields}".strip()
