"""Declarations of all settings by section: type, default and description."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from gitbook_integrations_api.choices import Severity
from gitbook_integrations_api.endpoint import PolicyAction
from gitbook_integrations_api.options import DEFAULT_DURATION
from gitbook_integrations_api.parameters import Target
from gitbook_integrations_mcp.config.types import (
    CLIENT_ID,
    CREATE_KEY,
    DIGEST,
    HTTPS,
    ORGANIZATION,
    OWNER,
    RULE_NAME,
    Algorithm,
    AllowedHosts,
    ApiToken,
    CommaSeparated,
    Duration,
    Endpoint,
    HeaderSafeTexts,
    HostPattern,
    HttpPath,
    IntegrationPattern,
    Issuer,
    Keys,
    ListenHost,
    Names,
    OneOrMore,
    Place,
    PrivateUrl,
    PublicUrl,
    Roots,
    RuleId,
    ScopePattern,
    SecretNames,
    StoreUrl,
    Transports,
    UserPath,
    is_reference,
)
from gitbook_integrations_mcp.times import read_duration

_OWN_TREES = ("/confirm", "/accounts", "/.well-known")
RESERVED_PATHS = ("/health", "/ready", *_OWN_TREES)
"""Paths of health checks, of this server's pages and of OAuth metadata."""


