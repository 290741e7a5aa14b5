"""Resources: what can be attached to a conversation, read through the same pipeline as the tools."""

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
from gitbook_integrations_mcp.features.subscriptions import WATCHED, Subscriptions
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline

logger = logging.getLogger(__name__)

_NOT_FOUND_BEFORE_2026 = -32002

Context = ServerRequestContext[Any, Any]


def list_templates(policy: Policy) -> list[ResourceTemplate]:
    """Return the templates of the resources on offer: those whose tools are."""
    return [
        ResourceTemplate(
            name=resource.name,
            title=resource.title,
            description=resource.description,
            uri_template=resource.uri_template,
            mime_type=MIME_TYPE,
        )
        for resource in RESOURCES.values()
        if policy.may_read(resource.tool.name)
    ]


def explain(error: CallError, uri: str | None, context: Context, caller: Caller) -> MCPError:
    """Return the protocol's error for what cannot be had. The code for what is not there differs between the eras."""
    if isinstance(error, UnknownResourceError | DisabledToolError) or (
        isinstance(error, StatusError) and error.status == 404
    ):
        modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        code = INVALID_PARAMS if modern else _NOT_FOUND_BEFORE_2026
    else:
        code = INVALID_PARAMS if isinstance(error, ArgumentsError) else INTERNAL_ERROR
    return MCPError(code, caller.credentials.scrub(str(error)), None if uri is None else {"uri": uri})


class Resources:
    """Serves resources."""

    def __init__(
        self, pipeline: Pipeline, callers: Callers, subscriptions: Subscriptions, organization: str | None
    ) -> None:
        self._pipeline = pipeline
        self._callers = callers
        self._subscriptions = subscriptions
        self._directory = ResourceList(pipeline, organization)

    def register(self, server: Server[Any], *, watched: bool) -> None:
        """Have `server` offer resources, and to tell of their changes where they may be `watched`."""
        server.add_request_handler("resources/list", PaginatedRequestParams, self.list)
        server.add_request_handler("resources/templates/list", PaginatedRequestParams, self.list_templates)
        server.add_request_handler("resources/read", ReadResourceRequestParams, self.read)
        if watched:
            server.add_request_handler("resources/subscribe", SubscribeRequestParams, self.subscribe)
            server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self.unsubscribe)
            server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self.listen)

    async def list_templates(self, context: Context, _params: PaginatedRequestParams) -> ListResourceTemplatesResult:
        """Answer resources/templates/list."""
        return ListResourceTemplatesResult(resource_templates=list_templates(self._callers.identify(context).policy))

    async def read(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Answer resources/read."""
        caller = self._callers.identify(context)
        if view := read_view(params.uri, caller.policy):
            return view
        try:
            address = read_address(params.uri)
            result = await self._pipeline.read(address.resource.tool.name, address.arguments, context, caller)
        except CallError as error:
            raise explain(error, params.uri, context, caller) from None
        text = render_text(result.structured_content or {})
        return ReadResourceResult(contents=[TextResourceContents(uri=params.uri, mime_type=MIME_TYPE, text=text)])

    async def list(self, context: Context, params: PaginatedRequestParams) -> ListResourcesResult:
        """Answer resources/list. Without a token there are none, and no error: clients list unasked."""
        caller = self._callers.identify(context)
        try:
            if caller.policy.may_read(INVENTORY.tool.name):
                return await self._directory.list(params.cursor, context, caller)
        except (CredentialError, DisabledToolError) as error:
            logger.info("no resources are listed: %s", type(error).__name__)
        except CallError as error:
            raise explain(error, None, context, caller) from None
        return ListResourcesResult(resources=[])

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Answer resources/subscribe."""
        caller = self._callers.identify(context)
        try:
            self._subscriptions.subscribe(context, caller, _find(params.uri, caller))
        except CallError as error:
            raise explain(error, params.uri, context, caller) from None
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """Answer resources/unsubscribe."""
        self._subscriptions.unsubscribe(context, self._callers.identify(context), params.uri)
        return EmptyResult()

    async def listen(self, context: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Answer subscriptions/listen. What cannot be watched is left out of what is acknowledged."""
        caller = self._callers.identify(context)
        addresses = []
        for uri in (params.notifications.resource_subscriptions or ())[:WATCHED]:
            with contextlib.suppress(CallError):
                addresses.append(_find(uri, caller))
        return await self._subscriptions.listen(context, caller, params, addresses)


def _find(uri: str, caller: Caller) -> Address:
    address = read_address(uri)
    caller.policy.admit_read(address.resource.tool.name)
    return address
