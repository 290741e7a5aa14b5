"""Development modes that were enabled through this server, until it knows that they are disabled.

GitBook does not show development mode, so after a crash nobody else knows. The ID of a row is that of the change.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields

from sqlalchemy import bindparam, delete, exists, insert, or_, select, update

from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.schema import changes
from gitbook_integrations_mcp.store.schema import development_modes as table

CLAIM_SECONDS = 60
"""Time for a process to disable what it claimed; then another may try. One request takes less."""

UNANSWERED_SECONDS = 300
"""Time after which an enabling call without an answer has taken effect, or never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentMode:
    """A development mode that is on, or may be. Times are in seconds since 1970.

    `ends_at` is the end that a human approved; None if nobody approved one. `tunnel` is the host of the tunnel,
    `credentials` a digest of the tokens that enabled it, and `approval` how the human approved.
    """

    id: str
    time: float
    owner: str = field(repr=False)
    integration: str
    tunnel: str
    all: bool
    credentials: str = field(repr=False)
    principal: str | None = None
    organization: str | None = None
    approval: str | None = None
    ends_at: float | None = None


class DevelopmentModeStore:
    """The development modes of all servers that share a database.

    Each method is one transaction, and raises `StoreError` if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, mode: DevelopmentMode) -> None:
        """Keep a development mode that is about to be enabled. When this returns, it is durable."""
        await self._database.execute(_INSERT, **{name: getattr(mode, name) for name in _NAMES})

    async def list(self, integration: str | None = None) -> list[DevelopmentMode]:
        """Return the development modes, of one integration or of all, the newest first."""
        query = select(*(table.c[name] for name in _NAMES)).order_by(table.c.id.desc())
        if integration is not None:
            query = query.where(table.c.integration == integration)
        return [DevelopmentMode(**row._mapping) for row in await self._database.execute(query)]

    async def claim(self, mode_id: str) -> bool:
        """Claim the right to disable a development mode. Only the result decides: one of many processes gets it.

        Nobody gets it if development mode was enabled again later: the end of this one is then no longer its end.
        """
        now = self._database.clock()
        rows = await self._database.execute(_CLAIM, one=mode_id, now=now, before=now - CLAIM_SECONDS)
        return bool(rows)

    async def list_answered(self, integration: str) -> Sequence[str]:
        """Return the IDs of the development modes that a call ends if it succeeds and is sent after this.

        GitBook may run a call that it has not answered before that call or after it, so its development mode can
        still begin.
        """
        before = self._database.clock() - UNANSWERED_SECONDS
        rows = await self._database.execute(_ANSWERED, integration=integration, before=before)
        return [row.id for row in rows]

    async def remove(self, mode_ids: Collection[str]) -> None:
        """Remove development modes that are over, or were never enabled."""
        await self._database.execute(delete(table).where(table.c.id.in_(mode_ids)))


_NAMES = tuple(one.name for one in fields(DevelopmentMode))
_INSERT = insert(table)
_newer = table.alias("newer")
_CLAIM = (
    update(table)
    .where(
        table.c.id == bindparam("one"),
        or_(table.c.claimed_at.is_(None), table.c.claimed_at < bindparam("before")),
        ~exists().where(_newer.c.integration == table.c.integration, _newer.c.id > table.c.id),
    )
    .values(claimed_at=bindparam("now"))
    .returning(table.c.id)
)
_ANSWERED = select(table.c.id).where(
    table.c.integration == bindparam("integration"),
    or_(
        table.c.time < bindparam("before"),
        ~exists().where(changes.c.id == table.c.id, changes.c.outcome == "unknown"),
    ),
)
