"""How arguments become requests: which values cannot be path segments, and where each argument is sent."""

from dataclasses import replace
from typing import Annotated, Any

import pytest

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import (
    NOTHING,
    OAUTH,
    USER,
    Endpoint,
    Input,
    Method,
    Query,
    Request,
    Risk,
    SegmentError,
    encode_segment,
)
from gitbook_integrations_api.schema import ABSENT

SLASHES = "argument must not contain slashes, backslashes or control characters"
REFUSED = {
    "": "argument must not be empty",
    ".": 'argument must not be "." or "..", which would change the path',
    "..": 'argument must not be "." or "..", which would change the path',
    "/": SLASHES,
    "a/b": SLASHES,
    "a\\b": SLASHES,
    "\x00": SLASHES,
    "a\x1f": SLASHES,
    "\x7f": SLASHES,
    "\x9f": SLASHES,
    "\ud800": "argument is not valid Unicode text",
}
ENCODED = {
    "...": "...",
    ".a": ".a",
    " ": "%20",
    "~": "~",
    "a-b_c.d": "a-b_c.d",
    "\xa0": "%C2%A0",
    "%2F": "%252F",
    "?x=1#y": "%3Fx%3D1%23y",
    "a;b:c@d&e+f": "a%3Bb%3Ac%40d%26e%2Bf",
    "é": "%C3%A9",
    "\uff0f": "%EF%BC%8F",
}


@pytest.mark.parametrize("value", list(REFUSED))
def test_an_invalid_segment_is_rejected_with_the_argument_and_the_reason_but_not_the_value(value: str) -> None:
    with pytest.raises(SegmentError) as raised:
        encode_segment("argument", value)
    assert str(raised.value) == REFUSED[value]
    assert raised.value.name == "argument"
    assert f"argument {raised.value.reason}" == REFUSED[value]
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("value", list(ENCODED))
def test_everything_else_is_one_segment_percent_encoded(value: str) -> None:
    assert encode_segment("argument", value) == ENCODED[value]


class Arguments(Input):
    first: str
    second: str
    flag: Annotated[bool, Query] = ABSENT
    many: Annotated[list[Any], Query] = ABSENT
    content: Any = ABSENT
    count: float = ABSENT


def declare(method: Method) -> Endpoint:
    return Endpoint(
        operation="doIt",
        method=method,
        path="/a/{first}/b/{second}",
        title="Do it",
        description="Do it.",
        risk=Risk.WRITE,
        credentials=USER,
        input=Arguments,
        result=NOTHING,
    )


def test_a_description_names_the_tool_for_a_users_token() -> None:
    with pytest.raises(TypeError, match="does not name use_this"):
        replace(declare("GET"), user_alternative="use_this")


def test_scopes_are_declared_exactly_where_an_oauth_token_is_accepted() -> None:
    with pytest.raises(TypeError, match="scopes"):
        replace(declare("GET"), credentials=USER | OAUTH)
    with pytest.raises(TypeError, match="scopes"):
        replace(declare("GET"), scopes=("site:read",))


PATH = {"first": "x y", "second": "z"}
BUILT: list[tuple[Method, dict[str, Any], tuple[tuple[str, str], ...], dict[str, Any] | None]] = [
    ("GET", {}, (), None),
    ("GET", {"flag": True, "count": 50.0}, (("flag", "true"), ("count", "50")), None),
    ("GET", {"flag": False, "count": 0.5}, (("flag", "false"), ("count", "0.5")), None),
    ("DELETE", {"content": "c"}, (("content", "c"),), None),
    ("POST", {}, (), {}),
    ("POST", {"flag": True, "content": {"k": [1.0]}}, (("flag", "true"),), {"content": {"k": [1.0]}}),
    ("PUT", {"count": 7.0}, (), {"count": 7}),
    ("PATCH", {"many": ["a", True, 2.0, ["b"]]}, (("many", "a"), ("many", "true"), ("many", "2"), ("many", "b")), {}),
    ("PATCH", {"count": float("inf")}, (), {"count": float("inf")}),
]


@pytest.mark.parametrize(("method", "given", "query", "body"), BUILT)
def test_each_argument_goes_where_the_declaration_puts_it(
    method: Method, given: dict[str, Any], query: tuple[tuple[str, str], ...], body: dict[str, Any] | None
) -> None:
    request = declare(method).build_request(PATH | given)
    assert request == Request(method, "/a/x%20y/b/z", query, body, "/a/{first}/b/{second}")
    assert repr(request.body) == repr(body)  # 7, not 7.0


def test_a_path_that_cannot_be_built_is_an_error() -> None:
    with pytest.raises(SegmentError, match=r"^second must not"):
        declare("GET").build_request({"first": "x", "second": ".."})


def test_every_argument_belongs_to_path_query_or_body() -> None:
    for endpoint in ENDPOINTS.values():
        names = endpoint.path_names | endpoint.query_names | endpoint.body_names
        assert names == set(endpoint.input.model_fields)
        assert len(names) == len(endpoint.path_names) + len(endpoint.query_names) + len(endpoint.body_names)
