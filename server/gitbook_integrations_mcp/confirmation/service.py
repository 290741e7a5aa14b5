"""The gate: what is destructive runs only after a human's yes, however the client can or cannot ask for one.

A yes is bound to the tool, its exact arguments, the caller, and the target's state as it was shown; it is used once and
lives a while. Whatever else happens ends in an outcome that the model reads, and in nothing being sent.
"""

from collections.abc import Mapping
from dataclasses import replace

import anyio
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import METHOD_NOT_FOUND, ElicitRequest, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.config.models import ConfirmationSection
from gitbook_integrations_mcp.confirmation.elicitation import Answer, accepts_forms, accepts_urls, put_form, put_link
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.confirmation.preview import Preview, Previewer
from gitbook_integrations_mcp.confirmation.results import (
    Approval,
    ConfirmationResult,
    NotConfirmed,
    end,
    judge_answer,
    read_decision,
    require,
)
from gitbook_integrations_mcp.confirmation.store import ConfirmationStore, PendingConfirmation

KEY = "confirmation"
"""Name of the question within a multi-round-trip request."""

_ROUNDS = 3
"""How often a question is put anew within one call because its target changed meanwhile."""

_REFUSALS: Mapping[str, Answer] = {"decline": "declined", "cancel": "cancelled"}


