"""Development mode with an end: this server disables what it enabled, after the time that a human approved.

The approval of `set_integration_development_mode` shows the duration, and covers exactly one later call:
`disable_integration_development_mode` of the same integration. This module can send no other call. The store has a row
before development mode is enabled, so a later start finds it after a crash. A call that ends development mode removes
only the rows of calls that GitBook had answered before it was sent: any other may take effect after it.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.options import Options
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.output import Describe
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.config.models import DevelopmentSection
from gitbook_integrations_mcp.confirmation.results import Approval
from gitbook_integrations_mcp.errors import ArgumentsError, CallError, CredentialError, StoreError, UnreachableError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.pipeline.change_log import describe_outcome
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.times import read_duration, write_time

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.development_modes import DevelopmentMode

logger = logging.getLogger(__name__)

ENABLE = "set_integration_development_mode"
DISABLE = ENDPOINTS["disable_integration_development_mode"]
_ENDING = frozenset({ENABLE, DISABLE.name, "unpublish_integration"})
"""Tools after whose success an earlier development mode is over."""

_TABLE = "development_modes"
_FIRST_LOOK_SECONDS = 2.0
"""Time after the start before the store is opened, so that the start stays fast."""

_LOOK_SECONDS = 60.0
"""Time between two looks for development modes that other processes enabled."""

_STOP_SECONDS = 10.0
"""Time to disable development mode when the server stops."""


class DevelopmentModes:
    """The development modes that the caller's server enabled. `credentials` are the operator's."""

    def __init__(
        self, store: Store, gitbook: GitBook, credentials: Credentials, policy: Policy, settings: DevelopmentSection
    ) -> None:
        self._store = store
        self._gitbook = gitbook
        self._credentials = credentials
        self._settings = settings
        self._is_offered = DISABLE.name in policy.tools
        self._own: dict[str, Credentials] = {}
        """The credentials that enabled each development mode of this process, by the ID of the change."""
        self._changed = anyio.Event()

    def complete_options(self, options: Options) -> Options:
        """Return the options of a call that enables development mode, with the default duration.

        Raises:
            ArgumentsError: the duration is longer than the settings allow.
        """
        duration = options.duration or self._settings.default_duration
        if read_duration(duration) > read_duration(self._settings.max_duration):
            raise ArgumentsError(
                f"for must be at most {self._settings.max_duration}. Only the operator can allow more "
                "(development.max_duration). Nothing was sent."
            )
        return options.model_copy(update={"duration": duration})

    async def begin(self, call: EndpointCall, approval: Approval | None, change: str) -> None:
        """Record that a call is about to enable development mode. Its end counts from now, if it was approved.

        Raises:
            StoreError: it cannot be recorded, so the call must not be sent.
        """
        from gitbook_integrations_mcp.store.development_modes import DevelopmentMode

        now = self._store.database.clock()
        duration = call.options.duration if approval else None
        await self._store.development_modes.add(
            DevelopmentMode(
                id=change,
                time=now,
                owner=call.caller.owner,
                principal=call.caller.user,
                organization=_find_owner(approval),
                integration=call.arguments["integrationName"],
                tunnel=urlsplit(call.arguments["tunnelUrl"]).hostname or "",
                all=call.arguments.get("all", False),
                credentials=call.caller.credentials.digest,
                approval=approval.mode if approval else None,
                ends_at=now + read_duration(duration) if duration else None,
            )
        )
        self._own[change] = call.caller.credentials
        self._changed.set()

    async def list_ended(self, call: EndpointCall) -> Sequence[str]:
        """Return the IDs of the development modes that a call ends if it succeeds. It must be sent after this."""
        if call.tool.name not in _ENDING or not self._store.may_contain(_TABLE):
            return ()
        try:
            return await self._store.development_modes.list_answered(call.arguments["integrationName"])
        except StoreError:
            return ()  # their rows stay, and their ends with them

    async def forget(self, ended: Sequence[str]) -> None:
        """Remove development modes that are over, or were not enabled for certain."""
        if not ended:
            return
        try:
            await self._store.development_modes.remove(ended)
        except StoreError as error:
            logger.warning("Development mode is off, but the store still has it: it %s", error.reason)
            return
        for one in ended:
            self._own.pop(one, None)

    async def describe(self, call: EndpointCall) -> dict[str, Any]:
        """Return the fields that the result of a call gets: what is known of an integration's development mode."""
        return await self.find(call) if call.tool.name in {ENABLE, "get_integration_by_name"} else {}

    @property
    def effects(self) -> Mapping[str, Describe]:
        """Describe effects of calls, by tool name, that GitBook does not show."""
        return {ENABLE: self._describe_replaced}

    async def _describe_replaced(self, call: Call) -> Sequence[tuple[str, str]]:
        mode = (await self.find(call)).get("developmentMode")
        return [("Replaces tunnel", f"{mode['tunnelHost']}, on until {mode['until']}")] if mode else []

    async def find(self, call: Call) -> dict[str, Any]:
        """Return what is known of the development mode of the integration that a call names, as a field of a result."""
        if not self._store.may_contain(_TABLE):
            return {}
        try:
            found = await self._store.development_modes.list(call.arguments["integrationName"])
        except StoreError:
            return {}  # the call itself succeeded
        modes = [one for one in found if one.owner == call.caller.owner]
        return {"developmentMode": describe_mode(modes[0])} if modes else {}

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Disable each development mode at its end, and, when this ends, those that this process enabled."""
        if not self._is_offered:
            yield
            return
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch)
                yield
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                if self._own:
                    with anyio.move_on_after(_STOP_SECONDS):
                        await self.disable_own()
                await self._gitbook.close()
                await self._store.close()  # which a look can have opened after the last connection

    async def _watch(self) -> None:
        await anyio.sleep(_FIRST_LOOK_SECONDS)
        await self._report_found()
        while True:
            self._changed = anyio.Event()
            wait = _LOOK_SECONDS
            try:
                wait = min(wait, await self.disable_due())
            except CallError as error:
                logger.warning("Development mode could not be checked: %s", error)
            with anyio.move_on_after(max(wait, 0.1)):
                await self._changed.wait()

    async def _report_found(self) -> None:
        """Log the development modes that other processes left on, or of which they still await the end."""
        if not self._store.may_contain(_TABLE):
            return
        try:
            for mode in await self._store.development_modes.list():
                if mode.id not in self._own:
                    until = describe_mode(mode)["until"]
                    logger.warning("Development mode of %s is on until %s (%s).", mode.integration, until, mode.id)
        except StoreError as error:
            logger.warning("Development mode could not be checked: the store %s", error.reason)

    async def disable_due(self) -> float:
        """Disable the development modes whose end has passed, and return the seconds until the next end.

        A failure is logged, and does not keep the others on.

        Raises:
            StoreError: the store fails.
        """
        nearest = _LOOK_SECONDS
        own = {*self._own}
        modes = await self._store.development_modes.list() if self._store.may_contain(_TABLE) else []
        for one in own.difference(mode.id for mode in modes):
            self._own.pop(one, None)  # another process ended it
        for mode in modes:
            credentials = self._find_credentials(mode)
            if credentials is None or mode.ends_at is None:
                continue
            left = mode.ends_at - self._store.database.clock()
            if left <= 0:
                await self._disable(mode, credentials)
            else:
                nearest = min(nearest, left)
        return nearest

    async def disable_own(self) -> None:
        """Disable the development modes that this process enabled with an approved end, because it stops.

        A failure is logged: the next server with this store tries again at the end.
        """
        try:
            for mode in await self._store.development_modes.list():
                if mode.id in self._own and mode.ends_at is not None:
                    await self._disable(mode, self._own[mode.id])
        except StoreError as error:
            logger.warning("Development mode could not be disabled: the store %s", error.reason)

    def _find_credentials(self, mode: "DevelopmentMode") -> Credentials | None:
        """Return the credentials that enabled a development mode, if this process has them."""
        return self._own.get(mode.id) or (self._credentials if mode.credentials == self._credentials.digest else None)

    async def _disable(self, mode: "DevelopmentMode", credentials: Credentials) -> None:
        """Disable a development mode, unless another process does or it was enabled again.

        Raises:
            StoreError: the store fails.
        """
        changes, arguments = self._store.changes, {"integrationName": mode.integration}
        try:
            token = credentials.select(DISABLE)
        except CredentialError as error:
            logger.warning("Development mode of %s could not be disabled: %s", mode.integration, error)
            return
        change = Change(
            id=changes.create_id(),
            time=self._store.database.clock(),
            owner=mode.owner,
            principal=mode.principal,
            organization=mode.organization,
            tool=DISABLE.name,
            operation=DISABLE.operation,
            arguments=arguments,
            approval=mode.approval,
            undoes=mode.id,
        )
        if not await self._store.development_modes.claim(mode.id):
            return
        ended = await self._store.development_modes.list_answered(mode.integration)
        await changes.begin(change)
        outcome: GitBookResponse | UnreachableError
        try:
            outcome = await self._gitbook.send(DISABLE.build_request(arguments), token)
        except UnreachableError as error:
            outcome = error
        values = describe_outcome(DISABLE, arguments, outcome, credentials)
        await changes.complete(change.id, values)
        if values["outcome"] == "done" or values.get("status") == 404:
            await self.forget(ended)
            logger.warning("Development mode of %s was disabled (%s).", mode.integration, change.id)
        else:
            reason = outcome.status if isinstance(outcome, GitBookResponse) else "no response"
            logger.warning("Development mode of %s could not be disabled: %s.", mode.integration, reason)


def describe_mode(mode: "DevelopmentMode") -> dict[str, Any]:
    """Return what is known of a development mode. GitBook itself does not show it."""
    return {
        "tunnelHost": mode.tunnel,
        "all": mode.all,
        "since": write_time(mode.time),
        "until": write_time(mode.ends_at) if mode.ends_at else f"{DISABLE.name} is called",
        "by": mode.principal,
        "changeId": mode.id,
    }


def _find_owner(approval: Approval | None) -> str | None:
    """Return the organization that owns the integration, which was read for the question."""
    owner = get_path(approval.before, "owner.id") if approval else None
    return owner if isinstance(owner, str) else None
