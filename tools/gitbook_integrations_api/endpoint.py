"""What a tool is: a row of the table from which policy, confirmation, journal and docs derive. Most are endpoints."""

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


class Risk(StrEnum):
    """What a call can do to the organization; every guard of the server derives from it."""

    READ = "read"
    """Changes nothing."""
    WRITE = "write"
    """Adds or changes something that a later call can put right."""
    DESTROY = "destroy"
    """Removes something; waits for a human's yes."""
    SECRET = "secret"
    """Answers with a live credential; waits for a human's yes."""


class CredentialKind(StrEnum):
    """Kinds of credential, as GitBook's `securitySchemes` call them."""

    USER = "user"
    INTEGRATION = "integration"
    INSTALLATION = "integration-installation"
    OAUTH = "oauth"


USER = frozenset({CredentialKind.USER})
INTEGRATION = frozenset({CredentialKind.INTEGRATION})
INSTALLATION = frozenset({CredentialKind.INSTALLATION})
OAUTH = frozenset({CredentialKind.OAUTH})


class Query:
    """Marks a parameter that travels in the query string even where the request has a body."""


class Input(DocumentedModel):
    """Arguments of one tool: the documented parameters, flat, and nothing else."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Result:
    """The shape of an answer.

    `object` and `page` are GitBook's own shapes; a bare `array` becomes `{"items": [...]}`, because structured content
    must be an object; `nothing` becomes `{"status": ..., "message": ...}`.
    """

    shape: Literal["object", "page", "array", "nothing"]
    model: type[BaseModel] = GitBookObject


NOTHING = Result("nothing")


def one(model: type[BaseModel]) -> Result:
    """An answer that is one object."""
    return Result("object", model)


def paged(model: type[GitBookObject]) -> Result:
    """An answer that is a page: `items`, and `next.page` where there is more."""
    return Result("page", model)


def array(model: type[GitBookObject]) -> Result:
    """An answer that is a bare array of objects."""
    return Result("array", model)


class SegmentError(ValueError):
    """A value that cannot be one segment of a path. Carries the argument's `name` and the `reason`, not the value."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name} {reason}")


def encode_segment(name: str, value: str) -> str:
    """Return `value` percent-encoded as exactly one segment of a path.

    What a client, a proxy or the API itself could take for a change of the path's shape is refused rather than encoded:
    nothing, dot segments, slashes in both directions, control characters.

    Raises:
        SegmentError: `value` cannot be a segment.
    """
    if not value:
        raise SegmentError(name, "must not be empty")
    if value in {".", ".."}:
        raise SegmentError(name, 'must not be "." or "..", which would change the path')
    if any(character in "/\\" or ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value):
        raise SegmentError(name, "must not contain slashes, backslashes or control characters")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise SegmentError(name, "is not valid Unicode text") from None


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent for one call: method, path below the API's base URL (percent-encoded), query and JSON body.

    `template` is the path with the names of its arguments instead of their values, for what must not tell those.
    """

    method: Method
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """The call that would put right what another did.

    `arguments` maps each argument of `tool` to where its value comes from: `arguments.x` of the call, `before.x` of the
    target as it was, or `result.x` of the answer (dots lead into nested objects). `whole` is false where something
    stays lost: a configuration, an earlier tunnel.
    """

    tool: str
    arguments: tuple[tuple[str, str], ...]
    whole: bool = True


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Something an assistant can call. Guards, lists and documentation derive from it.

    `operation` is a name in camelCase, from which the tool's name derives. `credentials` are the kinds of credential
    that GitBook accepts. A call whose arguments have one of the values in `confirm_if` needs confirmation although the
    tool's `risk` alone does not ask for it. `consequence` is what a human reads before they approve; where the call is
    `irreversible`, they type the name of what is lost. `view` is the address of a page that hosts can show beside the
    result (MCP Apps).
    """

    operation: str
    title: str
    description: str
    risk: Risk
    credentials: frozenset[CredentialKind]
    input: type[Input]
    result: Result
    confirm_if: tuple[tuple[str, Any], ...] = ()
    consequence: str = ""
    irreversible: bool = False
    view: str | None = None

    def __post_init__(self) -> None:
        self._check_names({name for name, _ in self.confirm_if})

    def _check_names(self, names: Set[str]) -> None:
        if unknown := names - set(self.input.model_fields):
            raise TypeError(f"{self.operation}: {sorted(unknown)} are no fields of its input")

    @cached_property
    def name(self) -> str:
        """Name of the tool: the operation in snake_case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.operation).lower()

    @property
    def is_destructive(self) -> bool:
        """Whether a call can take something away: MCP's word for whatever is not a mere addition."""
        return self.risk is Risk.DESTROY

    @property
    def is_idempotent(self) -> bool:
        """Whether the same call again changes nothing more."""
        return self.risk is Risk.READ

    def needs_confirmation(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a call with these arguments waits for a human's yes."""
        return self.risk in {Risk.DESTROY, Risk.SECRET} or any(
            arguments.get(name) == value for name, value in self.confirm_if
        )


@dataclass(frozen=True, kw_only=True)
class Composite(Tool):
    """A tool that asks several endpoints and puts their answers together; a handler of the server's does it.

    `uses` names the tools whose endpoints it asks. It only reads: previews, journal and undo are made for one request.
    """

    uses: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.risk is not Risk.READ:
            raise TypeError(f"{self.operation}: a composite tool can only read")


@dataclass(frozen=True, kw_only=True)
class Endpoint(Tool):
    """One operation of GitBook's API and, at once, one tool.

    `operation` is GitBook's operationId; `path` is a template whose `{names}` are fields of `input`. The other fields
    of `input` go to the query or, where the method has one, to the body, unless marked `Query`. `success` are the
    documented status codes, the usual one first. `undo` is for the journal.
    """

    method: Method
    path: str
    success: tuple[int, ...] = (200,)
    undo: Undo | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_names(self.path_names)

    @property
    def is_destructive(self) -> bool:
        """See `Tool`; PUT and PATCH replace what was there."""
        return super().is_destructive or self.method in {"PUT", "PATCH"}

    @property
    def is_idempotent(self) -> bool:
        """See `Tool`; HTTP promises it of the method."""
        return self.method in {"GET", "PUT", "DELETE"}

    @property
    def is_list(self) -> bool:
        """Whether it answers with items."""
        return self.result.shape in {"page", "array"}

    @property
    def is_paged(self) -> bool:
        """Whether it takes the cursor of a page."""
        return self.result.shape == "page" and "page" in self.input.model_fields

    @cached_property
    def path_names(self) -> frozenset[str]:
        """Arguments that are segments of the path."""
        return frozenset(re.findall(r"{(\w+)}", self.path))

    @cached_property
    def query_names(self) -> frozenset[str]:
        """Arguments that travel in the query string."""
        has_body = self.method in {"POST", "PUT", "PATCH"}
        return frozenset(
            name
            for name, info in self.input.model_fields.items()
            if name not in self.path_names and (not has_body or Query in info.metadata)
        )

    @cached_property
    def body_names(self) -> frozenset[str]:
        """Arguments that are fields of the JSON body."""
        return frozenset(self.input.model_fields) - self.path_names - self.query_names

    def build_request(self, arguments: Mapping[str, Any]) -> Request:
        """Place `arguments`, already validated by `input`, in path, query and body as they were given.

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
    """The documentation says number where it means a count, and 1000.0 is not what a query parser expects of one."""
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value
