"""Types of settings, which check their values. No error message repeats a secret."""

import re
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from gitbook_integrations_api.options import DURATION
from gitbook_integrations_api.parameters import Scope
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp.config.json_text import JsonError, parse_json
from gitbook_integrations_mcp.config.urls import is_private, needs_encryption
from gitbook_integrations_mcp.config.variables import is_own_variable
from gitbook_integrations_mcp.spelling import suggest

_HOST_NAME = r"(?!.*\.\.)[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?"

_HOST_HEADER = re.compile(rf"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>{_HOST_NAME}))(?P<port>:[1-9][0-9]{{0,4}})?")
_IPV6_HOST = re.compile(r"\s*\[[0-9A-Fa-f]*:")

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""Ports that clients leave out of the Host header, by scheme."""

Transport = Literal["stdio", "sse", "streamable-http"]

HTTPS = (
    "`http` is only for this machine, private addresses, names without a dot, and names in `.internal`, `.local` and "
    "`.localhost`."
)

KEY_BYTES = 32
CREATE_KEY = "`openssl rand -hex 32` creates one"


_REFERENCE = re.compile(r"\$?\{+[^{}]*\}+|\$\w[\w:]*|\$\(.*\)|%\w+%|<[^<>]*>", re.DOTALL)
"""A reference to a variable or a prompt, or the text of an example, in place of a secret."""

_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""The characters of a bearer token in a header (RFC 6750, section 2.1)."""

_NO_VALUE = "is a reference that was not replaced by its value, or the text of an example"

_MISTAKES = (
    (_REFERENCE, _NO_VALUE),
    (re.compile(r"""(["'`]).*\1|["'`].*|.*["'`]""", re.DOTALL), "is in quotes; set the token without them"),
    (re.compile(r"bearer\s.*", re.DOTALL | re.IGNORECASE), "starts with the word Bearer; set the token without it"),
    (
        re.compile(r"(.*\s|\$env:)?GITBOOK_\w+\s*=.*", re.DOTALL),
        "includes a variable's name; set only the value",
    ),
    (re.compile(r".*\s.*", re.DOTALL), "contains a space or a line break; set the token alone"),
)
"""Texts that people set instead of a token, each with the problem."""


def is_reference(text: str) -> bool:
    """Whether a text in place of a secret is only a reference that some program should have replaced by the secret."""
    return _REFERENCE.fullmatch(text.strip()) is not None


def check_token(token: SecretStr) -> SecretStr:
    """Return a token without the white space around it.

    Raises:
        PydanticCustomError: the text cannot be a token. As a header, it could appear in an error of the HTTP library.
    """
    value = token.get_secret_value().strip()
    if not value:
        raise PydanticCustomError("token", "is empty")
    for mistake, problem in _MISTAKES:
        if mistake.fullmatch(value):
            raise PydanticCustomError("token", "{problem}", {"problem": problem})
    if not _BEARER_TOKEN.fullmatch(value):
        raise PydanticCustomError("token", "contains characters that are not allowed in a token")
    return SecretStr(value)


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
        raise PydanticCustomError("endpoint", "must not contain a user, a password, a query or a fragment")
    return _check_encryption(url)


def _check_encryption(url: str) -> str:
    if needs_encryption(url):
        raise PydanticCustomError(
            "encryption",
            "must begin with https, because others could read tokens and approve calls. {rule}",
            {"rule": HTTPS.rstrip(".")},
        )
    return url


