"""Elicitation: the requests that ask a human through the client, and how the responses are read."""

from collections.abc import Mapping
from typing import Any

from mcp_types import ClientCapabilities, ElicitRequest, ElicitRequestFormParams, ElicitRequestURLParams, ElicitResult

from gitbook_integrations_mcp.confirmation.results import (
    CANCELLED,
    FORM_DECLINED,
    MALFORMED,
    NOT_TICKED,
    PAGE_CANCELLED,
    PAGE_DECLINED,
    WRONG_NAME,
    Approval,
    NotConfirmed,
)
from gitbook_integrations_mcp.store.pending import PendingConfirmation, Preview

BOX = "confirm"
NAME = "name"


def accepts_forms(capabilities: ClientCapabilities | None) -> bool:
    """Whether the client can show a form. `elicitation: {}` means that it can, `{"url": {}}` alone that it cannot."""
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def accepts_urls(capabilities: ClientCapabilities | None) -> bool:
    """Whether the client can open a web page for the human."""
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and elicitation.url is not None


def build_form_schema(preview: Preview) -> dict[str, Any]:
    """Return the schema of the form: a box to tick, and a name to type if the effect is irreversible."""
    box = {
        "type": "boolean",
        "title": preview.title.removesuffix("?"),
        "description": f"Tick to approve: {preview.verb}",
        "default": False,
    }
    properties: dict[str, Any] = {BOX: box}
    if preview.typed is not None:
        properties[NAME] = {"type": "string", "title": "Name", "description": f"Type {preview.typed} to confirm"}
    return {"type": "object", "properties": properties, "required": list(properties)}


def build_form_request(pending: PendingConfirmation, *, changed: bool) -> ElicitRequest:
    """Return a request for a form. `changed` means that the target is not in the state that an earlier form showed."""
    message = f"The target has changed since the last form.\n{pending.text}" if changed else pending.text
    schema = build_form_schema(pending.preview)
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def build_url_request(pending: PendingConfirmation, url: str) -> ElicitRequest:
    """Return a request to open the confirmation page."""
    message = f"{pending.preview.title} Review the effect on the server's confirmation page, then approve or decline."
    return ElicitRequest(params=ElicitRequestURLParams(message=message, url=url, elicitation_id=pending.id))


def read_page_refusal(result: ElicitResult) -> NotConfirmed | None:
    """Return the reason if the client did not open the page, else None."""
    return {"decline": PAGE_DECLINED, "cancel": PAGE_CANCELLED}.get(result.action)


def read_form(pending: PendingConfirmation, result: ElicitResult) -> Approval | NotConfirmed:
    """Return the result of a form.

    Only an accepted form with a ticked box (exactly `true`) and the correct name is an approval.
    """
    if result.action != "accept":
        return FORM_DECLINED if result.action == "decline" else CANCELLED
    content: Mapping[str, Any] | None = result.content
    if content is None or not isinstance(content.get(BOX), bool):
        return MALFORMED
    if content[BOX] is not True:
        return NOT_TICKED
    typed = pending.preview.typed
    if typed is not None and NAME not in content:
        return MALFORMED
    if typed is not None and content[NAME] != typed:
        return WRONG_NAME
    return Approval("form", pending.preview)
