"""The inventory of an audit, made from GitBook's objects.

Third-party text is cleaned and shortened here, once. Of a configuration, only the keys of its credentials are kept.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gitbook_integrations_api.choices import LEVELS, Level
from gitbook_integrations_api.report import (
    GitSyncFacts,
    InstallationFacts,
    IntegrationFacts,
    Narrowing,
    Owner,
    Placement,
    ScriptFacts,
    SiteFacts,
    SpaceFacts,
    Subject,
)
from gitbook_integrations_api.scopes import INJECT_SCRIPT
from gitbook_integrations_mcp.audit.configuration_forms import Form, Origin, read_form
from gitbook_integrations_mcp.calls.masking import MaskingScope, mask_secrets
from gitbook_integrations_mcp.calls.policy_rules import JudgedIntegration, read_judged
from gitbook_integrations_mcp.calls.response import find_id, get_path, read_list, read_object
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.text import clean_text, quote

_TEXT_LIMIT = 200
_POLICY_LIMIT = 16_000
"""Characters of a content security policy; web servers send no longer headers. A cut policy could look strict."""
_URL_LIMIT = 2000
_ORIGIN = re.compile(r"/integrations/([A-Za-z0-9._-]+)(?:/installations/([A-Za-z0-9_-]+))?(?=/|$)")


@dataclass(slots=True)
class Installed:
    """An installation in the organization, with its spaces, its sites, and what rules need of its configurations.

    `count` is GitBook's count of its spaces; the operator's policy judges `judged`. `places` are by level and ID.
    Results about configurations are by the ID of the space or site, or by "" for the installation itself.
    """

    facts: InstallationFacts
    count: int | None
    judged: JudgedIntegration
    places: dict[Level, dict[str, Placement]] = field(default_factory=lambda: {"space": {}, "site": {}})
    forms: Mapping[str, Form] = field(default_factory=dict)
    """The forms of settings, by level; that of the installation itself under "account"."""
    secrets: dict[str, dict[str, Origin]] = field(default_factory=dict)
    """Keys of credentials, with their origin."""
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Required settings without a value."""
    empty: set[str] = field(default_factory=set)
    """Configurations without any setting, although the integration renders a form for them."""
    settings: dict[str, str] = field(default_factory=dict)
    """Digests of the settings of the installation itself, by key."""
    identifiers: dict[str, dict[str, str]] = field(default_factory=dict)
    """Digests of the required text on sites, for example of a tracking ID, by key."""

    @property
    def id(self) -> str:
        return self.facts.id

    @property
    def name(self) -> str:
        return self.facts.integration.name

    @property
    def title(self) -> str:
        """The title of its integration in quotes, because it is its developer's text. It cannot close them."""
        return quote(self.facts.integration.title)

    @property
    def subject(self) -> Subject:
        """The installation as the subject of a finding."""
        return Subject(integration=self.name, installation=self.id)

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of calls about the installation."""
        return {"integrationName": self.name, "installationId": self.id}

    def lacks_settings(self, place: str = "") -> bool:
        """Whether its organization or a space or site of it lacks settings that it needs."""
        return any(each in self.missing or each in self.empty for each in ("", place))

    def may_be_on(self, level: Level) -> bool:
        """Whether its integration can be enabled on that level. If the target is unknown, it can."""
        return self.facts.integration.target in {None, "all", level}

    def covers_all(self, level: Level) -> bool:
        """Whether it is for all spaces or all sites. GitBook lists it on none of them while it is pending."""
        selection = self.facts.spaceSelection if level == "space" else self.facts.siteSelection
        return selection == "all" and self.may_be_on(level)

    def add_place(self, level: Level, item: Mapping[str, Any]) -> bool:
        """Add a space or site on which it is enabled, as GitBook lists it; return false if something is missing."""
        identifier = read_text(find_id(item.get(level)))
        if identifier is None:
            return False
        self.places[level][identifier] = Placement(
            id=identifier, status=read_text(item.get("status")), externalIds=_read_external_ids(item)
        )
        self.read_configuration(level, identifier, item)
        return isinstance(item.get("configuration"), Mapping)

    def read_configuration(self, level: str, place: str, item: Mapping[str, Any]) -> None:
        """Keep what rules need of the configuration of the installation ("account") or of one of its places."""
        form, configuration = self.forms[level], item.get("configuration")
        if not isinstance(configuration, Mapping):
            return
        if configuration:  # most places have no settings of their own
            scope = MaskingScope.OPEN.enter("configuration", item)
            if secrets := dict(form.find_secrets(configuration, scope)):
                self.secrets[place] = secrets
        if missing := form.find_missing(configuration, read_text(item.get("status"))):
            self.missing[place] = missing
        if form.is_component and not configuration:
            self.empty.add(place)
        if level == "account":
            self.settings = {clean_text(key, _TEXT_LIMIT): digest_json(value) for key, value in configuration.items()}
        if level == "site" and (found := dict(form.find_identifiers(configuration))):
            self.identifiers[place] = {key: hashlib.sha256(value.encode()).hexdigest() for key, value in found.items()}


@dataclass(slots=True)
class Inventory:
    """Everything an audit read. `scripts` has no entry for a site without readable scripts.

    The `add_…` methods take an item of a GitBook list, keep what can be read, and return false if something is missing.
    """

    organization: str
    narrowing: Narrowing
    organizations: dict[str, str | None] = field(default_factory=dict)
    """Titles of all organizations that the token can list, by ID."""
    installations: dict[str, Installed] = field(default_factory=dict)
    installed: dict[str, IntegrationFacts] = field(default_factory=dict)
    """All installed integrations, requested or not, by name."""
    spaces: dict[str, SpaceFacts] = field(default_factory=dict)
    sites: dict[str, SiteFacts] = field(default_factory=dict)
    scripts: dict[str, list[ScriptFacts]] = field(default_factory=dict)
    marketplace: dict[str, IntegrationFacts] = field(default_factory=dict)
    titles: dict[str, dict[str, str]] = field(default_factory=lambda: {"integration": {}, "space": {}, "site": {}})
    """Titles of everything that GitBook listed, requested or not, by kind and ID."""

    def get_places(self, level: Level) -> Mapping[str, SpaceFacts | SiteFacts]:
        """Return the spaces or sites by ID."""
        return self.spaces if level == "space" else self.sites

    def find_installations(self, name: str) -> Iterator[Installed]:
        """Yield the installations of an integration. At present, GitBook allows only one in an organization."""
        return (each for each in self.installations.values() if each.facts.integration.name == name)

    def add_organization(self, item: Mapping[str, Any]) -> bool:
        identifier = read_text(item.get("id"))
        if identifier is not None:
            self.organizations[identifier] = read_text(item.get("title"))
        return identifier is not None

    def add_installation(self, item: Mapping[str, Any]) -> bool:
        installed = _read_installation(item, self.organization)
        if installed is None:
            return False
        self.titles["integration"][installed.name] = installed.facts.integration.title
        self.installed[installed.name] = installed.facts.integration
        if self.narrowing.integrations is None or installed.name in self.narrowing.integrations:
            self.installations[installed.id] = installed
        return _has_required(item["installation"], item.get("integration"))

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
                gitSync=_read_git_sync(item),
            )
        return isinstance(item.get("visibility"), str)

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
                gitSync=_read_git_sync(item),
            )
        return isinstance(item.get("visibility"), str)

    def add_listed(self, item: Mapping[str, Any]) -> bool:
        facts = _read_integration(item, self.organization)
        if facts is not None:
            self.marketplace[facts.name] = facts
            self.titles["integration"].setdefault(facts.name, facts.title)
        return facts is not None

    def share(self, organization: str) -> "Inventory":
        """Return an inventory of another organization with the lists that are the same for all organizations."""
        shared = Inventory(organization, Narrowing(), organizations=self.organizations)
        for facts in self.marketplace.values():
            own = facts.owner.id == organization if facts.owner else None
            shared.marketplace[facts.name] = facts.model_copy(update={"own": own})
            shared.titles["integration"][facts.name] = facts.title
        return shared

    def find_integration(self, name: str | None) -> IntegrationFacts | None:
        """Return an installed or listed integration, or None if nothing is known of it."""
        return self.installed.get(name or "") or self.marketplace.get(name or "")

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
    return tuple(filter(None, map(read_text, read_list(value))))


def _read_url(item: Mapping[str, Any], name: str) -> str | None:
    return read_text(get_path(item, f"urls.{name}"), _URL_LIMIT)


def _read_external_ids(item: Mapping[str, Any]) -> tuple[str, ...]:
    identifiers = item.get("externalIds")
    return _read_texts(mask_secrets(identifiers)) if identifiers else ()


def _read_git_sync(item: Mapping[str, Any]) -> GitSyncFacts | None:
    sync = item.get("gitSync")
    if not isinstance(sync, Mapping):
        return None
    return GitSyncFacts(
        provider=read_text(sync.get("installationProvider")),
        repository=read_text(sync.get("repoName")),
        status=read_text(sync.get("installationStatus")),
        state=read_text(get_path(sync, "operation.state")),
        direction=read_text(get_path(sync, "operation.direction")),
        at=read_text(get_path(sync, "operation.endedAt") or get_path(sync, "operation.startedAt")),
    )


def _read_installation(item: Mapping[str, Any], organization: str) -> Installed | None:
    installation, integration = item.get("installation"), item.get("integration")
    if not isinstance(installation, Mapping) or (identifier := read_text(installation.get("id"))) is None:
        return None
    integration = read_object(integration)
    facts = _read_integration(integration, organization)
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
        read_judged(facts.name, integration),
    )
    # GitBook serves a script with the settings of its site, for example the project key of an analytics service.
    public = {"site"} if INJECT_SCRIPT in facts.scopes else set()
    installed.forms = {level: read_form(integration, level, public=level in public) for level in ("account", *LEVELS)}
    installed.read_configuration("account", "", installation)
    return installed


def _has_required(installation: Mapping[str, Any], integration: Any) -> bool:
    """Whether an installation has what GitBook always sends and rules need: without it, they would find nothing."""
    if not isinstance(integration, Mapping) or not isinstance(installation.get("configuration"), Mapping):
        return False
    scopes = integration.get("scopes")
    texts = [integration.get("visibility"), installation.get("space_selection"), installation.get("site_selection")]
    return isinstance(scopes, list) and all(isinstance(text, str) for text in (*texts, *scopes))


def _read_integration(integration: Mapping[str, Any], organization: str) -> IntegrationFacts | None:
    if (name := read_text(integration.get("name"))) is None:
        return None
    owner_id = read_text(get_path(integration, "owner.id"))
    version = integration.get("version")
    return IntegrationFacts(
        name=name,
        title=read_text(integration.get("title")) or name,
        owner=Owner(id=owner_id, title=read_text(get_path(integration, "owner.title"))) if owner_id else None,
        own=owner_id == organization if owner_id else None,
        visibility=read_text(integration.get("visibility")),
        verified=_read_flag(integration.get("verified")),
        version=version if isinstance(version, int | float) and not isinstance(version, bool) else None,
        target=read_text(integration.get("target")),
        scopes=_read_texts(integration.get("scopes")),
        categories=_read_texts(integration.get("categories")),
        blocks=len(read_list(integration.get("blocks"))),
        contentSources=len(read_list(integration.get("contentSources"))),
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
