"""The state of the GitBook sandbox: organizations, their content, integrations and installations.

Times are in seconds since 1970 (UTC). This module is independent of HTTP and of callers.
"""

import itertools
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from gitbook_integrations_api.choices import LEVELS, Level

Status = Literal["active", "pending", "paused"]
Selection = Literal["all", "selected"]

_ALPHABET = string.digits + string.ascii_letters


def identify(*parts: object, length: int = 20) -> str:
    """Return an ID that looks like GitBook's and is the same for the same `parts`."""
    number = int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest())
    return "".join(_ALPHABET[number // 62**place % 62] for place in range(length))


@dataclass(slots=True)
class User:
    id: str
    name: str
    email: str


@dataclass(slots=True, kw_only=True)
class Organization:
    id: str
    title: str
    hostname: str
    created_at: float
    plan: str = "pro_2024"
    type: Literal["business", "community"] = "business"
    member: bool = False
    """Whether the sandbox's user belongs to it. Other organizations only own integrations."""


@dataclass(slots=True, kw_only=True)
class Place:
    """A space or a site, on which an integration can be enabled."""

    id: str
    title: str
    organization: str
    visibility: str
    created_at: float
    git_sync: dict[str, Any] | None = None
    """Its Git Sync as GitBook shows it, if it has one."""


@dataclass(slots=True, kw_only=True)
class Space(Place):
    emoji: str
    updated_at: float


@dataclass(slots=True, kw_only=True)
class Site(Place):
    type: str
    published: bool
    spaces: list[str]
    hostname: str | None = None
    orphaned_scripts: list[dict[str, Any]] = field(default_factory=list)
    """Scripts that the site loads although they belong to no installation."""


@dataclass(slots=True)
class Development:
    """Development mode: the URL that gets an integration's events instead of its published script."""

    tunnel: str
    all: bool


@dataclass(slots=True, kw_only=True)
class Integration:
    name: str
    owner: str
    manifest: dict[str, Any]
    """The arguments of `publishIntegration` that responses may show: all but secrets, script and images."""
    version: int = 1
    verified: bool = False
    has_icon: bool = False
    previews: int = 0
    delisted: bool = False
    """Whether GitBook removed it from the marketplace; existing installations stay."""
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    development: Development | None = None

    @property
    def target(self) -> str:
        return str(self.manifest.get("target", "all"))

    @property
    def visibility(self) -> str:
        return str(self.manifest.get("visibility", "private"))

    def fits(self, level: Level) -> bool:
        """Whether it can be enabled on that level."""
        return self.target in {"all", level}

    def compute_status(self, level: Level | Literal["account"], configuration: dict[str, Any]) -> Status:
        """Return the status of an installation with this configuration: pending while required settings are missing."""
        required = self.manifest.get("configurations", {}).get(level, {}).get("required", [])
        return "active" if all(configuration.get(name) not in (None, "") for name in required) else "pending"


@dataclass(slots=True, kw_only=True)
class Setup:
    """The settings of an integration on an organization, a space or a site."""

    status: Status = "active"
    configuration: dict[str, Any] = field(default_factory=dict)
    external_ids: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Installation(Setup):
    """An integration installed on an organization, with the spaces and sites where it is enabled."""

    id: str
    integration: str
    organization: str
    created_at: float
    updated_at: float
    selection: dict[Level, Selection] = field(default_factory=lambda: {"space": "selected", "site": "selected"})
    enabled: dict[Level, dict[str, Setup]] = field(default_factory=lambda: {"space": {}, "site": {}})


@dataclass(slots=True, kw_only=True)
class Event:
    """An event that GitBook sent to an integration, and the log messages of the integration."""

    id: str
    integration: str
    installation: str | None
    created_at: float
    payload: dict[str, Any]
    status: Literal["success", "failed"] = "success"
    logs: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Grant:
    """The scopes that a user granted to an OAuth client. All tokens of the grant end when it is revoked."""

    scopes: frozenset[str]
    revoked: bool = False


class State:
    """The whole state. Tests may change it; the next request sees the change."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.organizations: dict[str, Organization] = {}
        self.integrations: dict[str, Integration] = {}
        self.spaces: dict[str, Space] = {}
        self.sites: dict[str, Site] = {}
        self.installations: dict[str, Installation] = {}
        self.events: list[Event] = []
        self.tokens: dict[str, tuple[str, float]] = {}
        """Temporary tokens, with the installation that each belongs to and the time when it expires."""
        self.access_tokens: dict[str, tuple[Grant, float]] = {}
        """OAuth access tokens, with the grant that each belongs to and the time when it expires."""
        self._numbers = itertools.count(1)

    def create_id(self, kind: str) -> str:
        """Return the ID for a new object; the same sequence of requests gets the same IDs."""
        return identify("created", kind, next(self._numbers))

    def get_place(self, level: Level, place_id: str) -> Place | None:
        return self.spaces.get(place_id) if level == "space" else self.sites.get(place_id)

    def get_places(self, level: Level, organization_id: str) -> list[Place]:
        places: dict[str, Space] | dict[str, Site] = self.spaces if level == "space" else self.sites
        return [place for place in places.values() if place.organization == organization_id]

    def get_installations(
        self, *, integration: str | None = None, organization: str | None = None
    ) -> list[Installation]:
        """Return the installations of an integration, on an organization, or both."""
        return [
            installation
            for installation in self.installations.values()
            if integration in {None, installation.integration} and organization in {None, installation.organization}
        ]

    def get_enabled(self, level: Level, place_id: str) -> Iterator[tuple[Integration, Installation]]:
        """Yield the integrations that are active on a space or site and on its organization."""
        for installation in self.installations.values():
            setup = installation.enabled[level].get(place_id)
            if setup and setup.status == installation.status == "active":
                yield self.integrations[installation.integration], installation

    def enable_everywhere(self, installation: Installation) -> None:
        """Enable an active installation on every space and site where `all` are selected."""
        integration = self.integrations[installation.integration]
        for level in LEVELS:
            if installation.selection[level] == "all" and installation.status == "active" and integration.fits(level):
                for place in self.get_places(level, installation.organization):
                    installation.enabled[level].setdefault(
                        place.id, Setup(status=integration.compute_status(level, {}))
                    )

    def record(
        self, integration: str, installation: str | None, kind: str, at: float, content: dict[str, Any]
    ) -> Event:
        """Record an event of an integration, which developers can list."""
        event_id = self.create_id("event")
        payload = {"eventId": event_id, "type": kind} | ({"installationId": installation} if installation else {})
        event = Event(
            id=event_id,
            integration=integration,
            installation=installation,
            created_at=at,
            payload=payload | content,
            logs=[("info", f"handled {kind}")],
        )
        self.events.append(event)
        return event
