"""Accepted findings of organizations: who accepted or withdrew what, when and why. Withdrawn ones stay, as a record."""

import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, insert, select, update

from gitbook_integrations_mcp.store.database import Database
from gitbook_integrations_mcp.store.schema import acceptances as table


@dataclass(frozen=True, slots=True)
class KeptAcceptance:
    """An acceptance that was not withdrawn. `finding` is the ID of a finding, or of a rule for all its findings.

    `time` is in seconds since 1970. `until` is the last day on which it holds (ISO 8601); None means no end.
    """

    finding: str
    reason: str
    time: float
    until: str | None = None
    accepted_by: str | None = None


class AcceptanceStore:
    """The acceptances of all servers that share a database.

    Each method is one transaction, and raises `StoreError` if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, organization: str, finding: str, reason: str, until: str | None, by: str | None) -> None:
        """Accept a finding, in place of an earlier acceptance."""
        now = self._database.clock()
        async with self._database.write() as connection:
            await connection.execute(
                update(table).where(*_is_active(organization, finding)).values(withdrawn_at=now, withdrawn_by=by)
            )
            await connection.execute(
                insert(table).values(
                    id=f"acc_{secrets.token_hex(8)}",
                    time=now,
                    organization=organization,
                    finding=finding,
                    reason=reason,
                    until=until,
                    accepted_by=by,
                )
            )

    async def withdraw(self, organization: str, finding: str, by: str | None) -> bool:
        """Withdraw the acceptance of a finding. Returns whether there was one."""
        now = self._database.clock()
        async with self._database.write() as connection:
            result = await connection.execute(
                update(table).where(*_is_active(organization, finding)).values(withdrawn_at=now, withdrawn_by=by)
            )
        return result.rowcount > 0

    async def list_active(self, organization: str, finding: str | None = None) -> list[KeptAcceptance]:
        """Return the acceptances that were not withdrawn, expired ones too; the oldest first."""
        async with self._database.read() as connection:
            query = select(table).where(*_is_active(organization, finding)).order_by(table.c.time)
            rows = (await connection.execute(query)).all()
        return [KeptAcceptance(row.finding, row.reason, row.time, row.until, row.accepted_by) for row in rows]

    async def find_last_change(self, organization: str) -> float | None:
        """Return when a finding of the organization was last accepted or withdrawn, in seconds since 1970."""
        async with self._database.read() as connection:
            query = select(func.max(table.c.time), func.max(table.c.withdrawn_at))
            found = (await connection.execute(query.where(table.c.organization == organization))).one()
        return max((time for time in found if time is not None), default=None)


def _is_active(organization: str, finding: str | None) -> list[ColumnElement[bool]]:
    conditions = [table.c.organization == organization, table.c.withdrawn_at.is_(None)]
    return conditions if finding is None else [*conditions, table.c.finding == finding]
