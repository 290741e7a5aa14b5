"""The command `login`: logs in with GitBook in a browser, with only the scopes that the offered tools need."""

import socket
import sys
import webbrowser
from argparse import Namespace
from collections.abc import Iterable

import anyio

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import CredentialKind
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.cli.console import print_json, read_line
from gitbook_integrations_mcp.cli.launcher import name_command
from gitbook_integrations_mcp.cli.whoami import describe_login
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import ErrorCode, LoginError, SettingsError, UsageError
from gitbook_integrations_mcp.gitbook.login import LoginFlow, collect_scopes, log_out, open_logins
from gitbook_integrations_mcp.net.listener import describe_failure
from gitbook_integrations_mcp.net.redirect import PATH, RedirectListener
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.spelling import suggest
from gitbook_integrations_mcp.store.logins import Login
from gitbook_integrations_mcp.text import clean_text, format_count


def run(settings: Settings, arguments: Namespace) -> int:
    """Log in, print who is logged in and where the login is kept, and return the exit code.

    Raises:
        UsageError: a tool of `--add` does not exist.
        SettingsError: the port of `--redirect-port` cannot be used.
        LoginError: the login failed. An earlier login still works.
        CallError: the authorization server or GitBook does not answer, or the login cannot be kept.
    """
    if settings.server.sandbox:
        return _try_in_sandbox(settings, arguments)
    return _log_in_and_describe(settings, arguments)


def _try_in_sandbox(settings: Settings, arguments: Namespace) -> int:
    """Do the whole login with the sandbox, and end it again. Nothing of it is left, and no other login changes."""
    from gitbook_integrations_mcp.sandbox import create_sandbox, serve_in_background

    with serve_in_background(create_sandbox()) as address:
        section = settings.gitbook.model_copy(update={"endpoint": address, "oauth_endpoint": None, "client_id": None})
        settings = settings.model_copy(update={"gitbook": section})
        try:
            return _log_in_and_describe(settings, arguments)
        finally:
            if anyio.run(log_out, settings):
                _tell("This was a trial with the sandbox: the login has ended, and nothing of it is left.")


def _log_in_and_describe(settings: Settings, arguments: Namespace) -> int:
    scopes = _choose_scopes(settings, arguments.add)
    _tell(f"This login asks for {format_count(len(scopes), 'scope')}: {', '.join(sorted(scopes))}")
    flow = LoginFlow(settings, scopes)
    if arguments.no_browser:
        login = anyio.run(_log_in_by_paste, flow, arguments.redirect_port, arguments.seconds)
    else:
        login = anyio.run(_log_in, flow, arguments.redirect_port, arguments.seconds)
    if arguments.json:
        print_json({**describe_login(login), "notGranted": sorted(scopes - login.scopes)})
    else:
        print("\n".join(_describe(login, scopes, settings)))
    return SUCCESS


def _tell(text: str) -> None:
    """Print what the user has to know or do now; standard output is for the result."""
    print(text, file=sys.stderr, flush=True)


def _choose_scopes(settings: Settings, added: str | None) -> frozenset[str]:
    """Return the scopes of the offered tools, or those of the current login and of the tools in `added`."""
    if added is None:
        return collect_scopes(Policy(settings.tools, settings.confirmation).tools.values())
    names = [name.strip() for name in added.split(",") if name.strip()]
    for name in names:
        if name not in TOOLS:
            raise UsageError(f"--add {name}: unknown tool.{suggest(name, TOOLS)}")
    current = open_logins(settings).read()
    return collect_scopes(TOOLS[name] for name in names) | (current.scopes if current else frozenset())


async def _log_in(flow: LoginFlow, port: int, seconds: float) -> Login:
    try:
        listener = RedirectListener(port)
    except OSError as error:
        reason = describe_failure(error, port, "--redirect-port")
        raise SettingsError(f"Cannot listen on 127.0.0.1, port {port}: {reason}") from None
    with listener.listen():
        address = await flow.prepare(listener.redirect_uri)
        listener.accepts = flow.accepts
        _tell(f"Approve it in the browser:\n{address}")
        await anyio.to_thread.run_sync(webbrowser.open, address, abandon_on_cancel=True)
        response = await anyio.to_thread.run_sync(listener.wait, seconds, abandon_on_cancel=True)
        if response is None:
            raise LoginError(
                f"The browser did not come back within {seconds:g} s. On a remote machine, use --no-browser.",
                ErrorCode.LOGIN_DECLINED,
            )
        return await flow.complete(response)


async def _log_in_by_paste(flow: LoginFlow, port: int, seconds: float) -> Login:
    address = await flow.prepare(f"http://127.0.0.1:{port or _find_free_port()}{PATH}")
    _tell(
        f"Open this address in a browser, and approve the login:\n{address}\n\n"
        "The browser then shows an error page. Copy its address from the address bar, and paste it here:"
    )
    response = ""
    try:
        with anyio.move_on_after(seconds):
            response = await read_line("")
    except EOFError:
        raise LoginError("Standard input ended before an address was pasted.", ErrorCode.LOGIN_DECLINED) from None
    if not response:
        raise LoginError(f"No address was pasted within {seconds:g} s.", ErrorCode.LOGIN_DECLINED)
    return await flow.complete(response)


def _find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _describe(login: Login, scopes: Iterable[str], settings: Settings) -> list[str]:
    lines = [f"Logged in{f' as {clean_text(login.name, 80)}' if login.name else ''}."]
    if login.place == "keyring":
        lines.append("The login is in the system's keyring.")
    else:
        path = open_logins(settings).path
        lines.append(f"No keyring can be used, so the login is in {path}, which only you can read.")
    if missing := sorted({*scopes} - login.scopes):
        lines.append(f"Not granted: {', '.join(missing)}. To grant them, run `{name_command()} login` again.")
    tools = Policy(settings.tools, settings.confirmation).tools
    if others := [name for name, tool in tools.items() if CredentialKind.OAUTH not in tool.credentials]:
        lines.append(f"{format_count(len(others), 'tool')} cannot use a login and need a token: {', '.join(others)}")
    return lines
