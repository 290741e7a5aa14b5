"""Comparisons report differences, and as undecided what either report could not read."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_api.report import Acceptance, Comparison, Report
from gitbook_integrations_mcp.audit.comparison import BaselineError, compare, read_baseline
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, Sandbox, create_sandbox
from gitbook_integrations_mcp.sandbox.state import Setup
from tests.support.audit_fixtures import Fault, Watched, audit, fail

DATA = Path(__file__).parents[2] / "data"
ONCE = {"attempts": 1}
SLACK, HEATLENS, MERMAID = "ny6solrb3zRTVciq2gE5", "Yh00V3IILptlqECPtsAf", "rbHSJkV1qs9dDMKkWwTH"
HELP = "site_qLN1io"


def uninstall(installation: str) -> Callable[[Sandbox], None]:
    def change(sandbox: Sandbox) -> None:
        del sandbox.state.installations[installation]

    return change


async def watch(
    change: Callable[[Sandbox], Any], *, before: Fault | None = None, now: Fault | None = None, **options: Any
) -> Comparison:
    """Compare a report with one made after `change`. Each audit has its own fault."""
    sandbox = create_sandbox()
    first = await audit(Watched(sandbox, before), limits=ONCE, **options)
    change(sandbox)
    second = await audit(Watched(sandbox, now), limits=ONCE, **options)
    # Round trip through JSON, like a baseline from a file
    return compare(read_baseline(json.loads(first.model_dump_json())), second)


def name(changes: Any) -> list[tuple[str, str]]:
    return [(change.kind, change.title) for change in changes]


async def test_equal_states_have_no_differences() -> None:
    comparison = await watch(lambda _sandbox: None)
    assert comparison == Comparison(baseline=comparison.baseline, baselineComplete=True)


async def test_an_uninstalled_integration_is_removed_and_its_findings_are_fixed() -> None:
    comparison = await watch(uninstall(HEATLENS))
    assert name(comparison.removed) == [
        ("installation", "Heatlens"),
        ("on site", "“Heatlens” on “Help Center”"),
        ("script", "heatlens on “Help Center”"),
    ]
    assert not comparison.added
    assert {finding.rule for finding in comparison.fixed} == {
        "unverified-write",
        "foreign-unlisted",
        "secrets-in-configuration",
        "script-without-csp",
        "script-with-cookies",
        "unverified-script",
        "same-kind",
    }
    still_valid = {finding.rule for finding in comparison.fixed if "revoke the credential" in finding.summary}
    assert still_valid == {"secrets-in-configuration"}
    assert not comparison.newFindings
    assert not comparison.possiblyOlder
    assert not comparison.undecided


async def test_new_places_scripts_and_findings_are_added() -> None:
    def change(sandbox: Sandbox) -> None:
        sandbox.state.installations[SLACK].enabled["space"][next(iter(sandbox.state.spaces))] = Setup()
        site = sandbox.state.sites[HELP]
        site.orphaned_scripts.append({"script": "https://x.example/integrations/new/a.js", "cookies": False})
        sandbox.state.installations[SLACK].configuration = {"team": "aurora"}

    comparison = await watch(change)
    assert name(comparison.added) == [
        ("on space", "“Slack” on “Getting Started”"),
        ("script", "new on “Help Center”"),
    ]
    assert sorted(identifier.partition(":")[0] for identifier in comparison.newFindings) == [
        "required-setting-missing",
        "script-not-installed",
        "script-without-csp",
    ]
    [fixed] = comparison.fixed
    assert (fixed.rule, fixed.subject.installation) == ("stored-credentials", SLACK)
    assert "revoke" not in fixed.summary  # it is still installed


async def test_a_change_has_the_values_before_and_after() -> None:
    def change(sandbox: Sandbox) -> None:
        state = sandbox.state
        state.integrations["slack"].version = 64
        state.integrations["slack"].manifest["scopes"].append("space:content:write")
        state.installations[SLACK].status = "paused"
        state.installations[MERMAID].selection["space"] = "selected"
        state.sites[HELP].published = False

    comparison = await watch(change)
    changes = {(each.title, each.field): (each.before, each.after) for each in comparison.changed}
    assert changes["Slack", "version"] == (63, 64)
    assert changes["Slack", "status"] == ("active", "paused")
    assert changes["Slack", "scopes"][1] == (*changes["Slack", "scopes"][0], "space:content:write")
    assert changes["Mermaid", "spaceSelection"] == ("all", "selected")
    assert changes["Help Center", "published"] == (True, False)
    # Nobody loads the scripts of an unpublished site, and the settings of a paused installation are not missing
    assert {finding.subject.site for finding in comparison.fixed if finding.rule.startswith("script-")} == {HELP}
    assert ("required-setting-missing", SLACK) in {(one.rule, one.subject.installation) for one in comparison.fixed}


async def test_an_acceptance_changes_only_the_status_of_a_finding() -> None:
    report = await audit(Watched(create_sandbox()))
    first, *others = report.findings
    accepted = first.model_copy(update={"accepted": Acceptance(reason="known", date="2026-11-01")})
    hidden = report.model_copy(update={"findings": (accepted, *others)})
    for before, now, reopened in ((report, hidden, ()), (hidden, hidden, ()), (hidden, report, (first.id,))):
        comparison = compare(before, now)
        assert (comparison.newFindings, comparison.fixed) == ((), ())
        assert comparison.reopened == reopened
        assert comparison.newly_open == {*reopened}


@pytest.mark.parametrize(
    ("part", "source"),
    [
        (f"/orgs/{ORGANIZATION_ID}/installations?", "installations"),
        ("/sites?", "sites"),
        (f"{HELP}/integration-scripts", f"scripts of {HELP}"),
        (f"{MERMAID}/spaces", f"spaces of {MERMAID}"),
        ("/integrations?", "marketplace"),
    ],
)
async def test_a_gap_now_removes_and_fixes_nothing(part: str, source: str) -> None:
    comparison = await watch(lambda _sandbox: None, now=fail(part))
    assert not comparison.removed
    assert not comparison.fixed
    assert not comparison.newFindings
    assert any(source in undecided for undecided in comparison.undecided)


async def test_a_gap_in_the_baseline_adds_nothing_and_new_findings_may_be_older() -> None:
    comparison = await watch(lambda _sandbox: None, before=fail(f"{HELP}/integration-scripts"))
    assert not comparison.added
    assert not comparison.baselineComplete
    assert len(comparison.newFindings) == 6
    assert comparison.possiblyOlder == comparison.newFindings


async def test_a_gap_does_not_hide_other_differences() -> None:
    comparison = await watch(uninstall(HEATLENS), now=fail(f"{MERMAID}/spaces"))
    assert ("installation", "Heatlens") in name(comparison.removed)
    assert "foreign-unlisted" in {finding.rule for finding in comparison.fixed}
    assert not any("Mermaid" in title for _, title in name(comparison.removed))


async def test_a_disabled_rule_fixes_nothing() -> None:
    sandbox = create_sandbox()
    before = await audit(Watched(sandbox))
    now = await audit(Watched(sandbox), audit={"disabled_rules": ["same-kind"]})
    comparison = compare(before, now)
    assert not comparison.fixed
    assert len(comparison.undecided) == sum(finding.rule == "same-kind" for finding in before.findings) > 0


async def test_a_finding_that_can_no_longer_be_checked_is_not_fixed() -> None:
    def forget_owner(place: str, _scope: Any) -> tuple[int, bytes] | None:
        if "/installations?" not in place:
            return None
        items = [{"installation": {"id": HEATLENS}, "integration": {"name": "heatlens", "visibility": "unlisted"}}]
        return 200, json.dumps({"items": items}).encode()

    comparison = await watch(lambda _sandbox: None, now=forget_owner)
    assert "foreign-unlisted" not in {finding.rule for finding in comparison.fixed if "Heatlens" in finding.summary}


async def test_comparison_time_is_linear_in_the_length_of_the_reports() -> None:
    report = await audit(Watched())
    finding, gap = report.findings[0], {"source": "", "tool": "list_sites", "arguments": {}, "read": 0, "reason": ""}
    earlier = report.model_dump(mode="json") | {
        "findings": [{**finding.model_dump(mode="json"), "id": f"gone:{number}"} for number in range(10_000)],
        "spaces": [{**report.spaces[0].model_dump(mode="json"), "id": f"s{number}"} for number in range(5000)],
    }
    gaps = [{**gap, "source": f"g{number}", "status": None, "consequence": "", "rules": []} for number in range(5000)]
    earlier["coverage"]["gaps"] = gaps
    baseline = read_baseline(earlier)
    started = time.process_time()
    comparison = compare(baseline, report)
    assert time.process_time() - started < 10
    assert len(comparison.fixed) == 10_000


async def test_a_report_of_version_1_is_a_baseline() -> None:
    written = json.loads((DATA / "report_v1.json").read_text(encoding="utf-8"))
    baseline = read_baseline(written)
    sandbox = create_sandbox()
    sandbox.state.integrations["heatlens"].verified = True
    comparison = compare(baseline, await audit(Watched(sandbox), integrations=("heatlens",)))
    assert len(comparison.fixed) > 1
    assert {finding.since for finding in comparison.fixed} == {written["generatedAt"]}
    assert [(change.title, change.field) for change in comparison.changed] == [("Heatlens", "verified")]


async def test_reports_on_different_parts_or_organizations_are_not_compared() -> None:
    whole = await audit(Watched())
    part = await audit(Watched(), sites=(HELP,))
    with pytest.raises(BaselineError) as caught:
        compare(whole, part)
    assert caught.value.code is ErrorCode.INVALID_BASELINE
    other = Report.model_validate(whole.model_dump() | {"organization": {"id": "another"}})
    with pytest.raises(BaselineError, match="another organization"):
        compare(other, whole)


@pytest.mark.parametrize("content", [None, [], "report", {}, {"version": 1}, {"version": 2}, {"version": 3}])
def test_an_invalid_report_is_rejected(content: Any) -> None:
    with pytest.raises(BaselineError, match="version 1 or 2"):
        read_baseline(content)
