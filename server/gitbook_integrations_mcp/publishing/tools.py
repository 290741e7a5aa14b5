"""The tools that check an integration's folder and publish it. They import what reads files on the first call."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.plan import PUBLISHED, Plan, Step
from gitbook_integrations_mcp.config.models import PublishingSection
from gitbook_integrations_mcp.confirmation.facts import describe_effect
from gitbook_integrations_mcp.errors import DisabledToolError, ErrorCode
from gitbook_integrations_mcp.publishing.client_roots import read_client_roots
from gitbook_integrations_mcp.publishing.files import FolderError, Roots
from gitbook_integrations_mcp.text import format_count

if TYPE_CHECKING:
    from gitbook_integrations_mcp.publishing.folder import Folder

_SHOWN_BY_A_DRY_RUN = ("check_integration_folder", "get_integration_by_name")
"""Tools whose results a dry run contains, at least in part."""


class FolderTools:
    """Runs the tools for folders. `organization` is the default for the owner of an integration."""

    def __init__(self, settings: PublishingSection, organization: str | None) -> None:
        self._settings = settings
        self._organization = organization

    async def check(self, call: Call) -> Output:
        """Return what a folder would publish, and every problem.

        Raises:
            FolderError: the folder may not be read, or has no manifest.
        """
        folder = await self._read(call)
        count = len(folder.problems)
        message = f"{format_count(count, 'problem')}." if count else "The folder can be published."
        return Output({"ok": not folder.problems, "message": message, **describe_folder(folder)})

    async def plan(self, call: Call) -> Plan:
        """Return the call that publishes a folder.

        Raises:
            FolderError: the folder may not be read, or has problems; the message has a line for each.
            DisabledToolError: the server does not offer `publish_integration`, or a dry run needs approval.
        """
        publish = ENDPOINTS["publish_integration"]
        call.caller.policy.admit(publish.name)
        call.caller.credentials.select(publish)
        dry = bool(call.arguments.get("dryRun"))
        if dry and any(call.caller.policy.may_need_confirmation(TOOLS[name]) for name in _SHOWN_BY_A_DRY_RUN):
            raise DisabledToolError(
                "A dry run would show what may only be read after approval (confirmation.extra_tools). Nothing was "
                "sent. Call the tool without dryRun: the approval shows the same."
            )
        folder = await self._read(call)
        if folder.problems:
            lines = "\n".join(f"- {problem}" for problem in folder.problems)
            raise FolderError(f"The folder cannot be published. Nothing was sent.\n{lines}", ErrorCode.INVALID_FOLDER)
        reported = ("integration", "organization", "files", "secrets", "notes")
        return Plan(
            (Step(publish, folder.arguments),),
            tuple(describe_effect(call.caller.credentials.scrub_json([*_list_facts(folder)]))),
            report={name: value for name, value in describe_folder(folder).items() if dry or name in reported},
            returned=PUBLISHED,
            dry_run=dry,
        )

    async def _read(self, call: Call) -> "Folder":
        from gitbook_integrations_mcp.publishing.folder import DEFAULT_ENVIRONMENT, Order, read_folder

        given = call.arguments
        order = Order(
            given["path"],
            given.get("environment", DEFAULT_ENVIRONMENT),
            given.get("organization", self._organization),
            given.get("scriptFile"),
        )
        roots = Roots([*self._settings.roots, *await read_client_roots(call)])
        # Reading and bundling take their time; other calls go on meanwhile.
        return await to_thread.run_sync(read_folder, self._settings, roots, order, call.caller.credentials.scrub)


def describe_folder(folder: "Folder") -> dict[str, Any]:
    """Return what is known of a folder, with sizes and digests of files, and without any content or value."""
    arguments = folder.arguments
    content = {
        "integration": arguments.get("integrationName"),
        "organization": arguments.get("organization"),
        "environment": folder.environment,
        "files": [asdict(one) for one in folder.files],
        "secrets": folder.secrets,
        "problems": [asdict(one) for one in folder.problems],
        "notes": list(folder.notes),
    }
    return {name: value for name, value in content.items() if value is not None}


def _list_facts(folder: "Folder") -> Iterator[tuple[str, str]]:
    """Yield where what is published comes from. The question has the publication itself, like any other."""
    yield "Environment", folder.environment
    for one in folder.files:
        yield f"File of {one.role}", f"{one.path}, {one.bytes:,} bytes, SHA-256 {one.sha256[:16]}…"
        if one.bundled:
            yield "Developer's code", "the esbuild in the folder ran on this machine to bundle the script"
    for note in folder.notes:
        yield "Note", note
