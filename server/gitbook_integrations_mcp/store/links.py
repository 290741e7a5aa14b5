"""Pages on which a caller links a GitBook account: who may use each, and what it waits for.

A link is for one principal, for a few minutes. It belongs to the browser in which a user proved to be that principal.
The state of an authorization request is used up with its link, by one deleting statement.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.schema import account_links as table
from gitbook_integrations_mcp.store.sealing import Sealer

SECONDS = 600.0
"""Time for which a link can be used."""

_MAX_ANONYMOUS = 1000
"""Links that anybody can open without a call. A further one ends the oldest."""


@dataclass(frozen=True, slots=True)
class Link:
    """A page for one principal. `is_proven` means that the user of its browser proved to be that principal.

    `principal` is None until a user who came without a link from a call has signed in.
    """

    id: str
    principal: str | None
    scopes: frozenset[str]
    csrf: str
    is_proven: bool
    browser: str | None = None
    """Digest of the cookie of its browser."""


class LinkStore:
    """The links of all servers that share a database. Methods raise `StoreError` if the database fails."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def open(self, principal: str | None, scopes: Iterable[str] = ()) -> Link:
        """Return a link, whose ID cannot be guessed. Calls that need the same scopes share one."""
        link = Link(secrets.token_urlsafe(24), principal, frozenset(scopes), secrets.token_urlsafe(24), is_proven=False)
        now = self._database.clock()
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.expires_at <= now))
            if principal is None:
                anonymous = select(table.c.id).where(table.c.principal.is_(None)).order_by(table.c.expires_at.desc())
                oldest = anonymous.offset(_MAX_ANONYMOUS - 1).limit(_MAX_ANONYMOUS)
                await connection.execute(delete(table).where(table.c.id.in_(oldest)))
            unused = select(table).where(table.c.principal == principal, table.c.browser.is_(None))
            late = unused.where(table.c.expires_at > now + SECONDS / 2)
            for row in (await connection.execute(late)).all() if principal is not None else ():
                if frozenset(row.scopes) == link.scopes:
                    return _read_row(row)
            await connection.execute(
                insert(table).values(
                    id=link.id,
                    principal=principal,
                    scopes=sorted(link.scopes),
                    csrf=link.csrf,
                    is_proven=False,
                    expires_at=now + SECONDS,
                )
            )
        return link

    async def find(self, identifier: str) -> Link | None:
        """Return a link that has not expired."""
        current = (table.c.id == identifier, table.c.expires_at > self._database.clock())
        rows = await self._database.execute(select(table).where(*current))
        return _read_row(rows[0]) if rows else None

    async def bind(self, identifier: str, principal: str | None, *, is_proven: bool) -> str | None:
        """Bind a link to a new browser, and return the value of the browser's cookie; None if the link is gone.

        A browser that the link was bound to before, and an authorization request, are void.
        """
        cookie = secrets.token_urlsafe(32)
        statement = update(table).where(table.c.id == identifier, table.c.expires_at > self._database.clock())
        values = {"browser": digest(cookie), "principal": principal, "is_proven": is_proven}
        values |= {"csrf": secrets.token_urlsafe(24), "state": None, "sealed": None}
        return cookie if await self._database.execute(statement.values(values).returning(table.c.id)) else None

    async def await_response(self, link: Link, state: str, request: Any) -> bool:
        """Keep an authorization `request` (JSON) until the browser returns with `state`; False if the link is gone."""
        sealed = await self._sealer.seal_secret(request, f"link {link.id}")
        mine = (table.c.id == link.id, table.c.browser == link.browser, table.c.expires_at > self._database.clock())
        statement = update(table).where(*mine).values(state=digest(state), sealed=sealed).returning(table.c.id)
        return bool(await self._database.execute(statement))

    async def spend(self, cookie: str, state: str) -> tuple[Link, Any] | None:
        """Delete the link of this browser with this state, and return it with its request; None if there is none."""
        mine = (table.c.browser == digest(cookie), table.c.state == digest(state))
        current = table.c.expires_at > self._database.clock()
        rows = await self._database.execute(delete(table).where(*mine, current).returning(table))
        if not rows:
            return None
        return _read_row(rows[0]), await self._sealer.open(rows[0].sealed, f"link {rows[0].id}")

    async def delete(self, identifier: str) -> None:
        """Delete a link."""
        await self._database.execute(delete(table).where(table.c.id == identifier))


def digest(secret: str) -> str:
    """Return the digest under which a cookie or a state is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _read_row(row: Row[Any]) -> Link:
    return Link(row.id, row.principal, frozenset(row.scopes), row.csrf, row.is_proven, row.browser)
