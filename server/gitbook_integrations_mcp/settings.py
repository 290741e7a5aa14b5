"""Settings: one frozen model, filled from a JSON file, then the environment, then flags; the later wins.

Every setting is reachable as `GITBOOK_MCP_<SECTION>__<KEY>`; four have the names that GitBook's own CLI gave them.
"""

import difflib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as PydanticSettingsError

from gitbook_integrations.rules import RULES, Severity
from gitbook_integrations_mcp.host import is_private

PREFIX = "GITBOOK_MCP_"
DELIMITER = "__"

CLI_VARIABLES: Mapping[str, tuple[str, str]] = {
    "GITBOOK_TOKEN": ("gitbook", "token"),
    "GITBOOK_INTEGRATION_TOKEN": ("gitbook", "integration_token"),
    "GITBOOK_ENDPOINT": ("gitbook", "endpoint"),
    "GITBOOK_ORGANIZATION": ("gitbook", "organization"),
}
"""Variables without the prefix: GitBook's own CLI's names, and one more in their style."""


class SettingsError(Exception):
    """Settings that cannot be used. The message names each setting, what is wrong, and never a secret's value."""


def check_token(token: SecretStr) -> SecretStr:
    """Return a token without the white space around it.

    Raises:
        PydanticCustomError: it cannot be a token; sent as a header, it might end up in an error text of the HTTP layer.
    """
    text = token.get_secret_value().strip()
    if not text:
        raise PydanticCustomError("token", "is empty")
    if any(character.isspace() for character in text):
        raise PydanticCustomError("token", "contains a space or a line break: only a part of it is the token")
    if not text.isascii() or not text.isprintable():
        raise PydanticCustomError("token", "contains characters that cannot be part of a token")
    return SecretStr(text)


