"""OpenTelemetry spans: one for each attempt to send a request to GitBook, within the SDK's span of the call.

Without OpenTelemetry set up, no spans are created: unused spans would cost a twelfth of a call's CPU time.

The attributes follow OpenTelemetry's conventions for HTTP clients, with one exception: `url.full` is left out because
it contains IDs and arguments; `url.template` is set instead. No trace context is sent to GitBook.
"""

from collections.abc import Awaitable
from urllib.parse import urlsplit

from opentelemetry.trace import ProxyTracerProvider, SpanKind, StatusCode, get_tracer, get_tracer_provider

from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.gitbook.http import GitBookResponse

_tracer = get_tracer("gitbook-integrations-mcp", __version__)


def is_traced() -> bool:
    """Whether a tracer provider is set up in this process."""
    return not isinstance(get_tracer_provider(), ProxyTracerProvider)


async def trace_attempt(
    sending: Awaitable[GitBookResponse], request: Request, endpoint: str, attempt: int
) -> GitBookResponse:
    """Return the response of `sending`, awaited in its own span."""
    if not is_traced():
        return await sending
    parts = urlsplit(endpoint)
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "server.address": parts.hostname or "",
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
    }
    if request.template:
        attributes["url.template"] = request.template
    if attempt > 1:
        attributes["http.request.resend_count"] = attempt - 1
    with _tracer.start_as_current_span(
        f"{request.method} {request.template}" if request.template else request.method,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            response = await sending
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= 400:
            span.set_attribute("error.type", str(response.status))
            span.set_status(StatusCode.ERROR)
        return response
