"""An audit reports exactly the state of GitBook, with the fewest possible requests."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Composite, Risk
from gitbook_integrations_mcp.audit import list_reader
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.audit_fixtures import Watched, audit, count_requests, list_installed
from tests.support.grown_sandbox import Size, create_grown_sandbox

NOW = 1_790_000_000.0

sizes = st.builds(
    Size,
    integrations=st.integers(1, 24),
    spaces=st.integers(1, 40),
    sites=st.integers(0, 12),
    installations=st.integers(0, 60),
)


def watch(size: Size) -> Watched | None:
    """Return a sandbox of that size, or None if it cannot have that many installations."""
    try:
        return Watched(create_grown_sandbox(size))
    except ValueError:
        return None


@given(sizes)
async def test_the_figures_match_gitbook_and_no_request_is_sent_twice_or_unnecessarily(size: Size) -> None:
    watched = watch(size)
    if watched is None:
        return
    report = await audit(watched)
    state = watched.sandbox.state
    installed = list_installed(state)
    figures = report.figures
    assert figures.installations == len(installed)
    assert figures.spaces == size.spaces
    assert figures.sites == size.sites
    assert figures.publishedSites == sum(site.published for site in state.get_places("site", ORGANIZATION_ID))  # type: ignore[attr-defined]
    assert figures.spaceInstallations == sum(len(each.enabled["space"]) for each in installed)
    assert figures.siteInstallations == sum(len(each.enabled["site"]) for each in installed)
    assert figures.atLeast == ()
    assert report.coverage.complete
    assert max(Counter(watched.requests).values()) == 1
    assert len(watched.requests) == report.coverage.requests == count_requests(state)


@given(sizes)
async def test_the_inventory_matches_gitbook(size: Size) -> None:
    watched = watch(size)
    if watched is None:
        return
    report = await audit(watched)
    state = watched.sandbox.state
    assert [each.id for each in report.installations] == [each.id for each in list_installed(state)]
    for reported in report.installations:
        truth = state.installations[reported.id]
        integration = state.integrations[truth.integration]
        assert (reported.status, reported.spaceSelection, reported.siteSelection) == (
            truth.status,
            truth.selection["space"],
            truth.selection["site"],
        )
        assert list(reported.externalIds) == truth.external_ids
        assert (reported.integration.name, reported.integration.version) == (integration.name, integration.version)
        assert reported.integration.verified is integration.verified
        assert reported.integration.visibility == integration.visibility
        assert list(reported.integration.scopes) == integration.manifest["scopes"]
        assert reported.integration.owner is not None
        assert reported.integration.owner.id == integration.owner
        assert reported.integration.own is (integration.owner == ORGANIZATION_ID)
        assert reported.integration.listed is (integration.visibility == "public")
        assert {place.id: place.status for place in reported.spaces} == {
            place: setup.status for place, setup in truth.enabled["space"].items()
        }
        assert {place.id: place.status for place in reported.sites} == {
            place: setup.status for place, setup in truth.enabled["site"].items()
        }
        assert reported.spacesComplete
        assert reported.sitesComplete


@pytest.mark.parametrize("page", [1, 2, 7])
async def test_lists_of_many_pages_are_read_completely(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await audit(Watched(), wall_clock=lambda: NOW)
    monkeypatch.setattr(list_reader, "PAGE_SIZE", page)
    watched = Watched()
    report = await audit(watched, wall_clock=lambda: NOW)
    assert report.installations == whole.installations
    assert report.sites == whole.sites
    assert report.findings == whole.findings
    assert len(watched.requests) == len(set(watched.requests)) == count_requests(watched.sandbox.state, page)


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_the_setting_limits_concurrent_requests(concurrency: int) -> None:
    watched = Watched(create_grown_sandbox(latency=0.001))
    await audit(watched, limits={"concurrency": concurrency})
    assert watched.most == concurrency


def test_the_tool_uses_only_reading_tools_that_accept_its_tokens() -> None:
    tool = TOOLS["audit_installations"]
    assert isinstance(tool, Composite)
    for name in tool.uses:
        assert TOOLS[name].risk is Risk.READ
        assert tool.credentials <= TOOLS[name].credentials
