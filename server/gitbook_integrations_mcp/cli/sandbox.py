"""The command `sandbox`: serves the built-in GitBook sandbox over HTTP."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping

from gitbook_integrations_mcp.cli.launcher import name_command
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import SettingsError, UsageError
from gitbook_integrations_mcp.net.listener import build_address, describe_failure
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.sandbox import create_sandbox, describe_environment, serve_sandbox

_FORMS: Mapping[str, Callable[[str, str], str]] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "powershell": lambda name, value: "$env:{} = '{}'".format(name, value.replace("'", "''")),
}

HOST, PORT = "127.0.0.1", 8787
"""The default address, which is fixed so that clients keep their configuration."""


def run(_settings: Settings, arguments: Namespace) -> int:
    """Serve a fresh sandbox until it is interrupted, or print the environment of its clients.

    Raises:
        UsageError: the environment of a free port is asked for, which is known only while the sandbox runs.
        SettingsError: the address cannot be listened on.
    """
    # http.host and http.port of the settings are the address of the MCP server.
    host = arguments.host or HOST
    port = PORT if arguments.port is None else arguments.port
    if arguments.print_env:
        if port == 0:
            raise UsageError("--print-env requires a port; --port 0 chooses one only when the sandbox starts.")
        for name, value in describe_environment(build_address(host, port)).items():
            print(_FORMS[arguments.print_env](name, value))
        return SUCCESS
    if sys.stdout.isatty() and port:
        print(_describe_use(host, port), file=sys.stderr)
    try:
        serve_sandbox(create_sandbox(), host, port)
    except OSError as error:
        text = f"Cannot listen on {host}, port {port}: {describe_failure(error, port)}"
        raise SettingsError(text) from None
    return SUCCESS


def _describe_use(host: str, port: int) -> str:
    """Return how commands in another terminal use the sandbox."""
    words = [f"--host {shlex.quote(host)}"] * (host != HOST) + [f"--port {port}"] * (port != PORT)
    command = " ".join([name_command(), "sandbox", *words, "--print-env"])
    use = (
        f"{command} powershell | Out-String | Invoke-Expression" if sys.platform == "win32" else f'eval "$({command})"'
    )
    return f"The sandbox runs until Ctrl-C. To use it in another terminal:\n  {use}\nIts address and tokens:"
