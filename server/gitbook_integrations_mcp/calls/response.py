"""From GitBook's reply to what the model reads: the result in its declared shape, or an error that says what to do."""

import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from gitbook_integrations_api.endpoint import Endpoint, Risk, Tool
from gitbook_integrations_mcp.calls.related import find_witness
from gitbook_integrations_mcp.errors import AnswerError, StatusError
from gitbook_integrations_mcp.gitbook.credentials import describe_accepted
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.text import clean_text

_QUOTE_LIMIT = 300
_LOST = "An earlier attempt of this call, whose answer got lost"


def describe_output(tool: Tool) -> dict[str, Any]:
    """Return the output schema of a tool: names without types, as GitBook may change those, and nothing required."""
    fields: dict[str, Any] = {name: {} for name in tool.result.model.model_fields}
    match tool.result.shape:
        case "object":
            return {"type": "object", "properties": fields}
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
            return {"type": "object", "properties": {"status": {"type": "string"}, "message": {"type": "string"}}}


def read_response(endpoint: Endpoint, reply: GitBookResponse) -> dict[str, Any]:
    """Return the structured content of a call's result.

    Raises:
        StatusError: GitBook answered with an error status.
        AnswerError: the reply is not an answer of GitBook's API.
    """
    if reply.status >= 400:
        raise _explain_status(endpoint, reply)
    if not 200 <= reply.status < 300:
        raise AnswerError(
            f"The API answered {endpoint.name} with a redirect ({reply.status}), which is not followed, as it would "
            f"carry the token elsewhere. {describe_uncertainty(endpoint)} "
            "Check GITBOOK_ENDPOINT: it is the host of the API."
        )
    if endpoint.result.shape == "nothing" and not _is_html(reply):
        return _report_done(endpoint, reply)
    data = _parse(endpoint, reply)
    if endpoint.result.shape == "array" and isinstance(data, list):
        data = {"items": data}
    if not isinstance(data, dict) or (endpoint.is_list and not _is_list_of_objects(data.get("items"))):
        expected = "a list" if endpoint.is_list else "an object"
        raise AnswerError(
            f"GitBook answered {endpoint.name} with JSON that is not {expected}. {describe_uncertainty(endpoint)}"
        )
    return data


def get_path(data: Any, place: str) -> Any:
    """Return what is in `data` at a place like `target.organization`, or None where there is no such place."""
    for name in place.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def render_text(data: Mapping[str, Any]) -> str:
    """Return structured content as compact JSON."""
    return to_json(data).decode()


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _report_done(endpoint: Endpoint, reply: GitBookResponse) -> dict[str, Any]:
    if endpoint.method != "DELETE":
        return {"status": "done", "message": "Done."}
    if reply.status != 204:
        return {"status": "done", "message": "Removed."}
    if reply.uncertain:
        return {"status": "done", "message": f"It is gone. {_LOST}, may have removed it."}
    return {"status": "already_absent", "message": "There was nothing to remove; nothing changed."}


def _parse(endpoint: Endpoint, reply: GitBookResponse) -> Any:
    try:
        return from_json(reply.body, allow_inf_nan=False)
    except ValueError:
        pass
    if not reply.body.strip():
        what = "an empty answer"
    elif _is_html(reply):
        what = "a web page instead of JSON; GITBOOK_ENDPOINT or a proxy leads somewhere else"
    else:
        what = "text that is not valid JSON, perhaps cut off"
    raise AnswerError(
        f"GitBook answered {endpoint.name} with {what} (status {reply.status}). {describe_uncertainty(endpoint)}"
    )


def _is_html(reply: GitBookResponse) -> bool:
    return "html" in reply.headers.get("content-type", "") or reply.body.lstrip()[:1] == b"<"


def describe_uncertainty(endpoint: Endpoint) -> str:
    """Say what is known of a call whose answer is useless, and what tells the rest."""
    if endpoint.risk is Risk.READ:
        return "Nothing was changed; the call may be repeated."
    witness = find_witness(endpoint)
    way = f" with {witness.name}" if witness else ""
    return f"Whether it took effect is not known: read the current state{way} before repeating it."


def _explain_status(endpoint: Endpoint, reply: GitBookResponse) -> StatusError:
    quoted = _quote_message(reply)
    often = f" after {reply.attempts} attempts" if reply.attempts > 1 else ""
    said = f"GitBook answered {endpoint.name} with {reply.status}{often}" + (f': "{quoted}".' if quoted else ".")
    return StatusError(reply.status, f"{said} {_advise(endpoint, reply)}")


def _quote_message(reply: GitBookResponse) -> str:
    """Return the message of GitBook's error shape, other people's text, on one line and cut."""
    try:
        message = from_json(reply.body, allow_inf_nan=False)["error"]["message"]
    except (ValueError, TypeError, LookupError):
        return "(a web page)" if _is_html(reply) else ""
    return clean_text(str(message), _QUOTE_LIMIT)


def _advise(endpoint: Endpoint, reply: GitBookResponse) -> str:
    if reply.uncertain and endpoint.risk is not Risk.READ:
        if endpoint.method == "DELETE" and reply.status == 404:
            return f"It is not there now. {_LOST}, may have removed it."
        return f"{_LOST}, may have taken effect. {describe_uncertainty(endpoint)}"
    match reply.status:
        case 400 | 422:
            return "Nothing was changed. Mend the arguments as the message says."
        case 401:
            return (
                "The token is missing, wrong or expired. Nothing was changed. This endpoint accepts "
                f"{describe_accepted(endpoint)}; the operator sets a valid one and restarts the server."
            )
        case 403:
            return (
                "The token has no right to do this. Nothing was changed. This endpoint accepts "
                f"{describe_accepted(endpoint)}: of somebody with the needed role in the organization, or of the "
                "integration concerned."
            )
        case 404:
            return f"Nothing was changed. {_tell_sources(endpoint)}"
        case 409:
            return "It conflicts with the current state, which was not changed. Read that state, then decide."
        case 412:
            return "A precondition does not hold; nothing was changed. Read the current state, then decide."
        case 429:
            return f"Too many requests; nothing was changed. {_tell_wait(reply.wait)}"
        case status if status >= 500:
            later = _tell_wait(reply.wait) if reply.wait else "If it lasts, see GitBook's status page."
            return f"The fault is GitBook's. {describe_uncertainty(endpoint)} {later}"
        case _:
            return describe_uncertainty(endpoint)


def _tell_sources(endpoint: Endpoint) -> str:
    """Say which tools list valid values of what the arguments name."""
    fields = endpoint.input.model_fields
    sources = [
        f"{name}: {source[1]}"
        for name, field in fields.items()
        if (source := re.search(r"\bfrom (\w+)", field.description or ""))
        and name in {*endpoint.path_names, "organization"}
    ]
    if not sources:
        return "There is nothing at this address; check GITBOOK_ENDPOINT."
    return f"Check that it exists and that the token may see it. Valid values come from: {'; '.join(sources)}."


def _tell_wait(wait: float | None) -> str:
    return f"Wait {math.ceil(wait)} s before the next call." if wait else "Wait a minute before the next call."
