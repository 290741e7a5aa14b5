"""The directory of resources: which there are is GitBook's to say, so it is read from there, a page at a time."""

import base64
import logging
from dataclasses import astuple, dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import ListResourcesResult, Resource
from pydantic_core import from_json, to_json

from gitbook_integrations_api.resources import RESOURCES
from gitbook_integrations_api.sources import SOURCES
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.errors import ArgumentsError, StatusError
from gitbook_integrations_mcp.features.addresses import MIME_TYPE, write_uri
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline
from gitbook_integrations_mcp.text import clean_text

logger = logging.getLogger(__name__)

INVENTORY = RESOURCES["inventory"]
INSTALLATION = RESOURCES["installation"]

_PAGE = 100
_TITLE = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the walk a page begins: a page of organizations, or with `organization` one of its installations."""

    organizations: str | None = None
    organization: str | None = None
    installations: str | None = None

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "Place":
        """Return the place that a cursor stands for.

        Raises:
            ArgumentsError: it is none of ours.
        """
        if cursor is None:
            return cls()
        try:
            parts = from_json(base64.urlsafe_b64decode(cursor))
        except ValueError:
            parts = None
        if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, str | None) for part in parts):
            raise ArgumentsError(
                "There is no such cursor. Take nextCursor from the page before, or list from the start."
            )
        return cls(*parts)

    @property
    def cursor(self) -> str:
        """The cursor that stands for this place."""
        return base64.urlsafe_b64encode(to_json(astuple(self))).decode()


class ResourceList:
    """Lists the inventories of a caller's organizations, and after each page of them what is installed in these."""

    def __init__(self, pipeline: Pipeline, organization: str | None) -> None:
        self._pipeline = pipeline
        self._organization = organization

    async def list(
        self, cursor: str | None, context: ServerRequestContext[Any, Any], caller: Caller
    ) -> ListResourcesResult:
        """Return a page of the resources that there are.

        Raises:
            CallError: it cannot be read.
        """
        place = Place.from_cursor(cursor)
        walk = _Walk(self._pipeline, context, caller, self._organization)
        resources, following = await (walk.list_installations if place.organization else walk.list_inventories)(place)
        return ListResourcesResult(resources=resources, next_cursor=following.cursor if following else None)


@dataclass(frozen=True, slots=True)
class _Walk:
    pipeline: Pipeline
    context: ServerRequestContext[Any, Any]
    caller: Caller
    organization: str | None

    async def list_inventories(self, place: Place) -> tuple[list[Resource], Place | None]:
        organizations, page = await self._list_organizations(place)
        resources = [_describe_inventory(organization) for organization in organizations]
        if organizations and self.caller.policy.may_read(INSTALLATION.tool.name):
            return resources, Place(place.organizations, organizations[0]["id"])
        return resources, Place(page) if page else None

    async def list_installations(self, place: Place) -> tuple[list[Resource], Place | None]:
        assert place.organization
        try:
            items, page = await self._read(
                INVENTORY.tool.name, organizationId=place.organization, page=place.installations
            )
        except StatusError as error:
            if error.status not in {403, 404}:
                raise
            items, page = [], None  # not theirs to see; the next one may be
        resources = [resource for item in items if (resource := _describe_installation(item))]
        if page:
            return resources, Place(place.organizations, place.organization, page)
        return resources, await self._find_next(place)

    async def _find_next(self, place: Place) -> Place | None:
        organizations, page = await self._list_organizations(place)
        identifiers = [organization["id"] for organization in organizations]
        if place.organization in identifiers[:-1]:
            return Place(place.organizations, identifiers[identifiers.index(place.organization) + 1])
        return Place(page) if page else None

    async def _list_organizations(self, place: Place) -> tuple[list[dict[str, Any]], str | None]:
        if self.organization:
            return [{"id": self.organization}], None
        items, page = await self._read(SOURCES["organizationId"].tool, page=place.organizations)
        return [item for item in items if isinstance(item.get("id"), str)], page

    async def _read(self, tool: str, **arguments: str | None) -> tuple[list[dict[str, Any]], str | None]:
        given = {name: value for name, value in arguments.items() if value is not None}
        result = await self.pipeline.read(tool, {**given, "limit": _PAGE}, self.context, self.caller)
        data = result.structured_content or {}
        return data["items"], (data.get("next") or {}).get("page")


def _describe_inventory(organization: dict[str, Any]) -> Resource:
    identifier = organization["id"]
    title = clean_text(str(organization.get("title") or identifier), _TITLE)
    return Resource(
        name=f"inventory-{identifier}",
        title=f"{title}: what is installed",
        uri=write_uri(INVENTORY, {"organizationId": identifier}),
        mime_type=MIME_TYPE,
    )


def _describe_installation(item: dict[str, Any]) -> Resource | None:
    installation, integration = item.get("installation") or {}, item.get("integration") or {}
    identifier, name = installation.get("id"), integration.get("name")
    if not isinstance(identifier, str) or not isinstance(name, str):
        return None
    title = clean_text(str(integration.get("title") or name), _TITLE)
    status = clean_text(str(installation.get("status") or "status unknown"), _TITLE)
    return Resource(
        name=f"installation-{identifier}",
        title=f"{title}: its installation ({status})",
        uri=write_uri(INSTALLATION, {"integrationName": name, "installationId": identifier}),
        mime_type=MIME_TYPE,
    )
