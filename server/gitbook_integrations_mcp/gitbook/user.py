"""The GitBook user to whom credentials belong, whichever of the user's tokens they contain."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp.errors import CallError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.json_body import read_json

_CAPACITY = 1000
"""Maximum number of credentials whose user is remembered."""

_SECONDS = 600
"""How long a user is remembered: a token can be revoked."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of credentials. `key` identifies the user; `name` is the displayed name, or None if it is unknown."""

    key: str
    name: str | None = None


class UserResolver:
    """Asks GitBook who the user is, and remembers the answer in memory. `clock` is in seconds."""

    def __init__(self, gitbook: GitBook, clock: Callable[[], float] = time.monotonic) -> None:
        self._gitbook = gitbook
        self._clock = clock
        self._owners: OrderedDict[str, tuple[float, Owner]] = OrderedDict()

    async def resolve(self, credentials: Credentials) -> Owner:
        """Return the owner of credentials.

        It is the user, or else the credentials themselves: the token is that of an integration, or GitBook fails.
        """
        if credentials.session is not None and (login := credentials.session.login) is not None and login.user:
            return Owner(f"user:{login.user}", login.name)
        known = self._owners.get(credentials.digest)
        if known is not None and 0 <= self._clock() - known[0] < _SECONDS:
            return known[1]
        owner = Owner(f"credentials:{credentials.digest}")
        if credentials.general is not None:
            try:
                response = await self._gitbook.send(Request("GET", "/user"), credentials.general)
            except CallError:
                return owner  # the next call asks again
            if response.status == 429 or response.status >= 500:
                return owner
            if response.status == 200:
                owner = _read_user(response.body) or owner
        self._owners[credentials.digest] = self._clock(), owner
        self._owners.move_to_end(credentials.digest)
        if len(self._owners) > _CAPACITY:
            self._owners.popitem(last=False)
        return owner


def _read_user(body: bytes) -> Owner | None:
    try:
        content = read_json(body)
    except ValueError:
        return None
    if not isinstance(content, dict) or not isinstance(identifier := content.get("id"), str) or not identifier:
        return None
    name = content.get("displayName")
    return Owner(f"user:{identifier}", name if isinstance(name, str) and name else None)
