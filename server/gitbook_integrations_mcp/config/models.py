"""What can be set, by section: each setting with its type, its default and the words that document it."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from gitbook_integrations_api.rules import Severity
from gitbook_integrations_mcp.config.types import (
    MAKE_KEY,
    Algorithm,
    ApiToken,
    Endpoint,
    Issuer,
    Keys,
    Listed,
    Names,
    PrivateUrl,
    PublicUrl,
    RuleId,
    Store,
    Words,
)


class Section(BaseModel):
    """A group of settings. Unknown keys are refused, as a typing error must not switch a safeguard off."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class GitBookSection(Section):
    token: ApiToken | None = Field(
        None,
        description="Personal access token of the user in whose name the server acts (also `GITBOOK_TOKEN`). It has "
        "all of that user's rights.",
    )
    integration_token: ApiToken | None = Field(
        None,
        description="Token of an integration, for the endpoints that accept no user (also "
        "`GITBOOK_INTEGRATION_TOKEN`).",
    )
    endpoint: Endpoint = Field(
        "https://api.gitbook.com", description="Host of the API, without `/v1` (also `GITBOOK_ENDPOINT`)."
    )
    organization: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9_-]+$",
        description="Default organization; makes `organizationId` optional in every tool (also "
        "`GITBOOK_ORGANIZATION`).",
    )


class ToolsSection(Section):
    toolsets: Names | None = Field(
        None, description="Toolsets to offer; all where neither this nor `include` is given."
    )
    include: Names | None = Field(
        None, description="Single tools to offer, in addition to `toolsets` where those are given."
    )
    exclude: Names = Field((), description="Tools never to offer, whatever the others say.")
    read_only: bool = Field(False, description="Offer only tools that change nothing.")
    reveal_secrets: bool = Field(
        False, description="Show credentials in configurations, secrets and headers instead of masking them."
    )


Transport = Literal["stdio", "sse", "streamable-http"]


class ServerSection(Section):
    transport: Annotated[tuple[Transport, ...], NoDecode, Listed] = Field(
        ("stdio",), min_length=1, description="`stdio`, or one or both of `sse` and `streamable-http`."
    )
    sandbox: bool = Field(
        False, description="Serve an embedded GitBook in memory instead of the real API; needs no token and no network."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="What is logged to standard error."
    )


