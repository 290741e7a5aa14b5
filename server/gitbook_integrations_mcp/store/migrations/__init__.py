"""Migrations: each module in `versions` leads from one schema to the next. They run when the database is opened."""

from pathlib import Path

from alembic.config import Config as AlembicConfig
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_SCRIPTS = ScriptDirectory(str(Path(__file__).parent))


def is_known(revision: str) -> bool:
    """Whether `revision` is the ID of a schema that this program knows."""
    return any(script.revision == revision for script in _SCRIPTS.walk_revisions())


def migrate(connection: Connection, target: str = "head") -> None:
    """Change the schema to `target`, in the transaction of `connection`."""

    def list_steps(revision: str | tuple[str, ...], _context: MigrationContext) -> list[object]:
        return list(_SCRIPTS._upgrade_revs(target, revision))  # type: ignore[arg-type]

    with EnvironmentContext(AlembicConfig(), _SCRIPTS, fn=list_steps) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()
