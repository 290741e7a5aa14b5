"""The command `sandbox`: serves the built-in GitBook sandbox over HTTP."""

from argparse import Namespace

from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.sandbox import create_sandbox, serve_sandbox


def run(_settings: Settings, arguments: Namespace) -> int:
    """Serve a fresh sandbox until it is interrupted.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    host = arguments.host or "127.0.0.1"  # http.host of the settings is the address of the MCP server
    try:
        serve_sandbox(create_sandbox(), host, arguments.port or 0)
    except OSError as error:
        reason = (error.strerror or "unknown host").partition(" (while ")[0]
        raise SettingsError(f"Cannot listen on {host}: {reason}.") from None
    return SUCCESS
