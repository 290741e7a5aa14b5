"""The confirmation page: where a human decides when their client cannot ask.

It is served on loopback, from the first question on, on a random port, or by somebody else under a public address. A
question's path is unguessable; what is posted there must come from the page itself.
"""

import asyncio
import contextlib
import contextvars
import hmac
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.confirmation.markup import Problem, write_notice, write_question, write_style_source
from gitbook_integrations_mcp.confirmation.store import ConfirmationStore, Decision, PendingConfirmation
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.net.http_server import build_options
from gitbook_integrations_mcp.net.listener import open_listener

if TYPE_CHECKING:
    import uvicorn

_PATH = "/confirm/"
_BODY_LIMIT = 16 * 1024

_GONE = "This question is answered, expired, or never was. If you still want it, ask your assistant to try again."
_NEXT: dict[Decision, str] = {
    "approved": "Go back to your assistant and tell it. It repeats the call, which then runs once.",
    "refused": "Nothing was sent to GitBook, and nothing will be. You can close this page.",
}


class ConfirmationPage:
    """Serves the page of each question put to the `browser`."""

    def __init__(self, questions: ConfirmationStore, public_url: str | None = None) -> None:
        """Serve on loopback, or, with `public_url`, leave serving `application` below it to somebody else."""
        self._questions = questions
        self._public_url = public_url
        self._origins = [public_url] if public_url else []
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, pending: PendingConfirmation) -> str:
        """Return the URL at which `pending` can be read and decided; starts serving where needed."""
        # Nothing is awaited between looking and starting, so that questions that come at once share one server.
        if self._public_url is None and (self._task is None or self._task.done()):
            self._start()
        return f"{self._origins[0]}{_PATH}{pending.id}"

    async def close(self) -> None:
        """Stop serving. A later question starts it again, on another port."""
        # Forgotten before anything is awaited: a question that comes meanwhile must not get the address of the dying.
        server, task, self._server, self._task = self._server, self._task, None, None
        if server is not None and task is not None:
            server.should_exit = True
            await asyncio.wait([task])

    def _start(self) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # signals belong to the process that serves MCP

        listener, address = open_listener("127.0.0.1", 0)
        self._origins = [address, address.replace("127.0.0.1", "localhost")]  # a forwarded port has the latter name
        config = uvicorn.Config(
            self.application,
            **build_options(
                lifespan="off",
                proxy_headers=False,
                limit_concurrency=32,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=1,
            ),
        )
        self._server = Server(config)
        # The listener accepts from now on; what comes before the server runs waits in its backlog. The context is
        # empty, as the page must not run in the name of the caller whose question happens to be the first.
        self._task = asyncio.create_task(_serve(self._server, listener), context=contextvars.Context())

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: an ASGI application without routes, so that no answer gets by what is checked here."""
        response = await self._respond(Request(scope, receive))
        response.headers.update(_list_headers())
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        host = request.headers.get("host", "")
        origin = next((one for one in self._origins if one.partition("://")[2] == host), None)
        if origin is None:
            return _tell(421, "Wrong address", "Open the link exactly as you were given it.")
        if request.method not in {"GET", "POST"}:
            return HTMLResponse(status_code=405, headers={"Allow": "GET, POST"})
        if request.method == "POST" and not _is_own(request, origin):
            return _forbid()
        form = await _read_form(request)
        if isinstance(form, Response):
            return form
        try:
            return await self._answer(request, form)
        except StoreError:
            return _tell(503, "Not now", "The server cannot reach what it needs to decide this. Try again in a while.")

    async def _answer(self, request: Request, form: dict[str, str]) -> Response:
        path = request.url.path
        pending = await self._questions.get(path.removeprefix(_PATH)) if path.startswith(_PATH) else None
        if pending is None or pending.way != "browser":
            return _tell(410, "Nothing to decide", _GONE)
        if pending.decision is not None:
            return _tell(410, f"Already {pending.decision}", _NEXT[pending.decision])
        if request.method == "GET":
            return HTMLResponse(write_question(pending))
        if not hmac.compare_digest(form.get("csrf", "").encode(), pending.csrf.encode()):
            return _forbid()
        return await self._decide(pending, form)

    async def _decide(self, pending: PendingConfirmation, form: dict[str, str]) -> Response:
        preview, name = pending.preview, form.get("name", "")
        decision: Decision
        if form.get("decision") == "approve":
            decision = "approved"
            if preview.typed is not None and name != preview.typed:
                return HTMLResponse(write_question(pending, Problem("name", name)), 422)
            if form.get("confirm") != "yes":
                return HTMLResponse(write_question(pending, Problem("confirm", name)), 422)
        elif form.get("decision") == "refuse":
            decision = "refused"
        else:
            return _tell(400, "Nothing decided", "That is neither of the two answers that the page offers.")
        if not await self._questions.decide(pending.id, decision):  # expired, or decided elsewhere, this moment
            return _tell(410, "Nothing to decide", _GONE)
        return _tell(200, decision.capitalize(), _NEXT[decision])


async def _serve(server: "uvicorn.Server", listener: socket.socket) -> None:
    with listener:
        await server.serve(sockets=[listener])


def _list_headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src {write_style_source()}; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",  # with no-referrer, a browser sends "Origin: null" with the form
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _is_own(request: Request, origin: str) -> bool:
    """Whether a form comes from the page's own origin; older browsers do not send Sec-Fetch-Site."""
    headers = request.headers
    return headers.get("origin") == origin and headers.get("sec-fetch-site", "same-origin") == "same-origin"


async def _read_form(request: Request) -> dict[str, str] | Response:
    """Return the fields of a posted form, or the answer where it is not whole or more than the page sends."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_LIMIT:
                return _tell(413, "Too much", "That is not what this page sends.")
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except (ClientDisconnect, ValueError):
        return _tell(400, "Not a form", "That is not what this page sends.")
    return {name: values[-1] for name, values in fields.items()}


def _forbid() -> Response:
    return _tell(403, "Not from this page", "The decision did not come from this page, so it does not count.")


def _tell(status: int, title: str, text: str) -> Response:
    return HTMLResponse(write_notice(title, text), status)
