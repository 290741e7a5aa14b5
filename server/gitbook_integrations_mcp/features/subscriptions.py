"""Who watches which resource, and is told when this server may have changed it.

Up to 2025-11-25 a session subscribes and is told on its own channel; from 2026-07-28 on a request listens, and its
answer is the stream. Either way only the caller who made the change is told: what others may see is not known here.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)

from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.features.addresses import Address

WATCHERS = 1000
"""Sessions and streams that watch something, at a time."""

WATCHED = 100
"""Resources that one of them watches at most."""

_PATIENCE = 5
"""Seconds that clients get to take what they are told, before the call that made the change goes on without."""

Context = ServerRequestContext[Any, Any]


@dataclass(eq=False, slots=True)
class Watcher:
    """A session or a stream, whose it is, what it watches, and how it is told."""

    caller: str = field(repr=False)
    tell: Callable[[str], Awaitable[None]]
    addresses: dict[str, Address] = field(default_factory=dict)


class Subscriptions:
    """All that is watched in this process."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._sessions: dict[Connection, Watcher] = {}
        self._streams: set[ListenHandler] = set()

    async def announce(self, call: EndpointCall) -> None:
        """Tell those who watch, and are the caller of `call`, what it may have changed."""
        with anyio.move_on_after(_PATIENCE):
            async with anyio.create_task_group() as group:
                for watcher in self._watchers:
                    if watcher.caller == call.caller.id:
                        group.start_soon(_tell, watcher, call)

    def close(self) -> None:
        """End all streams, so that their clients know it was on purpose."""
        for stream in list(self._streams):
            stream.close()

    def _add(self, watcher: Watcher) -> None:
        if len(self._watchers) >= WATCHERS:
            raise MCPError(INTERNAL_ERROR, "Too many clients watch resources of this server. Try again later.")
        self._watchers.add(watcher)

    # Up to 2025-11-25

    def subscribe(self, context: Context, caller: Caller, address: Address) -> None:
        """Have the session of a request told of `address`, until it says otherwise or ends.

        Raises:
            MCPError: it watches too much, or too many do.
        """
        # There is no public way from a request to its connection, which alone outlives it and knows when it ends.
        connection: Connection = context.session._connection
        watcher = self._sessions.get(connection)
        if watcher is None:
            watcher = Watcher(caller.id, connection.send_resource_updated)
            self._add(watcher)
            self._sessions[connection] = watcher
            connection.exit_stack.callback(self._forget, connection)
        if watcher.caller != caller.id:  # it goes on with other credentials, so it starts anew
            watcher.caller, watcher.addresses = caller.id, {}
        if address.uri not in watcher.addresses and len(watcher.addresses) >= WATCHED:
            raise MCPError(INTERNAL_ERROR, f"This session watches {WATCHED} resources, which is all it may.")
        watcher.addresses[address.uri] = address

    def unsubscribe(self, context: Context, caller: Caller, uri: str) -> None:
        """Have the session of a request no longer told of `uri`."""
        watcher = self._sessions.get(context.session._connection)
        if watcher and watcher.caller == caller.id:
            watcher.addresses.pop(uri, None)

    def _forget(self, connection: Connection) -> None:
        if watcher := self._sessions.pop(connection, None):
            self._watchers.discard(watcher)

    # From 2026-07-28 on

    async def listen(
        self, context: Context, caller: Caller, params: SubscriptionsListenRequestParams, addresses: Iterable[Address]
    ) -> SubscriptionsListenResult:
        """Serve one stream that tells of `addresses`, and of nothing else, until its client or this server ends it.

        Raises:
            MCPError: too many watch.
        """
        bus = InMemorySubscriptionBus()
        stream = ListenHandler(bus)
        watched = {address.uri: address for address in addresses}
        watcher = Watcher(caller.id, lambda uri: bus.publish(ResourceUpdated(uri)), watched)
        self._add(watcher)
        self._streams.add(stream)
        honoured = SubscriptionFilter(resource_subscriptions=list(watched))
        try:
            return await stream(context, params.model_copy(update={"notifications": honoured}))
        finally:
            self._watchers.discard(watcher)
            self._streams.discard(stream)


async def _tell(watcher: Watcher, call: EndpointCall) -> None:
    for uri, address in list(watcher.addresses.items()):
        if address.resource.is_touched(address.arguments, call.tool, call.request.path):
            await watcher.tell(uri)
