"""The command `token`: creates a bearer token for a caller of the HTTP transports."""

import hashlib
import json
import secrets
from argparse import Namespace

from gitbook_integrations_mcp.cli.console import print_json
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.process import SUCCESS


def run(_settings: Settings, arguments: Namespace) -> int:
    """Print a new token, which is stored nowhere, and its entry for the settings, which has only the digest."""
    token, name = secrets.token_urlsafe(32), arguments.name
    entry = {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest()}
    if arguments.json:
        print_json({"token": token, "entry": entry})
        return SUCCESS
    print(f"Token for {name} (shown only once):\n{token}\n\nAdd this entry to http.tokens:\n{json.dumps(entry)}")
    return SUCCESS
