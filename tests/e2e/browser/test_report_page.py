"""The report page in a real browser: no requests, accessible, with the figures of the report."""

import json
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_api.report import Comparison, Report, ScriptFacts
from gitbook_integrations_mcp.audit.comparison import compare
from gitbook_integrations_mcp.audit.render.html import render_page
from gitbook_integrations_mcp.cli.main import main
from tests.support.browser import find_violations, needs_browser, read_logs, show_in, take_screenshot
from tests.support.sandbox_audit import audit

pytestmark = needs_browser

EVIL = "</script><script>document.title = 'stolen'</script><img src=x onerror=\"document.title='stolen'\">"


def open_page(driver: Any, report: Report, folder: Path) -> None:
    """Open the page of a report from a file."""
    path = folder / "report.html"
    path.write_text(render_page(report), encoding="utf-8")
    read_logs(driver)
    driver.get(path.as_uri())


def read_texts(driver: Any, selector: str) -> list[str]:
    """Return the texts of the visible elements that match a selector."""
    script = (
        "return [...document.querySelectorAll(arguments[0])].filter(one => !one.closest('[hidden]'))"
        ".map(one => one.textContent)"
    )
    texts: list[str] = driver.execute_script(script, selector)
    return texts


def compare_with_last_week(report: Report) -> Report:
    """Return a report compared with an earlier one: one installation was removed since, and one added."""
    first, *rest = report.installations
    gone = first.model_copy(update={"id": "gone", "integration": first.integration.model_copy(update={"name": "gone"})})
    before = report.model_copy(update={"installations": (gone, *rest), "findings": report.findings[3:]})
    return report.model_copy(update={"comparison": compare(before, report)})


def test_the_figures_on_the_page_are_those_of_the_report(driver: Any, tmp_path: Path) -> None:
    report = audit()
    show_in(driver, width=1200)
    open_page(driver, report, tmp_path)
    for name in ("installations", "spaceInstallations", "siteInstallations", "publishedSites", "scripts"):
        (shown,) = read_texts(driver, f"[data-figure={name}] strong")
        assert shown == str(getattr(report.figures, name))
    assert read_texts(driver, ".bars .count") == [str(count) for count in report.figures.findings.values()]
    assert read_texts(driver, "details summary .what") == [finding.summary for finding in report.findings]
    names = read_texts(driver, "[aria-labelledby=installations] tbody th")
    assert names == [one.integration.title for one in report.installations]
    marks = driver.execute_script(
        "return [...document.querySelectorAll('[aria-labelledby=where-integrations-are-installed] path')]"
        ".reduce((sum, path) => sum + (path.getAttribute('d').match(/z/g) || []).length, 0)"
    )
    assert marks == report.figures.spaceInstallations + report.figures.siteInstallations
    links = driver.execute_script("return [...document.querySelectorAll('a')].map(a => a.href)")
    assert {one.app for one in report.installations} <= set(links)


def test_the_page_sends_no_requests_and_logs_no_errors(driver: Any, tmp_path: Path) -> None:
    open_page(driver, compare_with_last_week(audit()), tmp_path)
    sent, logged = read_logs(driver)
    assert [address for address in sent if not address.startswith(("file:", "data:"))] == []
    assert logged == []


def test_third_party_text_stays_text(driver: Any, tmp_path: Path) -> None:
    report = audit()
    first = report.installations[0]
    evil = first.integration.model_copy(update={"title": EVIL})
    script = ScriptFacts(url=f"javascript:{EVIL}", host=EVIL, integration=EVIL)
    report = report.model_copy(
        update={
            "organization": report.organization.model_copy(update={"title": EVIL}),
            "installations": (first.model_copy(update={"integration": evil, "app": "javascript:alert(1)"}),),
            "findings": (report.findings[0].model_copy(update={"summary": EVIL, "evidence": (EVIL,)}),),
            "sites": (report.sites[0].model_copy(update={"scripts": (script,)}),),
        }
    )
    open_page(driver, report, tmp_path)
    assert driver.title == f"Installation audit of {EVIL}"
    assert EVIL in read_texts(driver, "details summary .what")
    assert driver.execute_script("return document.querySelectorAll('img, [href^=javascript]').length") == 0


