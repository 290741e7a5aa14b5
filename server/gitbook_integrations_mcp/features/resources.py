"""Resources: data that can be attached to a conversation, read through the same pipeline as the tools."""

import contextlib
import logging
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    EmptyResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplate,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gitbook_integrations_api.endpoint import Composite
from gitbook_integrations_api.resources import RESOURCES
from gitbook_integrations_mcp.auth.callers import Caller, Callers
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.response import render_text
from gitbook_integrations_mcp.errors import (
    ArgumentsError,
    CallError,
    CredentialError,
    DisabledToolError,
    StatusError,
    UnknownResourceError,
)
from gitbook_integrations_mcp.features.addresses import MIME_TYPE, Address, read_address
from gitbook_integrations_mcp.features.apps import read_view
from gitbook_integrations_mcp.features.resource_list import INVENTORY, ResourceList
from gitbook_integrations_mcp.features.subscriptions import MAX_WATCHED, Subscriptions
from gitbook_integrations_mcp.pipeline.budget import UNLIMITED
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline

logger = logging.getLogger(__name__)

_NOT_FOUND_BEFORE_2026 = -32002

Context = ServerRequestContext[Any, Any]


def has_resources(policy: Policy) -> bool:
    """Whether any resource is offered: one whose tool can be read."""
    return any(policy.may_read(resource.tool.name) for resource in RESOURCES.values())


def list_templates(policy: Policy) -> list[ResourceTemplate]:
    """Return the templates of the offered resources. Documents have none: clients read only those that are linked."""
    return [
        ResourceTemplate(
            name=resource.name,
            title=resource.title,
            description=resource.description,
            uri_template=resource.uri_template,
            mime_type=MIME_TYPE,
        )
        for resource in RESOURCES.values()
        if not resource.document and policy.may_read(resource.tool.name)
    ]


def create_protocol_error(error: CallError, uri: str | None, context: Context, caller: Caller) -> MCPError:
    """Return the JSON-RPC error for a failed request. Its number for "not found" depends on the protocol version."""
    if isinstance(error, UnknownResourceError | DisabledToolError) or (
        isinstance(error, StatusError) and error.status == 404
    ):
        modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        code = INVALID_PARAMS if modern else _NOT_FOUND_BEFORE_2026
    else:
        code = INVALID_PARAMS if isinstance(error, ArgumentsError) else INTERNAL_ERROR
    data = {"code": error.code} | ({} if uri is None else {"uri": uri})
    return MCPError(code, caller.credentials.scrub(str(error)), data)


class Resources:
    """Serves resources."""

    def __init__(
        self, pipeline: Pipeline, callers: Callers, subscriptions: Subscriptions, organization: str | None
    ) -> None:
        self._pipeline = pipeline
        self._callers = callers
        self._subscriptions = subscriptions
        self._resource_list = ResourceList(pipeline, organization)

    def register(self, server: Server[Any], *, watched: bool) -> None:
        """Register resources with `server`, and subscriptions to them if they can be `watched`."""
        server.add_request_handler("resources/list", PaginatedRequestParams, self.list)
        server.add_request_handler("resources/templates/list", PaginatedRequestParams, self.list_templates)
        server.add_request_handler("resources/read", ReadResourceRequestParams, self.read)
        if watched:
            server.add_request_handler("resources/subscribe", SubscribeRequestParams, self.subscribe)
            server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self.unsubscribe)
            server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self.listen)

    async def list_templates(self, context: Context, _params: PaginatedRequestParams) -> ListResourceTemplatesResult:
        """Handle resources/templates/list."""
        return ListResourceTemplatesResult(resource_templates=list_templates(self._callers.identify(context).policy))

    async def read(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Handle resources/read."""
        caller = self._callers.identify(context)
        if view := read_view(params.uri, caller.policy):
            return view
        try:
            address = read_address(params.uri)
            if address.resource.document:
                text, mime_type = await self._pipeline.read_document(
                    address.resource.tool.name, address.arguments, context, caller
                )
                return ReadResourceResult(
                    contents=[TextResourceContents(uri=params.uri, mime_type=mime_type, text=text)]
                )
            # The report is read whole, because it is a document that clients keep; lists have pages.
            budget = UNLIMITED if isinstance(address.resource.tool, Composite) else None
            result = await self._pipeline.read(address.resource.tool.name, address.arguments, context, caller, budget)
        except CallError as error:
            raise create_protocol_error(error, params.uri, context, caller) from None
        text = render_text(result.structured_content or {})
        return ReadResourceResult(contents=[TextResourceContents(uri=params.uri, mime_type=MIME_TYPE, text=text)])

    async def list(self, context: Context, params: PaginatedRequestParams) -> ListResourcesResult:
        """Handle resources/list. Without a token the list is empty, because clients list without being asked."""
        caller = self._callers.identify(context)
        try:
            if caller.policy.may_read(INVENTORY.tool.name):
                return await self._resource_list.list(params.cursor, context, caller)
        except (CredentialError, DisabledToolError) as error:
            logger.info("Resources are not listed: %s", error.code)
        except CallError as error:
            raise create_protocol_error(error, None, context, caller) from None
        return ListResourcesResult(resources=[])

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Handle resources/subscribe."""
        caller = self._callers.identify(context)
        try:
            self._subscriptions.subscribe(context, caller, _find_address(params.uri, caller))
        except CallError as error:
            raise create_protocol_error(error, params.uri, context, caller) from None
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """Handle resources/unsubscribe."""
        self._subscriptions.unsubscribe(context, self._callers.identify(context), params.uri)
        return EmptyResult()

    async def listen(self, context: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Handle subscriptions/listen. The acknowledgement leaves out resources that cannot be watched."""
        caller = self._callers.identify(context)
        addresses = []
        for uri in (params.notifications.resource_subscriptions or ())[:MAX_WATCHED]:
            with contextlib.suppress(CallError):
                addresses.append(_find_address(uri, caller))
        return await self._subscriptions.listen(context, caller, params, addresses)


def _find_address(uri: str, caller: Caller) -> Address:
    address = read_address(uri)
    caller.policy.admit_read(address.resource.tool.name)
    return address
