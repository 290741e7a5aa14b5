"""The list of resources, read from GitBook one page at a time."""

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

_PAGE_SIZE = 100
_MAX_TITLE = 100


@dataclass(frozen=True, slots=True)
class Cursor:
    """The start of a page: a page of organizations, or, with `organization`, a page of its installations."""

    organizations: str | None = None
    organization: str | None = None
    installations: str | None = None

    @classmethod
    def decode(cls, text: str | None) -> "Cursor":
        """Return the cursor in a request; None is the start of the list.

        Raises:
            ArgumentsError: the text is not a cursor of this server.
        """
        if text is None:
            return cls()
        try:
            parts = from_json(base64.urlsafe_b64decode(text))
        except ValueError:
            parts = None
        if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, str | None) for part in parts):
            raise ArgumentsError("Invalid cursor. Use nextCursor of the previous page, or list from the start.")
        return cls(*parts)

    def encode(self) -> str:
        """Return the cursor as text for a result."""
        return base64.urlsafe_b64encode(to_json(astuple(self))).decode()


class ResourceList:
    """Lists the inventories of the caller's organizations, and after each page of these their installations."""

    def __init__(self, pipeline: Pipeline, organization: str | None) -> None:
        self._pipeline = pipeline
        self._organization = organization

    async def list(
        self, cursor: str | None, context: ServerRequestContext[Any, Any], caller: Caller
    ) -> ListResourcesResult:
        """Return a page of resources.

        Raises:
            CallError: the page cannot be read, or the cursor is invalid.
        """
        start = Cursor.decode(cursor)
        walk = _Walk(self._pipeline, context, caller, self._organization)
        resources, following = await (walk.list_installations if start.organization else walk.list_inventories)(start)
        return ListResourcesResult(resources=resources, next_cursor=following.encode() if following else None)


@dataclass(frozen=True, slots=True)
class _Walk:
    pipeline: Pipeline
    context: ServerRequestContext[Any, Any]
    caller: Caller
    organization: str | None

    async def list_inventories(self, start: Cursor) -> tuple[list[Resource], Cursor | None]:
        organizations, page = await self._list_organizations(start)
        resources = [_describe_inventory(organization) for organization in organizations]
        if organizations and self.caller.policy.may_read(INSTALLATION.tool.name):
            return resources, Cursor(start.organizations, organizations[0]["id"])
        return resources, Cursor(page) if page else None

    async def list_installations(self, start: Cursor) -> tuple[list[Resource], Cursor | None]:
        assert start.organization
        try:
            items, page = await self._read(
                INVENTORY.tool.name, organizationId=start.organization, page=start.installations
            )
        except StatusError as error:
            if error.status not in {403, 404}:
                raise
            items, page = [], None  # the caller cannot read this organization, but maybe the next one
        resources = [resource for item in items if (resource := _describe_installation(item))]
        if page:
            return resources, Cursor(start.organizations, start.organization, page)
        return resources, await self._find_next(start)

    async def _find_next(self, start: Cursor) -> Cursor | None:
        organizations, page = await self._list_organizations(start)
        identifiers = [organization["id"] for organization in organizations]
        if start.organization in identifiers[:-1]:
            return Cursor(start.organizations, identifiers[identifiers.index(start.organization) + 1])
        return Cursor(page) if page else None

    async def _list_organizations(self, start: Cursor) -> tuple[list[dict[str, Any]], str | None]:
        if self.organization:
            return [{"id": self.organization}], None
        items, page = await self._read(SOURCES["organizationId"].tool, page=start.organizations)
        return [item for item in items if isinstance(item.get("id"), str)], page

    async def _read(self, tool: str, **arguments: str | None) -> tuple[list[dict[str, Any]], str | None]:
        given = {name: value for name, value in arguments.items() if value is not None}
        result = await self.pipeline.read(tool, {**given, "limit": _PAGE_SIZE}, self.context, self.caller)
        data = result.structured_content or {}
        return data["items"], (data.get("next") or {}).get("page")


def _describe_inventory(organization: dict[str, Any]) -> Resource:
    identifier = organization["id"]
    title = clean_text(str(organization.get("title") or identifier), _MAX_TITLE)
    return Resource(
        name=f"inventory-{identifier}",
        title=f"{title}: installed integrations",
        uri=write_uri(INVENTORY, {"organizationId": identifier}),
        mime_type=MIME_TYPE,
    )


def _describe_installation(item: dict[str, Any]) -> Resource | None:
    installation, integration = item.get("installation") or {}, item.get("integration") or {}
    identifier, name = installation.get("id"), integration.get("name")
    if not isinstance(identifier, str) or not isinstance(name, str):
        return None
    title = clean_text(str(integration.get("title") or name), _MAX_TITLE)
    status = clean_text(str(installation.get("status") or "status unknown"), _MAX_TITLE)
    return Resource(
        name=f"installation-{identifier}",
        title=f"{title}: installation ({status})",
        uri=write_uri(INSTALLATION, {"integrationName": name, "installationId": identifier}),
        mime_type=MIME_TYPE,
    )
