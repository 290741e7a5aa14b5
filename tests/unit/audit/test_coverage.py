"""Every failure in an audit is reported with its consequence and hides nothing else."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import httpx
import pytest
from mcp import MCPError

from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.audit import list_reader
from gitbook_integrations_mcp.errors import StatusError
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, create_sandbox
from gitbook_integrations_mcp.sandbox.state import Site, Space
from tests.support.altered_gitbook import AlteredGitBook, Change
from tests.support.audit_fixtures import Fault, Watched, audit, connect, fail, list_installed
from tests.support.fake_gitbook import read_text
from tests.support.grown_sandbox import create_grown_sandbox
from tests.support.virtual_time import START, VirtualTime

ONCE = {"attempts": 1}
NOW = 1_790_000_000.0
GOOGLE, MERMAID = "x7hKgG6Ccgi3d0ZBr6wR", "rbHSJkV1qs9dDMKkWwTH"

BRANCHES = {
    "installations": f"/orgs/{ORGANIZATION_ID}/installations?",
    "spaces": f"/orgs/{ORGANIZATION_ID}/spaces?",
    "sites": f"/orgs/{ORGANIZATION_ID}/sites?",
    "marketplace": "/integrations?",
    "organization": "/orgs?",
    f"spaces of {MERMAID}": f"{MERMAID}/spaces",
    f"sites of {GOOGLE}": f"{GOOGLE}/sites",
    "scripts of site_qLN1io": "site_qLN1io/integration-scripts",
}
"""By source: a part of the path or query that only its requests have."""

RULES = {
    "installations": {"unverified-write", "foreign-unlisted", "same-kind", "gone-from-marketplace", "excess-scopes"},
    "sites": {"script-without-csp", "script-with-cookies", "script-not-installed"},
    "marketplace": {"gone-from-marketplace"},
    f"spaces of {MERMAID}": {"pending-place", "required-setting-missing", "secrets-in-configuration"},
    f"sites of {GOOGLE}": {"script-not-installed", "secrets-in-configuration", "installed-nowhere"},
    "scripts of site_qLN1io": {"script-without-csp", "script-with-cookies", "script-not-installed"},
}
"""By source: rules that cannot be fully checked without it. Incomplete for installations."""


def respond(content: bytes) -> Callable[[str], Fault]:
    return lambda part: lambda place, _scope: (200, content) if part in place else None


def time_out(part: str) -> Fault:
    return lambda place, _scope: httpx.ReadTimeout("too slow") if part in place else None


FAULTS: dict[str, Callable[[str], Fault]] = {
    "403": lambda part: fail(part, 403),
    "404": lambda part: fail(part, 404),
    "500": lambda part: fail(part, 500),
    "time-out": time_out,
    "no JSON": respond(b'{"items": ['),
    "a web page": respond(b"<html>Maintenance</html>"),
    "no list": respond(b'{"items": "none"}'),
    "items of nothing": respond(b'{"items": [{}, {"next": 1}]}'),
    "a list that leads nowhere": respond(b'{"items": [], "next": {}}'),
}


def name_gaps(report: Report) -> set[str]:
    return {gap.source for gap in report.coverage.gaps}


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (source, fault)
        for source in BRANCHES
        for fault in FAULTS
        if not (source.startswith("scripts") and fault == "a list that leads nowhere")  # it has no pages
    ],
)
async def test_a_list_that_fails_is_a_gap_and_everything_independent_of_it_stays(source: str, fault: str) -> None:
    whole = await audit(Watched())
    report = await audit(Watched(fault=FAULTS[fault](BRANCHES[source])), limits=ONCE)
    (gap,) = report.coverage.gaps
    assert gap.source == source
    assert gap.reason
    assert gap.consequence
    assert gap.status == (int(fault) if fault.isdecimal() else None)
    assert not report.coverage.complete
    if source != "organization":
        assert report.figures.atLeast
    assert set(gap.rules) >= RULES.get(source, set())
    for outcome in report.rules:
        assert (outcome.outcome == "checked") is (outcome.id not in gap.rules), outcome
    # No finding is wrong, and everything that was read without the list is there
    assert {finding.id for finding in report.findings} <= {finding.id for finding in whole.findings}
    lost = [finding for finding in whole.findings if finding.id not in {each.id for each in report.findings}]
    assert all(source in finding.sources or source == "installations" for finding in lost)
    if source != "installations":
        assert [each.id for each in report.installations] == [each.id for each in whole.installations]
    if source != "sites":
        # Their owners are known from installations and the marketplace
        scripts, expected = (
            {
                site.id: site.scripts
                and [one.model_copy(update={"owner": None, "verified": None}) for one in site.scripts]
                for site in each.sites
            }
            for each in (report, whole)
        )
        if source.startswith("scripts of "):
            expected[source.removeprefix("scripts of ")] = None
        assert scripts == expected


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_list_that_only_saves_requests_may_fail_at_the_cost_of_requests(fault: str) -> None:
    whole = await audit(Watched(), wall_clock=lambda: NOW)
    watched = Watched(fault=FAULTS[fault]("installations-status?"))
    report = await audit(watched, limits=ONCE, wall_clock=lambda: NOW)
    assert report.coverage.complete
    assert (report.installations, report.sites, report.findings) == (whole.installations, whole.sites, whole.findings)
    assert len(set(watched.requests)) == len(watched.requests)


@pytest.mark.parametrize(
    "source", [source for source in BRANCHES if not source.startswith(("scripts", "organization"))]
)
async def test_a_list_that_fails_after_one_page_is_partly_reported(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_reader, "PAGE_SIZE", 2)

    def second_page(place: str, _scope: Any) -> tuple[int, bytes] | None:
        return (502, b"") if BRANCHES[source] in place and "page=" in place else None

    report = await audit(Watched(fault=second_page), limits=ONCE)
    (gap,) = report.coverage.gaps
    assert (gap.source, gap.read, gap.status) == (source, 2, 502)
    if source.startswith("spaces of"):
        (mermaid,) = [each for each in report.installations if each.id == MERMAID]
        assert (len(mermaid.spaces), mermaid.spacesComplete) == (2, False)
        assert "spaceInstallations" in report.figures.atLeast


async def test_a_repeated_cursor_ends_the_list_as_incomplete() -> None:
    item = {"id": "a", "title": "A"}
    content = json.dumps({"items": [item], "next": {"page": "again"}}).encode()
    watched = Watched(fault=respond(content)(BRANCHES["spaces"]))
    report = await audit(watched)
    assert name_gaps(report) == {"spaces"}
    assert len([place for place in watched.requests if BRANCHES["spaces"] in place]) == 2


async def test_an_id_that_would_change_the_path_is_never_requested() -> None:
    sites = json.dumps({"items": [{"id": "../../user", "title": "Trap", "visibility": "public"}]}).encode()
    watched = Watched(fault=respond(sites)(BRANCHES["sites"]))
    report = await audit(watched)
    assert name_gaps(report) == {"scripts of ../../user"}
    assert not [place for place in watched.requests if "user" in place]


HEATLENS = ("foreign-unlisted", "unverified-write")
MALFORMED: dict[str, tuple[str, Change, tuple[str, ...]]] = {
    "no scopes": ("/installations", lambda item: item["integration"].pop("scopes", None), HEATLENS),
    "scopes of no text": ("/installations", lambda item: item["integration"].update(scopes=[{}]), HEATLENS),
    "scopes as text": ("/installations", lambda item: item["integration"].update(scopes="space:read"), HEATLENS),
    "no visibility": ("/installations", lambda item: item["integration"].pop("visibility"), HEATLENS[:1]),
    "no selection": (
        "/installations",
        lambda item: item["installation"].pop("space_selection"),
        ("all-places-selected",),
    ),
    "configuration as text": (
        "/installations",
        lambda item: item["installation"].update(configuration="{}"),
        ("secrets-in-configuration", "required-setting-missing"),
    ),
    "configuration of a space as a list": (
        f"/{MERMAID}/spaces",
        lambda item: item.update(configuration=[]),
        ("secrets-in-configuration", "required-setting-missing"),
    ),
    "visibility of a space": (f"/{ORGANIZATION_ID}/spaces", lambda item: item.pop("visibility"), ()),
}
"""By what is missing or malformed: the end of the path of a list, the change of an item, and rules that need it."""


@pytest.mark.parametrize("what", MALFORMED)
async def test_what_gitbook_does_not_tell_is_not_taken_for_nothing(what: str) -> None:
    end, change, rules = MALFORMED[what]
    whole = await audit(Watched())

    def change_all(data: Any) -> None:
        for item in data["items"]:
            change(item)

    report = await audit(AlteredGitBook(Watched(), {end: change_all}))
    assert not report.coverage.complete
    outcomes = {outcome.id: outcome.outcome for outcome in report.rules}
    assert all(outcomes[rule] != "checked" for rule in rules), outcomes
    assert {each.id for each in report.installations} == {each.id for each in whole.installations}


@pytest.mark.parametrize(("verified", "rule"), [(True, "all-places-selected"), (False, "unverified-read")])
async def test_an_unknown_visibility_leaves_open_which_spaces_are_confidential(verified: bool, rule: str) -> None:
    def hide(data: Any) -> None:
        for item in data["items"]:
            item["visibility"] = "in-collection"

    def let_read(data: Any) -> None:
        for item in data["items"]:
            item["integration"] |= {"scopes": ["space:content:read"], "verified": verified, "visibility": "public"}

    changes = {f"/{ORGANIZATION_ID}/spaces": hide, f"/{ORGANIZATION_ID}/installations": let_read}
    report = await audit(AlteredGitBook(Watched(), changes))
    (outcome,) = (outcome for outcome in report.rules if outcome.id == rule)
    assert outcome.outcome == "partly"
    assert any("confidential" in each.what for each in outcome.undecided)


async def test_several_gaps_are_all_reported_and_the_result_says_incomplete() -> None:
    watched = Watched(fault=lambda place, _scope: (503, b"") if "integration-scripts" in place else None)
    async with connect(watched, limits=ONCE) as client:
        result = await client.call_tool("audit_installations", {})
        assert not result.is_error
        assert result.structured_content is not None
        assert result.structured_content["complete"] is False
        assert "INCOMPLETE" in read_text(result)
        assert "and 2 more gaps" in read_text(result)
        details = await client.call_tool("audit_installations", {"section": "coverage"})
    assert details.structured_content is not None
    sites = create_sandbox().state.get_places("site", ORGANIZATION_ID)
    assert [item["source"] for item in details.structured_content["items"] if "source" in item] == [
        f"scripts of {site.id}" for site in sites
    ]


async def test_an_organization_deleted_during_the_audit_leaves_a_partial_report() -> None:
    watched = Watched()

    def vanish(place: str, _scope: Any) -> tuple[int, bytes] | None:
        gone = place.startswith("/integrations/") or "integration-scripts" in place
        return (404, b'{"error": {"code": 404, "message": "Organization not found"}}') if gone else None

    watched.fault = vanish
    report = await audit(watched)
    assert report.figures.installations == 9
    assert len(report.coverage.gaps) == report.coverage.requests - 6
    assert all("Organization not found" in gap.reason for gap in report.coverage.gaps)


async def test_an_audit_that_can_read_nothing_fails_with_the_reason() -> None:
    with pytest.raises(StatusError, match="list_organization_installations with 404"):
        await audit(Watched(fault=fail("/orgs", 404)))


@pytest.mark.parametrize(("max_wait", "complete"), [(300, True), (30, False)])
async def test_an_audit_waits_for_the_rate_limit_up_to_the_setting(max_wait: float, complete: bool) -> None:
    now = 1_800_000_000.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        until = now + seconds
        await anyio.lowlevel.checkpoint()
        now = max(now, until)  # tasks that sleep at the same time wake at the same time

    watched = Watched(create_sandbox(rate_limit=8, clock=lambda: now))
    options: dict[str, Any] = {"audit": {"max_wait_seconds": max_wait}, "limits": {"concurrency": 4}}
    report = await audit(watched, clock=lambda: now, sleep=sleep, **options)
    assert report.coverage.complete is complete
    # The first request of each kind shows whether it has a limit of its own, so GitBook may refuse it.
    assert len(watched.requests) - len(set(watched.requests)) <= 3
    assert (report.coverage.requests == len(set(watched.requests))) is complete
    assert all("limit" in gap.reason or "429" in gap.reason for gap in report.coverage.gaps)


async def test_cancellation_stops_running_requests_and_starts_no_more() -> None:
    watched = Watched(create_grown_sandbox(latency=0.05))
    async with connect(watched, limits={"concurrency": 2}) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("audit_installations", {}, read_timeout_seconds=0.12)
        assert "imed out" in str(caught.value)
        with anyio.fail_after(5):
            while watched.running:
                await anyio.lowlevel.checkpoint()
        sent = len(watched.requests)
        await client.call_tool("get_authenticated_user", {})
        await client.call_tool("get_authenticated_user", {})
    assert len(watched.requests) == sent + 2
    assert sent < 19


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_step_of_the_wall_clock_does_not_change_how_long_an_audit_waits(step: float) -> None:
    time = VirtualTime()

    async def sleep(seconds: float) -> None:
        time.step = step
        await time.sleep(seconds)

    sandbox = create_sandbox(rate_limit=8, clock=time.clock)
    options: dict[str, Any] = {"audit": {"max_wait_seconds": 300}, "limits": {"concurrency": 4}}
    report = await audit(Watched(sandbox), clock=time.monotonic, wall_clock=time.wall, sleep=sleep, **options)
    assert time.step == step
    assert report.coverage.complete
    assert time.now - START < 180


@pytest.mark.parametrize(("level", "place"), [("space", "4Bx5L9BNoCBwuh9BLKDm"), ("site", "site_vC2snV")])
async def test_an_audit_of_one_place_has_what_is_installed_on_all_places_but_pending(level: Any, place: str) -> None:
    watched = Watched()
    sign_in = next(one for one in list_installed(watched.sandbox.state) if one.integration == "harbor-auth")
    narrowing: dict[str, Any] = {f"{level}s": (place,)}
    cases: list[tuple[str, Any, bool]] = [
        ("all", "all", True),
        ("all", "selected", False),
        ("organization", "all", False),
    ]
    for target, selection, expected in cases:
        watched.sandbox.state.integrations["harbor-auth"].manifest["target"] = target
        sign_in.selection.update(dict.fromkeys(sign_in.selection, "selected"))
        sign_in.selection[level] = selection
        report = await audit(watched, **narrowing)
        assert ("harbor-auth" in {each.integration.name for each in report.installations}) is expected
        assert report.coverage.complete


async def test_an_audit_of_one_site_does_not_call_an_integration_missing_that_is_installed_elsewhere() -> None:
    """It could be on a space of the site, whose installations such an audit does not read."""
    watched = Watched()
    site = watched.sandbox.state.sites["site_vC2snV"]
    for name, outcome in (("slack", "unchecked"), ("crisp", "checked")):
        url = f"https://integrations.gitbook.example/integrations/{name}/script.js"
        site.orphaned_scripts = [{"script": url, "cookies": False, "contentSecurityPolicy": "default-src 'self'"}]
        report = await audit(watched, sites=(site.id,))
        (rule,) = (each for each in report.rules if each.id == "script-not-installed")
        assert (rule.outcome, rule.findings) == (outcome, int(outcome == "checked"))


@pytest.mark.parametrize(("level", "title"), [("space", "Vision SDK"), ("site", "Help Center")])
async def test_an_unread_list_of_what_is_enabled_on_a_place_hides_no_installation_and_no_finding(
    level: str, title: str
) -> None:
    state = create_sandbox().state
    places: Mapping[str, Space | Site] = state.spaces if level == "space" else state.sites
    narrowing: dict[str, Any] = {f"{level}s": tuple(each.id for each in places.values() if each.title == title)}
    whole = await audit(Watched(), wall_clock=lambda: NOW, **narrowing)
    gap = await audit(Watched(fault=fail(f"target={level}&{level}=")), wall_clock=lambda: NOW, **narrowing)
    assert not gap.coverage.complete
    assert whole.findings
    assert {each.id for each in whole.installations} <= {each.id for each in gap.installations}
    assert {each.id for each in whole.findings} <= {each.id for each in gap.findings}
