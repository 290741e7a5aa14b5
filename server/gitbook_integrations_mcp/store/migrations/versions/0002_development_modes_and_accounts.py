"""Add development modes and accounts, who published a version, and when a change ended; drop digests of changes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change the tables of changes and versions, and create the new ones."""
    op.drop_column("changes", "digest")
    op.add_column("changes", sa.Column("ended_at", sa.Float))
    op.create_index("changes_of_organization", "changes", ["organization", "id"])
    op.drop_index("changes_of_owner", "changes")
    op.create_index("changes_of_owner", "changes", ["owner", "id", "organization", "tool", "outcome"])
    for column in (
        sa.Column("owner", sa.Text),
        sa.Column("principal", sa.Text),
        sa.Column("size", sa.Integer),
        sa.Column("omitted", sa.JSON),
    ):
        op.add_column("versions", column)
    op.create_table(
        "development_modes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("principal", sa.Text),
        sa.Column("organization", sa.Text),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("tunnel", sa.Text, nullable=False),
        sa.Column("all", sa.Boolean, nullable=False),
        sa.Column("credentials", sa.Text, nullable=False),
        sa.Column("approval", sa.Text),
        sa.Column("ends_at", sa.Float),
        sa.Column("claimed_at", sa.Float),
    )
    op.create_index("development_modes_of_integration", "development_modes", ["integration", "id"])
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("lease", sa.Text),
        sa.Column("leased_until", sa.Float),
    )
    op.create_table(
        "account_links",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("principal", sa.Text),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("csrf", sa.Text, nullable=False),
        sa.Column("is_proven", sa.Boolean, nullable=False),
        sa.Column("browser", sa.Text),
        sa.Column("state", sa.Text),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("account_links_of_browser", "account_links", ["browser"])
    op.create_index("account_links_by_expiry", "account_links", ["expires_at"])
