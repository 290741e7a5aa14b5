"""uvicorn's configuration, the same for every application of this program: MCP, the confirmation page, the sandbox."""

from typing import Any

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.net.timeouts import build_protocol

KEEP_ALIVE_SECONDS = 75
"""Time for which an idle connection stays open. It is longer than clients and most proxies keep theirs (5 to 60 s).

Otherwise a client can send a request at the moment when the server closes the connection, and gets no response.
"""


def build_options(settings: HttpSection | None = None, **special: Any) -> dict[str, Any]:
    """Return the arguments of `uvicorn.Config`, with the bounds on clients in `settings`, or the default bounds.

    `special` are arguments that differ for one application. They cannot replace the bounds on clients.
    """
    settings = settings or HttpSection()
    options = {
        "interface": "asgi3",
        "ws": "none",
        "log_config": None,
        "access_log": False,  # it would show paths, which are secrets on the confirmation page
        "server_header": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": settings.shutdown_seconds,
    }
    return options | special | {"http": build_protocol(settings)}
