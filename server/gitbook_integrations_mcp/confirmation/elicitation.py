"""How a question is put to a human through the client, and the one way to read a yes out of the answer."""

from collections.abc import Mapping
from typing import Any, Literal

from mcp_types import ClientCapabilities, ElicitRequest, ElicitRequestFormParams, ElicitRequestURLParams, ElicitResult

from gitbook_integrations_mcp.confirmation.preview import Preview
from gitbook_integrations_mcp.confirmation.store import PendingConfirmation

Answer = Literal["yes", "declined", "cancelled", "not_ticked", "wrong_name", "malformed"]

BOX = "confirm"
NAME = "name"


def accepts_forms(capabilities: ClientCapabilities | None) -> bool:
    """Whether the client can show a form. `elicitation: {}` means that it can; `{"url": {}}` alone, that it cannot."""
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def accepts_urls(capabilities: ClientCapabilities | None) -> bool:
    """Whether the client can send its human to a web page."""
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and elicitation.url is not None


def describe_form(preview: Preview) -> dict[str, Any]:
    """Return the schema of the form: a box to tick, and the name to type where it cannot be undone."""
    box = {
        "type": "boolean",
        "title": preview.title.removesuffix("?"),
        "description": "Tick to say yes",
        "default": False,
    }
    properties: dict[str, Any] = {BOX: box}
    if preview.typed is not None:
        properties[NAME] = {"type": "string", "title": "Name", "description": f"Type {preview.typed} to confirm"}
    return {"type": "object", "properties": properties, "required": list(properties)}


def put_form(preview: Preview, changed: bool) -> ElicitRequest:
    """Return the question as a form; `changed` says that the target is not what an earlier question showed."""
    message = f"The target has changed since the last question.\n{preview.text}" if changed else preview.text
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=describe_form(preview)))


def put_link(pending: PendingConfirmation, url: str) -> ElicitRequest:
    """Return the question as a link to the confirmation page."""
    message = f"{pending.preview.title} Read what it would do on the page of the server, and decide there."
    return ElicitRequest(params=ElicitRequestURLParams(message=message, url=url, elicitation_id=pending.id))


def read_answer(preview: Preview, result: ElicitResult) -> Answer:
    """Return what the human said to a form.

    Only an accepted form with the box ticked (true itself, nothing like it) and the name typed right is a yes.
    """
    if result.action == "decline":
        return "declined"
    if result.action == "cancel":
        return "cancelled"
    content: Mapping[str, Any] | None = result.content
    if content is None or not isinstance(content.get(BOX), bool):
        return "malformed"
    if content[BOX] is not True:
        return "not_ticked"
    if preview.typed is not None and content.get(NAME) != preview.typed:
        return "wrong_name"
    return "yes"
