"""The definition of a tool: one row of the table from which policy, confirmation, changes and docs are derived."""

import math
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from gitbook_integrations_api.objects import GitBookObject
from gitbook_integrations_api.schema import DocumentedModel

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
ConfigurationLevel = Literal["account", "space", "site"]
"""A level of an integration's settings: of the whole installation, or on one space or site."""
PolicyAction = Literal["install", "widen", "publish", "tunnel"]
"""A kind of call that the operator's policy judges. `widen` is a selection of all spaces or sites."""


class Risk(StrEnum):
    """The damage that a call can do to the organization. All safety checks of the server are derived from it."""

    READ = "read"
    """Changes nothing."""
    WRITE = "write"
    """Adds or changes something that a later call can revert."""
    DESTROY = "destroy"
    """Removes something. Requires human approval."""
    SECRET = "secret"
    """Returns a live credential. Requires human approval."""


class Widening(StrEnum):
    """How a call gives an integration power: new code or scopes, a place, all places, or the events of others."""

    CODE = "code"
    """Replaces the code, scopes and settings of an integration. Every call requires human approval."""
    ACCESS = "access"
    """Enables an integration on an organization, a space or a site. Requires approval unless GitBook vouches for it."""
    SELECTION = "selection"
    """Can enable an integration on all spaces or sites. Then it requires approval, as for `ACCESS`."""
    EVENTS = "events"
    """Sends the events of an integration to another address. Every call requires human approval."""

    @property
    def always_asks(self) -> bool:
        """Whether every call requires approval, whatever the integration."""
        return self in {Widening.CODE, Widening.EVENTS}


class CredentialKind(StrEnum):
    """Kinds of credential, with the names of GitBook's `securitySchemes`."""

    USER = "user"
    INTEGRATION = "integration"
    INSTALLATION = "integration-installation"
    OAUTH = "oauth"


USER = frozenset({CredentialKind.USER})
INTEGRATION = frozenset({CredentialKind.INTEGRATION})
INSTALLATION = frozenset({CredentialKind.INSTALLATION})
OAUTH = frozenset({CredentialKind.OAUTH})


class Query:
    """Marks a parameter that is sent in the query string even if the request has a body."""


class Input(DocumentedModel):
    """Arguments of one tool: exactly the documented parameters, as one flat object."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Result:
    """The shape of a response.

    `object` and `page` are GitBook's own shapes; a bare `array` becomes `{"items": [...]}`, because structured content
    must be an object; `nothing` becomes `{"status": ..., "message": ...}`.
    """

    shape: Literal["object", "page", "array", "nothing"]
    model: type[BaseModel] = GitBookObject


NOTHING = Result("nothing")


def one(model: type[BaseModel]) -> Result:
    """A response that is one object."""
    return Result("object", model)


def paged(model: type[GitBookObject]) -> Result:
    """A response that is a page: `items`, and `next.page` if there are more."""
    return Result("page", model)


def array(model: type[GitBookObject]) -> Result:
    """A response that is an array of objects."""
    return Result("array", model)


class SegmentError(ValueError):
    """A value cannot be one segment of a path. Has the argument's `name` and the `reason`, but not the value."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name} {reason}")


_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")


