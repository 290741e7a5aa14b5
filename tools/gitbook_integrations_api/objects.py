"""Objects in GitBook's responses (schemas of the same names in GitBook's OpenAPI).

The models describe responses and never reject one: every field is optional and unknown fields are kept, so a field that
GitBook adds or removes never breaks a call. They name only the fields that readers need for decisions.

Objects in lists have a `summary`: the fields that a list shows by default. Dots lead into nested objects. A nested
object without dots is shown by its own summary.

A `brief` object is shown by its summary wherever it is a field of another object.

`foreign` are the fields that third parties write freely: payloads, logs, settings and rendered UI. Results that have
them say so, because a model must not take them for instructions.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

InstallationStatus = Literal["active", "pending", "paused"]


class GitBookObject(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    summary: ClassVar[tuple[str, ...]] = ()
    brief: ClassVar[bool] = False
    foreign: ClassVar[tuple[str, ...]] = ()


class User(GitBookObject):
    id: str | None = None
    displayName: str | None = None
    email: str | None = None
    urls: dict[str, Any] | None = None


class Organization(GitBookObject):
    summary = ("id", "title", "hostname", "type", "plan")
    brief = True

    id: str | None = None
    title: str | None = None
    hostname: str | None = None
    type: str | None = None
    plan: str | None = None
    createdAt: str | None = None
    urls: dict[str, Any] | None = None


class Space(GitBookObject):
    summary = ("id", "title", "visibility", "createdAt", "updatedAt")

    id: str | None = None
    title: str | None = None
    visibility: str | None = None
    organization: str | None = None
    createdAt: str | None = None
    updatedAt: str | None = None
    urls: dict[str, Any] | None = None


class Site(GitBookObject):
    summary = ("id", "title", "type", "visibility", "published", "urls.published", "createdAt")

    id: str | None = None
    title: str | None = None
    type: str | None = None
    visibility: str | None = None
    published: bool | None = None
    createdAt: str | None = None
    urls: dict[str, Any] | None = None


class Integration(GitBookObject):
    summary = ("name", "title", "version", "visibility", "verified", "target", "scopes", "owner.title")

    name: str | None = None
    version: float | None = None
    title: str | None = None
    description: str | None = None
    target: str | None = None
    verified: bool | None = None
    visibility: str | None = None
    scopes: list[str] | None = None
    categories: list[str] | None = None
    blocks: list[dict[str, Any]] | None = None
    contentSecurityPolicy: str | dict[str, str] | None = None
    owner: Organization | None = None
    urls: dict[str, Any] | None = None


class Installation(GitBookObject):
    """`IntegrationInstallation`: an integration installed on an organization."""

    summary = (
        "id",
        "status",
        "space_selection",
        "site_selection",
        "spaces",
        "externalIds",
        "target",
        "createdAt",
        "updatedAt",
    )
    foreign = ("configuration", "externalIds")

    id: str | None = None
    status: InstallationStatus | None = None
    space_selection: Literal["all", "selected"] | None = None
    site_selection: Literal["all", "selected"] | None = None
    spaces: float | None = None
    configuration: dict[str, Any] | None = None
    externalIds: list[str] | None = None
    target: dict[str, Any] | None = None
    createdAt: str | None = None
    updatedAt: str | None = None
    urls: dict[str, Any] | None = None


class ContentInstallation(GitBookObject):
    """Common fields of installations on spaces and sites (`IntegrationContentInstallationBase`)."""

    foreign = ("configuration", "externalIds")

    integration: str | None = None
    installation: str | None = None
    status: InstallationStatus | None = None
    configuration: dict[str, Any] | None = None
    externalIds: list[str] | None = None
    urls: dict[str, Any] | None = None


class SpaceInstallation(ContentInstallation):
    """`IntegrationSpaceInstallation`. `space` is an ID or, with `extended`, the space."""

    summary = ("integration", "installation", "status", "space", "externalIds")

    space: str | Space | None = None


class SiteInstallation(ContentInstallation):
    """`IntegrationSiteInstallation`. `site` is an ID or, with `extended`, the site."""

    summary = ("integration", "installation", "status", "site", "externalIds")

    site: str | Site | None = None


class OrganizationInstallation(GitBookObject):
    """An installation in an organization, together with its integration."""

    summary = ("installation", "integration")

    installation: Installation | None = None
    integration: Integration | None = None


class InstalledIntegration(GitBookObject):
    """Status of an integration on the organization, space or site in `target`. It has no installation ID."""

    summary = ("status", "integration.name", "integration.title", "target")

    status: InstallationStatus | None = None
    integration: Integration | None = None
    target: dict[str, Any] | None = None


class IntegrationStatus(GitBookObject):
    status: InstallationStatus | None = None


class SiteScript(GitBookObject):
    """`SiteIntegrationScript`: a script that the published pages of a site load."""

    summary = ("script", "cookies", "contentSecurityPolicy")

    script: str | None = None
    contentSecurityPolicy: str | None = None
    cookies: bool | None = None


class IntegrationBlocks(GitBookObject):
    """Blocks that one integration adds to a space (an item of `SpaceIntegrationBlocks`)."""

    summary = ("name", "blocks.id", "blocks.title")

    name: str | None = None
    blocks: list[dict[str, Any]] | None = None


class Event(GitBookObject):
    """`IntegrationEvent`: an event that GitBook sent to the integration, and whether the integration handled it."""

    summary = ("id", "status", "createdAt", "installationId", "payload.type")
    foreign = ("payload",)

    id: str | None = None
    integrationId: str | None = None
    installationId: str | None = None
    createdAt: str | None = None
    status: Literal["success", "failed"] | None = None
    payload: dict[str, Any] | None = None


class EventTrace(GitBookObject):
    logs: list[dict[str, Any]] | None = None


class TracedEvent(GitBookObject):
    """An event with the integration's logs from handling it."""

    foreign = ("event.payload", "trace.logs")

    event: Event | None = None
    trace: EventTrace | None = None


class TemporaryToken(GitBookObject):
    """`APITemporaryToken`: a live credential."""

    token: str | None = None


class RenderOutput(GitBookObject):
    """`ContentKitRenderOutput`: the element to show, or the value that the component returned."""

    foreign = ("element", "state", "props", "returnValue")

    type: Literal["element", "complete"] | None = None
    element: dict[str, Any] | None = None
    state: dict[str, Any] | None = None
    props: dict[str, Any] | None = None
    returnValue: Any = None
