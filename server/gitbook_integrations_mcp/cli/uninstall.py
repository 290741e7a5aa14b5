"""The command `uninstall`: removes this server from the configuration of an assistant."""

import sys
from argparse import Namespace

from gitbook_integrations_mcp.cli.assistants import ASSISTANTS
from gitbook_integrations_mcp.cli.install import Edit, EditError, remove_entry, report_backup
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.process import FAILURE, SUCCESS


def run(_settings: Settings, arguments: Namespace) -> int:
    """Remove this server's entry, print what was done, and return the exit code. The rest of the file stays."""
    assistant, name = ASSISTANTS[arguments.assistant], arguments.name
    try:
        edit = Edit(assistant, arguments.file, lambda document: remove_entry(document, assistant, name), name)
        if edit.after.content == edit.before.content:
            print(f"No change: {edit.name} has no entry of this server.")
            return SUCCESS
        if arguments.dry_run:
            print(f"Dry run: nothing was written. The changes to {edit.name}:\n{edit.describe()}")
            return SUCCESS
        backup = edit.write()
    except EditError as error:
        print(error, file=sys.stderr)
        return FAILURE
    print(f"Removed from {assistant.title}: {edit.name}")
    report_backup(backup)
    print(f"Restart {assistant.title} if it is running.")
    return SUCCESS
