"""Matches HTTP requests to the table of endpoints, and reads their arguments."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.datastructures import QueryParams

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.schema import describe_model
from gitbook_integrations_mcp.sandbox.call import FailureError
from gitbook_integrations_mcp.sandbox.operations import OPERATIONS


class Route:
    """An endpoint of the table, and the operation that runs it in the sandbox."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.operation = OPERATIONS[endpoint.name]
        self._pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", f"/v1{endpoint.path}"))

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the arguments in `path`, which is percent-encoded, or None if it does not match.

        Segments are decoded after splitting, so an encoded slash is part of a name and never begins a segment.
        """
        found = self._pattern.fullmatch(path) if method == self.endpoint.method else None
        try:
            return found and {name: unquote(text, errors="strict") for name, text in found.groupdict().items()}
        except UnicodeDecodeError:
            return None

    def read_arguments(self, segments: Mapping[str, str], query: QueryParams, body: bytes) -> dict[str, Any]:
        """Return the arguments of a request, validated by the table's model and completed with its defaults.

        Unknown arguments are ignored, as GitBook does.

        Raises:
            FailureError: 404 for an invalid name in the path, 400 for any other invalid argument.
        """
        endpoint = self.endpoint
        arguments: dict[str, Any] = dict(segments)
        for name in endpoint.query_names & set(query):
            arguments[name] = _parse(query.getlist(name), self._schemas[name])
        if endpoint.body_names:
            arguments |= {name: value for name, value in _read_body(body).items() if name in endpoint.body_names}
        try:
            endpoint.input.model_validate(arguments)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(map(str, problem["loc"]))
            if place in endpoint.path_names:
                raise FailureError(404, "Not found") from None
            raise FailureError(400, f"{place}: {problem['msg']}") from None
        defaults = {
            name: field.default for name, field in endpoint.input.model_fields.items() if not field.is_required()
        }
        return {name: value for name, value in defaults.items() if value is not None} | arguments

    @cached_property
    def _schemas(self) -> dict[str, dict[str, Any]]:
        properties: dict[str, dict[str, Any]] = describe_model(self.endpoint.input)["properties"]
        return properties


def _parse(texts: list[str], schema: Mapping[str, Any]) -> Any:
    """Return the value of a query parameter in the schema's type, or as text if that is not possible."""
    if schema.get("type") == "array":
        return [_parse([text], schema["items"]) for text in texts]
    text = texts[-1]
    match schema.get("type"):
        case "boolean":
            return {"true": True, "false": False}.get(text, text)
        case "number" | "integer":
            try:
                return float(text)
            except ValueError:
                return text
        case _:
            return text


def _read_body(body: bytes) -> dict[str, Any]:
    try:
        content = from_json(body, allow_inf_nan=False)  # strict: otherwise no response could contain it
    except ValueError:
        raise FailureError(400, "The body is not valid JSON") from None
    if not isinstance(content, dict):
        raise FailureError(400, "The body is not a JSON object")
    return content
