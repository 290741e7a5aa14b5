"""Messages over HTTP, written as the SDK reads them: each gets its response, as on standard input."""

import codecs

from mcp_types import INVALID_REQUEST, ErrorData, JSONRPCError
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.net.responses import create_error_response
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
        """A body of more than `body_bytes` is answered 413."""
        self._app = app
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a message, whose body is received as a whole."""
        if scope["method"] != "POST":
            return await self._app(scope, receive, send)
        try:
            received = await self._receive(Request(scope, receive))
        except ClientDisconnect:
            return None
        if received is None:
            text = (
                f"The request has more than {self._body_bytes} bytes. Send less at a time. The operator of this server "
                "can raise http.body_bytes."
            )
            response = create_error_response(413, ErrorCode.REQUEST_TOO_LARGE, text)
            return await response(scope, receive, send)
        body = _rewrite(received)
        is_passed_on = False

        async def receive_rewritten() -> Message:
            nonlocal is_passed_on
            if is_passed_on:
                return await receive()
            is_passed_on = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await (self._app if body is not None else _INVALID_ID)(scope, receive_rewritten, send)

    async def _receive(self, request: Request) -> bytes | None:
        """Return the body of a request, or None if it is too large."""
        if int(request.headers.get("content-length", 0)) > self._body_bytes:  # a number, or h11 had refused it
            return None
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._body_bytes:
                return None
        return bytes(body)


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
