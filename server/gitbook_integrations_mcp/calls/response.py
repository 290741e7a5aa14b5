"""Reads GitBook's response: returns the content of the result, or raises an error that says what to do."""

import json
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from gitbook_integrations_api.endpoint import Endpoint, Risk, Tool
from gitbook_integrations_mcp.calls.masking import MASK, MaskingScope, find_credentials, mask_words
from gitbook_integrations_mcp.calls.related import find_installer, find_state_reader
from gitbook_integrations_mcp.errors import AnswerError, StatusError
from gitbook_integrations_mcp.gitbook.credentials import describe_accepted, describe_holders
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.gitbook.json_body import read_json, write_json
from gitbook_integrations_mcp.text import clean_text

ABSENT = "already_absent"
"""Status of a deletion that found nothing to delete."""

FOREIGN_PAGE = "page belongs to another list or has expired. Start without page."
"""Error about a `page` that does not lead into this list."""

_MESSAGE_LIMIT = 300
_CHECK_ADDRESS = "Check GITBOOK_ENDPOINT and the proxy."
_UNKNOWN = "The outcome of an earlier attempt is unknown;"


def describe_output(tool: Tool) -> dict[str, Any]:
    """Return the output schema of a tool: names without types, none required, as GitBook may change them."""
    fields: dict[str, Any] = {name: {} for name in tool.result.model.model_fields}
    receipt: dict[str, Any] = {"receipt": {}} if isinstance(tool, Endpoint) and tool.risk is not Risk.READ else {}
    match tool.result.shape:
        case "object":
            return {"type": "object", "properties": fields | receipt}
        case "page":
            listed = {"type": "array", "items": {"type": "object", "properties": fields}}
            return {
                "type": "object",
                "properties": {"items": listed, "next": {}, "count": {}, "complete": {}, "note": {}},
            }
        case "array":
            listed = {"type": "array", "items": {"type": "object", "properties": fields}}
            return {"type": "object", "properties": {"items": listed, "complete": {}, "note": {}}}
        case "nothing":
            return {
                "type": "object",
                "properties": {"status": {"type": "string"}, "message": {"type": "string"}, **receipt},
            }


def read_response(
    endpoint: Endpoint,
    response: GitBookResponse,
    arguments: Mapping[str, Any] = MappingProxyType({}),
    body: Mapping[str, Any] | None = None,
    tool: Tool | None = None,
) -> dict[str, Any]:
    """Return the structured content of a call's result. If GitBook returns nothing, `arguments` say what was done.

    `tool` is what was called, if `endpoint` only reads for it. No error repeats a credential in the `body` that was
    sent: the model may not have seen it.

    Raises:
        StatusError: the response has an error status.
        AnswerError: the response is not one of GitBook's API.
    """
    if response.status >= 400:
        raise _create_status_error(endpoint, response, body, tool or endpoint, paged="page" in arguments)
    if not 200 <= response.status < 300:
        raise AnswerError(
            f"GitBook answered {endpoint.name} with a redirect ({response.status}). Redirects are not followed because "
            f"they could leak the token. {describe_uncertainty(endpoint)} "
            "Check GITBOOK_ENDPOINT: it must be the host of GitBook's API."
        )
    if endpoint.result.shape == "nothing" and not _is_html(response):
        return _report_done(endpoint, response, arguments)
    data = _parse(endpoint, response)
    if endpoint.result.shape == "array" and isinstance(data, list):
        data = {"items": data}
    if not isinstance(data, dict) or (endpoint.is_list and not _is_list_of_objects(data.get("items"))):
        expected = "a list" if endpoint.is_list else "an object"
        raise AnswerError(
            f"GitBook answered {endpoint.name} with JSON that is not {expected}. {describe_uncertainty(endpoint)} "
            f"{_CHECK_ADDRESS}"
        )
    return data


def read_cursor(page: Mapping[str, Any]) -> str | None:
    """Return the cursor of the next page, or None after the last one.

    Raises:
        AnswerError: there is a next page, but its cursor is unreadable. To stop here would hide the rest of the list.
    """
    if page.get("next") is None:
        return None
    cursor = get_path(page, "next.page")
    if not isinstance(cursor, str) or not cursor:
        raise AnswerError("GitBook returned an invalid pagination cursor.")
    return cursor


