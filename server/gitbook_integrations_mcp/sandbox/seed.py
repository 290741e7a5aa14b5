"""The sandbox's beginning: the same, however often and wherever it is planted.

Its organization is the hand-made one of `templates` and `plan`. Tests plant bigger and smaller ones of the same parts.
"""

import copy
from collections.abc import Iterable
from datetime import UTC, datetime

from gitbook_integrations_mcp.sandbox.events import record_story
from gitbook_integrations_mcp.sandbox.plan import PLAN
from gitbook_integrations_mcp.sandbox.state import (
    LEVELS,
    Development,
    Installation,
    Integration,
    Organization,
    Setup,
    Site,
    Space,
    State,
    User,
    identify,
)
from gitbook_integrations_mcp.sandbox.templates import (
    FOREIGN,
    INTEGRATIONS,
    ORGANIZATION_ID,
    ORGANIZATIONS,
    OWN_INTEGRATION,
    SITES,
    SPACES,
    STRAY_SCRIPT,
    TUNNELS,
    Published,
    SiteRow,
    SpaceRow,
)

EPOCH = datetime(2024, 9, 2, 8, 0, tzinfo=UTC).timestamp()
"""When the organization was founded; all other times count from here."""

DAY = 86400.0


def plant() -> State:
    """Return a fresh state."""
    state = plant_organization(INTEGRATIONS, SPACES, SITES)
    plant_rest(state)
    return state


def plant_organization(
    integrations: Iterable[Published], spaces: Iterable[SpaceRow], sites: Iterable[SiteRow]
) -> State:
    """Return a state whose organization has these integrations, spaces and sites, and what the plan installs there."""
    state = State(User(identify("user"), "Robin Okafor", "robin@aurora-robotics.example"))
    for number, (organization_id, title, hostname, plan, kind, member) in enumerate(ORGANIZATIONS):
        state.organizations[organization_id] = Organization(
            id=organization_id,
            title=title,
            hostname=hostname,
            plan=plan,
            type="community" if kind == "community" else "business",
            member=member,
            created_at=EPOCH - 30 * DAY * number,
        )
    _plant_integrations(state, integrations)
    _plant_content(state, spaces, sites)
    _install_planned(state)
    return state


def plant_rest(state: State) -> None:
    """Add the user's second organization, and the events of the first one's own integration."""
    _plant_neighbour(state)
    for installation in state.get_installations(integration=OWN_INTEGRATION, organization=ORGANIZATION_ID):
        record_story(state, installation, EPOCH + DAY * 330)


def _plant_integrations(state: State, integrations: Iterable[Published]) -> None:
    owners = {organization.hostname: organization.id for organization in state.organizations.values()}
    for name, owner, version, verified, manifest in (*integrations, FOREIGN):
        state.integrations[name] = Integration(
            name=name,
            owner=owners[owner],
            version=version,
            verified=verified,
            manifest=copy.deepcopy(manifest),
            has_icon=True,
            previews=2 if verified else 0,
            development=Development(TUNNELS[name], all=False) if name in TUNNELS else None,
        )


def _plant_content(state: State, spaces: Iterable[SpaceRow], sites: Iterable[SiteRow]) -> None:
    for number, (title, emoji, visibility) in enumerate(spaces):
        _plant_space(state, ORGANIZATION_ID, title, emoji, visibility, number)
    space_ids = list(state.spaces)
    for number, (title, kind, visibility, published, hostname, content) in enumerate(sites):
        site = Site(
            id=f"site_{identify('site', title, length=6)}",
            title=title,
            organization=ORGANIZATION_ID,
            type=kind,
            visibility=visibility,
            published=published,
            hostname=hostname,
            spaces=[space_ids[place] for place in content if place < len(space_ids)],
            stray_scripts=[dict(STRAY_SCRIPT)] if title == "Help Center" else [],
            created_at=EPOCH + DAY * (10 + number),
        )
        state.sites[site.id] = site


def _plant_space(state: State, organization_id: str, title: str, emoji: str, visibility: str, number: int) -> Space:
    space = Space(
        id=identify("space", organization_id, title),
        title=title,
        emoji=emoji,
        organization=organization_id,
        visibility=visibility,
        created_at=EPOCH + DAY * (number % 365),
        updated_at=EPOCH + DAY * (300 + number % 60),
    )
    state.spaces[space.id] = space
    return space


def install(state: State, organization_id: str, integration: str, setup: Setup, day: int) -> Installation:
    installation = Installation(
        id=identify("installation", organization_id, integration),
        integration=integration,
        organization=organization_id,
        status=setup.status,
        configuration=setup.configuration,
        external_ids=setup.external_ids,
        created_at=EPOCH + DAY * day,
        updated_at=EPOCH + DAY * (day + 3),
    )
    state.installations[installation.id] = installation
    return installation


def _install_planned(state: State) -> None:
    """Make what the plan says, as far as the integrations and places it names exist."""
    for planned in copy.deepcopy(PLAN):
        if planned.integration not in state.integrations:
            continue
        setup = Setup(status=planned.status, configuration=planned.configuration, external_ids=planned.external_ids)
        installation = install(state, ORGANIZATION_ID, planned.integration, setup, planned.day)
        installation.selection |= planned.selection
        for level in LEVELS:
            chosen = planned.enabled.get(level, {})
            everywhere = planned.selection.get(level) == "all" and planned.status == "active"
            for number, place in enumerate(state.get_places(level, ORGANIZATION_ID)):
                if everywhere or number in chosen:
                    installation.enabled[level][place.id] = chosen.get(number) or Setup()


def _plant_neighbour(state: State) -> None:
    """Give the user's second organization some content, with the first one's integration installed on it."""
    organization_id = next(each.id for each in state.organizations.values() if each.hostname == "kestrel-collective")
    space = _plant_space(state, organization_id, "Community Handbook", "🪶", "public", 5)
    _plant_space(state, organization_id, "Meeting Notes", "🗒️", "private", 6)
    site = Site(
        id=f"site_{identify('site', 'Kestrel', length=6)}",
        title="Kestrel Handbook",
        organization=organization_id,
        type="sponsored",
        visibility="public",
        published=True,
        spaces=[space.id],
        created_at=EPOCH + DAY * 8,
    )
    state.sites[site.id] = site
    setup = Setup(
        configuration={"webhook_url": "https://hooks.kestrel.example/notes"}, external_ids=["tracker:kestrel"]
    )
    installation = install(state, organization_id, OWN_INTEGRATION, setup, 260)
    installation.enabled["space"][space.id] = Setup(configuration={"channel": "#handbook"})