class Section(BaseModel):
    """A group of settings. Unknown keys are errors, because a misspelt key must not disable a safeguard."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


def _holds_reference(value: Any) -> bool:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return isinstance(text, str) and is_reference(text)


class GitBookSection(Section):
    token: ApiToken | None = Field(
        None,
        description="Personal access token of a GitBook user. The server acts as this user, with all of their rights.",
    )
    integration_token: ApiToken | None = Field(
        None, description="Token of an integration, for endpoints that do not accept a user's token."
    )
    endpoint: Endpoint = Field(
        "https://api.gitbook.com", description="Base URL of GitBook's API, without `/v1`. " + HTTPS
    )
    oauth_endpoint: PrivateUrl | None = Field(
        None,
        description="Issuer of GitBook's authorization server, for `login`. By default the sibling of the API's host, "
        "`https://oauth.gitbook.com`.",
    )
    client_id: str | None = Field(
        None,
        pattern=CLIENT_ID,
        description="ID of an OAuth client for `login`, if GitBook does not let this program register one.",
    )
    organization: str | None = Field(
        None,
        pattern=ORGANIZATION,
        max_length=100,
        description="ID of the default organization. With it, `organizationId` is optional in every tool.",
    )
    cli_environment: str | None = Field(
        "default",
        description="Environment of GitBook's own command line whose token is used if none is configured here; null: "
        "never.",
    )
    _unset: tuple[str, ...] = PrivateAttr(())
    _cli_file: Path | None = PrivateAttr(None)
    _cli_problem: str | None = PrivateAttr(None)

    @property
    def cli_file(self) -> Path | None:
        """The file of GitBook's command line that the token is from, if it is from there."""
        return self._cli_file

    def use_login(self, token: SecretStr, endpoint: str, file: Path) -> Self:
        """Return this section with the token of GitBook's command line, and the endpoint that it is for."""
        section = self.model_copy(update={"token": token, "endpoint": endpoint})
        section._cli_file = file
        return section

    @property
    def cli_problem(self) -> str | None:
        """Why the token of GitBook's command line is not used, if it cannot be."""
        return self._cli_problem

    def refuse_login(self, problem: str) -> Self:
        """Return this section without the token of GitBook's command line."""
        section = self.model_copy()
        section._cli_problem = problem
        return section

    @property
    def unset_references(self) -> tuple[str, ...]:
        """The keys of tokens that count as not set, because their value is a reference without its value."""
        return self._unset

    @model_validator(mode="wrap")
    @classmethod
    def _unset_references(cls, data: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Leave out such tokens: assistants pass on a reference to a variable that is not set."""
        if not isinstance(data, dict):
            return validate(data)
        found = [key for key in ("token", "integration_token") if _holds_reference(data.get(key))]
        section = validate({key: value for key, value in data.items() if key not in found})
        section._unset = tuple(found)
        return section


class ToolsSection(Section):
    toolsets: Names | None = Field(None, description="Toolsets to offer. By default all, unless `include` is set.")
    include: Names | None = Field(None, description="Single tools to offer, in addition to those in `toolsets`.")
    exclude: Names = Field((), description="Tools never to offer. This overrides the other settings.")
    read_only: bool = Field(False, description="Offer only tools that do not change anything.")
    reveal_secrets: bool = Field(
        False, description="Show credentials in configurations, secrets and headers instead of `[masked]`."
    )
    allow_private_tunnels: bool = Field(
        False, description="Allow tunnels to loopback, private and link-local addresses, and to names without a domain."
    )


class ServerSection(Section):
    transport: Transports = Field(
        ("stdio",),
        min_length=1,
        description="Transports: `stdio`, or one or both of `streamable-http` (short: `http`) and `sse`.",
    )
    sandbox: bool = Field(
        False, description="Use the built-in GitBook sandbox instead of the real API. It needs no token and no network."
    )
    save_answers: bool = Field(
        True,
        description="On stdio, save the answers to the handshake and the lists, and give them at the next start while "
        "the server is still loading.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Lowest level of the messages that are logged to standard error."
    )


class CallerToken(Section):
    """The bearer token of one caller of the HTTP transports. Only its digest is stored."""

    name: str = Field(min_length=1)
    sha256: str = Field(pattern=DIGEST)


class HttpSection(Section):
    host: ListenHost = Field(
        "127.0.0.1",
        description="Address to listen on. Any address except loopback requires `http.tokens` or `oauth.issuer`.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on. 0 selects a free port and prints it.")
    streamable_path: HttpPath = Field("/mcp", description="Path of the streamable HTTP transport.")
    sse_path: HttpPath = Field("/sse", description="Path of the SSE transport.")
    message_path: HttpPath = Field("/messages/", description="Path to which SSE clients send messages.")
    tokens: tuple[CallerToken, ...] = Field(
        (),
        description='Accepted callers: `[{"name": …, "sha256": …}]`, each with the digest of its bearer token. '
        "`gitbook-integrations-mcp token NAME` creates one. For rotation, a name can have several, but two names "
        "cannot have the same.",
    )
    credentials: Literal["operator", "per-request", "login"] = Field(
        "operator",
        description="GitBook tokens that calls use: `operator` for the configured ones, `per-request` for those in the "
        "headers `X-GitBook-Token` and `X-GitBook-Integration-Token` of each request. With `login`, each caller links "
        "their own GitBook account on a page of this server.",
    )
    public_url: PublicUrl | None = Field(
        None,
        description="URL under which people reach this server behind a proxy. Links to confirmation pages use it. "
        + HTTPS,
    )
    allowed_hosts: AllowedHosts = Field(
        (),
        description="Hosts, such as `mcp.example.com`, that clients may send as Host header, in addition to loopback, "
        "`http.host` and the host of `http.public_url`. A host without a port allows any port. Web pages of these "
        "hosts can be clients.",
    )
    body_bytes: int = Field(16 * 1024 * 1024, gt=0, description="Maximum size of a request body in bytes.")
    request_seconds: float = Field(60, gt=0, description="Time-out for receiving a whole request, head and body.")
    send_seconds: float = Field(30, gt=0, description="Time-out for a client to read the next part of a response.")
    connections: int = Field(
        800,
        gt=0,
        description="Maximum connections of a process. Above it, only `/health` and `/ready` are served. Streams that "
        "wait for messages (protocol 2025-11-25 and older) take at most three quarters of them.",
    )
    sessions: int = Field(1000, gt=0, description="Maximum concurrent sessions (protocol 2025-11-25 and older).")
    session_idle_seconds: float = Field(1800, gt=0, description="Idle time after which a session ends.")
    shutdown_seconds: int = Field(30, ge=0, description="Time for running calls to finish when the server stops.")
    workers: int = Field(
        1,
        ge=1,
        description="Number of worker processes. They share the store. More than one implies `http.stateless`.",
    )
    stateless: bool = Field(
        False,
        description="Serve protocol 2025-11-25 and older without sessions, so that any replica can serve any request. "
        "These clients cannot show a form; `confirmation.fallback` applies instead.",
    )

    @field_validator("tokens")
    @classmethod
    def _check_tokens(cls, tokens: tuple[CallerToken, ...]) -> tuple[CallerToken, ...]:
        names: dict[str, str] = {}
        for token in tokens:
            if (name := names.setdefault(token.sha256, token.name)) != token.name:
                raise PydanticCustomError(
                    "tokens",
                    "{one} and {other} have the same bearer token, so the server cannot distinguish them; create one "
                    "for each with `gitbook-integrations-mcp token NAME`",
                    {"one": name[:64], "other": token.name[:64]},
                )
        return tokens

    @model_validator(mode="after")
    def _check_paths(self) -> Self:
        names = ("streamable_path", "sse_path", "message_path")
        used = dict.fromkeys(RESERVED_PATHS, "this server's own pages")
        for name in names:
            path = getattr(self, name).rstrip("/")
            # Below these paths, everything belongs to one application.
            if (
                path in used
                or path.startswith(tuple(f"{tree}/" for tree in _OWN_TREES))
                or (name == "message_path" and not path)
            ):
                owner = used.get(path, "this server's own pages")
                raise PydanticCustomError(
                    "paths",
                    "{name}: {path} is used for {owner}; choose another path",
                    {"name": name, "path": path or "/", "owner": owner},
                )
            used[path] = name
        return self

    @property
    def has_sessions(self) -> bool:
        """Whether clients with protocol 2025-11-25 and older get a session, which belongs to one process."""
        return not self.stateless and self.workers == 1


class OAuthSection(Section):
    issuer: Issuer | None = Field(
        None,
        description="Authorization server whose access tokens (JWT) are accepted, spelled as in their claim `iss`. "
        "Requires `http.public_url`.",
    )
    client_id: str | None = Field(
        None,
        pattern=CLIENT_ID,
        description="ID of a public client of the issuer with the redirect URI `<http.public_url>/accounts/callback`, "
        "with which people sign in to link their GitBook account. By default the server registers one.",
    )
    audience: HeaderSafeTexts = Field(
        (),
        description="Accepted audiences (`aud`) of an access token. By default the URLs of the MCP endpoints under "
        "`http.public_url`.",
    )
    scopes: HeaderSafeTexts = Field((), description="Scopes that an access token must have, all of them.")
    jwks_url: PrivateUrl | None = Field(
        None, description="URL of the issuer's public keys. By default the one in the issuer's metadata."
    )
    algorithms: Annotated[tuple[Algorithm, ...], NoDecode, CommaSeparated] = Field(
        ("RS256", "PS256", "ES256", "EdDSA"), min_length=1, description="Accepted signature algorithms."
    )

    @model_validator(mode="after")
    def _require_issuer(self) -> Self:
        fields = type(self).model_fields.items()
        if self.issuer is None and any(getattr(self, key) != field.get_default() for key, field in fields):
            raise PydanticCustomError("oauth", "requires oauth.issuer; without it, access tokens are not checked")
        return self


class ConfirmationSection(Section):
    ask: Literal["form", "fallback"] = Field(
        "form",
        description="How to ask for approval: `form` uses a form in the client if it supports one; `fallback` always "
        "uses `confirmation.fallback`.",
    )
    fallback: Literal["browser", "two-step", "refuse"] = Field(
        "browser",
        description="Action if the client cannot show a form: `browser` returns the URL of a confirmation page, "
        "`two-step` lets the model confirm with a second call, `refuse` rejects the call.",
    )
    ttl: float = Field(
        600,
        gt=0,
        le=86400,
        description="Seconds for which a confirmation stays open and an approval stays valid.",
    )
    widening: Literal["ask", "off"] = Field(
        "ask",
        description="Calls that give power: `ask` for approval, `off` sends them without. They publish, install or "
        "configure what GitBook does not vouch for, and change external IDs or what is beside a credential.",
    )
    extra_tools: Names = Field((), description="Additional tools that need confirmation.")
    keys: Keys = Field(
        (),
        description="Keys that encrypt confirmation state held by clients. The first encrypts, all decrypt (for "
        "rotation). By default a random key; several replicas need the same. " + CREATE_KEY + ".",
    )


class PolicyRule(Section):
    """A rule of the policy. It matches a call if all its conditions hold; a rule without conditions always matches.

    `calls.policy_rules` says how each condition is evaluated.
    """

    name: str = Field(pattern=RULE_NAME, max_length=64)
    effect: Literal["deny", "allow"]
    reason: str = Field(min_length=1, max_length=300)
    actions: OneOrMore[PolicyAction] | None = None
    integrations: OneOrMore[IntegrationPattern] | None = None
    owners: OneOrMore[Annotated[str, Field(pattern=OWNER)]] | None = None
    verified: bool | None = None
    visibility: OneOrMore[Literal["public", "private", "unlisted"]] | None = None
    scopes: OneOrMore[ScopePattern] | None = None
    targets: OneOrMore[Target] | None = None
    content_security_policy: OneOrMore[Literal["missing", "weak", "strict"]] | None = None
    places: OneOrMore[Place] | None = None
    tunnel_hosts: OneOrMore[HostPattern] | None = None

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions that are set, besides `actions`."""
        fixed = {"name", "effect", "reason", "actions"}
        named = ((key, getattr(self, key)) for key in type(self).model_fields if key not in fixed)
        return {key: value for key, value in named if value is not None}


class PolicySection(Section):
    rules: tuple[PolicyRule, ...] = Field(
        (),
        description="Ordered rules that deny or allow installations, publications and tunnels. The first rule that "
        "matches a call decides; without one, the call is allowed. See the documentation of policies.",
    )

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [rule.name for rule in self.rules]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise PydanticCustomError("policy", "{name}: two rules have this name", {"name": repeated})
        return self


class StoreSection(Section):
    url: StoreUrl | None = Field(
        None,
        description="Where confirmations, changes and audit reports are kept: `sqlite:///FILE`, which the workers of "
        "one machine share; `postgresql://…`, which several machines share; or `memory`, which a restart empties. By "
        "default a file in the user's folder for state, and `memory` for the sandbox.",
    )
    keys: Keys = Field(
        (),
        description="Keys that encrypt the values that an undo needs. The first encrypts, all decrypt (for rotation). "
        "By default a key in the system's keyring, or in a file beside the SQLite file. On PostgreSQL, no values are "
        "kept without a key. " + CREATE_KEY + ".",
    )
    keep_values: bool = Field(
        True,
        description="Keep the values that an undo needs, encrypted. Without them, an undo does not restore "
        "credentials.",
    )
    change_days: float = Field(365, gt=0, description="Days for which changes and published versions are kept.")
    report_days: float = Field(365, gt=0, description="Days for which audit reports are kept.")
    reports: int = Field(
        100, gt=0, description="Maximum number of audit reports that are kept for each user and organization."
    )


class PublishingSection(Section):
    roots: Roots = Field(
        (),
        description="Folders below which integrations may be read and published, as absolute paths. Without one, the "
        "tools for folders are offered only to clients on stdio that declare roots, which count, too. With one, they "
        "are offered on stdio and on loopback.",
    )
    secrets: SecretNames = Field(
        (),
        description="Environment variables of the server that a manifest may put into `secrets` as `${{ env.NAME }}`. "
        "Those in a file `.env` beside the manifest need no setting.",
    )
    build: bool = Field(
        False,
        description="Bundle scripts with the esbuild in the folder's own `node_modules`. Everyone who can write to a "
        "folder below `publishing.roots` can then run programs as the server's user, before anybody is asked.",
    )


class AuditSection(Section):
    disabled_rules: Annotated[tuple[RuleId, ...], NoDecode, CommaSeparated] = Field(
        (), description="Audit rules that are not evaluated."
    )
    severity: dict[RuleId, Severity] = Field(
        {}, description='Severities that replace those of the rules, for example `{"same-kind": "medium"}`.'
    )
    accepted: UserPath | None = Field(
        None, description="File of accepted findings with reasons. See the documentation of audits."
    )
    stalled_days: int = Field(
        30,
        ge=0,
        description="Days after which a paused or pending installation that is enabled nowhere becomes a finding.",
    )
    max_wait_seconds: float = Field(
        300,
        ge=0,
        description="An audit waits for GitBook's rate limit to reset only until it has run for this long.",
    )
    cache_seconds: float = Field(600, ge=0, description="How long an audit report is reused.")


class DevelopmentSection(Section):
    default_duration: Duration = Field(
        DEFAULT_DURATION,
        description="Duration of development mode if a call sets none (`for`): a number with `s`, `m`, `h` or `d`.",
    )
    max_duration: Duration = Field("24h", description="Longest duration of development mode that a call can set.")

    @model_validator(mode="after")
    def _check_durations(self) -> Self:
        if read_duration(self.default_duration) > read_duration(self.max_duration):
            raise PydanticCustomError("duration", "default_duration must not be longer than max_duration")
        return self


class LimitsSection(Section):
    connect_seconds: float = Field(10, gt=0, description="Time-out for connecting to GitBook.")
    read_seconds: float = Field(40, gt=0, description="Time-out for GitBook to send the next part of a response.")
    write_seconds: float = Field(20, gt=0, description="Time-out for GitBook to accept the next part of a request.")
    pool_seconds: float = Field(
        30, gt=0, description="Maximum time of a call in the queue behind other calls with the same token."
    )
    call_seconds: float = Field(
        55,
        gt=0,
        description="Maximum time for one request to GitBook, with waits and retries. Most clients time out after 60.",
    )
    wait_seconds: float = Field(
        20,
        ge=0,
        description="Part of `call_seconds` that can be used to wait for GitBook's rate limit or between attempts. If "
        "more is needed, the call fails at once and its error contains the time to wait.",
    )
    attempts: int = Field(4, ge=1, le=10, description="Maximum number of attempts for a request. 1 means no retries.")
    concurrency: int = Field(16, gt=0, description="Maximum concurrent requests for each token.")
    body_bytes: int = Field(
        10_000_000, gt=0, description="Maximum size of a response from GitBook in bytes, decompressed."
    )
    result_tokens: int = Field(
        25_000,
        ge=1000,
        description="Approximate maximum size of a result in model tokens. Longer results are truncated and say so.",
    )
