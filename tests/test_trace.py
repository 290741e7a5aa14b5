"""Traces: a span for the call and one for each attempt, where somebody has set up OpenTelemetry, and none elsewhere."""

import opentelemetry.trace
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gitbook_integrations_mcp.trace import is_traced

from .upstream import ERAS, TOKENS, Era, Upstream, connect

ID = "an-integration-of-somebody"


EXPORTER = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where spans go during a test. A process can be told only once where, hence the patch and the one provider."""
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", PROVIDER)
    EXPORTER.clear()
    return EXPORTER


def find(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


@pytest.mark.parametrize("era", ERAS)
async def test_an_attempt_is_a_span_within_that_of_the_call(era: Era, exporter: InMemorySpanExporter) -> None:
    async with connect(Upstream(), era) as client:
        await client.call_tool("get_integration_by_name", {"integrationName": ID})
    attempt = find(exporter, "GET /integrations/{integrationName}")
    served = [span for span in exporter.get_finished_spans() if span.context and attempt.parent == span.context]
    assert [span.name for span in served] == ["tools/call get_integration_by_name"]
    assert attempt.attributes
    assert attempt.attributes["http.response.status_code"] == 200
    said = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert ID not in said
    assert TOKENS["token"] not in said


async def test_where_nobody_wants_traces_none_are_made() -> None:
    assert not is_traced()
    async with connect(Upstream()) as client:
        result = await client.call_tool("get_integration_by_name", {"integrationName": ID})
    assert not result.is_error
