"""A client that watches resources, and changes that the server reports to it."""

import contextlib
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client
from mcp_types import ResourceUpdatedNotification

from tests.support.elicitation_client import GitBookSpy
from tests.support.process import SOON


@dataclass
class Subscriber:
    """The updates of resources that one client received."""

    client: Client
    updated: list[str] = field(default_factory=list)
    more: anyio.Event = field(default_factory=anyio.Event)

    def note(self, uri: str) -> None:
        """Record the update of a resource."""
        self.updated.append(uri)
        self.more.set()
        self.more = anyio.Event()

    async def take(self, *uris: str) -> None:
        """Wait until these, and only these, have been updated."""
        with anyio.fail_after(SOON):
            while len(self.updated) < len(uris):
                await self.more.wait()
        assert sorted(self.updated) == sorted(uris)
        self.updated.clear()


def handle_updates(subscriber: Subscriber) -> Any:
    """Return what a client does with the messages of a session."""

    async def handle(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            subscriber.note(message.params.uri)

    return handle


@contextlib.asynccontextmanager
async def watch(subscriber: Subscriber, *uris: str) -> AsyncIterator[list[str]]:
    """Watch resources as the protocol version of the client does; yield those that the server agreed to."""
    client = subscriber.client
    if client.protocol_version < "2026":
        with warnings.catch_warnings(action="ignore"):
            for uri in uris:
                await client.subscribe_resource(uri)
            yield list(uris)
            for uri in uris:
                await client.unsubscribe_resource(uri)
        return
    async with client.listen(resource_subscriptions=uris) as subscription:
        yield list(subscription.honored.resource_subscriptions or ())


def find_installation(spy: GitBookSpy) -> dict[str, str]:
    """Return the arguments that name an installation, which GitBook vouches for, so that nobody is asked."""
    installation = next(one for one in spy.sandbox.state.installations.values() if one.integration == "mermaid")
    return {"integrationName": "mermaid", "installationId": installation.id}


async def update(client: Client, installation: dict[str, str]) -> None:
    """Change an installation: an update that changes nothing is not sent."""
    current = await client.call_tool("get_integration_installation_by_id", installation)
    selected = (current.structured_content or {}).get("space_selection") == "selected"
    arguments = {**installation, "space_selection": "all" if selected else "selected"}
    result = await client.call_tool("update_integration_installation", arguments)
    assert not result.is_error
