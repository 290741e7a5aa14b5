"""Traces: a span for the call and one for each attempt if OpenTelemetry is set up, and otherwise none.

None of them tells an argument, an answer or a secret.
"""

import asyncio
from typing import Any

import opentelemetry.trace
import pytest
from mcp import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.gitbook.tracing import is_traced
from tests.support.fake_gitbook import TOKENS
from tests.support.gitbook_socket import Act, Socket, answer, fine, reset, say
from tests.support.http_server import WAYS, connect, serve

INSTALLATION = "planted-installation-1"
ARGUMENTS = {"integrationName": "planted-name", "installationId": INSTALLATION, "limit": 37, "page": "planted-page"}
TOOL = "list_integration_installation_spaces"
TEMPLATE = "/integrations/{integrationName}/installations/{installationId}/spaces"
PATHS = [("memory", "legacy"), ("memory", "2026-07-28"), *WAYS]
each_path = pytest.mark.parametrize(("kind", "era"), PATHS, ids=[f"{kind}-{era}" for kind, era in PATHS])
PAGE = b'{"items": [{"id": "planted-answer"}]}'

EXPORTER = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spans of a test. A process can set its tracer provider only once, hence the patch and the one provider."""
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", PROVIDER)
    EXPORTER.clear()


async def record(kind: str, era: str, acts: list[Act]) -> tuple[Socket, list[ReadableSpan]]:
    """Call a tool over a transport, in front of a fake GitBook, and return the spans."""
    socket = Socket()
    socket.acts = acts
    listener = await asyncio.start_server(socket.converse, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    sections: dict[str, Any] = {"gitbook": {**TOKENS, "endpoint": endpoint}}
    try:
        if kind == "memory":
            async with Client(create_server(load_settings(sections)), mode=era) as client:
                await client.call_tool(TOOL, ARGUMENTS)
        else:
            async with serve(None, **sections) as address, connect(address, kind, era) as client:  # type: ignore[arg-type]
                await client.call_tool(TOOL, ARGUMENTS)
    finally:
        listener.close()
        socket.leave()
    return socket, list(EXPORTER.get_finished_spans())


def split(spans: list[ReadableSpan]) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """Return the span of the call at the server, and those of the attempts to ask GitBook."""
    (call,) = (span for span in spans if span.kind is SpanKind.SERVER and span.name.startswith("tools/call"))
    attempts = [span for span in spans if span.instrumentation_scope.name == "gitbook-integrations-mcp"]  # type: ignore[union-attr]
    return call, sorted(attempts, key=lambda span: span.start_time or 0)


@each_path
@pytest.mark.usefixtures("exporter")
async def test_every_attempt_has_a_span_inside_that_of_the_call(kind: str, era: str) -> None:
    _, spans = await record(kind, era, [answer(503), answer(200, PAGE, "Content-Type: application/json")])
    call, (first, second) = split(spans)
    for span in (first, second):
        assert span.parent is not None
        assert call.context is not None
        assert (span.parent.trace_id, span.parent.span_id) == (call.context.trace_id, call.context.span_id)
        assert (span.kind, span.name) == (SpanKind.CLIENT, f"GET {TEMPLATE}")
        attributes = dict(span.attributes or {})
        assert isinstance(attributes.pop("server.port"), int)
        expected: dict[str, Any] = {
            "http.request.method": "GET",
            "server.address": "127.0.0.1",
            "url.template": TEMPLATE,
            "http.response.status_code": 503 if span is first else 200,
        }
        more = {"error.type": "503"} if span is first else {"http.request.resend_count": 1}
        assert attributes == expected | more
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)


@each_path
@pytest.mark.usefixtures("exporter")
@pytest.mark.parametrize(
    "act",
    [answer(200, PAGE, "Content-Type: application/json"), answer(404, b'{"error":{"message":"no planted-id"}}'), fine],
)
async def test_no_span_holds_an_argument_a_response_or_a_secret(kind: str, era: str, act: Act) -> None:
    socket, spans = await record(kind, era, [act])
    assert spans
    told = "".join(span.to_json() for span in spans)
    for secret in ("planted", *TOKENS.values()):
        assert secret not in told
    head, *_ = socket.heads  # after a 404, lists are read for a suggestion
    assert b"planted-page" in head
    assert b"traceparent" not in head.lower()


@pytest.mark.usefixtures("exporter")
async def test_an_attempt_without_a_response_records_only_the_type_of_its_error() -> None:
    _, spans = await record("memory", "2026-07-28", [say(b"", then=reset), fine])
    _, (first, _) = split(spans)
    assert first.attributes is not None
    assert first.attributes["error.type"] == "UnreachableError"
    assert (first.status.status_code, first.status.description, first.events) == (StatusCode.ERROR, None, ())


async def test_without_a_tracer_provider_no_spans_are_created() -> None:
    assert not is_traced()
    EXPORTER.clear()
    _, spans = await record("memory", "2026-07-28", [fine])
    assert spans == []
