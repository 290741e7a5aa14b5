"""Receives one redirect of a browser on loopback (RFC 8252)."""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PATH = "/callback"

_REQUEST_SECONDS = 10
_LOOK_SECONDS = 0.1
"""Time between two looks whether the port is to be closed."""
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Connection": "close",
}
_PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>{0}</title><p>{0}</p></html>'
_DONE = "You can close this window and return to the terminal."
_OTHER = "This request does not belong to the login that is waiting."


class RedirectListener:
    """Listens on loopback. `accepts` decides by the address of a request whether it is the redirect."""

    def __init__(self, port: int) -> None:
        """Listen on `port`; 0 takes a free one.

        Raises:
            OSError: the port cannot be used.
        """
        self.accepts: Callable[[str], bool] = lambda _: False
        self._received: queue.Queue[str | None] = queue.Queue()
        self._is_closing = threading.Event()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _REQUEST_SECONDS  # browsers open connections that they do not use

            def do_GET(self) -> None:
                address = f"{listener.redirect_uri.removesuffix(PATH)}{self.path}"
                accepted = urlsplit(address).path == PATH and listener.accepts(address)
                body = _PAGE.format(_DONE if accepted else _OTHER).encode()
                self.send_response(200 if accepted else 400)
                for name, value in {**_HEADERS, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                if accepted:
                    listener._received.put(address)

            def log_message(self, *_arguments: object) -> None:
                """Log nothing: the address of a request contains the authorization code."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.timeout = _LOOK_SECONDS
        self.redirect_uri = f"http://127.0.0.1:{self._server.server_port}{PATH}"

    @contextmanager
    def listen(self, seconds: float = math.inf) -> Iterator[None]:
        """Serve meanwhile, but at most for `seconds`, then close the port."""
        thread = threading.Thread(target=self._serve, args=(time.monotonic() + seconds,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_closing.set()
            self._received.put(None)  # a thread that still waits would keep the program from ending
            thread.join()

    def _serve(self, end: float) -> None:
        with self._server:
            while not self._is_closing.is_set() and time.monotonic() < end:
                self._server.handle_request()

    def wait(self, seconds: float) -> str | None:
        """Return the address of the redirect, or None if the time or the port ended before. This blocks."""
        try:
            return self._received.get(timeout=seconds)
        except queue.Empty:
            return None
