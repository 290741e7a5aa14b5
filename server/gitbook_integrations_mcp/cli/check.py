"""The command `check`: checks an integration's folder as for publishing, and sends nothing."""

from argparse import Namespace

from gitbook_integrations_mcp.cli.console import address, print_json
from gitbook_integrations_mcp.cli.publish import allow_folder
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.process import FAILURE, SUCCESS
from gitbook_integrations_mcp.publishing.files import Roots
from gitbook_integrations_mcp.publishing.folder import DEFAULT_ENVIRONMENT, Order, read_folder
from gitbook_integrations_mcp.publishing.tools import describe_folder
from gitbook_integrations_mcp.text import format_count


def run(settings: Settings, arguments: Namespace) -> int:
    """Print the problems, each with file and line, or the files that would be published. Returns the exit code.

    Raises:
        UsageError: there is no manifest.
        FolderError: the folder cannot be read.
    """
    publishing = allow_folder(settings, arguments.path).publishing
    order = Order(
        str(arguments.path.absolute()),
        arguments.env or DEFAULT_ENVIRONMENT,
        arguments.organization or settings.gitbook.organization,
        arguments.script,
    )
    folder = read_folder(publishing, Roots(publishing.roots), order, Credentials.from_settings(settings.gitbook).scrub)
    if arguments.json:
        print_json({"ok": not folder.problems, **describe_folder(folder)})
        return FAILURE if folder.problems else SUCCESS
    for note in folder.notes:
        print(note)
    for problem in folder.problems:
        print(address(str(problem)))
    for one in folder.files:
        print(f"{one.role}: {one.path}, {one.bytes:,} bytes{', bundled' if one.bundled else ''}")
    print(format_count(len(folder.problems), "problem"))
    return FAILURE if folder.problems else SUCCESS
