"""The command `publish`: publishes an integration from a folder, after approval on the terminal."""

import json
from argparse import Namespace
from pathlib import Path

from gitbook_integrations_mcp.cli import call
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import UsageError
from gitbook_integrations_mcp.publishing.files import MANIFEST
from gitbook_integrations_mcp.text import clean_text


def run(settings: Settings, arguments: Namespace) -> int:
    """Publish the folder, or only show what would be approved, and return the exit code.

    Raises:
        UsageError: the folder has no manifest.
        CallError: the folder cannot be published, or GitBook failed.
    """
    allowed = allow_folder(settings, arguments.path)
    given = {
        "path": str(arguments.path.absolute()),
        "environment": arguments.env,
        "organization": arguments.organization,
        "scriptFile": arguments.script,
        "dryRun": arguments.dry_run,
    }
    words = [json.dumps({name: value for name, value in given.items() if value is not None})]
    called = Namespace(tool="publish_integration_folder", arguments=words, json=arguments.json)
    return call.run(allowed, called)


def allow_folder(settings: Settings, path: Path) -> Settings:
    """Return settings with which the folder that a human named on the command line can be read.

    Raises:
        UsageError: it has no manifest.
    """
    if not (path.is_file() or (path / MANIFEST).is_file()):
        shown = "This folder" if path == Path() else clean_text(str(path), 200)
        raise UsageError(f"{shown} has no {MANIFEST}. Name a folder that contains one, or the file itself.")
    folder = path.absolute() if path.is_dir() else path.absolute().parent
    publishing = settings.publishing.model_copy(update={"roots": (folder, *settings.publishing.roots)})
    server = settings.server.model_copy(update={"transport": ("stdio",)})
    return settings.model_copy(update={"publishing": publishing, "server": server})
