"""The confirmation page, on which a human decides if the client cannot show a form.

It is served on a random port of the loopback interface from the first confirmation on, or below a public URL by the
HTTP transport. Nobody can guess the path of a confirmation. A decision counts only if it comes from the page itself.
"""

import asyncio
import contextlib
import contextvars
import hmac
import socket
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.digest import csp_hash
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.net.http_server import build_options
from gitbook_integrations_mcp.net.listener import open_listener
from gitbook_integrations_mcp.store.pending import Decision, PendingConfirmation
from gitbook_integrations_mcp.store.store import Store

if TYPE_CHECKING:
    from jinja2 import Template

PATH = "/confirm/"
_BODY_LIMIT = 16 * 1024

_GONE = (
    "This confirmation was already answered, has expired, or does not exist. If you still want the change, ask your "
    "assistant to try again."
)
_NEXT_STEP: dict[Decision, str] = {
    "approved": "Return to your assistant and ask it to continue. It repeats the call, which then runs once.",
    "declined": "Nothing was sent to GitBook. You can close this page.",
}


class _Server(uvicorn.Server):
    """Leaves signals to the process that serves MCP."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ConfirmationPage:
    """Serves a page for each confirmation in `browser` mode."""

    def __init__(self, store: Store, public_url: str | None = None) -> None:
        """Serve on loopback, or with `public_url` leave it to the caller to serve `application` below that URL."""
        self._store = store
        self._public_url = public_url
        self._origins = [public_url] if public_url else []
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, pending: PendingConfirmation) -> str:
        """Return the URL of the page of `pending`. Start the server if necessary."""
        # Nothing is awaited between check and start, so that simultaneous confirmations share one server.
        if self._public_url is None and (self._task is None or self._task.done()):
            self._start()
        return f"{self._origins[0]}{PATH}{pending.id}"

    async def close(self) -> None:
        """Stop the server. A later confirmation starts it again, on another port."""
        # Cleared before the first await, so that a simultaneous confirmation does not get the address of this server.
        server, task, self._server, self._task = self._server, self._task, None, None
        if server is not None and task is not None:
            server.should_exit = True
            await asyncio.wait([task])

    def _start(self) -> None:
        listener, address = open_listener("127.0.0.1", 0)
        self._origins = [
            address,
            address.replace("127.0.0.1", "localhost"),
        ]  # name of a forwarded port
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
        self._server = _Server(config)
        # The listener accepts connections from now on; they wait in its backlog until the server runs. The context is
        # empty, because the page must not run as the caller of the first confirmation.
        self._task = asyncio.create_task(_serve(self._server, listener), context=contextvars.Context())

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. This ASGI application has no routes, so that every response passes the same checks."""
        response = await self._respond(Request(scope, receive))
        response.headers.update(build_headers())
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        host = request.headers.get("host", "")
        origin = next((one for one in self._origins if one.partition("://")[2] == host), None)
        if origin is None:
            return _render_notice(421, "Wrong address", "Open the link exactly as you received it.")
        if request.method not in {"GET", "POST"}:
            return HTMLResponse(status_code=405, headers={"Allow": "GET, POST"})
        if request.method == "POST" and not is_same_origin(request, origin):
            return _render_forbidden()
        form = await read_form(request)
        if isinstance(form, Response):
            return form
        try:
            return await self._show_or_decide(request, form)
        except StoreError:
            text = "The server cannot use its store. Try again later."
            return _render_notice(503, "Temporarily unavailable", text)

    async def _show_or_decide(self, request: Request, form: dict[str, str]) -> Response:
        path = request.url.path
        pending = await self._store.confirmations.get(path.removeprefix(PATH)) if path.startswith(PATH) else None
        if pending is None or pending.mode != "browser":
            return _render_notice(410, "Nothing to decide", _GONE)
        if pending.decision is not None:
            return _render_notice(410, f"Already {pending.decision}", _NEXT_STEP[pending.decision])
        if request.method == "GET":
            return _render_confirmation(pending)
        if not hmac.compare_digest(form.get("csrf", "").encode(), pending.csrf.encode()):
            return _render_forbidden()
        return await self._decide(pending, form)

    async def _decide(self, pending: PendingConfirmation, form: dict[str, str]) -> Response:
        expected, name = pending.preview.typed, form.get("name", "")
        decision: Decision
        if form.get("decision") == "approve":
            decision = "approved"
            if expected is not None and name != expected:
                problem = f"The name “{name}” does not match." if name else "The name is missing."
                return _render_problem(pending, name, "name", f"{problem} To approve, type exactly {expected}.")
            if form.get("confirm") != "yes":
                return _render_problem(pending, name, "confirm", "To approve, also tick the box.")
        elif form.get("decision") == "decline":
            decision = "declined"
        else:
            return _render_notice(400, "Nothing decided", "The form contains neither an approval nor a refusal.")
        if not await self._store.confirmations.decide(
            pending.id, decision
        ):  # it has just expired or was decided elsewhere
            return _render_notice(410, "Nothing to decide", _GONE)
        return _render_notice(200, decision.capitalize(), _NEXT_STEP[decision])


async def _serve(server: "uvicorn.Server", listener: socket.socket) -> None:
    with listener:
        await server.serve(sockets=[listener])


def build_headers() -> dict[str, str]:
    """Return the headers of every page of this server."""
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src {csp_hash(read_style())}; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",  # with no-referrer, a browser sends "Origin: null" with the form
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def is_same_origin(request: Request, origin: str) -> bool:
    """Whether a form comes from the page's own origin. Older browsers do not send Sec-Fetch-Site."""
    headers = request.headers
    return headers.get("origin") == origin and headers.get("sec-fetch-site", "same-origin") == "same-origin"


async def read_form(request: Request) -> dict[str, str] | Response:
    """Return the fields of a posted form, or the response to an invalid, incomplete or large one."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_LIMIT:
                return _render_notice(413, "Form too large", "Nothing was decided. This page sends smaller forms.")
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except (ClientDisconnect, ValueError):
        return _render_notice(400, "Invalid form", "Nothing was decided. The form is incomplete or invalid.")
    return {name: values[-1] for name, values in fields.items()}


def _render_forbidden() -> Response:
    return _render_notice(403, "Not from this page", "The decision did not come from this page, so it does not count.")


def _render_notice(status: int, title: str, text: str) -> Response:
    return _render(status, title=title, notice=text)


def _render_confirmation(pending: PendingConfirmation) -> Response:
    return _render(200, title=pending.preview.title, pending=pending)


def _render_problem(
    pending: PendingConfirmation, typed: str, field: Literal["name", "confirm"], problem: str
) -> Response:
    """Return the page again, with the problem of an approval in the field `field`. Nothing is decided."""
    return _render(422, title=pending.preview.title, pending=pending, typed=typed, problem_field=field, problem=problem)


def _render(
    status: int,
    *,
    title: str,
    notice: str | None = None,
    pending: PendingConfirmation | None = None,
    typed: str = "",
    problem_field: str | None = None,
    problem: str | None = None,
) -> Response:
    page = load_template(__package__).render(
        style=read_style(),
        title=title,
        notice=notice,
        pending=pending,
        typed=typed,
        problem_field=problem_field,
        problem=problem,
    )
    return HTMLResponse(page, status)


@cache
def load_template(package: str) -> "Template":
    """Return the template of the page that `package` serves."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((files(package) / "page.html.jinja").read_text(encoding="utf-8"))


@cache
def read_style() -> str:
    """Return the style of every page of this server."""
    return (files(__package__) / "page.css").read_text(encoding="utf-8")