def encode_segment(name: str, value: str) -> str:
    """Return `value` percent-encoded as exactly one segment of a path.

    Clients, proxies and the API could read some values as a different path, even when they are encoded. These values
    are rejected: empty values, dot segments, slashes, backslashes and control characters.

    Raises:
        SegmentError: `value` cannot be a segment.
    """
    if not value:
        raise SegmentError(name, "must not be empty")
    if value in {".", ".."}:
        raise SegmentError(name, 'must not be "." or "..", which would change the path')
    if _UNSAFE.search(value):
        raise SegmentError(name, "must not contain slashes, backslashes or control characters")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise SegmentError(name, "is not valid Unicode text") from None


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request of one call: method, path below the API's base URL (percent-encoded), query and JSON body.

    `template` is the path with the names of its arguments instead of their values, for texts that must not show values.
    """

    method: Method
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    template: str | None = None


@dataclass(frozen=True, slots=True)
class UndoStep:
    """A call that helps to revert another call.

    `arguments` maps each argument of `tool` to the source of its value: `arguments.x` of the reverted call, `before.x`
    of its target before it, `result.x` of its response, `created.x` of the response of the first step, or `each.x` of
    an item of the list `before.<each>`, for each of which the step is repeated (dots lead into nested objects).
    """

    tool: str
    arguments: tuple[tuple[str, str], ...]
    each: str | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """The calls that revert another call, in order. `lost` says what they cannot restore."""

    steps: tuple[UndoStep, ...]
    lost: str = ""

    @property
    def needs_target(self) -> bool:
        """Whether the target must be read before the call."""
        return any(step.each or source.startswith("before.") for step in self.steps for _, source in step.arguments)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tool:
    """A tool that a model can call. Safety checks, lists and documentation are derived from it.

    Each is declared once and equals only itself, because hashes of all fields would cost every call time.

    `operation` is a name in camelCase; the tool's name is derived from it. `credentials` are the kinds of credential
    that GitBook accepts, none for a tool that sends nothing, and `scopes` those that an OAuth token needs, all of them.
    A call with one of the arguments `confirm_with` needs confirmation even if the tool's `risk` does not require it;
    with `always_confirmed`, every call does. `widens` says how a call can give power. `user_alternative` is the tool to
    use with a user's token if this one does not accept it. The human reads `consequence` before they approve; if the
    call is `irreversible`, they must also type the name of the target. `act` names a call in its question, for example
    "Uninstall {integration} from {space}". `view` is the URI of a page that hosts can show next to the result (MCP
    Apps).
    """

    operation: str
    title: str
    description: str
    risk: Risk
    credentials: frozenset[CredentialKind]
    input: type[Input]
    result: Result
    scopes: tuple[str, ...] = ()
    confirm_with: tuple[str, ...] = ()
    always_confirmed: bool = False
    widens: Widening | None = None
    user_alternative: str = ""
    act: str = ""
    consequence: str = ""
    irreversible: bool = False
    view: str | None = None

    def __post_init__(self) -> None:
        self._check_names({*self.confirm_with})
        if unknown := set(re.findall(r"{(\w*)}", self.act)) - {
            "integration",
            "organization",
            "space",
            "site",
            "finding",
        }:
            raise TypeError(f"{self.operation}: {sorted(unknown)} cannot be named in its act")
        if self.user_alternative not in self.description:
            raise TypeError(f"{self.operation}: its description does not name {self.user_alternative}")

    def _check_names(self, names: Set[str]) -> None:
        if unknown := names - set(self.input.model_fields):
            raise TypeError(f"{self.operation}: {sorted(unknown)} are not fields of its input")

    @cached_property
    def name(self) -> str:
        """The tool's name: the operation in snake_case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.operation).lower()

    @property
    def verb(self) -> str:
        """The act without its objects, for example "Uninstall": the label of the button that approves."""
        return re.split(r"(?: (?:from|in|of|on))? \{", self.act)[0] or "Approve"

    @property
    def is_destructive(self) -> bool:
        """Whether a call can change or remove existing data, in the sense of MCP's `destructiveHint`."""
        return self.risk is Risk.DESTROY

    @property
    def is_idempotent(self) -> bool:
        """Whether repeating a call has no further effect."""
        return self.risk is Risk.READ

    def needs_confirmation(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a call with these arguments requires human approval."""
        gated = self.always_confirmed or self.risk in {Risk.DESTROY, Risk.SECRET}
        return gated or not arguments.keys().isdisjoint(self.confirm_with)


@dataclass(frozen=True, kw_only=True, eq=False)
class Composite(Tool):
    """A tool of this server: it reads several endpoints, or changes something.

    `uses` are the names of the tools whose endpoints it may call. The server has a handler for it. If it changes what
    the server keeps, its handler also describes the effect of a call, for the preview. If it changes something in
    GitBook by several calls, the server has a planner instead: the plan is confirmed as a whole, and then runs call by
    call. A tool that `reads_folder` reads files of the server's machine, and is offered only where the operator allows.
    """

    uses: tuple[str, ...] = ()
    reads_folder: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint(Tool):
    """A tool that calls one operation of GitBook's API.

    `operation` is GitBook's operationId; `path` is a template whose `{names}` are fields of `input`. The other fields
    of `input` are sent in the query if the method has no body or if they are marked `Query`, and otherwise in the body.
    `success` are the documented status codes, the usual one first. The server keeps `undo` with each change; where
    there is none, `reverted_by` is the tool that reverts a call in another way, and `reverted_if` its condition. If
    GitBook returns nothing, `effect` says in the result what is the case now; `{names}` in it are required arguments.
    `configures` is the level whose schema in the integration the argument `configuration` must satisfy. The operator's
    policy judges calls with a `policy_action`. `ended_by` is the tool that ends what a call begins: the call takes a
    duration (`for`), and after it the server itself calls that tool, as the human approved. `omits` says what a list
    leaves out: an empty one would look as if there were nothing.
    """

    method: Method
    path: str
    success: tuple[int, ...] = (200,)
    undo: Undo | None = None
    reverted_by: str = ""
    reverted_if: str = ""
    effect: str = ""
    configures: ConfigurationLevel | None = None
    policy_action: PolicyAction | None = None
    ended_by: str = ""
    omits: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_names(self.path_names | set(re.findall(r"{(\w+)}", self.effect)))
        self._check_names({"configuration"} if self.configures else set())
        if bool(self.scopes) != (CredentialKind.OAUTH in self.credentials):
            raise TypeError(f"{self.operation}: it has scopes if and only if it accepts an OAuth token")

    @property
    def other_way(self) -> str:
        """The tool that reverts a call, with its condition, or an empty text."""
        return f"{self.reverted_by}, {self.reverted_if}" if self.reverted_if else self.reverted_by

    @property
    def is_destructive(self) -> bool:
        """See `Tool`. PUT and PATCH also replace existing data."""
        return super().is_destructive or self.method in {"PUT", "PATCH"}

    @property
    def is_idempotent(self) -> bool:
        """See `Tool`. HTTP defines which methods are idempotent."""
        return self.method in {"GET", "PUT", "DELETE"}

    @property
    def is_list(self) -> bool:
        """Whether the result is a list of items."""
        return self.result.shape in {"page", "array"}

    @property
    def is_paged(self) -> bool:
        """Whether it accepts a page cursor."""
        return self.result.shape == "page" and "page" in self.input.model_fields

    @cached_property
    def path_names(self) -> frozenset[str]:
        """Names of the arguments in the path."""
        return frozenset(re.findall(r"{(\w+)}", self.path))

    @cached_property
    def query_names(self) -> frozenset[str]:
        """Names of the arguments in the query string."""
        has_body = self.method in {"POST", "PUT", "PATCH"}
        return frozenset(
            name
            for name, info in self.input.model_fields.items()
            if name not in self.path_names and (not has_body or Query in info.metadata)
        )

    @cached_property
    def body_names(self) -> frozenset[str]:
        """Names of the arguments in the JSON body."""
        return frozenset(self.input.model_fields) - self.path_names - self.query_names

    def build_request(self, arguments: Mapping[str, Any]) -> Request:
        """Return the request for `arguments`, which `input` has already validated.

        Raises:
            SegmentError: an argument cannot be a segment of the path.
        """
        segments = {name: encode_segment(name, arguments[name]) for name in self.path_names}
        query = tuple(
            pair for name, value in arguments.items() if name in self.query_names for pair in _query_pairs(name, value)
        )
        body = {name: _tidy_number(value) for name, value in arguments.items() if name in self.body_names}
        return Request(self.method, self.path.format(**segments), query, body if self.body_names else None, self.path)


def _query_pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _query_pairs(name, item)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    else:
        yield name, str(_tidy_number(value))


def _tidy_number(value: Any) -> Any:
    """Return whole floats as integers: GitBook documents counts as numbers, and query parsers may reject 1000.0."""
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value
