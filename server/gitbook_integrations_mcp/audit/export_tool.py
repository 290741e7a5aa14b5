"""The tool `export_report`: links the whole report of an audit, in a format for people or for other programs."""

from functools import partial
from typing import Any

import anyio

from gitbook_integrations_api.report import Narrowing
from gitbook_integrations_mcp.audit.exported_files import ExportedFiles, name_file, write_report_uri
from gitbook_integrations_mcp.audit.problems import describe_verdict
from gitbook_integrations_mcp.audit.render.documents import MIME_TYPES, render_document
from gitbook_integrations_mcp.audit.render.markdown import escape, format_others
from gitbook_integrations_mcp.audit.runner import AuditRun, AuditRunner, ReportKey
from gitbook_integrations_mcp.audit.sections import describe_others
from gitbook_integrations_mcp.audit.tool import AuditHandler
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Document, Output
from gitbook_integrations_mcp.errors import ArgumentsError, ResultError
from gitbook_integrations_mcp.gitbook.user import UserResolver


class ExportHandler:
    """Runs calls of the tool. With `files`, the server runs on the user's machine, and writes a file, too."""

    def __init__(
        self, audits: AuditHandler, runner: AuditRunner, users: UserResolver, files: ExportedFiles | None
    ) -> None:
        self._audits = audits
        self._runner = runner
        self._users = users
        self._files = files

    async def run(self, call: Call) -> Output:
        """Return a link to the document, and facts about the report.

        Raises:
            CallError: nothing can be read, or the report is not kept.
        """
        form = call.arguments["format"]
        found = await self._find(call)
        if found.id is None:
            raise ResultError(f"The report cannot be linked. {found.note}")
        report = found.report
        uri = write_report_uri(report.organization.id, found.id, form)
        verdict = " · ".join(text for _, text in describe_verdict(report))
        others = describe_others(report.others)
        content: dict[str, Any] = {
            "uri": uri,
            "format": form,
            "reportId": found.id,
            "generatedAt": report.generatedAt,
            "complete": report.coverage.complete,
            "verdict": verdict,
            **others,
        }
        render = partial(render_document, report, form)
        title = f"Audit of {report.organization.name}, {report.generatedAt[:10]}"
        lines = [f"{escape(title)}: {verdict}", f"Resource: {uri}"]
        lines += map(escape, format_others(others, "Pass the ID of each as organizationId."))
        name = name_file(found.id, form)
        if self._files is not None:
            try:
                content["path"] = str(await anyio.to_thread.run_sync(self._files.write, name, render))
                lines.append(f"File: {content['path']}")
            except OSError as error:
                lines.append(f"The file could not be written: {error.strerror}.")
        return Output(content, "\n".join(lines), document=Document(uri, name, title, MIME_TYPES[form], render))

    async def _find(self, call: Call) -> AuditRun:
        organization, identifier = call.arguments["organizationId"], call.arguments.get("reportId")
        user = await self._users.resolve(call.caller.credentials)
        if identifier is None:
            return await self._audits.find_report(ReportKey(user.key, organization, Narrowing()), call)
        found = await self._runner.get_any(user.key, organization, identifier)
        if found is None:
            raise ArgumentsError(
                f"reportId: {identifier} is not a report of yours on this organization that is still kept. Leave it "
                "out to export the latest one."
            )
        return found
