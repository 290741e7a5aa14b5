"""The command `logout`: ends the login with GitBook."""

from argparse import Namespace

import anyio

from gitbook_integrations_mcp.cli.console import print_json
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.gitbook.login import log_out
from gitbook_integrations_mcp.process import SUCCESS


def run(settings: Settings, arguments: Namespace) -> int:
    """Delete the login, revoke it where the authorization server allows, and return the exit code.

    Raises:
        SessionError: the file of the login cannot be used.
    """
    found = anyio.run(log_out, settings)
    if arguments.json:
        print_json({"loggedOut": found is not None, "revoked": found is not None and found[1]})
    elif found is None:
        print("There is no login.")
    elif found[1]:
        print("Logged out. GitBook revoked the login.")
    else:
        print("Logged out. GitBook did not revoke the login, so its access token works until it expires.")
    return SUCCESS
