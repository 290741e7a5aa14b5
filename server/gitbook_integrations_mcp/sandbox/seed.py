"""The sandbox's beginning: the same for the same size, however often and wherever it is planted.

The default organization is the hand-made one of `templates` and `plan`. A bigger one grows from it, a smaller one is
cut from it; what is added is chosen by hashes, so that it looks arbitrary and never changes.
"""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from gitbook_integrations_mcp.sandbox.events import record_story
from gitbook_integrations_mcp.sandbox.growth import (
    invent_integrations,
    invent_setup,
    invent_sites,
    invent_spaces,
    weigh,
)
from gitbook_integrations_mcp.sandbox.plan import PLAN
from gitbook_integrations_mcp.sandbox.state import (
    LEVELS,
    Development,
    Installation,
    Integration,
    Level,
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
)

EPOCH = datetime(2024, 9, 2, 8, 0, tzinfo=UTC).timestamp()
"""When the organization was founded; all other times count from here."""

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much the sandbox's organization has. `installations` counts those on itself, on its spaces and on its sites.

    Beside it there is always a small second organization of the same user, which counts nothing here.
    """

    integrations: int = 12
    spaces: int = 20
    sites: int = 5
    installations: int = 40

    def __post_init__(self) -> None:
        if self.integrations < 1 or min(self.spaces, self.sites, self.installations) < 0:
            raise ValueError("a sandbox has at least one integration, and nothing less often than never")


def plant(size: Size) -> State:
    """Return a fresh state of this size.

    Raises:
        ValueError: there are fewer places than installations.
    """
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
    _plant_integrations(state, size.integrations)
    _plant_content(state, size)
    steps = itertools.chain(_install_planned(state), _install_further(state), _enable_further(state))
    made = sum(1 for _ in zip(range(size.installations), steps, strict=False))
    if made < size.installations:
        raise ValueError(f"there is room for {made} installations only")
    for installation in state.installations.values():
        for level in LEVELS:
            whole = len(state.get_places(level, ORGANIZATION_ID))
            if installation.status == "active" and len(installation.enabled[level]) < whole:
                installation.selection[level] = "selected"  # all were planned, but the size did not reach
    _plant_neighbour(state)
    for installation in state.get_installations(integration=OWN_INTEGRATION, organization=ORGANIZATION_ID):
        record_story(state, installation, EPOCH + DAY * 330)
    return state


def _plant_integrations(state: State, count: int) -> None:
    owners = {organization.hostname: organization.id for organization in state.organizations.values()}
    offered = itertools.islice(itertools.chain(INTEGRATIONS, invent_integrations()), count)
    for name, owner, version, verified, manifest in (*offered, FOREIGN):
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


def _plant_content(state: State, size: Size) -> None:
    spaces = itertools.islice(itertools.chain(SPACES, invent_spaces()), size.spaces)
    for number, (title, emoji, visibility) in enumerate(spaces):
        _plant_space(state, ORGANIZATION_ID, title, emoji, visibility, number)
    space_ids = list(state.spaces)
    sites = itertools.islice(itertools.chain(SITES, invent_sites(size.spaces)), size.sites)
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


def _install(state: State, organization_id: str, integration: str, setup: Setup, day: int) -> Installation:
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


# Each of these yields once for every installation it makes, and makes no more than it is asked for.


def _install_planned(state: State) -> Iterator[None]:
    """Make what the plan says, as far as the integrations and places it names exist."""
    for planned in copy.deepcopy(PLAN):
        if planned.integration not in state.integrations:
            continue
        setup = Setup(status=planned.status, configuration=planned.configuration, external_ids=planned.external_ids)
        installation = _install(state, ORGANIZATION_ID, planned.integration, setup, planned.day)
        installation.selection |= planned.selection
        yield
        for level in LEVELS:
            chosen = planned.enabled.get(level, {})
            everywhere = planned.selection.get(level) == "all" and planned.status == "active"
            for number, place in enumerate(state.get_places(level, ORGANIZATION_ID)):
                if everywhere or number in chosen:
                    installation.enabled[level][place.id] = chosen.get(number) or Setup()
                    yield


def _install_further(state: State) -> Iterator[None]:
    """Install what is not installed yet, except where it is nobody else's business."""
    taken = {installation.integration for installation in state.installations.values()}
    for number, integration in enumerate(state.integrations.values()):
        if integration.name not in taken | {FOREIGN.name}:
            _install(state, ORGANIZATION_ID, integration.name, invent_setup(integration, None), 30 + number % 300)
            yield


def _enable_further(state: State) -> Iterator[None]:
    """Enable installations on spaces and sites that have them not yet: some of them much more widely than others."""
    free: list[tuple[float, Installation, Level, str]] = []
    for rank, installation in enumerate(state.installations.values(), start=1):
        for level in LEVELS:
            if installation.status != "pending" and state.integrations[installation.integration].fits(level):
                free += [
                    (weigh(installation.id, place.id) * (rank + 4), installation, level, place.id)
                    for place in state.get_places(level, ORGANIZATION_ID)
                    if place.id not in installation.enabled[level]
                ]
    for _, installation, level, place_id in sorted(free, key=lambda pair: pair[0]):
        setup = invent_setup(state.integrations[installation.integration], level, place_id)
        installation.enabled[level][place_id] = setup
        yield


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
    installation = _install(state, organization_id, OWN_INTEGRATION, setup, 260)
    installation.enabled["space"][space.id] = Setup(configuration={"channel": "#handbook"})
