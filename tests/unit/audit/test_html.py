"""The HTML page of a report: its policy allows exactly its own styles and scripts, and its data stays data."""

import json
from html.parser import HTMLParser

import pytest

from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.audit.render.html import render_app, render_page
from gitbook_integrations_mcp.audit.render.tables import render_csv
from gitbook_integrations_mcp.digest import csp_hash
from tests.support.audit_fixtures import Watched, audit

EVIL = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]></title><img src=x onerror=alert(1)>",
    "'\"&amp;&#60;\u2028{{ 1 + 1 }}{% raw %}",
]


class Page(HTMLParser):
    """The parsed page: its elements with attributes, and the text of its title, styles and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag in {"title", "style", "script"}:
            self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in {"title", "style", "script"}:
            self.texts[-1] = (self._open, self.texts[-1][1] + data)

    def read(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]

    @property
    def policy(self) -> str:
        (content,) = [each["content"] for tag, each in self.elements if each.get("http-equiv")]
        assert content
        return content


async def make_report(title: str) -> Report:
    report = await audit(Watched())
    organization = report.organization.model_copy(update={"title": title})
    finding = report.findings[0].model_copy(update={"summary": title, "evidence": (title,)})
    return report.model_copy(update={"organization": organization, "findings": (finding, *report.findings[1:])})


@pytest.mark.parametrize("title", EVIL)
async def test_third_party_text_stays_text(title: str) -> None:
    report = await make_report(title)
    page = Page(render_page(report))
    normal = Page(render_page(await make_report("Normal")))
    data, table, _ = page.read("script")
    assert Report.model_validate(json.loads(data)) == report
    assert not set("<>&'") & set(data + table)
    assert json.loads(table) == render_csv(report, "findings")
    assert page.read("title")[0] == f"Installation audit of {title}"
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in normal.elements]
    assert page.read("script")[2:] == normal.read("script")[2:]
    assert page.policy == normal.policy


async def test_the_policy_allows_exactly_the_styles_and_scripts_of_the_page() -> None:
    for page in (Page(render_page(await make_report("Normal"))), Page(render_app())):
        (style,) = page.read("style")
        code = [text for text in page.read("script") if not text.startswith(("{", '"severity'))]
        assert page.policy == (
            f"default-src 'none'; img-src data:; style-src {csp_hash(style)}; "
            f"script-src {' '.join(map(csp_hash, code))}; base-uri 'none'; form-action 'none'"
        )


async def test_the_page_marks_an_integration_of_the_organization_itself() -> None:
    page = render_page(await audit(Watched()))
    assert "<td>Aurora Robotics (own)</td>" in page
    assert "<td>Heatlens Labs</td>" in page


def test_the_page_for_hosts_has_no_data_and_one_more_script() -> None:
    page = Page(render_app())
    assert page.read("title") == ["Installation audit"]
    assert len(page.read("script")) == 2
    assert not any(each.get("id") == "data" for _, each in page.elements)
