"""An audit tells exactly what there is, with no more requests than that takes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Composite, Risk
from gitbook_integrations_mcp.audit import list_reader as reader
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, Size, create_sandbox
from tests.support.audit_fixtures import Watched, audit, count_requests, list_installed

sizes = st.builds(
    Size,
    integrations=st.integers(1, 24),
    spaces=st.integers(1, 40),
    sites=st.integers(0, 12),
    installations=st.integers(0, 60),
)


def plant(size: Size) -> Watched | None:
    """Return a GitBook of that size, or None where it has no room for so many installations."""
    try:
        return Watched(create_sandbox(size=size))
    except ValueError:
        return None


@given(sizes)
async def test_the_figures_are_those_of_gitbook_and_no_request_is_sent_twice_or_in_vain(size: Size) -> None:
    watched = plant(size)
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
async def test_the_inventory_is_that_of_gitbook(size: Size) -> None:
    watched = plant(size)
    if watched is None:
        return
    report = await audit(watched)
    state = watched.sandbox.state
    assert [each.id for each in report.installations] == [each.id for each in list_installed(state)]
    for told in report.installations:
        truth = state.installations[told.id]
        integration = state.integrations[truth.integration]
        assert (told.status, told.spaceSelection, told.siteSelection) == (
            truth.status,
            truth.selection["space"],
            truth.selection["site"],
        )
        assert list(told.externalIds) == truth.external_ids
        assert (told.integration.name, told.integration.version) == (integration.name, integration.version)
        assert told.integration.verified is integration.verified
        assert told.integration.visibility == integration.visibility
        assert list(told.integration.scopes) == integration.manifest["scopes"]
        assert told.integration.owner is not None
        assert told.integration.owner.id == integration.owner
        assert told.integration.own is (integration.owner == ORGANIZATION_ID)
        assert told.integration.listed is (integration.visibility == "public")
        assert {place.id: place.status for place in told.spaces} == {
            place: setup.status for place, setup in truth.enabled["space"].items()
        }
        assert {place.id: place.status for place in told.sites} == {
            place: setup.status for place, setup in truth.enabled["site"].items()
        }
        assert told.spacesComplete
        assert told.sitesComplete


@pytest.mark.parametrize("page", [1, 2, 7])
async def test_lists_of_many_pages_are_read_to_their_end(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await audit(Watched())
    monkeypatch.setattr(reader, "PAGE", page)
    watched = Watched()
    report = await audit(watched)
    assert report.installations == whole.installations
    assert report.sites == whole.sites
    assert report.findings == whole.findings
    assert len(watched.requests) == len(set(watched.requests)) == count_requests(watched.sandbox.state, page)


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_no_more_requests_are_under_way_than_the_settings_allow(concurrency: int) -> None:
    watched = Watched(create_sandbox(latency=0.001))
    await audit(watched, limits={"concurrency": concurrency})
    assert watched.most == concurrency


def test_the_tool_reads_only_and_names_tools_whose_token_it_takes() -> None:
    tool = TOOLS["audit_installations"]
    assert isinstance(tool, Composite)
    for name in tool.uses:
        assert TOOLS[name].risk is Risk.READ
        assert tool.credentials <= TOOLS[name].credentials
