"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "confirmations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("binding", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("preview", sa.JSON, nullable=False),
        sa.Column("csrf", sa.Text, nullable=False),
        sa.Column("decision", sa.Text),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("writer", sa.Text),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("confirmations_of_call", "confirmations", ["binding", "mode"])
    op.create_index("confirmations_of_owner", "confirmations", ["owner"])
    op.create_index("confirmations_by_expiry", "confirmations", ["expires_at"])
    op.create_table(
        "changes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("principal", sa.Text),
        sa.Column("organization", sa.Text),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("before", sa.JSON),
        sa.Column("approval", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("attempts", sa.Integer),
        sa.Column("request_id", sa.Text),
        sa.Column("undo", sa.JSON),
        sa.Column("after", sa.JSON),
        sa.Column("lost", sa.JSON),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("undoes", sa.Text),
    )
    op.create_index("changes_by_time", "changes", ["time"])
    op.create_index("changes_of_owner", "changes", ["owner", "id"])
    op.create_index("changes_of_undo", "changes", ["undoes"])
    op.create_table(
        "reports",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("organization", sa.Text, nullable=False),
        sa.Column("narrowing", sa.Text, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("report", sa.LargeBinary, nullable=False),
    )
    op.create_index("reports_of_user", "reports", ["user", "organization", "narrowing", "time"])
    op.create_table(
        "acceptances",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("organization", sa.Text, nullable=False),
        sa.Column("finding", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("until", sa.Text),
        sa.Column("accepted_by", sa.Text),
        sa.Column("withdrawn_at", sa.Float),
        sa.Column("withdrawn_by", sa.Text),
    )
    op.create_index("acceptances_of_organization", "acceptances", ["organization", "finding"])
    op.create_table(
        "versions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("change", sa.Text),
        sa.Column("organization", sa.Text),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("version", sa.Text),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("script", sa.LargeBinary, nullable=False),
    )
    op.create_index("versions_of_integration", "versions", ["integration", "time"])
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