class CallerToken(Section):
    """A bearer token that a caller of the HTTP transports shows. Only its digest is kept."""

    name: str = Field(min_length=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class HttpSection(Section):
    host: str = Field(
        "127.0.0.1", description="Address to listen on. Any but loopback needs `http.tokens` or `oauth.issuer`."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    streamable_path: str = Field("/mcp", pattern="^/", description="Path of the streamable HTTP transport.")
    sse_path: str = Field("/sse", pattern="^/", description="Path of the SSE transport.")
    message_path: str = Field("/messages/", pattern="^/", description="Path to which SSE clients post.")
    tokens: tuple[CallerToken, ...] = Field(
        (),
        description='Callers let in: `[{"name": …, "sha256": …}]`, the digest of a bearer token each; '
        "`gitbook-integrations-mcp token NAME` makes one. A name may have several, for rotation.",
    )
    credentials: Literal["operator", "per-request"] = Field(
        "operator",
        description="Whose GitBook tokens calls use: the configured ones, or those each request brings in "
        "`X-GitBook-Token` and `X-GitBook-Integration-Token`.",
    )
    public_url: PublicUrl | None = Field(
        None, description="Address under which people reach this server, behind a proxy; links to pages start with it."
    )
    allowed_hosts: Names = Field((), description="Host headers let in, besides loopback and that of `http.public_url`.")
    body_bytes: int = Field(16 * 1024 * 1024, gt=0, description="Largest request body.")
    request_seconds: float = Field(60, gt=0, description="How long a request may take to arrive, head and body.")
    send_seconds: float = Field(30, gt=0, description="How long a client may read nothing of an answer that waits.")
    connections: int = Field(
        800, gt=0, description="Connections of a process at a time; beyond, only `/health` and `/ready` are answered."
    )
    sessions: int = Field(1000, gt=0, description="Sessions of the handshake era at a time.")
    session_idle_seconds: float = Field(1800, gt=0, description="Idle time after which such a session ends.")
    shutdown_seconds: int = Field(30, ge=0, description="Time that running calls get to finish when the server stops.")
    workers: int = Field(
        1,
        ge=1,
        description="Worker processes. More than one needs Redis as `confirmation.store`, and makes it `stateless`.",
    )
    stateless: bool = Field(
        False,
        description="Give clients of the handshake era no session, so that any replica can answer any request. They "
        "cannot be asked by a form then: `confirmation.fallback` says what happens.",
    )

    @property
    def has_sessions(self) -> bool:
        """Whether clients of the handshake era get a session, which lives in one process."""
        return not self.stateless and self.workers == 1


class OAuthSection(Section):
    issuer: Issuer | None = Field(
        None,
        description="Authorization server whose access tokens (JWT) let callers in, exactly as it names itself in "
        "`iss`. Needs `http.public_url`.",
    )
    audience: Words = Field(
        (),
        description="What `aud` may be in such a token; by default the addresses of the MCP endpoints under "
        "`http.public_url`.",
    )
    scopes: Words = Field((), description="Scopes that such a token must have, all of them.")
    jwks_url: PrivateUrl | None = Field(
        None, description="Where the issuer's keys are; by default where its metadata says."
    )
    algorithms: Annotated[tuple[Algorithm, ...], NoDecode, Listed] = Field(
        ("RS256", "PS256", "ES256", "EdDSA"), min_length=1, description="Kinds of signature let in."
    )

    @model_validator(mode="after")
    def _need_issuer(self) -> Self:
        fields = type(self).model_fields.items()
        if self.issuer is None and any(getattr(self, key) != field.get_default() for key, field in fields):
            raise PydanticCustomError("oauth", "needs oauth.issuer; without it, nobody is asked for an access token")
        return self


class ConfirmationSection(Section):
    ask: Literal["form", "fallback"] = Field(
        "form",
        description="How a human is asked: by a form of the client where it has one, or always as `fallback` says.",
    )
    fallback: Literal["browser", "two-step", "refuse"] = Field(
        "browser",
        description="What happens when the client cannot ask: a page on this machine, a second call by the model, or "
        "nothing.",
    )
    ttl: float = Field(600, gt=0, le=86400, description="Seconds a question stays open and a yes stays good.")
    extra_tools: Names = Field((), description="Further tools that wait for a human's yes.")
    store: Store = Field(
        "memory",
        description="Where open questions are kept: the `memory` of one process, or `redis://…` (`rediss://…` with "
        "TLS), which workers and replicas share.",
    )
    keys: Keys = Field(
        (),
        description="Secrets with which a question is sealed while a client carries it: the first seals, all open, so "
        "that they can be changed without a break. A random one by default; Redis needs one. " + MAKE_KEY + ".",
    )

    @model_validator(mode="after")
    def _need_keys(self) -> Self:
        if isinstance(self.store, SecretStr) and not self.keys:
            raise PydanticCustomError(
                "keys", f"with store at Redis, keys needs one, or no replica could open what another sealed; {MAKE_KEY}"
            )
        return self


class JournalSection(Section):
    path: Path | None = Field(
        None, description="File that records every call that changes something, a line of JSON each; none by default."
    )


class AuditSection(Section):
    disabled_rules: Annotated[tuple[RuleId, ...], NoDecode, Listed] = Field(
        (), description="Rules of the audit that are not judged."
    )
    severity: dict[RuleId, Severity] = Field(
        {}, description='Severities other than the rules\' own: `{"same-kind": "medium"}`.'
    )
    accepted: Path | None = Field(
        None, description="File of findings that are accepted, with reasons; see the section on audits."
    )
    stalled_days: int = Field(
        30, ge=0, description="Days after which a paused or pending installation becomes a finding."
    )
    max_wait_seconds: float = Field(
        300, ge=0, description="How long an audit may take and still wait for GitBook's rate limit to be renewed."
    )
    cache_seconds: float = Field(
        600, ge=0, description="Age to which the last report answers further questions without a new audit."
    )


class LimitsSection(Section):
    connect_seconds: float = Field(10, gt=0, description="How long connecting to GitBook may take.")
    read_seconds: float = Field(40, gt=0, description="How long GitBook may stay silent before or in an answer.")
    write_seconds: float = Field(20, gt=0, description="How long GitBook may take nothing of a large request.")
    pool_seconds: float = Field(30, gt=0, description="How long a call may queue behind others of the same token.")
    call_seconds: float = Field(
        55,
        gt=0,
        description="How long one request to GitBook may take in all, waits and repetitions included. Most clients "
        "give up after 60.",
    )
    wait_seconds: float = Field(
        20,
        ge=0,
        description="How long of that may be spent waiting for GitBook's rate limit or between attempts; what would "
        "take longer returns at once and tells the time to wait.",
    )
    attempts: int = Field(4, ge=1, le=10, description="How often a request may be sent; 1 repeats nothing.")
    concurrency: int = Field(16, gt=0, description="Requests in flight at a time, per token.")
    body_bytes: int = Field(10_000_000, gt=0, description="Largest answer that is read, decompressed.")
    result_tokens: int = Field(
        25_000, ge=1000, description="About how many tokens a result may cost a model; what is longer is cut, aloud."
    )
