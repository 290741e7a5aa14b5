"""The sandbox with a bigger or smaller organization, or with slow responses: for benchmarks and property tests.

What a bigger organization has beyond the hand-made one is chosen by hashes: it looks arbitrary and never changes.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from starlette.types import Receive, Scope, Send

from gitbook_integrations_api.choices import LEVELS, Level
from gitbook_integrations_mcp.sandbox.application import RATE_LIMIT, Sandbox
from gitbook_integrations_mcp.sandbox.seed import add_other_data, create_main_organization, install
from gitbook_integrations_mcp.sandbox.state import Installation, Integration, Setup, State, Status, identify
from gitbook_integrations_mcp.sandbox.templates import (
    FOREIGN,
    INTEGRATIONS,
    ORGANIZATION_ID,
    SITES,
    SPACES,
    Published,
    SiteRow,
    SpaceRow,
)

Option = TypeVar("Option")


@dataclass(frozen=True, slots=True)
class Size:
    """How much the sandbox's organization has. `installations` counts those on itself, on its spaces and on its sites.

    By default, as much as the shipped sandbox. The user's small second organization is not counted.
    """

    integrations: int = 12
    spaces: int = 20
    sites: int = 5
    installations: int = 40

    def __post_init__(self) -> None:
        if self.integrations < 1 or min(self.spaces, self.sites, self.installations) < 0:
            raise ValueError("a sandbox has at least one integration, and no negative numbers")


class GrownSandbox(Sandbox):
    """A sandbox of any size, whose every request takes `latency` seconds longer."""

    def __init__(self, size: Size, latency: float, clock: Callable[[], float], rate_limit: int) -> None:
        super().__init__(plant(size), clock, rate_limit)
        self._latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._latency:
            await anyio.sleep(self._latency)
        await super().__call__(scope, receive, send)


def create_grown_sandbox(
    size: Size = Size(),
    *,
    latency: float = 0.0,
    clock: Callable[[], float] = time.time,
    rate_limit: int = RATE_LIMIT,
) -> Sandbox:
    """Return a fresh sandbox of this size.

    Raises:
        ValueError: there are fewer places than installations.
    """
    return GrownSandbox(size, latency, clock, rate_limit)


def plant(size: Size) -> State:
    """Return a fresh state of this size.

    Raises:
        ValueError: there are fewer places than installations.
    """
    state = create_main_organization(
        itertools.islice(itertools.chain(INTEGRATIONS, _invent_integrations()), size.integrations),
        itertools.islice(itertools.chain(SPACES, _invent_spaces()), size.spaces),
        itertools.islice(itertools.chain(SITES, _invent_sites(size.spaces)), size.sites),
    )
    made = _cut(state, size.installations)
    further = itertools.chain(_install_further(state), _enable_further(state))
    made += sum(1 for _ in zip(range(size.installations - made), further, strict=False))
    if made < size.installations:
        raise ValueError(f"there is room for {made} installations only")
    for installation in state.installations.values():
        for level in LEVELS:
            whole = len(state.get_places(level, ORGANIZATION_ID))
            if installation.status == "active" and len(installation.enabled[level]) < whole:
                installation.selection[level] = "selected"  # all were planned, but the size did not reach
    add_other_data(state)
    return state


def _cut(state: State, most: int) -> int:
    """Drop the last planned installations beyond `most`, and return how many are left."""
    count = 0
    for installation in list(state.installations.values()):
        if count >= most:
            del state.installations[installation.id]
            continue
        count += 1
        for level in LEVELS:
            for place_id in list(installation.enabled[level]):
                if count >= most:
                    del installation.enabled[level][place_id]
                else:
                    count += 1
    return count


# Each of these yields once for every installation it makes, and makes no more than it is asked for.


def _install_further(state: State) -> Iterator[None]:
    """Install what is not installed yet, except where it is nobody else's business."""
    taken = {installation.integration for installation in state.installations.values()}
    for number, integration in enumerate(state.integrations.values()):
        if integration.name not in taken | {FOREIGN.name}:
            install(state, ORGANIZATION_ID, integration.name, _invent_setup(integration, None), 30 + number % 300)
            yield


def _enable_further(state: State) -> Iterator[None]:
    """Enable installations on spaces and sites that have them not yet: some of them much more widely than others."""
    free: list[tuple[float, Installation, Level, str]] = []
    for rank, installation in enumerate(state.installations.values(), start=1):
        for level in LEVELS:
            if installation.status != "pending" and state.integrations[installation.integration].fits(level):
                free += [
                    (_weigh(installation.id, place.id) * (rank + 4), installation, level, place.id)
                    for place in state.get_places(level, ORGANIZATION_ID)
                    if place.id not in installation.enabled[level]
                ]
    for _, installation, level, place_id in sorted(free, key=lambda pair: pair[0]):
        setup = _invent_setup(state.integrations[installation.integration], level, place_id)
        installation.enabled[level][place_id] = setup
        yield


