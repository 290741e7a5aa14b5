"""Creates the initial state of the GitBook sandbox, always the same, from the data in `templates` and `plan`.

Tests create bigger and smaller organizations with the same functions.
"""

import copy
from collections.abc import Iterable
from datetime import UTC, datetime

from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_mcp.sandbox.events import record_sample_events
from gitbook_integrations_mcp.sandbox.plan import PLAN
from gitbook_integrations_mcp.sandbox.state import (
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
    ORPHANED_SCRIPT,
    OWN_INTEGRATION,
    SITES,
    SPACES,
    TUNNELS,
    Published,
    SiteRow,
    SpaceRow,
)

EPOCH = datetime(2024, 9, 2, 8, 0, tzinfo=UTC).timestamp()
"""When the organization was created; all other times are relative to it."""

DAY = 86400.0


def create_state() -> State:
    """Return a new state."""
    state = create_main_organization(INTEGRATIONS, SPACES, SITES)
    add_other_data(state)
    return state


def create_main_organization(
    integrations: Iterable[Published], spaces: Iterable[SpaceRow], sites: Iterable[SiteRow]
) -> State:
    """Return a state with one organization that has these integrations, spaces, sites and the planned installations."""
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
    _add_integrations(state, integrations)
    _add_content(state, spaces, sites)
    _install_planned(state)
    return state


def add_other_data(state: State) -> None:
    """Add the user's second organization, and the events of the first one's own integration."""
    _add_second_organization(state)
    for installation in state.get_installations(integration=OWN_INTEGRATION, organization=ORGANIZATION_ID):
        record_sample_events(state, installation, EPOCH + DAY * 330)


def _add_integrations(state: State, integrations: Iterable[Published]) -> None:
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


def _add_content(state: State, spaces: Iterable[SpaceRow], sites: Iterable[SiteRow]) -> None:
    for number, (title, emoji, visibility) in enumerate(spaces):
        _add_space(state, ORGANIZATION_ID, title, emoji, visibility, number)
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
            orphaned_scripts=[dict(ORPHANED_SCRIPT)] if title == "Help Center" else [],
            created_at=EPOCH + DAY * (10 + number),
        )
        state.sites[site.id] = site


def _add_space(state: State, organization_id: str, title: str, emoji: str, visibility: str, number: int) -> Space:
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
    """Create the planned installations, as far as their integrations, spaces and sites exist."""
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


def _add_second_organization(state: State) -> None:
    """Add content to the user's second organization, and install the first one's integration there."""
    organization_id = next(each.id for each in state.organizations.values() if each.hostname == "kestrel-collective")
    space = _add_space(state, organization_id, "Community Handbook", "🪶", "public", 5)
    _add_space(state, organization_id, "Meeting Notes", "🗒️", "private", 6)
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
