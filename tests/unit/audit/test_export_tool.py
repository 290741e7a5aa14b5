"""The tool `export_report`: it links whole reports and never contains them, and only their user can read them."""

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import ResourceLink, TextContent, TextResourceContents

from gitbook_integrations_api.choices import EXPORT_FORMATS, ExportFormat
from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.audit.exported_files import MAX_FILES, ExportedFiles, write_report_uri
from gitbook_integrations_mcp.audit.render.documents import MIME_TYPES
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.audit_fixtures import Watched, connect
from tests.support.fake_gitbook import ERAS, Era, read_code, read_text
from tests.support.many_users import Place

TOOL = "export_report"


async def export(client: Client, form: ExportFormat = "html", **arguments: Any) -> dict[str, Any]:
    """Return the result of a call whose only content besides text is one link."""
    result = await client.call_tool(TOOL, {"format": form, **arguments})
    assert not result.is_error, result.content
    content = dict(result.structured_content or {})
    links = [block for block in result.content if isinstance(block, ResourceLink)]
    assert [link.uri for link in links] == [content["uri"]]
    assert links[0].mime_type == MIME_TYPES[form]
    assert sum(len(block.text) for block in result.content if isinstance(block, TextContent)) < 1000
    return content


async def read(client: Client, uri: str) -> TextResourceContents:
    (contents,) = (await client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    return contents


def parse(form: ExportFormat, text: str) -> set[str]:
    """Return the IDs of the findings in a document, read as the format demands."""
    match form:
        case "json":
            return {finding.id for finding in Report.model_validate_json(text).findings}
        case "sarif":
            return {one["partialFingerprints"]["findingId/v1"] for one in json.loads(text)["runs"][0]["results"]}
        case "csv":
            return {row["id"] for row in csv.DictReader(text.splitlines())}
    return set()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(f"sqlite:///{tmp_path}/store.db")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("form", EXPORT_FORMATS)
async def test_a_report_is_linked_as_a_resource_and_written_to_a_private_file(form: ExportFormat, era: Era) -> None:
    server = create_server(load_settings({"server": {"sandbox": True}}))
    async with Client(server, mode=era) as client:
        content = await export(client, form)
        document = await read(client, content["uri"])
        assert (document.uri, document.mime_type) == (content["uri"], MIME_TYPES[form])
        findings = (await client.call_tool("audit_installations", {"section": "findings"})).structured_content or {}
    path = Path(content["path"])
    assert path.read_text(encoding="utf-8") == document.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for item in findings["items"]:
        assert item["id"] in (parse(form, document.text) or document.text)


async def test_an_export_names_the_organizations_not_audited() -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool(TOOL, {"format": "csv"})
    assert [one.partition(" (")[0] for one in (result.structured_content or {})["notAudited"]] == ["Kestrel Collective"]
    assert "Not audited: Kestrel Collective" in str(result.content[0])


async def test_a_recent_audit_is_exported_without_a_new_one() -> None:
    watched = Watched()
    async with connect(watched) as client:
        result = await client.call_tool("audit_installations", {})
        audited = result.structured_content or {}
        sent = len(watched.reads)
        content = await export(client)
        assert len(watched.reads) == sent
        assert content["generatedAt"] == audited["generatedAt"]
        assert content["uri"] == audited["reportUri"]
        assert content["reportId"] in read_text(result)
        assert content["verdict"].endswith("complete")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"format": "pdf"}, "invalid_arguments"),
        ({"format": "html", "reportId": "rep_0000000000000000"}, "invalid_arguments"),
        ({"format": "html", "reportId": "../../etc/passwd"}, "invalid_arguments"),
    ],
)
async def test_unknown_formats_and_reports_are_refused(arguments: dict[str, Any], code: str) -> None:
    async with connect(Watched()) as client:
        assert read_code(await client.call_tool(TOOL, arguments)) == code


async def test_a_format_in_another_case_is_named() -> None:
    async with connect(Watched()) as client:
        assert "Did you mean 'csv'?" in read_text(await client.call_tool(TOOL, {"format": "CSV"}))


async def test_another_user_cannot_read_a_report(place: Place) -> None:
    async with place.serve("ada-1") as ada, place.serve("ada-2") as same, place.serve("bob-1") as bob:
        content = await export(ada, "json")
        assert Report.model_validate_json((await read(same, content["uri"])).text).organization.id == ORGANIZATION_ID
        with pytest.raises(MCPError):
            await bob.read_resource(content["uri"])
        result = await bob.call_tool(TOOL, {"format": "json", "reportId": content["reportId"]})
        assert read_code(result) == "invalid_arguments"


async def test_over_http_there_is_a_link_and_no_file(place: Place) -> None:
    async with place.serve(server={"transport": ["streamable-http"]}) as client:
        assert "path" not in await export(client)


async def test_a_link_can_be_read_where_only_this_tool_is_offered() -> None:
    async with connect(Watched(), tools={"include": [TOOL]}) as client:
        assert (await read(client, (await export(client, "csv"))["uri"])).text.startswith("severity,rule")


async def test_without_the_tool_its_documents_cannot_be_read() -> None:
    uri = write_report_uri(ORGANIZATION_ID, "rep_0000000000000000", "html")
    async with connect(Watched(), tools={"exclude": [TOOL]}) as client:
        with pytest.raises(MCPError):
            await client.read_resource(uri)


def test_a_file_is_written_while_another_process_deletes_old_ones(tmp_path: Path) -> None:
    files = ExportedFiles(load_settings({"store": {"url": f"sqlite:///{tmp_path}/store.db"}}))
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "audit-rep_gone.html").symlink_to(tmp_path / "gone")  # listed, but without a status
    assert files.write("audit-rep_1.html", lambda: "text").read_text() == "text"


def test_only_the_newest_files_are_kept(tmp_path: Path) -> None:
    files = ExportedFiles(load_settings({"store": {"url": f"sqlite:///{tmp_path}/store.db"}}))
    paths = [files.write(f"audit-rep_{number:016x}.html", lambda: "text") for number in range(MAX_FILES + 2)]
    assert len(list((tmp_path / "reports").iterdir())) == MAX_FILES
    assert paths[-1].exists()
