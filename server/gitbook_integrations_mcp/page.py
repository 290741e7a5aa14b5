"""The confirmation page: where a human decides when their client cannot ask.

It is served on loopback, from the first question on, on a random port. A question's path is unguessable; what is posted
there must come from the page itself.
"""

import asyncio
import contextlib
import hmac
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gitbook_integrations_mcp.markup import hash_style, write_notice, write_question
from gitbook_integrations_mcp.pending import Pending, PendingQuestions

_BODY_LIMIT = 16 * 1024

_GONE = "This question is answered, expired, or never was. If you still want it, ask your assistant to try again."
_APPROVED = "Go back to your assistant and say so. It repeats the call, which then runs once."
_REFUSED = "Nothing was sent to GitBook, and nothing will be. You can close this page."


class ConfirmationPage:
    """Serves the page of each question put to the `browser`."""

    def __init__(self, questions: PendingQuestions, public_url: str | None = None) -> None:
        """Serve on loopback, or, with `public_url`, leave serving `application` below it to somebody else."""
        self._questions = questions
        self._starting = asyncio.Lock()
        self._public_url = public_url
        self._origin = public_url or ""
        self.application = Starlette(routes=[Route("/confirm/{id}", self._respond, methods=["GET", "POST"])])
        self._server: Any = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, pending: Pending) -> str:
        """Return the URL at which `pending` can be read and decided; starts serving where needed."""
        async with self._starting:
            if self._public_url is None and self._task is None:
                await self._start()
        return f"{self._origin}/confirm/{pending.id}"

    async def close(self) -> None:
        """Stop serving. A later question starts it again, on another port."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None

    async def _start(self) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # signals belong to the process that serves MCP

        listener = socket.create_server(("127.0.0.1", 0))
        self._origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self.application,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=32,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        self._server = Server(config)
        # The listener accepts from now on; what comes before the server runs waits in its backlog.
        self._task = asyncio.create_task(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        with listener:
            await self._server.serve(sockets=[listener])

    async def _respond(self, request: Request) -> Response:
        response = await self._decide_response(request)
        response.headers.update(
            {
                "Content-Security-Policy": f"default-src 'none'; style-src {hash_style()}; form-action 'self'; "
                "frame-ancestors 'none'; base-uri 'none'",
                "X-Frame-Options": "DENY",
                # Not no-referrer: with it, a browser sends "Origin: null" with the form.
                "Referrer-Policy": "same-origin",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
                "Cross-Origin-Opener-Policy": "same-origin",
                "Cross-Origin-Resource-Policy": "same-origin",
            }
        )
        return response

    async def _decide_response(self, request: Request) -> Response:
        if request.headers.get("host", "") != self._origin.partition("://")[2]:
            return _tell(421, "Wrong address", "Open the link exactly as you were given it.")
        if request.method == "HEAD":
            return Response(status_code=405, headers={"Allow": "GET, POST"})
        pending = self._questions.look_at(request.path_params["id"])
        if pending is None or pending.way != "browser" or pending.decision is not None:
            return _tell(410, "Nothing to decide", _GONE)
        if request.method == "GET":
            return HTMLResponse(write_question(pending))
        if request.headers.get("origin") != self._origin:
            return _tell(403, "Not from this page", "The decision did not come from this page, so it does not count.")
        form = await _read_form(request)
        if form is None:
            return _tell(413, "Too much", "That is not what this page sends.")
        if not hmac.compare_digest(form.get("csrf", "").encode(), pending.csrf.encode()):
            return _tell(403, "Not from this page", "The decision did not come from this page, so it does not count.")
        return self._decide(pending, form)

    def _decide(self, pending: Pending, form: dict[str, str]) -> Response:
        decision = form.get("decision")
        if decision == "approve":
            if pending.preview.typed is not None and form.get("name") != pending.preview.typed:
                problem = "The name is not the one asked for. Nothing has been decided."
                return HTMLResponse(write_question(pending, problem), 422)
            if form.get("confirm") != "yes":
                problem = "To approve, tick the box as well. Nothing has been decided."
                return HTMLResponse(write_question(pending, problem), 422)
            if self._questions.decide(pending, "approved"):
                return _tell(200, "Approved", _APPROVED)
        elif decision == "refuse" and self._questions.decide(pending, "refused"):
            return _tell(200, "Refused", _REFUSED)
        return _tell(410, "Nothing to decide", _GONE)


async def _read_form(request: Request) -> dict[str, str] | None:
    """Return the fields of a posted form, or None where there is more than the page sends."""
    body = b""
    with contextlib.suppress(ClientDisconnect):
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_LIMIT:
                return None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def _tell(status: int, title: str, text: str) -> Response:
    return HTMLResponse(write_notice(title, text), status)
