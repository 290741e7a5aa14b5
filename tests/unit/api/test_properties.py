"""Properties that hold for any input, over the whole table."""

import json
from typing import Any
from urllib.parse import unquote

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import CallToolRequestParams, CallToolResult

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Endpoint, SegmentError, encode_segment
from gitbook_integrations_mcp.calls.arguments import build_request, check_arguments
from gitbook_integrations_mcp.errors import ArgumentsError
from tests.support.fake_gitbook import TOKENS, Upstream, create_pipeline, read_text
from tests.support.samples import make_arguments

NASTY = st.sampled_from(
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "%2e%2e",
        "%2F",
        "..%2f",
        "a?b=c",
        "a#b",
        "a;b",
        "//",
        "\\",
        "\x00",
        "a\nb",
        "é",
        "🙂",
    ]
)
texts = st.one_of(st.text(), NASTY)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
endpoints = st.sampled_from(list(ENDPOINTS.values()))


NO_CONTEXT: Any = None  # only the gate looks at it, and the one used here does not


def split_path(path: str) -> list[str]:
    return path.split("/")


@pytest.mark.slow
@given(endpoints, st.data())
def test_no_value_of_any_argument_reaches_another_path_than_the_templates(
    endpoint: Endpoint, data: st.DataObject
) -> None:
    arguments = make_arguments(endpoint) | {
        name: data.draw(st.one_of(texts, json_values), label=name)
        for name in endpoint.input.model_fields
        if data.draw(st.booleans())
    }
    try:
        check_arguments(endpoint, arguments)
        request = build_request(endpoint, arguments)
    except ArgumentsError:
        return
    assert request.method == endpoint.method
    sent, template = split_path(request.path), split_path(endpoint.path)
    assert len(sent) == len(template)
    for segment, part in zip(sent, template, strict=True):
        if part.startswith("{"):
            assert unquote(segment) == arguments[part[1:-1]]
            assert segment not in {"", ".", ".."}
            assert segment.isascii()
            assert not set(segment) & set("/\\?#")
        else:
            assert segment == part


@given(texts)
def test_a_segment_means_its_value_and_never_more_than_one_segment(value: str) -> None:
    try:
        segment = encode_segment("argument", value)
    except SegmentError:
        return
    assert unquote(segment) == value
    assert "/" not in unquote(segment)


@pytest.fixture(scope="module")
def upstream() -> Upstream:
    return Upstream()


def run(upstream: Upstream, endpoint: Endpoint, arguments: dict[str, Any]) -> CallToolResult:
    """Run one call through the whole pipeline, HTTP included, and return its result."""

    async def call() -> CallToolResult:
        pipeline, caller = create_pipeline(upstream)
        params = CallToolRequestParams(name=endpoint.name, arguments=arguments)
        result = await pipeline.run(params, NO_CONTEXT, caller)
        assert isinstance(result, CallToolResult)
        return result

    return anyio.run(call)


@given(endpoint=endpoints, answer=json_values, status=st.integers(200, 599))
def test_no_json_answer_crashes_a_call(upstream: Upstream, endpoint: Endpoint, answer: Any, status: int) -> None:
    upstream.status, upstream.body = status, json.dumps(answer).encode()
    result = run(upstream, endpoint, make_arguments(endpoint))
    text = read_text(result)
    assert "defect" not in text
    if not result.is_error:
        assert json.loads(text) == result.structured_content


@given(endpoint=endpoints, body=st.binary(), status=st.integers(200, 599))
def test_no_bytes_crash_a_call(upstream: Upstream, endpoint: Endpoint, body: bytes, status: int) -> None:
    upstream.status, upstream.body = status, body
    assert "defect" not in read_text(run(upstream, endpoint, make_arguments(endpoint)))


def plant(value: Any, secret: str) -> Any:
    """Return JSON that holds `secret` beside `value`, at several places."""
    return {"error": {"code": 400, "message": f"no: {secret}"}, secret: value, "items": [{"echo": [secret, value]}]}


@given(endpoint=endpoints, value=json_values, status=st.sampled_from([200, 201, 400, 401, 403, 404, 429, 500]))
def test_a_token_that_gitbook_echoes_never_comes_back(
    upstream: Upstream, endpoint: Endpoint, value: Any, status: int
) -> None:
    for secret in TOKENS.values():
        upstream.status, upstream.body = status, json.dumps(plant(value, secret)).encode()
        result = run(upstream, endpoint, make_arguments(endpoint))
        assert secret not in repr(result)
        assert secret not in result.model_dump_json()
