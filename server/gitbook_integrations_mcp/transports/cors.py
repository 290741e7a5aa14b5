"""CORS: lets web pages of listed hosts be clients, for example MCP Inspector in its direct mode.

Pages of loopback addresses are not let in by default: without authentication, a page of any local development server
could then act with the operator's GitBook token.
"""

import re
from collections.abc import Iterable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_mcp.confirmation.page import PATH

_METHODS = ("GET", "POST", "DELETE")
_EXPOSED = ("Mcp-Session-Id", "WWW-Authenticate", "Retry-After")
"""Headers of responses that pages can read."""


class Cors:
    """Answers preflight requests, and lets pages of `hosts` read responses. A host without a port allows any port.

    The confirmation page is excluded: no other page may read it.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        listed = "|".join(re.escape(host) + (r"(?::\d+)?" if _has_no_port(host) else "") for host in hosts)
        self._cors = CORSMiddleware(
            app,
            allow_origin_regex=f"(?i:https?://(?:{listed}))",
            allow_methods=_METHODS,
            allow_headers=("*",),
            expose_headers=_EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it if it is a preflight request."""
        is_page = scope["type"] == "http" and scope["path"].startswith(PATH)
        await (self._app if is_page else self._cors)(scope, receive, send)


def _has_no_port(host: str) -> bool:
    return not re.search(r":\d+$", host.rpartition("]")[2])
