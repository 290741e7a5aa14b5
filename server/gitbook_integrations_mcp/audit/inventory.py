"""The inventory of an audit, made from GitBook's objects.

Third-party text is cleaned and shortened here, once. Of a configuration, only the keys of its credentials are kept.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from gitbook_integrations_api.report import (
    InstallationFacts,
    IntegrationFacts,
    Narrowing,
    Owner,
    Placement,
    ScriptFacts,
    SiteFacts,
    SpaceFacts,
)
from gitbook_integrations_mcp.calls.masking import MaskingScope, find_secrets, mask_secrets
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.calls.secret_detection import split_key
from gitbook_integrations_mcp.text import clean_text, strip_unseen

Level = Literal["space", "site"]
LEVELS: tuple[Level, ...] = ("space", "site")

_TEXT_LIMIT = 200
_POLICY_LIMIT = 2000
_URL_LIMIT = 2000
_INJECTS = "site:script:inject"
_NEVER_PUBLIC = frozenset({"secret", "secrets", "password", "passphrase", "passwd", "pwd", "private", "signing"})
_ORIGIN = re.compile(r"/integrations/([A-Za-z0-9._-]+)(?:/installations/([A-Za-z0-9_-]+))?(?=/|$)")


@dataclass(slots=True)
class Installed:
    """An installation in the organization, with its spaces, its sites, and the credentials in its configurations.

    `count` is GitBook's count of its spaces. `places` are by level and ID.
    """

    facts: InstallationFacts
    count: int | None
    places: dict[Level, dict[str, Placement]] = field(default_factory=lambda: {"space": {}, "site": {}})
    secrets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of credentials, by the ID of the space or site, or by "" for the installation itself."""
    public: frozenset[str] = frozenset()
    """Settings of sites that every reader can see, because they are part of a script in the pages."""

    @property
    def id(self) -> str:
        return self.facts.id

    @property
    def name(self) -> str:
        return self.facts.integration.name

    def may_be_on(self, level: Level) -> bool:
        """Whether its integration can be enabled on that level. If the target is unknown, it can."""
        return self.facts.integration.target in {None, "all", level}

    def add_place(self, level: Level, item: Mapping[str, Any]) -> bool:
        """Add a space or site on which it is enabled, as GitBook lists it; return false if the item is malformed."""
        place = item.get(level)
        identifier = read_text(place.get("id") if isinstance(place, Mapping) else place)
        if identifier is None:
            return False
        self.places[level][identifier] = Placement(
            id=identifier, status=read_text(item.get("status")), externalIds=_read_external_ids(item)
        )
        if keys := _read_secrets(item, self.public if level == "site" else frozenset()):
            self.secrets[identifier] = keys
        return True


@dataclass(slots=True)
class Inventory:
    """Everything an audit read. `scripts` has no entry for a site without readable scripts.

    The `add_…` methods take an item of a GitBook list and return false if it is malformed.
    """

    organization: str
    narrowing: Narrowing
    title: str | None = None
    installations: dict[str, Installed] = field(default_factory=dict)
    spaces: dict[str, SpaceFacts] = field(default_factory=dict)
    sites: dict[str, SiteFacts] = field(default_factory=dict)
    scripts: dict[str, list[ScriptFacts]] = field(default_factory=dict)
    marketplace: set[str] = field(default_factory=set)
    titles: dict[str, dict[str, str]] = field(default_factory=lambda: {"integration": {}, "space": {}, "site": {}})
    """Titles of everything that GitBook listed, requested or not, by kind and ID."""

    def find_installations(self, name: str) -> Iterator[Installed]:
        """Yield the installations of an integration. At present, GitBook allows only one in an organization."""
        return (installed for installed in self.installations.values() if installed.name == name)

    def add_organization(self, item: Mapping[str, Any]) -> bool:
        identifier = read_text(item.get("id"))
        if identifier == self.organization:
            self.title = read_text(item.get("title"))
        return identifier is not None

    def add_installation(self, item: Mapping[str, Any]) -> bool:
        installed = _read_installation(item, self.organization)
        if installed is None:
            return False
        self.titles["integration"][installed.name] = installed.facts.integration.title
        if self.narrowing.integrations is None or installed.name in self.narrowing.integrations:
            self.installations[installed.id] = installed
        return True

    def add_space(self, item: Mapping[str, Any]) -> bool:
        if (identifier := read_text(item.get("id"))) is None:
            return False
        title = self.titles["space"][identifier] = read_text(item.get("title")) or identifier
        if self.narrowing.spaces is None or identifier in self.narrowing.spaces:
            self.spaces[identifier] = SpaceFacts(
                id=identifier,
                title=title,
                visibility=read_text(item.get("visibility")),
                app=_read_url(item, "app"),
            )
        return True

    def add_site(self, item: Mapping[str, Any]) -> bool:
        if (identifier := read_text(item.get("id"))) is None:
            return False
        title = self.titles["site"][identifier] = read_text(item.get("title")) or identifier
        if self.narrowing.sites is None or identifier in self.narrowing.sites:
            self.sites[identifier] = SiteFacts(
                id=identifier,
                title=title,
                type=read_text(item.get("type")),
                visibility=read_text(item.get("visibility")),
                published=_read_flag(item.get("published")),
                url=_read_url(item, "published"),
                app=_read_url(item, "app"),
            )
        return True

    def add_listed(self, item: Mapping[str, Any]) -> bool:
        name = read_text(item.get("name"))
        if name is not None:
            self.marketplace.add(name)
            self.titles["integration"].setdefault(name, read_text(item.get("title")) or name)
        return name is not None

    def add_script(self, site: str, item: Mapping[str, Any]) -> bool:
        script = _read_script(item)
        wanted = self.narrowing.integrations
        if script is not None and (wanted is None or script.integration in wanted):
            self.scripts.setdefault(site, []).append(script)
        return script is not None