WORDS = (
    "Acorn Beacon Cobalt Drift Ember Falcon Granite Hazel Indigo Juniper Krill Lattice Marble Nimbus Onyx Pebble "
    "Quartz Raven Saffron Tundra Umber Vertex Willow"
)

KINDS: tuple[tuple[str, str, str, list[str]], ...] = (
    # noun, category, target, scopes
    ("Metrics", "analytics", "site", ["site:script:inject", "site:script:cookies"]),
    ("Tasks", "collaboration", "space", ["space:content:read", "space:metadata:read"]),
    ("Diagrams", "content", "space", []),
    ("Chat", "marketing", "site", ["site:script:inject", "site:metadata:read"]),
    ("Translate", "content", "all", ["space:content:read", "space:content:write"]),
    ("Feedback", "marketing", "all", ["page:feedback:read", "site:views:read"]),
    ("Sign-In", "visitor-auth", "site", ["site:visitor:auth"]),
    ("Exporter", "other", "organization", ["openapi:read"]),
)

TOPICS = (
    "Guide Reference Tutorials Changelog FAQ Recipes Troubleshooting Glossary Concepts Migration Benchmarks Internals "
    "Policies Runbook Onboarding Roadmap Research Training Archive"
)

OWNERS = ("gitbook", "lumen-analytics", "chatterbox", "heatlens", "harbor-id", "aurora-robotics")


def _pick(options: Sequence[Option], *parts: object) -> Option:
    """Return one of `options`: arbitrary, but the same for the same `parts`."""
    return options[int.from_bytes(identify(*parts).encode()) % len(options)]


def _weigh(*parts: object) -> float:
    """Return a number from 0 to 1: arbitrary, but the same for the same `parts`."""
    return _pick(range(1_000_003), *parts) / 1_000_003


def _join(first: Sequence[str], second: Sequence[str]) -> Iterator[str]:
    """Yield all pairs of words whose numbers have no common divisor, then all of them with a 2, a 3 …"""
    number = 0
    while True:
        lap = number // (len(first) * len(second))
        name = f"{first[number % len(first)]} {second[number % len(second)]}"
        yield f"{name} {lap + 1}" if lap else name
        number += 1


def _invent_integrations() -> Iterator[Published]:
    kinds = {noun: rest for noun, *rest in KINDS}
    for title in _join(WORDS.split(), list(kinds)):
        noun = title.split()[1]
        category, target, scopes = kinds[noun]
        owner = _pick(OWNERS, "owner", title)
        is_own = owner == "aurora-robotics"
        manifest: dict[str, Any] = {
            "title": title,
            "description": f"{noun} for documentation, by the people behind {title.split()[0]}.",
            "visibility": "private" if is_own else _pick(("public", "public", "public", "unlisted"), "visible", title),
            "target": target,
            "scopes": scopes,
            "categories": [category],
        }
        if noun in {"Metrics", "Chat"} and _weigh("policy", title) < 0.5:
            manifest["contentSecurityPolicy"] = f"script-src https://cdn.{title.split()[0].lower()}.example"
        if noun == "Diagrams":
            manifest["blocks"] = [{"id": "diagram", "title": title}]
        if noun in {"Tasks", "Chat", "Translate"}:
            key = {"type": "string", "title": "API key"}
            manifest["configurations"] = {"account": {"properties": {"api_key": key}, "required": ["api_key"]}}
        name = title.lower().replace(" ", "-")
        yield Published(name, owner, _pick(range(1, 40), "version", name), _weigh("verified", name) < 0.6, manifest)


def _invent_spaces() -> Iterator[SpaceRow]:
    for title in _join(WORDS.split(), TOPICS.split()):
        yield title, _pick("📗📙📕🧪🧰🗂", "emoji", title), _pick(("public", "private", "visitor-auth"), "space", title)


def _invent_sites(spaces: int) -> Iterator[SiteRow]:
    for title in _join(WORDS.split(), ("Docs", "Developers", "Help", "Academy")):
        hostname = f"{title.lower().replace(' ', '-')}.aurora-robotics.example"
        kind = _pick(("basic", "premium", "ultimate"), "type", title)
        visibility = _pick(("public", "public", "unlisted", "visitor-auth"), "site", title)
        chosen = {_pick(range(spaces), "content", title, number) for number in range(3)} if spaces else set()
        yield title, kind, visibility, _weigh("published", title) < 0.9, hostname, tuple(sorted(chosen))


def _invent_setup(integration: Integration, level: Level | None, *parts: object) -> Setup:
    """Return a setup in an arbitrary state: configured with obviously fake values, unless it is pending."""
    statuses: tuple[Status, ...] = ("active",) * 10 + ("paused", "pending")
    status = _pick(statuses, "status", integration.name, *parts)
    schema = integration.manifest.get("configurations", {}).get(level or "account", {})
    names = schema.get("required", []) if status != "pending" else []
    return Setup(
        status=status,
        configuration={name: f"sandbox-FAKE-{identify(name, integration.name, *parts, length=8)}" for name in names},
        external_ids=[f"ext-{identify(integration.name, *parts, length=8)}"] if _weigh(*parts, status) < 0.3 else [],
    )
