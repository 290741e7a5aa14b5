"""What the gate can say of a call: a human's yes, a question to put to one, or how it ended without either."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_types import ElicitResult, InputRequiredResult

from gitbook_integrations_api.options import CONFIRMATION_ARGUMENT
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.confirmation.elicitation import read_answer
from gitbook_integrations_mcp.confirmation.preview import Preview
from gitbook_integrations_mcp.confirmation.store import ConfirmationMode, PendingConfirmation

_WORDS: Mapping[str, str] = {
    "declined": "A human declined. Do not try again unless they ask for it.",
    "cancelled": "The question was closed without an answer. If the client closes it without showing it, the operator "
    "of this server can set confirmation.ask to fallback.",
    "not_ticked": "The form came back without its box ticked, which is a no.",
    "wrong_name": "The name that was typed is not the one that was asked for.",
    "malformed": "The client's answer to the question is not the form that was asked for.",
    "expired": "The question is spent or too old. Call the tool again to have it put anew.",
    "target_changed": "The target kept changing while the question was put. Read its state, then call the tool again.",
    "refused": "This waits for a human's yes. The client cannot ask for one, and the operator of this server allows no "
    "other way (confirmation.fallback). A human can do it in GitBook itself.",
}
_OPEN = "confirmation_required"

UNCONFIRMED = frozenset({*_WORDS, _OPEN})
"""Every `status` of a call that was not sent for want of a yes."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A human's yes to exactly one call: by which way it came, and to what.

    `before` is the target as it was read last, None where the token may not read it.
    """

    way: ConfirmationMode
    preview: Preview
    before: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NotConfirmed:
    """How a gated call ended without being sent, as the model reads it."""

    content: dict[str, Any]


ConfirmationResult = Approval | NotConfirmed | InputRequiredResult


Confirm = Callable[[Call], Awaitable[ConfirmationResult]]
"""Returns an approval of exactly this call, the question to put to the client, or why the call is not confirmed."""


def judge_answer(pending: PendingConfirmation, result: ElicitResult) -> Approval | NotConfirmed:
    """Return what a human's answer to a form comes to."""
    answer = read_answer(pending.preview, result)
    return Approval("form", pending.preview) if answer == "yes" else end(answer)


def read_decision(pending: PendingConfirmation) -> Approval | NotConfirmed:
    """Return what a human's decision on the page comes to."""
    if pending.decision == "approved":
        return Approval("browser", pending.preview)
    return end("declined" if pending.decision else "expired")


def end(status: str) -> NotConfirmed:
    """Return how a call ended without a yes."""
    return NotConfirmed({"status": status, "message": f"Nothing was sent. {_WORDS[status]}"})


def require(pending: PendingConfirmation, *, changed: bool, url: str | None = None) -> NotConfirmed:
    """Return that a yes is missing, what a human would read, and the means to get it: the page or the second step."""
    means = {CONFIRMATION_ARGUMENT: pending.id} if url is None else {"url": url}
    return NotConfirmed(
        {
            "status": "target_changed" if changed else _OPEN,
            "message": _SECOND_STEP if url is None else _READ_PAGE,
            "preview": pending.preview.text,
            **means,
            "expiresInSeconds": pending.seconds,
        }
    )


_READ_PAGE = (
    "Nothing was sent: this waits for a human's yes. Give them the url; there they read what would happen, and approve "
    "or refuse. When they say they have, call the tool again with exactly these arguments; it then runs once. Do not "
    "open the url yourself."
)
_SECOND_STEP = (
    "Nothing was sent. Show the human the preview and ask. Only if they agree, call the tool again with exactly these "
    f"arguments and {CONFIRMATION_ARGUMENT}; it then runs once."
)
