"""The SDK's server, with the parts that all connections share and that the transports need."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.lowlevel import Server
from mcp_types import Icon, ServerCapabilities
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gitbook_integrations_mcp import NAME, TITLE, WEBSITE, __version__
from gitbook_integrations_mcp.config.models import ConfirmationSection
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.features.login_watch import LoginWatch
from gitbook_integrations_mcp.features.metadata import drop_invalid_metadata
from gitbook_integrations_mcp.features.state_seal import StateSeal
from gitbook_integrations_mcp.features.subscriptions import Subscriptions
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.tracing import is_traced
from gitbook_integrations_mcp.pipeline.development_mode import DevelopmentModes
from gitbook_integrations_mcp.store.store import Store

if TYPE_CHECKING:
    from gitbook_integrations_mcp.accounts.page import AccountPage


def read_icon() -> Icon:
    """Return the icon that clients show beside the server's name."""
    picture = files(__package__).joinpath("icon.svg").read_bytes()
    return Icon(
        src=f"data:image/svg+xml;base64,{b64encode(picture).decode()}", mime_type="image/svg+xml", sizes=["any"]
    )


class IntegrationsServer(Server[None]):
    """A server to which features are registered. It closes its shared parts when its last connection ends."""

    def __init__(
        self,
        settings: ConfirmationSection,
        gitbook: GitBook,
        store: Store,
        page: ConfirmationPage,
        subscriptions: Subscriptions,
        development: DevelopmentModes,
        find_schema: Callable[[str], Mapping[str, Any] | None],
        watch: LoginWatch | None,
    ) -> None:
        super().__init__(
            NAME,
            version=__version__,
            title=TITLE,
            website_url=WEBSITE,
            icons=[read_icon()],
            lifespan=lambda _: self._run_lifespan(),
            get_tool_input_schema=find_schema,
        )
        self.gitbook = gitbook
        self.page = page
        self.account_page: AccountPage | None = None
        self.subscriptions = subscriptions
        self.development = development
        self._store = store
        self._connections = 0
        self._watch = watch
        self._watching: asyncio.Task[None] | None = None
        if not is_traced():
            del self.middleware[0]  # the SDK's tracing is always the first
        self.middleware.append(drop_invalid_metadata)
        # The sealed state outlives the confirmation in it, so that the model gets `confirmation_expired` as a result.
        keys = [key.get_secret_value() for key in settings.keys] or [secrets.token_hex()]
        self.middleware.append(StateSeal(keys, seconds=2 * settings.ttl + 60))

    @asynccontextmanager
    async def _run_lifespan(self) -> AsyncIterator[None]:
        # Some transports enter this once for each connection. All connections share the parts that are closed here.
        self._connections += 1
        if self._watch is not None and self._watching is None:
            self._watching = asyncio.create_task(self._watch.run())
        try:
            yield
        finally:
            self._connections -= 1
            if self._connections == 0:
                if self._watching is not None:
                    self._watching.cancel()
                    self._watching = None
                with anyio.CancelScope(shield=True):
                    await self.gitbook.close()
                    await self.page.close()
                    await self._store.close()

    def get_capabilities(self, *args: Any, **kwargs: Any) -> ServerCapabilities:
        """Return the capabilities. The SDK announces list changes for subscriptions, but only that of tools changes."""
        capabilities = super().get_capabilities(*args, **kwargs)
        if kwargs.get("protocol_version") in MODERN_PROTOCOL_VERSIONS:
            for capability in (capabilities.tools, capabilities.prompts, capabilities.resources):
                if capability:
                    capability.list_changed = False
        if capabilities.tools and self._watch is not None:
            capabilities.tools.list_changed = True
        return capabilities
