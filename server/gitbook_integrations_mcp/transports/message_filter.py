"""Messages over HTTP, written as the SDK reads them: each gets its response, as on standard input."""

import codecs

from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp_types import INVALID_REQUEST, ErrorData, JSONRPCError
from pydantic_core import from_json, to_json
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.transports.envelope import normalize_ids, parse_message, read_envelope

_INVALID_ID = JSONResponse(
    JSONRPCError(
        jsonrpc="2.0",
        id=None,
        error=ErrorData(
            code=INVALID_REQUEST,
            message="The ID of the request is not valid. Send a string or an integer.",
            data={"code": ErrorCode.INVALID_MESSAGE},
        ),
    ).model_dump(),
    400,
)


class MessageFilter:
    """Passes on messages to `app`, whose SDK (mcp 2.3) would leave three kinds of them without a response.

    - An ID like 1.0 becomes an integer.
    - A request with an invalid ID is answered 400. The SDK would take it for a notification.
    - An invalid response becomes an error, so that the server's request does not wait for another.
    """

    def __init__(self, app: ASGIApp, body_bytes: int) -> None:
        self._app = app
        self._whole = RequestBodyLimitMiddleware(self._filter, body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._whole if scope["method"] == "POST" else self._app)(scope, receive, send)

    async def _filter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a message whose body is received as a whole."""
        first = await receive()
        body = _rewrite(first.get("body", b""))

        async def receive_rewritten() -> Message:
            nonlocal first
            message, first = first, {}
            return {**message, "body": body} if message else await receive()

        await (self._app if body is not None else _INVALID_ID)(scope, receive_rewritten, send)


def _rewrite(body: bytes) -> bytes | None:
    """Return a message as the SDK reads it, or None for a request with an invalid ID."""
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        data = from_json(body)
        if normalize_ids(data):
            body = to_json(data, inf_nan_mode="constants")
        return body if parse_message(data) else None
    except ValueError:
        envelope = read_envelope(body)
    if envelope and envelope.is_response:
        return envelope.replace_response().model_dump_json(exclude_unset=True).encode()
    return body
