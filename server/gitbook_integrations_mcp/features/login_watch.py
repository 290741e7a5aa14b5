"""Notifies clients that the list of tools changed, after the user logged in with GitBook or out in another process."""

import anyio

from gitbook_integrations_mcp.features.subscriptions import Subscriptions
from gitbook_integrations_mcp.gitbook.session import Session

SECONDS = 2.0
"""Time between looks at the file of the login; not every system reports its changes."""


class LoginWatch:
    """Compares the scopes of the login with those seen last."""

    def __init__(self, session: Session, subscriptions: Subscriptions) -> None:
        self._session = session
        self._subscriptions = subscriptions

    async def run(self) -> None:
        """Watch until this is cancelled."""
        before = self._read()
        while True:
            await anyio.sleep(SECONDS)
            if (now := self._read()) != before:
                before = now
                await self._subscriptions.announce_tools()

    def _read(self) -> frozenset[str] | None:
        """Return the granted scopes, which decide about the tools; a new login with the same ones changes nothing."""
        login = self._session.login
        return login.scopes if login else None
