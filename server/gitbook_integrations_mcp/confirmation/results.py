"""The outcomes of confirmation: an approval, a request to the client, or the reason why a call was not sent."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_types import InputRequiredResult

from gitbook_integrations_api.options import CONFIRMATION_ARGUMENT
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.store.pending import ConfirmationMode, PendingConfirmation, Preview

NOT_SENT = "not_sent"
"""`status` of every call that was not sent because an approval is missing."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A human's approval of exactly one call.

    `before` is the target as it was last read, or None if the token may not read it.
    """

    mode: ConfirmationMode
    preview: Preview
    before: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NotConfirmed:
    """The reason why a call was not sent. `details` are further fields for the model."""

    code: ErrorCode
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """The structured content of the call's result."""
        return {"status": NOT_SENT, "code": str(self.code), "message": self.message, **self.details}


ConfirmationResult = Approval | NotConfirmed | InputRequiredResult


Confirm = Callable[[Call], Awaitable[ConfirmationResult]]
"""Returns an approval of exactly this call, a request to the client, or the reason why the call is not confirmed."""


_UNSEEN_FORM = (
    "If the user saw no form, the client answers forms by itself. Then the operator of this server can set "
    "confirmation.ask to fallback."
)
_UNSEEN_PAGE = (
    "If the user saw no page and no request to open one, the client answers by itself. Then the operator of this "
    "server can set confirmation.fallback to two-step."
)

DECLINED = NotConfirmed(
    ErrorCode.CONFIRMATION_DECLINED, "Nothing was sent: the user declined. Do not try again unless they ask for it."
)
# Some clients answer by themselves. The remedy is short, because most answers are the user's.
FORM_DECLINED = NotConfirmed(
    ErrorCode.CONFIRMATION_DECLINED,
    f"{DECLINED.message} If the user saw no form, the operator can set confirmation.ask to fallback.",
)
PAGE_DECLINED = NotConfirmed(
    ErrorCode.CONFIRMATION_DECLINED,
    f"{DECLINED.message} If the user saw no request, the operator can set confirmation.fallback to two-step.",
)
PAGE_CANCELLED = NotConfirmed(
    ErrorCode.CONFIRMATION_CANCELLED,
    f"Nothing was sent: the client did not open the confirmation page. {_UNSEEN_PAGE}",
)
CANCELLED = NotConfirmed(
    ErrorCode.CONFIRMATION_CANCELLED,
    "Nothing was sent: the client closed the confirmation without an answer. If the client closes forms without "
    "showing them, the operator of this server can set confirmation.ask to fallback.",
)
NOT_TICKED = NotConfirmed(
    ErrorCode.CONFIRMATION_INVALID,
    "Nothing was sent: the confirmation box was not ticked. Call the tool again only if the user still wants this. "
    + _UNSEEN_FORM,
)
WRONG_NAME = NotConfirmed(
    ErrorCode.CONFIRMATION_INVALID,
    "Nothing was sent: the name entered does not match. Call the tool again only if the user still wants this.",
)
MALFORMED = NotConfirmed(
    ErrorCode.CONFIRMATION_INVALID,
    "Nothing was sent: the client's response to the confirmation form is invalid. It must contain every field of the "
    f"form. {_UNSEEN_FORM}",
)
EXPIRED = NotConfirmed(
    ErrorCode.CONFIRMATION_EXPIRED,
    "Nothing was sent: this confirmation was already used, has expired, or is for another call or client. Call the "
    "tool again to request a new one.",
)
TARGET_CHANGED = NotConfirmed(
    ErrorCode.TARGET_CHANGED,
    "Nothing was sent: the target changed while confirmation was pending. Read its current state, then call the "
    "tool again.",
)
UNAVAILABLE = NotConfirmed(
    ErrorCode.CONFIRMATION_UNAVAILABLE,
    "Nothing was sent: this call needs human confirmation. The client cannot ask for it, and the operator of this "
    "server allows no other way (confirmation.fallback). The user can make the change in GitBook itself. Findings are "
    "accepted with `gitbook-integrations-mcp audit accept`, and acceptances withdrawn with `audit withdraw`.",
)


def read_decision(pending: PendingConfirmation) -> Approval | NotConfirmed:
    """Return the result of a decision on the page."""
    if pending.decision == "approved":
        return Approval("browser", pending.preview)
    return DECLINED if pending.decision else EXPIRED


def build_confirmation_required(
    pending: PendingConfirmation, *, changed: bool, url: str | None = None, hides_preview: bool = False
) -> NotConfirmed:
    """Return the result that asks the model to get an approval: on the page at `url`, or by a second call.

    `changed` means that the target is not in the state that an earlier preview showed. With `hides_preview`, only the
    page shows the preview, which can contain what the model may read only after approval.
    """
    reason = "the target has changed since the last preview, so this call needs a new confirmation"
    message = f"Nothing was sent: {reason if changed else 'this call needs human confirmation'}. "
    return NotConfirmed(
        ErrorCode.TARGET_CHANGED if changed else ErrorCode.CONFIRMATION_REQUIRED,
        message + (_SECOND_CALL if url is None else _REVIEW_ON_PAGE),
        {
            **({} if hides_preview else {"preview": pending.text}),
            **({CONFIRMATION_ARGUMENT: pending.id} if url is None else {"url": url}),
            "expiresInSeconds": pending.expires_in,
        },
    )


_REVIEW_ON_PAGE = (
    "Give the user the url, where they can review the call and approve or decline it. Do not open the url yourself. "
    "After they approve, repeat the call with exactly the same arguments. An approval is valid for one call."
)
_SECOND_CALL = (
    "Show the user the preview and ask for approval. Only if they approve, repeat the call with exactly the same "
    f"arguments and {CONFIRMATION_ARGUMENT}. An approval is valid for one call."
)
