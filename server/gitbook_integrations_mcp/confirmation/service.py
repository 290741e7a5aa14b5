"""Confirmation: a destructive call runs only after a human approved it.

An approval is bound to the tool, its exact arguments, the caller, and the state of the target that the human saw. It
expires and is used once. In every other case nothing is sent, and the result says why.
"""

from dataclasses import replace

import anyio
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import METHOD_NOT_FOUND, ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.config.models import ConfirmationSection
from gitbook_integrations_mcp.confirmation.elicitation import (
    accepts_forms,
    accepts_urls,
    build_form_request,
    build_url_request,
    read_form,
    read_page_refusal,
)
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.results import (
    CANCELLED,
    EXPIRED,
    MALFORMED,
    PAGE_CANCELLED,
    TARGET_CHANGED,
    UNAVAILABLE,
    Approval,
    ConfirmationResult,
    NotConfirmed,
    build_confirmation_required,
    read_decision,
)
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.store.pending import PendingConfirmation, Preview
from gitbook_integrations_mcp.store.store import Store

KEY = "confirmation"
"""Name of the confirmation among the input requests of a call."""

_MAX_ROUNDS = 3
"""How often one call asks the human if the target changes meanwhile."""


class ConfirmationService:
    """Asks a human through a form of the client, or else as `confirmation.fallback` says."""

    def __init__(
        self, settings: ConfirmationSection, previewer: Previewer, store: Store, page: ConfirmationPage
    ) -> None:
        self._settings = settings
        self._previewer = previewer
        self._store = store
        self._page = page

    async def confirm(self, call: Call) -> ConfirmationResult:
        """Return an approval of exactly this call, a request to the client, or the reason why it is not confirmed.

        Raises:
            CallError: the preview cannot be read, because the target does not exist or GitBook fails.
            StoreError: the store of confirmations fails.
        """
        earlier = await self._read_earlier(call)
        if isinstance(earlier, PendingConfirmation):
            earlier = await self._await_decision(earlier)
        if isinstance(earlier, NotConfirmed):
            return earlier
        preview, target = await self._previewer.preview(call)
        if earlier and earlier.preview.state == preview.state:
            return replace(earlier, before=target)
        return await self._ask(call, preview, changed=earlier is not None)

    async def _read_earlier(self, call: Call) -> Approval | NotConfirmed | PendingConfirmation | None:
        """Use up the earlier confirmation that the call refers to and return its result, or None without one.

        A confirmation that is not yet decided on the page stays open and is returned. Reading a confirmation decides
        nothing; only using it does, so that one confirmation serves one call. A call cannot use up the confirmation of
        another call, caller or mode, which stays open.
        """
        if call.params.request_state is None:
            if call.confirmation_id is not None:
                # A second call is not the consent of a human, so a client that can show a form shows one.
                return None if self._can_show_form(call) else await self._read_second_call(call, call.confirmation_id)
            decided = await self._store.confirmations.consume_decided(call.binding)
            return read_decision(decided) if decided else None
        pending = await self._store.confirmations.get(call.params.request_state)
        if pending is None or pending.binding != call.binding or pending.mode == "two-step":
            return EXPIRED
        response = (call.params.input_responses or {}).get(KEY)
        if not isinstance(response, ElicitResult):
            return await self._consume(pending, MALFORMED)
        if pending.mode == "form":
            return await self._consume(pending, read_form(pending, response))
        if refusal := read_page_refusal(response):
            return await self._consume(pending, refusal)
        return await self._consume(pending, read_decision(pending)) if pending.decision else pending

    async def _read_second_call(self, call: Call, confirmation_id: str) -> Approval | NotConfirmed:
        """Use up the confirmation that the second call of the same client refers to."""
        pending = await self._store.confirmations.get(confirmation_id)
        if pending is None or pending.mode != "two-step" or pending.binding != _bind_to_client(call):
            return EXPIRED
        return await self._consume(pending, Approval("two-step", pending.preview))

    async def _consume(self, pending: PendingConfirmation, result: Approval | NotConfirmed) -> Approval | NotConfirmed:
        """Use up a confirmation. Return `result`, or that the confirmation was already used."""
        if isinstance(result, NotConfirmed):  # also revokes earlier approvals of the same call
            was_open = await self._store.confirmations.refuse(pending.id, pending.binding)
        else:
            was_open = await self._store.confirmations.consume(pending.id) is not None
        return result if was_open else EXPIRED

    def _can_show_form(self, call: Call) -> bool:
        """Whether the client says that it can show a form, and the settings and the transport allow it."""
        session = call.context.session
        modern = call.context.protocol_version in MODERN_PROTOCOL_VERSIONS
        can_ask = modern or session.can_send_request
        return self._settings.ask == "form" and accepts_forms(session.client_capabilities) and can_ask

    async def _ask(self, call: Call, preview: Preview, *, changed: bool) -> ConfirmationResult:
        if not self._can_show_form(call):
            return await self._fall_back(call, preview, changed=changed)
        if call.context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await self._ask_within_call(call, preview, changed=changed)
        pending = await self._store.confirmations.open("form", call.binding, preview, call.caller.owner)
        request = build_form_request(pending, changed=changed)
        return InputRequiredResult(input_requests={KEY: request}, request_state=pending.id)

    async def _ask_within_call(self, call: Call, preview: Preview, *, changed: bool) -> ConfirmationResult:
        """Ask by a request to the client, as in protocol 2025-11-25 and older. Ask again if the target changes."""
        for _ in range(_MAX_ROUNDS):
            pending = await self._store.confirmations.open("form", call.binding, preview, call.caller.owner)
            response = await self._send(call, build_form_request(pending, changed=changed))
            if response is None:
                await self._store.confirmations.consume(pending.id)
                return await self._fall_back(call, preview, changed=changed)
            result = read_form(pending, response) if isinstance(response, ElicitResult) else response
            result = await self._consume(pending, result)
            if isinstance(result, NotConfirmed):
                return result
            preview, target = await self._previewer.preview(call)
            if preview.state == result.preview.state:
                return replace(result, before=target)
            changed = True
        return TARGET_CHANGED

    async def _send(self, call: Call, request: ElicitRequest) -> ElicitResult | NotConfirmed | None:
        """Return the client's response, the reason if there is no valid one in time, or None if it cannot be asked."""
        metadata = ServerMessageMetadata(related_request_id=call.context.request_id)
        with anyio.move_on_after(self._settings.ttl):
            try:
                return await call.context.session.send_request(request, ElicitResult, metadata=metadata)
            except MCPError as error:
                if isinstance(error, NoBackChannelError) or error.error.code == METHOD_NOT_FOUND:
                    return None  # the client declares a capability that it does not have; no human was asked
                # A human may have been asked and did not approve.
                return PAGE_CANCELLED if isinstance(request.params, ElicitRequestURLParams) else CANCELLED
            except ValidationError:
                return MALFORMED
        return EXPIRED

    async def _fall_back(self, call: Call, preview: Preview, *, changed: bool) -> ConfirmationResult:
        if self._settings.fallback == "refuse":
            return UNAVAILABLE
        if self._settings.fallback == "two-step":
            return await self._fall_back_to_second_call(call, preview, changed=changed)
        pending = await self._store.confirmations.open("browser", call.binding, preview, call.caller.owner)
        url = await self._page.open(pending)
        session = call.context.session
        if accepts_urls(session.client_capabilities):
            if call.context.protocol_version in MODERN_PROTOCOL_VERSIONS:
                request = build_url_request(pending, url)
                return InputRequiredResult(input_requests={KEY: request}, request_state=pending.id)
            if session.can_send_request and (result := await self._ask_on_page(call, pending, url)):
                return result
        hides = call.caller.policy.hides_results
        return build_confirmation_required(pending, changed=changed, url=url, hides_preview=hides)

    async def _fall_back_to_second_call(self, call: Call, preview: Preview, *, changed: bool) -> ConfirmationResult:
        if call.confirmation_id is not None and self._can_show_form(call):
            # The client could not show the form that it says it can, so this is its second call.
            earlier = await self._read_second_call(call, call.confirmation_id)
            if isinstance(earlier, NotConfirmed):
                return earlier
            preview, target = await self._previewer.preview(call)
            if preview.state == earlier.preview.state:
                return replace(earlier, before=target)
            changed = True
        pending = await self._store.confirmations.open("two-step", _bind_to_client(call), preview, call.caller.owner)
        return build_confirmation_required(pending, changed=changed)

    async def _ask_on_page(self, call: Call, pending: PendingConfirmation, url: str) -> ConfirmationResult | None:
        """Ask the client to open the page and wait for the decision. Returns None if the client cannot be asked."""
        response = await self._send(call, build_url_request(pending, url))
        if response is None:
            return None
        if isinstance(response, NotConfirmed):
            result = await self._consume(pending, response)
        elif refusal := read_page_refusal(response):
            result = await self._consume(pending, refusal)
        else:
            result = await self._await_decision(pending)
        if isinstance(result, NotConfirmed):
            return result
        preview, target = await self._previewer.preview(call)
        if preview.state == result.preview.state:
            return replace(result, before=target)
        return await self._fall_back(call, preview, changed=True)

    async def _await_decision(self, pending: PendingConfirmation) -> Approval | NotConfirmed:
        """Wait until the human decides on the page, which the client has opened."""
        with anyio.move_on_after(self._settings.ttl):
            await self._store.confirmations.wait(pending.id)
        decided = await self._store.confirmations.consume(pending.id)
        return read_decision(decided) if decided else EXPIRED


def _bind_to_client(call: Call) -> str:
    """Return the binding of a call together with what its client can show a human.

    Several clients can be one caller. A client that can ask a human cannot use the confirmation of one that cannot.
    """
    capabilities = call.context.session.client_capabilities
    return digest_json([call.binding, accepts_forms(capabilities), accepts_urls(capabilities)])