def get_path(data: Any, path: str) -> Any:
    """Return the value in `data` at a path like `target.organization`, or None if it does not exist."""
    for name in path.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def read_object(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one if GitBook sent something else."""
    return value if isinstance(value, Mapping) else {}


def read_list(value: Any) -> list[Any]:
    """Return a JSON array, or an empty one if GitBook sent something else."""
    return value if isinstance(value, list) else []


def find_id(thing: Any) -> Any:
    """Return the ID of an object that GitBook returns whole or as its ID."""
    return thing.get("id") if isinstance(thing, Mapping) else thing


def render_text(data: Mapping[str, Any]) -> str:
    """Return structured content as compact JSON."""
    return write_json(data).decode()


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _report_done(endpoint: Endpoint, response: GitBookResponse, arguments: Mapping[str, Any]) -> dict[str, Any]:
    effect = endpoint.effect.format_map({name: _format_argument(value) for name, value in arguments.items()})
    if endpoint.method != "DELETE" or response.status != 204:
        return {"status": "done", "message": effect}
    if response.uncertain:
        return {"status": "done", "message": f"{effect} {_UNKNOWN} that attempt may have removed it."}
    return {"status": ABSENT, "message": f"Nothing was changed: there was nothing to remove. {effect}"}


def _format_argument(value: Any) -> str:
    """Return an argument on one line; of a URL only the origin, as the rest may be a credential."""
    text = clean_text(str(value), 120)
    if "://" not in text:
        return text
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _parse(endpoint: Endpoint, response: GitBookResponse) -> Any:
    try:
        return read_json(response.body)
    except ValueError:
        pass
    if not response.body.strip():
        content = "an empty response"
    elif _is_html(response):
        content = "a web page instead of JSON"
    else:
        content = "invalid or truncated JSON"
    raise AnswerError(
        f"GitBook answered {endpoint.name} with {content} (status {response.status}). {describe_uncertainty(endpoint)} "
        f"{_CHECK_ADDRESS}"
    )


def _is_html(response: GitBookResponse) -> bool:
    return "html" in response.headers.get("content-type", "") or response.body.lstrip()[:1] == b"<"


def describe_uncertainty(endpoint: Endpoint) -> str:
    """Return whether a call without a usable response may have changed something, and how to check, as text."""
    if endpoint.risk is Risk.READ:
        return "Nothing was changed. You can repeat the call."
    reader = find_state_reader(endpoint)
    tool = f" with {reader.name}" if reader else ""
    return f"It is unknown whether the call took effect. Read the current state{tool} before you repeat it."


def _create_status_error(
    endpoint: Endpoint, response: GitBookResponse, body: Mapping[str, Any] | None, tool: Tool, *, paged: bool
) -> StatusError:
    message = clean_text(_hide_credentials(_read_message(response), body), _MESSAGE_LIMIT)
    attempts = f" after {response.attempts} attempts" if response.attempts > 1 else ""
    result = f"GitBook answered {endpoint.name} with {response.status}{attempts}"
    result += f': "{message}".' if message else "."
    return StatusError(response.status, f"{result} {_describe_remedy(endpoint, response, tool, paged=paged)}")


def _read_message(response: GitBookResponse) -> str:
    """Return the message of GitBook's error, which is untrusted text."""
    try:
        return str(read_json(response.body)["error"]["message"])
    except (ValueError, TypeError, LookupError):
        return "(a web page)" if _is_html(response) else ""


def _hide_credentials(message: str, body: Mapping[str, Any] | None) -> str:
    """Return a whole message without the credentials in `body`, or what looks like a part or another form of one.

    In a message that was cut before, a part of one could be left.
    """
    sent = [str(value) for _, value in find_credentials(body, scope=MaskingScope.OPEN)]
    in_json = [json.dumps(one, ensure_ascii=escaped)[1:-1] for one in sent for escaped in (True, False)]
    for form in sorted({*sent, *in_json}, key=len, reverse=True):
        message = message.replace(form, MASK)
    return mask_words(message)


def _describe_remedy(endpoint: Endpoint, response: GitBookResponse, tool: Tool, *, paged: bool) -> str:
    if response.uncertain and endpoint.risk is not Risk.READ:
        if endpoint.method == "DELETE" and response.status == 404:
            return f"It does not exist now. {_UNKNOWN} that attempt may have removed it."
        return f"{_UNKNOWN} that attempt may have taken effect. {describe_uncertainty(endpoint)}"
    unchanged = "" if endpoint.risk is Risk.READ else "The call changed nothing. "
    match response.status:
        case 400 | 422:
            about_page = f" If it is about page, {FOREIGN_PAGE}" if paged else ""
            return f"{unchanged}Fix the arguments as GitBook's message says.{about_page}"
        case 401:
            return (
                f"The token is missing, wrong or expired. {unchanged}This endpoint accepts "
                f"{describe_accepted(endpoint)}. Ask the operator to set a valid one and restart the server."
            )
        case 403:
            return (
                f"The token has no right to do this, and another attempt fails, too. {unchanged}This endpoint accepts "
                f"{describe_accepted(endpoint)}: of {describe_holders(endpoint)}. Tell the user whom to ask."
            )
        case 404:
            return f"{unchanged}{_describe_sources(endpoint, tool)}"
        case 409:
            return f"The call conflicts with the current state. {unchanged}{_describe_reading(endpoint)}"
        case 412:
            return f"A precondition is not met. {unchanged}{_describe_reading(endpoint)}"
        case 429:
            return f"Too many requests. {unchanged}{_describe_wait(response.wait)}"
        case 500:
            check = "If it continues, ask the operator to check the token with `doctor`: a wrong one can be the cause."
            return f"GitBook failed. {describe_uncertainty(endpoint)} {check}"
        case status if status >= 500:
            later = _describe_wait(response.wait) if response.wait else "If it continues, see GitBook's status page."
            return f"GitBook failed. {describe_uncertainty(endpoint)} {later}"
        case _:
            return describe_uncertainty(endpoint)


def _describe_sources(endpoint: Endpoint, tool: Tool) -> str:
    """Return which tools list valid values of the arguments of a call of `tool`, as text."""
    fields = endpoint.input.model_fields
    sources = [
        f"{name}: {source[1]}"
        for name, field in fields.items()
        if (source := re.search(r"\bfrom (\w+)", field.description or ""))
        and name in {*endpoint.path_names, "organization", "space", "componentId"}
    ]
    if not sources:
        return "This address does not exist. Check GITBOOK_ENDPOINT."
    installer = find_installer(endpoint)
    checked = f"Check that it exists and that the token has access to it. Valid values come from: {'; '.join(sources)}."
    if installer is None:
        return checked
    removes = isinstance(tool, Endpoint) and tool.method == "DELETE"
    missing = "nothing is left to uninstall" if removes else f"{installer.name} installs it"
    return f"{checked} If the values are right and belong together, it is not installed there: {missing}."


def _describe_reading(endpoint: Endpoint) -> str:
    reader = find_state_reader(endpoint)
    return f"Read that state{f' with {reader.name}' if reader else ''}, then decide."


def _describe_wait(wait: float | None) -> str:
    return f"Wait {math.ceil(wait)} s before the next call." if wait else "Wait a minute before the next call."