def test_findings_are_filtered_by_severity_integration_and_text(driver: Any, tmp_path: Path) -> None:
    report = audit()
    open_page(driver, report, tmp_path)
    summaries = "details summary .what"

    def set_value(identifier: str, value: str) -> None:
        driver.execute_script(
            "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
            "one.dispatchEvent(new Event('input'))",
            identifier,
            value,
        )

    driver.execute_script("document.querySelector('.bars button.high').click()")
    high = [finding for finding in report.findings if finding.severity == "high"]
    assert read_texts(driver, summaries) == [finding.summary for finding in high]
    assert read_texts(driver, "output") == [f"{len(high)} of {len(report.findings)} findings"]
    set_value("integration", "heatlens")
    assert read_texts(driver, summaries) == [one.summary for one in high if one.subject.integration == "heatlens"]
    assert read_texts(driver, "[aria-labelledby=installations] tbody th") == ["Heatlens"]
    set_value("integration", "")
    set_value("search", "crisp")
    assert read_texts(driver, summaries) == [one.summary for one in high if "crisp" in one.summary.lower()]


def test_pressing_a_column_sorts_the_table(driver: Any, tmp_path: Path) -> None:
    report = audit()
    open_page(driver, report, tmp_path)
    press = "document.querySelectorAll('[aria-labelledby=installations] thead button')[4].click()"
    versions = [one.integration.version or 0 for one in report.installations]
    for expected, direction in ((sorted(versions), "ascending"), (sorted(versions, reverse=True), "descending")):
        driver.execute_script(press)
        shown = read_texts(driver, "[aria-labelledby=installations] tbody td:nth-child(5)")
        assert [float(text) for text in shown] == expected
        assert driver.execute_script(
            "return document.querySelectorAll(arguments[0]).length", f"[aria-sort={direction}]"
        )


def test_an_incomplete_report_starts_with_a_warning(driver: Any, tmp_path: Path) -> None:
    report = audit()
    coverage = report.coverage.model_copy(update={"complete": False})
    figures = report.figures.model_copy(update={"atLeast": ("scripts",)})
    open_page(driver, report.model_copy(update={"coverage": coverage, "figures": figures}), tmp_path)
    assert "not complete" in read_texts(driver, "[role=alert]")[0]
    assert read_texts(driver, "[data-figure=scripts] strong") == [f"≥ {figures.scripts}"]


def test_changes_since_an_earlier_report_are_shown(driver: Any, tmp_path: Path) -> None:
    report = compare_with_last_week(audit())
    changes = report.comparison
    assert isinstance(changes, Comparison)
    assert changes.newFindings
    open_page(driver, report, tmp_path)
    shown = read_texts(driver, "[aria-labelledby=what-changed] summary .what")
    assert shown[0] == f"New findings: {len(changes.newFindings)}"
    assert [f"Added: {len(changes.added)}", f"Removed: {len(changes.removed)}"] == shown[2:4]
    assert read_texts(driver, "details summary .tag:last-child").count("new") == len(changes.newFindings)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 375])
def test_the_page_is_accessible_in_both_schemes_and_on_a_phone(
    driver: Any, tmp_path: Path, scheme: str, width: int
) -> None:
    show_in(driver, width=width, scheme=scheme)
    open_page(driver, compare_with_last_week(audit()), tmp_path)
    driver.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    take_screenshot(driver, f"report-{scheme}-{width}")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert find_violations(driver) == []


def test_print_shows_all_details_and_no_tools(driver: Any, tmp_path: Path) -> None:
    report = audit()
    show_in(driver, width=800, media="print", scheme="dark")
    open_page(driver, report, tmp_path)
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    take_screenshot(driver, "report-print")
    assert len(read_texts(driver, "details[open] dl")) == len(report.findings)
    visible = "return getComputedStyle(document.querySelector('.tools')).display"
    assert driver.execute_script(visible) == "none"
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 800
    show_in(driver, width=1200)


def test_a_large_organization_is_shown_completely(driver: Any, tmp_path: Path) -> None:
    report = audit(60, 500, 50, 2000)
    open_page(driver, report, tmp_path)
    assert len(read_texts(driver, "[aria-labelledby=installations] tbody th")) == 60
    held = {place.id for one in report.installations for place in (*one.spaces, *one.sites)}
    assert len(read_texts(driver, ".matrix tbody th")) == 60 + len(held)
    take_screenshot(driver, "report-large")
    assert find_violations(driver) == []


def test_the_command_writes_the_page(driver: Any, tmp_path: Path) -> None:
    output = tmp_path / "it.html"
    assert main(["audit", "--sandbox", "--format", "html", "--output", str(output)]) == 0
    driver.get(output.as_uri())
    assert driver.title == "Installation audit of Aurora Robotics"
    data = json.loads(driver.execute_script("return document.getElementById('data').textContent"))
    assert Report.model_validate(data).figures == audit().figures
