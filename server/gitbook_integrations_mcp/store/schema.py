"""The tables. A change here needs a migration; a test compares what the migrations create with these."""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()

REVISION = "0002"
"""The newest migration."""

confirmations = Table(
    "confirmations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("mode", Text, nullable=False),
    Column("binding", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("preview", JSON, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("decision", Text),
    Column("epoch", Text, nullable=False),
    Column("writer", Text),
    Column("opened_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("confirmations_of_call", "binding", "mode"),
    Index("confirmations_of_owner", "owner"),
    Index("confirmations_by_expiry", "expires_at"),
)
"""Pending confirmations. `epoch` identifies the run of the database, and `writer` the transaction that wrote the row.
Times are in seconds since 1970."""

changes = Table(
    "changes",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("owner", Text, nullable=False),
    Column("principal", Text),
    Column("organization", Text),
    Column("tool", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("before", JSON),
    Column("approval", Text),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("attempts", Integer),
    Column("request_id", Text),
    Column("undo", JSON),
    Column("after", JSON),
    Column("lost", JSON),
    Column("sealed", LargeBinary),
    Column("undoes", Text),
    Column("ended_at", Float),
    Index("changes_by_time", "time"),
    Index("changes_of_organization", "organization", "id"),
    # Rows can be long: a search reads only those that it returns.
    Index("changes_of_owner", "owner", "id", "organization", "tool", "outcome"),
    Index("changes_of_undo", "undoes"),
)
"""Calls that change something: a row is written before the call is sent, and completed afterwards.

Nothing in a row is secret but `sealed`, which is encrypted. `undoes` is the ID of the change that this one undoes."""

reports = Table(
    "reports",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("user", Text, nullable=False),
    Column("organization", Text, nullable=False),
    Column("narrowing", Text, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("size", Integer, nullable=False),
    Column("report", LargeBinary, nullable=False),
    Index("reports_of_user", "user", "organization", "narrowing", "time"),
)
"""Audit reports, as compressed JSON. `user` is the GitBook user who may see it, `narrowing` a digest of what the audit
was limited to, `size` the bytes of the JSON."""

acceptances = Table(
    "acceptances",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("organization", Text, nullable=False),
    Column("finding", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", Text),
    Column("accepted_by", Text),
    Column("withdrawn_at", Float),
    Column("withdrawn_by", Text),
    Index("acceptances_of_organization", "organization", "finding"),
)
"""Findings that a human accepted. `finding` is the ID of a finding or of a rule. Withdrawn ones stay, as a record."""

versions = Table(
    "versions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("organization", Text),
    Column("integration", Text, nullable=False),
    Column("version", Text),
    Column("change", Text),
    Column("owner", Text),
    Column("principal", Text),
    Column("digest", Text, nullable=False),
    Column("size", Integer),
    Column("manifest", JSON, nullable=False),
    Column("omitted", JSON),
    Column("sealed", LargeBinary),
    Column("script", LargeBinary, nullable=False),
    Index("versions_of_integration", "integration", "time"),
)
"""Scripts that were published through this server. `script` is compressed, `size` its characters, `digest` that of
script and manifest. `omitted` are the names of the fields with secrets that were not kept."""

development_modes = Table(
    "development_modes",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("owner", Text, nullable=False),
    Column("principal", Text),
    Column("organization", Text),
    Column("integration", Text, nullable=False),
    Column("tunnel", Text, nullable=False),
    Column("all", Boolean, nullable=False),
    Column("credentials", Text, nullable=False),
    Column("approval", Text),
    Column("ends_at", Float),
    Column("claimed_at", Float),
    Index("development_modes_of_integration", "integration", "id"),
)
"""Development modes that are on, or may be. `id` is that of the change that enabled one, `tunnel` only a host,
`credentials` a digest of tokens. `claimed_at` is when a process began to disable it."""

accounts = Table(
    "accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("principal", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("lease", Text),
    Column("leased_until", Float),
)
"""GitBook accounts that callers over HTTP linked. `id` is a digest of the principal and the API, `sealed` the encrypted
tokens, `lease` the renewal that is under way."""

account_links = Table(
    "account_links",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("principal", Text),
    Column("scopes", JSON, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("is_proven", Boolean, nullable=False),
    Column("browser", Text),
    Column("state", Text),
    Column("sealed", LargeBinary),
    Column("expires_at", Float, nullable=False),
    Index("account_links_of_browser", "browser"),
    Index("account_links_by_expiry", "expires_at"),
)
"""Pages for linking an account. `browser` and `state` are digests, `sealed` is the encrypted authorization request."""