def _split_names(value: Any) -> Any:
    """Return a list, also from "a,b" or from JSON text."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("[") and not _IPV6_HOST.match(value):
        try:
            return parse_json(value)
        except JsonError as error:
            raise PydanticCustomError("json", "{problem}", {"problem": str(error)}) from None
    return [name.strip() for name in value.split(",") if name.strip()]


def _check_listen_host(host: str) -> str:
    """Return an address to listen on: without brackets and spaces, and in its usual spelling."""
    host = host.strip().lower()
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ip_address(bare))
    except ValueError:
        if not re.fullmatch(_HOST_NAME, host):
            raise PydanticCustomError(
                "listen_host",
                "must be an IP address or a host name, without scheme and port, for example 127.0.0.1 or ::1",
            ) from None
    return host


def _check_allowed_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts as a Host header contains them."""
    valid = []
    for host in hosts:
        header = _read_host_header(host)
        if header is None:
            raise PydanticCustomError(
                "allowed_hosts",
                "{host}: no Host header can match this. Write a host name, or an IP address (IPv6 in brackets), each "
                "with a port or without, and without scheme, path or wildcard; for example mcp.example.com",
                {"host": host[:64]},
            )
        if header.endswith(tuple(_DEFAULT_PORTS.values())):
            raise PydanticCustomError(
                "allowed_hosts",
                "{host}: clients leave out this port. Write the host without it; for example mcp.example.com",
                {"host": host[:64]},
            )
        valid.append(header)
    return tuple(valid)


def _read_host_header(text: str) -> str | None:
    """Return a host, with or without a port, as clients write it in a Host header; None if they never send it."""
    found = _HOST_HEADER.fullmatch(text.strip().lower())
    if found is None or int((found["port"] or ":1")[1:]) > 65535:
        return None
    try:
        host = f"[{IPv6Address(found['ipv6'])}]" if found["ipv6"] else found["name"]
    except ValueError:
        return None
    return host + (found["port"] or "")


