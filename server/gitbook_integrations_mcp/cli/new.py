"""The command `new`: writes a minimal integration that can be published as it is."""

from argparse import Namespace
from pathlib import Path

from gitbook_integrations_mcp.calls.arguments import list_problems
from gitbook_integrations_mcp.cli.console import print_json
from gitbook_integrations_mcp.cli.launcher import name_command
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import UsageError
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.publishing.folder import PUBLISH
from gitbook_integrations_mcp.publishing.template import write_integration


def run(settings: Settings, arguments: Namespace) -> int:
    """Write the integration into a folder of its name, print its files, and return the exit code.

    Raises:
        UsageError: the name is not valid, the owner is unknown, or the folder cannot be used.
    """
    name = arguments.name
    for problem in list_problems(PUBLISH, {"integrationName": name}):
        if problem.path == ("integrationName",):
            raise UsageError(problem.describe("NAME"))
    organization = arguments.organization or settings.gitbook.organization
    if organization is None:
        raise UsageError("The owner is unknown. Pass --organization, or set GITBOOK_ORGANIZATION.")
    try:
        files = write_integration(Path(name), name, organization)
    except FileExistsError:
        raise UsageError(f"The folder {name} is not empty.") from None
    except OSError as error:
        raise UsageError(f"The folder {name} cannot be written: {error.strerror}.") from None
    if arguments.json:
        print_json({"files": [str(path) for path in files]})
        return SUCCESS
    for path in files:
        print(path)
    command = name_command()
    print(f"Next: `{command} check {name}`, then `{command} publish {name}`.")
    return SUCCESS
