"""Subscriptions: clients are notified when this server may have changed a resource.

With protocol 2025-11-25 and older, a session subscribes and gets notifications on its own channel. With protocol
2026-07-28, a request listens, and its response is a stream of notifications. Only the caller who made the change is
notified, because this server does not know what other callers can read.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)

from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.features.addresses import Address
from gitbook_integrations_mcp.shares import choose_eviction

MAX_WATCHERS = 1000
"""Maximum number of sessions and streams that watch resources. A caller with many gives way to one with fewer."""

MAX_WATCHED = 100
"""Maximum number of resources that one session or stream watches."""

_TIMEOUT_SECONDS = 5
"""Time for clients to receive notifications. After that, the call that made the change continues."""

Context = ServerRequestContext[Any, Any]


@dataclass(eq=False, slots=True)
class Watcher:
    """A session or a stream: the ID of its caller, how it is notified and ended, and the addresses it watches by URI.

    `owner` is the caller without the session, because one caller can open many sessions.
    """

    caller: str = field(repr=False)
    owner: str = field(repr=False)
    notify: Callable[[str], Awaitable[None]]
    end: Callable[[], None]
    addresses: dict[str, Address] = field(default_factory=dict)


class Subscriptions:
    """All subscriptions in this process. `announces_tools` means that the list of tools can change."""

    def __init__(self, *, announces_tools: bool) -> None:
        self.announces_tools = announces_tools
        self._watchers: dict[Watcher, None] = {}  # oldest first
        self._sessions: dict[Connection, Watcher] = {}
        self._streams: dict[ListenHandler, InMemorySubscriptionBus] = {}
        self._listed: set[Connection] = set()

    async def announce(self, call: EndpointCall) -> None:
        """Notify the watchers of the caller of `call` about the resources that it may have changed."""
        with anyio.move_on_after(_TIMEOUT_SECONDS):
            async with anyio.create_task_group() as group:
                for watcher in list(self._watchers):
                    if watcher.caller == call.caller.id:
                        group.start_soon(_notify, watcher, call)

    def follow_tools(self, context: Context) -> None:
        """Notify the session of a request when the list of tools changes, until it ends."""
        connection: Connection = context.session._connection
        if connection not in self._listed and len(self._listed) < MAX_WATCHERS:
            self._listed.add(connection)
            connection.exit_stack.callback(self._listed.discard, connection)

    async def announce_tools(self) -> None:
        """Notify all sessions that have listed the tools, and all streams that ask for it."""
        with anyio.move_on_after(_TIMEOUT_SECONDS):
            async with anyio.create_task_group() as group:
                for connection in list(self._listed):
                    group.start_soon(connection.send_tool_list_changed)
                for bus in list(self._streams.values()):
                    group.start_soon(bus.publish, ToolsListChanged())

    def close(self) -> None:
        """End all streams regularly, so that their clients see no broken connection."""
        for stream in list(self._streams):
            stream.close()

    def _add(self, watcher: Watcher) -> None:
        if len(self._watchers) >= MAX_WATCHERS:
            evicted = choose_eviction({one: one.owner for one in self._watchers}, watcher.owner)
            if evicted is None:
                raise _create_limit_error("Too many clients watch resources of this server. Try again later.")
            del self._watchers[evicted]
            evicted.end()
        self._watchers[watcher] = None

    # Protocol 2025-11-25 and older

    def subscribe(self, context: Context, caller: Caller, address: Address) -> None:
        """Notify the session of a request about changes of `address`, until it unsubscribes or ends.

        Raises:
            MCPError: the session watches too many resources, or too many sessions watch.
        """
        # Only the connection outlives the request and knows when it ends. The SDK has no public access to it.
        connection: Connection = context.session._connection
        watcher = self._sessions.get(connection)
        if watcher is None:
            forget = partial(self._forget, connection)
            watcher = Watcher(caller.id, caller.owner, connection.send_resource_updated, forget)
            self._add(watcher)
            self._sessions[connection] = watcher
            connection.exit_stack.callback(forget)
        if watcher.caller != caller.id:  # the session continues with other credentials
            watcher.caller, watcher.owner, watcher.addresses = caller.id, caller.owner, {}
        if address.uri not in watcher.addresses and len(watcher.addresses) >= MAX_WATCHED:
            raise _create_limit_error(
                f"This session watches {MAX_WATCHED} resources, which is the maximum. Unsubscribe first."
            )
        watcher.addresses[address.uri] = address

    def unsubscribe(self, context: Context, caller: Caller, uri: str) -> None:
        """Stop notifying the session of a request about `uri`."""
        watcher = self._sessions.get(context.session._connection)
        if watcher and watcher.caller == caller.id:
            watcher.addresses.pop(uri, None)

    def _forget(self, connection: Connection) -> None:
        if watcher := self._sessions.pop(connection, None):
            self._watchers.pop(watcher, None)

    # Protocol 2026-07-28

    async def listen(
        self, context: Context, caller: Caller, params: SubscriptionsListenRequestParams, addresses: Iterable[Address]
    ) -> SubscriptionsListenResult:
        """Serve one stream of notifications about `addresses`, until its client or this server ends it.

        Raises:
            MCPError: too many streams and sessions watch.
        """
        bus = InMemorySubscriptionBus()
        stream = ListenHandler(bus)
        watched = {address.uri: address for address in addresses}
        owner = caller.owner
        watcher = Watcher(caller.id, owner, lambda uri: bus.publish(ResourceUpdated(uri)), stream.close, watched)
        self._add(watcher)
        self._streams[stream] = bus
        tools = params.notifications.tools_list_changed if self.announces_tools else None
        honoured = SubscriptionFilter(resource_subscriptions=list(watched), tools_list_changed=tools)
        try:
            return await stream(context, params.model_copy(update={"notifications": honoured}))
        finally:
            self._watchers.pop(watcher, None)
            self._streams.pop(stream, None)


async def _notify(watcher: Watcher, call: EndpointCall) -> None:
    for uri, address in list(watcher.addresses.items()):
        if address.resource.is_touched(address.arguments, call.tool, call.request.path):
            await watcher.notify(uri)


def _create_limit_error(message: str) -> MCPError:
    return MCPError(INTERNAL_ERROR, message, {"code": ErrorCode.TOO_MANY_SUBSCRIPTIONS})