def read_text(value: Any, limit: int = _TEXT_LIMIT) -> str | None:
    """Return third-party text that is safe to show, or None if the value is empty or not text."""
    return clean_text(value, limit) or None if isinstance(value, str) else None


def _read_flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _read_texts(value: Any) -> tuple[str, ...]:
    texts = map(read_text, value) if isinstance(value, list) else ()
    return tuple(text for text in texts if text)


def _read_url(item: Mapping[str, Any], name: str) -> str | None:
    urls = item.get("urls")
    return read_text(urls.get(name), _URL_LIMIT) if isinstance(urls, Mapping) else None


def _read_external_ids(item: Mapping[str, Any]) -> tuple[str, ...]:
    return _read_texts(mask_secrets(item.get("externalIds")))


def _read_secrets(item: Mapping[str, Any], public: frozenset[str] = frozenset()) -> tuple[str, ...]:
    configuration = item.get("configuration")
    scope = MaskingScope.OPEN.enter("configuration", item)
    if isinstance(configuration, Mapping):
        configuration = {key: value for key, value in configuration.items() if key not in public}
    return tuple(clean_text(path, _TEXT_LIMIT) for path in find_secrets(configuration, scope=scope))


def _read_public_settings(integration: Mapping[str, Any], scopes: tuple[str, ...]) -> frozenset[str]:
    """Return the settings of sites that an integration which injects a script declares, but for secrets and passwords.

    GitBook serves the script with them: for example, the project key of an analytics service.
    """
    declared = get_path(integration, "configurations.site.properties")
    if _INJECTS not in scopes or not isinstance(declared, Mapping):
        return frozenset()
    return frozenset(key for key in declared if _NEVER_PUBLIC.isdisjoint(split_key(strip_unseen(key))))


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _read_installation(item: Mapping[str, Any], organization: str) -> Installed | None:
    installation, integration = item.get("installation"), item.get("integration")
    if not isinstance(installation, Mapping) or (identifier := read_text(installation.get("id"))) is None:
        return None
    facts = _read_integration(integration if isinstance(integration, Mapping) else {}, organization)
    if facts is None:
        return None
    count = installation.get("spaces")
    installed = Installed(
        InstallationFacts(
            id=identifier,
            integration=facts,
            status=read_text(installation.get("status")),
            spaceSelection=read_text(installation.get("space_selection")),
            siteSelection=read_text(installation.get("site_selection")),
            externalIds=_read_external_ids(installation),
            createdAt=read_text(installation.get("createdAt")),
            updatedAt=read_text(installation.get("updatedAt")),
            spacesComplete=False,
            sitesComplete=False,
            app=_read_url(installation, "app"),
        ),
        int(count) if isinstance(count, int | float) and count >= 0 else None,
    )
    installed.public = _read_public_settings(integration if isinstance(integration, Mapping) else {}, facts.scopes)
    if keys := _read_secrets(installation):
        installed.secrets[""] = keys
    return installed


def _read_integration(integration: Mapping[str, Any], organization: str) -> IntegrationFacts | None:
    if (name := read_text(integration.get("name"))) is None:
        return None
    owner = integration.get("owner")
    owner_id = read_text(owner.get("id")) if isinstance(owner, Mapping) else None
    version = integration.get("version")
    return IntegrationFacts(
        name=name,
        title=read_text(integration.get("title")) or name,
        owner=Owner(id=owner_id, title=read_text(owner.get("title"))) if owner_id and owner else None,
        own=owner_id == organization if owner_id else None,
        visibility=read_text(integration.get("visibility")),
        verified=_read_flag(integration.get("verified")),
        version=version if isinstance(version, int | float) and not isinstance(version, bool) else None,
        target=read_text(integration.get("target")),
        scopes=_read_texts(integration.get("scopes")),
        categories=_read_texts(integration.get("categories")),
        blocks=_count(integration.get("blocks")),
        contentSources=_count(integration.get("contentSources")),
    )


def _read_script(item: Mapping[str, Any]) -> ScriptFacts | None:
    """Return a script. Its URL is kept without credentials, query and fragment."""
    url = item.get("script")
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    origin = _ORIGIN.search(parts.path)
    return ScriptFacts(
        url=clean_text(f"{parts.scheme}://{host}{port}{parts.path}", 2 * _TEXT_LIMIT),
        host=clean_text(host, _TEXT_LIMIT),
        contentSecurityPolicy=read_text(item.get("contentSecurityPolicy"), _POLICY_LIMIT),
        cookies=_read_flag(item.get("cookies")),
        integration=origin[1] if origin else None,
        installation=origin[2] if origin else None,
    )