def _check_endpoint(url: str) -> str:
    url = url.strip().rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise PydanticCustomError(
            "endpoint",
            "must be an absolute http or https URL, for example {example}",
            {"example": "https://api.gitbook.com"},
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise PydanticCustomError("endpoint", "must not carry a user, a password, a query or a fragment")
    return url


def _split_names(value: Any) -> Any:
    """Lists come as JSON from a file, but as "a,b" from a flag or the environment."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [name.strip() for name in value.split(",") if name.strip()]


def _check_public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or parts.query:
        raise PydanticCustomError(
            "public_url",
            "must be an address without a path, for example {example}",
            {"example": "https://mcp.example.com"},
        )
    return f"{parts.scheme}://{parts.netloc}"


def _check_store(value: Any) -> Any:
    """Keep a URL secret, as it may hold a password, and so out of every error."""
    if value == "memory":
        return value
    url = value.get_secret_value() if isinstance(value, SecretStr) else value
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "unix" or (
            parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
        )
    except (AttributeError, TypeError, ValueError):
        valid = False
    if not valid:
        raise PydanticCustomError(
            "store",
            "must be memory, or an absolute redis or rediss URL, for example {example}; special characters of a "
            "password are written as %-codes",
            {"example": "redis://localhost:6379/0"},
        )
    return SecretStr(url)


def _check_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    texts = [key.get_secret_value().strip() for key in keys]
    if any(len(text.encode()) < KEY_BYTES for text in texts):
        raise PydanticCustomError("keys", f"must have at least {KEY_BYTES} characters each; {MAKE_KEY}")
    if len(set(texts)) < len(texts):
        raise PydanticCustomError("keys", "must differ from each other")
    return tuple(SecretStr(text) for text in texts)


KEY_BYTES = 32
MAKE_KEY = "`openssl rand -hex 32` makes one"


def _check_private(url: str) -> str:
    if not is_private(url):
        raise PydanticCustomError("private", "must be an https URL (http only on loopback)")
    return url


def _check_issuer(url: str) -> str:
    if urlsplit(url).query or urlsplit(url).fragment:
        raise PydanticCustomError("issuer", "must not carry a query or a fragment")
    return url


ApiToken = Annotated[SecretStr, AfterValidator(check_token)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_names)]
Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_names), AfterValidator(_check_keys)]
Store = Annotated[Literal["memory"] | SecretStr, BeforeValidator(_check_store)]


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
    endpoint: Annotated[str, AfterValidator(_check_endpoint)] = Field(
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
    transport: Annotated[tuple[Transport, ...], NoDecode, BeforeValidator(_split_names)] = Field(
        ("stdio",), min_length=1, description="`stdio`, or one or both of `sse` and `streamable-http`."
    )
    sandbox: bool = Field(
        False, description="Serve an embedded GitBook in memory instead of the real API; needs no token and no network."
    )
    sandbox_size: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_split_names)] = Field(
        (12, 20, 5, 40),
        min_length=4,
        max_length=4,
        description="How many integrations, spaces, sites and installations the embedded GitBook has.",
    )
    sandbox_latency: float = Field(
        0, ge=0, le=60, description="Seconds that each request to the embedded GitBook takes longer."
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
    public_url: Annotated[str, AfterValidator(_check_public_url)] | None = Field(
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


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that nobody can make who can verify them."""

Quotable = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$")]
"""What a header can quote as it is (RFC 6749, scope-token)."""

Words = Annotated[tuple[Quotable, ...], NoDecode, BeforeValidator(_split_names)]
PrivateUrl = Annotated[Quotable, AfterValidator(_check_private)]


class OAuthSection(Section):
    issuer: Annotated[PrivateUrl, AfterValidator(_check_issuer)] | None = Field(
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
    algorithms: Annotated[tuple[Algorithm, ...], NoDecode, BeforeValidator(_split_names)] = Field(
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
    also: Names = Field((), description="Further tools that wait for a human's yes.")
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


def check_rule(rule: str) -> str:
    """Return the ID of a rule of the audit.

    Raises:
        PydanticCustomError: there is none of that ID; a typing error must not leave a rule on, or off.
    """
    if rule not in RULES:
        raise PydanticCustomError(
            "rule", "{rule}: no such rule.{hint}", {"rule": rule[:64], "hint": suggest(rule, RULES)}
        )
    return rule


RuleId = Annotated[str, AfterValidator(check_rule)]


class AuditSection(Section):
    off: Annotated[tuple[RuleId, ...], NoDecode, BeforeValidator(_split_names)] = Field(
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
    patience_seconds: float = Field(
        300, ge=0, description="How long an audit may take and still wait for GitBook's rate limit to be renewed."
    )
    fresh_seconds: float = Field(
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


class Settings(BaseSettings):
    """All settings; `load_settings` makes one."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    gitbook: GitBookSection = GitBookSection()
    tools: ToolsSection = ToolsSection()
    server: ServerSection = ServerSection()
    http: HttpSection = HttpSection()
    oauth: OAuthSection = OAuthSection()
    confirmation: ConfirmationSection = ConfirmationSection()
    journal: JournalSection = JournalSection()
    audit: AuditSection = AuditSection()
    limits: LimitsSection = LimitsSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put flags before the environment before the file, which `load_settings` passes by the name `_file`."""
        assert isinstance(init_settings, InitSettingsSource)
        flags = dict(init_settings.init_kwargs)
        file = flags.pop("_file", {})
        unprefixed: dict[str, dict[str, str]] = {}
        for variable, (section, key) in CLI_VARIABLES.items():
            if value := os.environ.get(variable):
                unprefixed.setdefault(section, {})[key] = value
        return (
            InitSettingsSource(settings_cls, flags),
            env_settings,
            InitSettingsSource(settings_cls, unprefixed),
            InitSettingsSource(settings_cls, file),
        )


def iterate_settings() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield section, key and field of every setting, in the order of the model."""
    for section, info in Settings.model_fields.items():
        assert isinstance(info.annotation, type)
        assert issubclass(info.annotation, Section)
        for key, field in info.annotation.model_fields.items():
            yield section, key, field


def name_variable(section: str, key: str) -> str:
    """Return the name of the environment variable of a setting."""
    return f"{PREFIX}{section}{DELIMITER}{key}".upper()


def load_settings(flags: Mapping[str, Mapping[str, Any]] | None = None, config: Path | None = None) -> Settings:
    """Return the settings from `config` (else the file that `GITBOOK_MCP_CONFIG` names), environment and `flags`.

    Raises:
        SettingsError: a file that cannot be read, an unknown key or variable, a value that is not allowed.
    """
    _refuse_unknown_variables()
    if config is None and (named := os.environ.get(f"{PREFIX}CONFIG")):
        config = Path(named)
    file = _read_file(config) if config else {}
    build: Callable[..., Settings] = Settings  # takes sources, not fields: see settings_customise_sources
    try:
        return build(_file=file, **(flags or {}))
    except ValidationError as error:
        raise SettingsError("\n".join(_describe(problem) for problem in error.errors(include_input=False))) from None
    except PydanticSettingsError:
        raise SettingsError(
            f"A {PREFIX}<SECTION> variable holds JSON that cannot be parsed; set single keys instead, for example "
            f"{name_variable('tools', 'read_only')}=true"
        ) from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise SettingsError(f"The settings file {path} is not valid JSON{where}.") from None
    if not isinstance(content, dict):
        raise SettingsError(
            f"The settings file {path} must hold a JSON object of sections, as config.example.json does."
        )
    return content


def _refuse_unknown_variables() -> None:
    known = {name_variable(section, key) for section, key, _ in iterate_settings()}
    known |= {f"{PREFIX}{section}".upper() for section in Settings.model_fields} | {f"{PREFIX}CONFIG"}
    for variable in os.environ:
        if variable.upper().startswith(PREFIX) and variable.upper() not in known:
            raise SettingsError(f"{variable}: no such variable.{suggest(variable.upper(), known)}")


def _describe(problem: ErrorDetails) -> str:
    location = [str(part) for part in problem["loc"]]
    name = ".".join(location)
    if problem["type"] == "extra_forbidden":
        section = Settings.model_fields.get(location[0])
        siblings = section.annotation.model_fields if section and len(location) > 1 else Settings.model_fields  # type: ignore[union-attr]
        return f"{name}: no such setting.{suggest(location[-1], siblings)}"
    variables = [variable for variable, place in CLI_VARIABLES.items() if list(place) == location[:2]]
    if len(location) > 1:
        variables.append(name_variable(*location[:2]))
    message = problem["msg"].replace("Input should", "must")
    return (
        f"{name}: {message} (set by {', '.join(variables)}, the settings file or a flag)."
        if variables
        else (f"{name}: {message}.")
    )


def suggest(name: str, valid: Iterable[str]) -> str:
    """Return a sentence that names the valid name nearest to `name`, or nothing where none is near."""
    nearest = difflib.get_close_matches(name, list(valid), n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""