class ConfirmationService:
    """The gate that asks: by a form of the client, else as the operator's fallback says."""

    def __init__(
        self, settings: ConfirmationSection, previewer: Previewer, questions: ConfirmationStore, page: ConfirmationPage
    ) -> None:
        self._settings = settings
        self._previewer = previewer
        self._questions = questions
        self._page = page

    async def confirm(self, call: Call) -> ConfirmationResult:
        """Return an approval of exactly this call, the question to put to the client, or why it is not confirmed.

        Raises:
            CallError: the preview cannot be made, because the target does not exist or GitBook fails.
            StoreError: the store of the questions fails.
        """
        answered = await self._take_answer(call)
        if isinstance(answered, PendingConfirmation):
            answered = await self._await_decision(answered)
        if isinstance(answered, NotConfirmed):
            return answered
        preview, target = await self._previewer.preview(call)
        if answered and answered.preview.state == preview.state:
            return replace(answered, before=target)
        return await self._ask(call, preview, changed=answered is not None)

    async def _take_answer(self, call: Call) -> Approval | NotConfirmed | PendingConfirmation | None:
        """Spend the answer that the call brings, if any; a question that the page has not decided yet stays open.

        Whatever was looked at, it is the spending that decides, so that one answer serves one call.
        """
        state, token = call.params.request_state, call.confirmation_id
        if state is None and token is None:
            decided = await self._questions.consume_decided(call.binding)
            return read_decision(decided) if decided else None
        pending = await self._questions.get(state or token or "")
        if pending is None or pending.binding != call.binding or (pending.way == "two-step") is (token is None):
            await self._questions.take(state or token or "")
            return end("expired")
        if pending.way == "two-step":
            return await self._spend(pending, Approval("two-step", pending.preview))
        result = (call.params.input_responses or {}).get(KEY)
        if not isinstance(result, ElicitResult):
            return await self._spend(pending, end("malformed"))
        if pending.way == "form":
            return await self._spend(pending, judge_answer(pending, result))
        if result.action != "accept":
            return await self._spend(pending, end(_REFUSALS[result.action]))
        return await self._spend(pending, read_decision(pending)) if pending.decision else pending

    async def _spend(self, pending: PendingConfirmation, answer: Approval | NotConfirmed) -> Approval | NotConfirmed:
        if isinstance(answer, NotConfirmed):  # a no outweighs whatever was said of the same call before
            spent = await self._questions.refuse(pending.id, pending.binding)
        else:
            spent = await self._questions.take(pending.id) is not None
        return answer if spent else end("expired")

    async def _ask(self, call: Call, preview: Preview, *, changed: bool) -> ConfirmationResult:
        if self._settings.ask == "form" and accepts_forms(call.context.session.client_capabilities):
            if call.context.protocol_version in MODERN_PROTOCOL_VERSIONS:
                pending = await self._questions.open("form", call.binding, preview)
                return InputRequiredResult(input_requests={KEY: put_form(preview, changed)}, request_state=pending.id)
            if call.context.session.can_send_request:
                return await self._ask_within_call(call, preview, changed=changed)
        return await self._fall_back(call, preview, changed=changed)

    async def _ask_within_call(self, call: Call, preview: Preview, *, changed: bool) -> ConfirmationResult:
        """Ask by a request to the client, as protocols up to 2025-11-25 have it, and anew while the target changes."""
        for _ in range(_ROUNDS):
            pending = await self._questions.open("form", call.binding, preview)
            result = await self._send(call, put_form(preview, changed))
            if result is None:
                await self._questions.take(pending.id)
                return await self._fall_back(call, preview, changed=changed)
            said = judge_answer(pending, result) if isinstance(result, ElicitResult) else result
            answer = await self._spend(pending, said)
            if isinstance(answer, NotConfirmed):
                return answer
            preview, target = await self._previewer.preview(call)
            if preview.state == answer.preview.state:
                return replace(answer, before=target)
            changed = True
        return end("target_changed")

    async def _send(self, call: Call, question: ElicitRequest) -> ElicitResult | NotConfirmed | None:
        """Return the client's answer, how it failed to give one in time or form, or None where it cannot be asked."""
        metadata = ServerMessageMetadata(related_request_id=call.context.request_id)
        with anyio.move_on_after(self._settings.ttl):
            try:
                return await call.context.session.send_request(question, ElicitResult, metadata=metadata)
            except MCPError as error:
                if isinstance(error, NoBackChannelError) or error.error.code == METHOD_NOT_FOUND:
                    return None  # it claimed the capability without having it; nobody was asked
                return end("cancelled")  # somebody may have been, and did not say yes
            except ValidationError:
                return end("malformed")
        return end("expired")

    async def _fall_back(self, call: Call, preview: Preview, *, changed: bool) -> ConfirmationResult:
        if self._settings.fallback == "refuse":
            return end("refused")
        if self._settings.fallback == "two-step":
            pending = await self._questions.open("two-step", call.binding, preview)
            return require(pending, changed=changed)
        pending = await self._questions.open("browser", call.binding, preview)
        url = await self._page.open(pending)
        session = call.context.session
        if accepts_urls(session.client_capabilities):
            if call.context.protocol_version in MODERN_PROTOCOL_VERSIONS:
                return InputRequiredResult(input_requests={KEY: put_link(pending, url)}, request_state=pending.id)
            if session.can_send_request and (verdict := await self._send_to_page(call, pending, url)):
                return verdict
        return require(pending, changed=changed, url=url)

    async def _send_to_page(self, call: Call, pending: PendingConfirmation, url: str) -> ConfirmationResult | None:
        """Ask by a request to the client to open the page. Returns None where it cannot be asked."""
        result = await self._send(call, put_link(pending, url))
        if result is None:
            return None
        if isinstance(result, NotConfirmed):
            answered = await self._spend(pending, result)
        elif result.action != "accept":
            answered = await self._spend(pending, end(_REFUSALS[result.action]))
        else:
            answered = await self._await_decision(pending)
        if isinstance(answered, NotConfirmed):
            return answered
        preview, target = await self._previewer.preview(call)
        if preview.state == answered.preview.state:
            return replace(answered, before=target)
        return await self._fall_back(call, preview, changed=True)

    async def _await_decision(self, pending: PendingConfirmation) -> Approval | NotConfirmed:
        """Wait until a human, who is on their way to the page, decides there."""
        with anyio.move_on_after(self._settings.ttl):
            await self._questions.wait(pending.id)
        decided = await self._questions.take(pending.id)
        return read_decision(decided) if decided else end("expired")