def _check_path(path: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*", path) or "//" in path or {".", ".."} & set(path.split("/")):
        raise PydanticCustomError(
            "path",
            "must be a path, without query and without special characters, for example {example}",
            {"example": "/mcp"},
        )
    return path


def _read_transports(value: Any) -> Any:
    """Return the transports under their full names; `http` is what most clients call `streamable-http`."""
    names = _split_names(value)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return names
    names = tuple(dict.fromkeys("streamable-http" if name == "http" else name for name in names))
    for name in names:
        if name not in get_args(Transport):
            raise PydanticCustomError(
                "transport",
                "{name}: unknown transport.{hint} Valid: stdio, streamable-http (short: http), sse",
                {"name": name[:64], "hint": suggest(name, get_args(Transport))},
            )
    if "stdio" in names and len(names) > 1:
        raise PydanticCustomError("transport", "stdio cannot be combined with other transports")
    return names


def _check_public_url(url: str) -> str:
    """Return a URL whose host is spelled as clients send it; with another, the server would refuse their requests."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:  # for example a broken IPv6 address
        parts = urlsplit("")
    port = _DEFAULT_PORTS.get(parts.scheme)
    host = _read_host_header(parts.netloc.removesuffix(":").removesuffix(port)) if port else None
    if host is None or parts.path.strip("/") or parts.query or parts.fragment:
        raise PydanticCustomError(
            "public_url",
            "must be an http or https URL with a host in ASCII, and without user, wildcard and path, for example "
            "{example}",
            {"example": "https://mcp.example.com"},
        )
    return _check_encryption(f"{parts.scheme}://{host}")


def _check_store_url(value: SecretStr) -> SecretStr:
    """Return the URL of a store in its usual spelling. It is a secret, because it can contain a password."""
    text = value.get_secret_value().strip()
    text = re.sub(r"^postgres(?=://)", "postgresql", text)
    try:
        parts = urlsplit(text)
        valid = text == "memory" or (
            (parts.scheme == "sqlite" and re.fullmatch("sqlite:///[^?#]+", text) is not None and parts.path != "/")
            or (
                parts.scheme == "postgresql"
                and len(parts.path) > 1
                and parts.port != 0
                # SQLAlchemy reads up to any other @ as a password, and the rest of one as the host, which is shown.
                and text.count("@") == parts.netloc.count("@") < 2
            )
        )
    except ValueError:
        valid = False
    if not valid:
        raise PydanticCustomError(
            "store_url",
            "must be memory, the URL of a SQLite file ({file}) or of a PostgreSQL database ({server}); percent-encode "
            "special characters in a password",
            {"file": "sqlite:////var/lib/gitbook/store.db", "server": "postgresql://user@localhost/gitbook"},
        )
    return SecretStr(text)


def _check_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    texts = [key.get_secret_value().strip() for key in keys]
    if any(map(is_reference, texts)):  # others could guess it
        raise PydanticCustomError("keys", f"{_NO_VALUE}; {CREATE_KEY}")
    if any(len(text.encode()) < KEY_BYTES for text in texts):
        raise PydanticCustomError("keys", f"must have at least {KEY_BYTES} characters each; {CREATE_KEY}")
    if len(set(texts)) < len(texts):
        raise PydanticCustomError("keys", "must differ from each other")
    return tuple(SecretStr(text) for text in texts)


def _check_private(url: str) -> str:
    if not is_private(url):
        raise PydanticCustomError("private", "must be an https URL (http only on loopback)")
    return url


def _check_issuer(url: str) -> str:
    if urlsplit(url).query or urlsplit(url).fragment:
        raise PydanticCustomError("issuer", "must not contain a query or a fragment")
    return url


def check_rule(rule: str) -> str:
    """Return the ID of an audit rule.

    Raises:
        PydanticCustomError: unknown rule. A misspelt ID must not leave a rule enabled or disabled.
    """
    if rule not in RULES:
        raise PydanticCustomError(
            "rule", "{rule}: unknown rule.{hint}", {"rule": rule[:64], "hint": suggest(rule, RULES)}
        )
    return rule


PLACE_KINDS = ("public-spaces", "non-public-spaces", "public-sites", "non-public-sites")


def _check_place(place: str) -> str:
    """Return a place in a policy rule. A misspelt one would never match."""
    if place not in PLACE_KINDS and not re.fullmatch(r"(space|site):[A-Za-z0-9_-]+", place):
        raise PydanticCustomError(
            "place",
            "{place}: unknown place.{hint} Valid: {valid}, space:ID, site:ID",
            {"place": place[:64], "hint": suggest(place, PLACE_KINDS), "valid": ", ".join(PLACE_KINDS)},
        )
    return place


def _check_scope_pattern(pattern: str) -> str:
    """Return a pattern of scopes. One that matches no scope of GitBook is misspelt."""
    scopes = get_args(Scope)
    if not any(fnmatchcase(scope, pattern) for scope in scopes):
        raise PydanticCustomError(
            "scope",
            "{pattern}: matches no scope of GitBook.{hint}",
            {"pattern": pattern[:64], "hint": suggest(pattern, scopes)},
        )
    return pattern


def expand_home(path: Path) -> Path:
    """Return a path with the home directory in place of `~`. No shell does that in a file or in a client's entry."""
    with suppress(RuntimeError):  # there is no home directory
        return path.expanduser()
    return path


def _check_roots(roots: tuple[Path, ...]) -> tuple[Path, ...]:
    roots = tuple(map(expand_home, roots))
    for root in roots:
        if not root.is_absolute() or root == root.parent:
            raise PydanticCustomError(
                "roots",
                "{root}: must be the absolute path of a folder, and not that of a whole file system",
                {"root": str(root)},
            )
    return roots


def _check_secret_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or is_own_variable(name):
            raise PydanticCustomError(
                "secrets",
                "{name}: must be the name of an environment variable, and none of this server's own",
                {"name": name[:64]},
            )
    return names


CLIENT_ID = r"^[!-~]{1,255}$"
DIGEST = r"^[0-9a-f]{64}$"
ORGANIZATION = r"^\w[\w &'.,:()+!-]*$"  # pydantic's engine copies a class as often as it may repeat: 10 MB for {0,99}
RULE_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
OWNER = r"^[A-Za-z0-9_-]+$"
_HEADER_SAFE = r"^[!#-\[\]-~]+$"
_INTEGRATION_PATTERN = r"^[A-Za-z0-9._*?-]+$"
_SCOPE_PATTERN = r"^[a-z:*?]+$"
_HOST_PATTERN = r"^[A-Za-z0-9._:*?-]+$"

PATTERNS: Mapping[str, str] = {
    CLIENT_ID: "1 to 255 ASCII characters without spaces",
    DIGEST: "a SHA-256 digest: 64 digits and letters from a to f; `gitbook-integrations-mcp token NAME` prints one",
    DURATION: "a whole number with s, m, h or d, for example 30m",
    ORGANIZATION: "the ID of an organization, not its address",
    RULE_NAME: "lower-case letters and digits, in words with hyphens between them, for example no-public-scopes",
    OWNER: "the ID of an organization: letters, digits, _ and -",
    _HEADER_SAFE: "ASCII characters without spaces, quotes and backslashes",
    _INTEGRATION_PATTERN: "the name of an integration, or a pattern with * and ?, for example slack or acme-*",
    _SCOPE_PATTERN: "a scope, or a pattern with * and ?, for example space:content:*",
    _HOST_PATTERN: "a host, or a pattern with * and ?, without scheme and path, for example *.example.com",
}
"""The patterns of settings, each with what it expects. An error has these words, not the regular expression."""

Endpoint = Annotated[str, AfterValidator(_check_endpoint)]
PublicUrl = Annotated[str, AfterValidator(_check_public_url)]
CommaSeparated = BeforeValidator(_split_names)
"""Accepts a list also as "a,b", the form in flags and variables."""
ApiToken = Annotated[SecretStr, AfterValidator(check_token)]
Names = Annotated[tuple[str, ...], NoDecode, CommaSeparated]
Duration = Annotated[str, Field(pattern=DURATION)]
UserPath = Annotated[Path, AfterValidator(expand_home)]
Roots = Annotated[tuple[Path, ...], NoDecode, CommaSeparated, AfterValidator(_check_roots)]
SecretNames = Annotated[Names, AfterValidator(_check_secret_names)]
Transports = Annotated[tuple[Transport, ...], NoDecode, BeforeValidator(_read_transports)]
ListenHost = Annotated[str, AfterValidator(_check_listen_host)]
AllowedHosts = Annotated[Names, AfterValidator(_check_allowed_hosts)]
HttpPath = Annotated[str, AfterValidator(_check_path)]
Keys = Annotated[tuple[SecretStr, ...], NoDecode, CommaSeparated, AfterValidator(_check_keys)]
StoreUrl = Annotated[SecretStr, AfterValidator(_check_store_url)]
RuleId = Annotated[str, AfterValidator(check_rule)]

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric algorithms: a public key that verifies signatures cannot create them."""

HeaderSafeText = Annotated[str, Field(pattern=_HEADER_SAFE)]
"""Text that a header can contain as a quoted string (RFC 6749, scope-token)."""

HeaderSafeTexts = Annotated[tuple[HeaderSafeText, ...], NoDecode, CommaSeparated]
PrivateUrl = Annotated[HeaderSafeText, AfterValidator(_check_private)]
Issuer = Annotated[PrivateUrl, AfterValidator(_check_issuer)]

T = TypeVar("T")
OneOrMore = Annotated[tuple[T, ...], Field(min_length=1)]

IntegrationPattern = Annotated[str, Field(pattern=_INTEGRATION_PATTERN)]
ScopePattern = Annotated[str, Field(pattern=_SCOPE_PATTERN), AfterValidator(_check_scope_pattern)]
HostPattern = Annotated[str, Field(pattern=_HOST_PATTERN), AfterValidator(str.lower)]
"""Patterns in policy rules: `*` stands for any characters, `?` for one."""

Place = Annotated[str, AfterValidator(_check_place)]
