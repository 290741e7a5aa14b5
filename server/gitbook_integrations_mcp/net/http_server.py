"""How uvicorn serves every application of this program: MCP, the confirmation page, and the sandbox on a port."""

from typing import Any

from gitbook_integrations_mcp.config.models import HttpSection


def build_options(settings: HttpSection | None = None, **special: Any) -> dict[str, Any]:
    """Return the arguments of `uvicorn.Config`: quiet, with bounds on clients as `settings` say, else the defaults.

    `special` are arguments that differ for one application.
    """
    # uvicorn is imported by servers of HTTP only; it would add a tenth to the start of one on stdio.
    from gitbook_integrations_mcp.net.timeouts import build_protocol

    settings = settings or HttpSection()
    options = {
        "interface": "asgi3",
        "http": build_protocol(settings),
        "ws": "none",
        "log_config": None,
        "access_log": False,  # it would show paths, which are secrets on the confirmation page
        "server_header": False,
        "timeout_graceful_shutdown": settings.shutdown_seconds,
    }
    return options | special
