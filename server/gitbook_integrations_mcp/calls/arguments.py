"""Validation of a call's arguments, and the words in which a model is told what to mend."""

import json
import re
from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gitbook_integrations_api.endpoint import Endpoint, Request, SegmentError, Tool
from gitbook_integrations_api.options import Options, name_options
from gitbook_integrations_mcp.errors import ArgumentsError, ErrorCode
from gitbook_integrations_mcp.spelling import find_nearest, suggest

ORGANIZATION = "organizationId"
NOTHING: Mapping[str, Any] = MappingProxyType({})

Model = TypeVar("Model", bound=BaseModel)


def complete_arguments(tool: Tool, arguments: Mapping[str, Any], organization: str | None) -> dict[str, Any]:
    """Return `arguments` with the default `organization`, where the tool takes one and none is given."""
    default = {ORGANIZATION: organization} if organization and ORGANIZATION in tool.input.model_fields else {}
    return {**default, **arguments}


def split_options(arguments: Mapping[str, Any], names: Container[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return GitBook's arguments, and apart from them the options of this server's own that have one of `names`."""
    option_values = {name: value for name, value in arguments.items() if name in names}
    return {name: value for name, value in arguments.items() if name not in option_values}, option_values


def check_arguments(tool: Tool, arguments: Mapping[str, Any], option_values: Mapping[str, Any] = NOTHING) -> Options:
    """Check `arguments` against the tool's input, and return the options that `option_values` are.

    Raises:
        ArgumentsError: with one line for each thing that is wrong, none of which repeats a value.
    """
    given = {**arguments, **option_values}
    try:
        json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise ArgumentsError(
            f"The arguments of {tool.name} hold text that is not valid Unicode, a number that is not finite, or "
            "too many levels of nesting; nothing was sent."
        ) from None
    options, problems = _validate(Options, option_values)
    problems = [*_validate(tool.input, arguments)[1], *problems]
    if options is None or problems:
        unknown = any(problem["type"] == "extra_forbidden" for problem in problems)
        code = ErrorCode.UNKNOWN_ARGUMENT if unknown else ErrorCode.INVALID_ARGUMENTS
        raise _refuse(tool, dict.fromkeys(_describe(tool, problem, given) for problem in problems), code)
    return options


def build_request(endpoint: Endpoint, arguments: Mapping[str, Any]) -> Request:
    """Return the request for arguments that `check_arguments` accepted.

    Raises:
        ArgumentsError: an argument cannot be a segment of the path.
    """
    try:
        return endpoint.build_request(arguments)
    except SegmentError as error:
        raise _refuse(endpoint, [str(error)]) from None


def _validate(model: type[Model], given: Mapping[str, Any]) -> tuple[Model | None, list[ErrorDetails]]:
    try:
        return model.model_validate({**given}), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)


def _refuse(tool: Tool, lines: Iterable[str], code: ErrorCode = ErrorCode.INVALID_ARGUMENTS) -> ArgumentsError:
    listed = "\n".join(f"- {line}" for line in lines)
    return ArgumentsError(f"The arguments do not fit {tool.name}; nothing was sent.\n{listed}", code)


def _describe(tool: Tool, problem: ErrorDetails, arguments: Mapping[str, Any]) -> str:
    location = _trim_location(problem, arguments)
    path = ".".join(_quote(part) for part in location)
    match problem["type"]:
        case "extra_forbidden":
            return f"{path}: no such argument.{_list_names(str(location[-1]), tool)}"
        case "missing" if len(location) == 1:
            return f"{path} is required. {_find_description(tool, str(location[0]))}".rstrip()
        case "literal_error":
            return f"{path} {_say(problem)}.{_suggest_value(problem, location, arguments)}"
        case _:
            return f"{path} {_say(problem)}."


def _trim_location(problem: ErrorDetails, arguments: Mapping[str, Any]) -> list[int | str]:
    """Return where in the arguments the problem is, without the arms of unions that pydantic names in between."""
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


def _say(problem: ErrorDetails) -> str:
    """Return pydantic's sentence, which tells the rule and not the value, as the predicate of the argument's name."""
    if problem["type"] == "union_tag_invalid":
        return f"must have a type of {problem['ctx']['expected_tags']}"
    message = problem["msg"].replace("Field required", "is required").replace(" after validation", "")
    message = message.replace("dictionary", "object").partition(" or instance of ")[0]
    return re.sub(r"^\w+ should", "must", message)


def _quote(part: int | str) -> str:
    """Names of unknown arguments are the caller's text; what does not look like a name is not repeated."""
    text = str(part)
    return text if len(text) <= 64 and text.replace("_", "").replace("-", "").isalnum() else "(unprintable name)"


def _list_names(unknown: str, tool: Tool) -> str:
    valid = [*tool.input.model_fields, *name_options(tool)]
    return f"{suggest(unknown, valid, likeness=0.5)} Valid names: {', '.join(valid) or 'none'}."


def _suggest_value(problem: ErrorDetails, location: list[int | str], arguments: Mapping[str, Any]) -> str:
    value: Any = arguments
    for part in location:
        value = value[part]
    valid = re.findall(r"'([^']+)'", problem["ctx"]["expected"])
    nearest = find_nearest(value, valid) if isinstance(value, str) else []
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def _find_description(tool: Tool, name: str) -> str:
    info = tool.input.model_fields[name]
    return f"{info.description}." if info.description else ""
