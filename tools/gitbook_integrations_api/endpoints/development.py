"""What a developer needs while an integration is being built and watched: development mode, events, tasks, UI."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from gitbook_integrations_api.endpoint import (
    INSTALLATION,
    INTEGRATION,
    NOTHING,
    OAUTH,
    USER,
    Endpoint,
    Risk,
    Undo,
    one,
    paged,
)
from gitbook_integrations_api.inputs import OfIntegration, Paged
from gitbook_integrations_api.objects import Event, RenderOutput, TracedEvent
from gitbook_integrations_api.parameters import EventId
from gitbook_integrations_api.schema import ABSENT


def _check_tunnel(url: str) -> str:
    try:
        parts = urlsplit(url)
        # urlsplit drops line breaks and leading spaces, which would then be sent all the same.
        absolute = parts.scheme in {"http", "https"} and bool(parts.hostname) and not re.search(r"[\s\x00-\x1f]", url)
        _ = parts.port
    except ValueError:
        absolute = False
    if not absolute:
        raise PydanticCustomError("tunnel_url", "must be an absolute http or https URL")
    return url


class OfEvent(OfIntegration):
    eventId: EventId


class PagedOfIntegration(Paged, OfIntegration):
    pass


class DevelopmentMode(OfIntegration):
    tunnelUrl: Annotated[
        str,
        AfterValidator(_check_tunnel),
        Field(min_length=1, max_length=256, description="http(s) URL that receives the integration's events"),
    ]
    all: Annotated[
        bool, Field(description="Also traffic of organizations other than the owner; a human must confirm")
    ] = False


class Task(OfIntegration):
    task: Annotated[dict[str, Any], Field(description="Payload the integration receives")]
    schedule: Annotated[float, Field(ge=0, le=86400, description="Seconds to wait before it runs; default 0")] = ABSENT


class Rendering(OfIntegration):
    componentId: Annotated[str, Field(description="A block's id, or the componentId of a configuration")]
    props: Annotated[dict[str, Any], Field(description="The component's properties")]
    context: Annotated[
        dict[str, Any],
        Field(
            description="theme (dark|light); type (document|configuration_account|_space|_site|_contentsource) with "
            "its organizationId, spaceId or siteId; editable, for document"
        ),
    ]
    state: Annotated[dict[str, Any], Field(description="state of the previous rendering")] = ABSENT
    action: Annotated[dict[str, Any], Field(description='{"action": name, …}')] = ABSENT


TOOLS = (
    Endpoint(
        operation="setIntegrationDevelopmentMode",
        method="PUT",
        path="/integrations/{integrationName}/dev",
        title="Enable development mode",
        description="Send an integration's events to a tunnel instead of the published script.",
        risk=Risk.WRITE,
        credentials=USER | OAUTH,
        input=DevelopmentMode,
        result=NOTHING,
        success=(204,),
        confirm_if=(("all", True),),
        consequence="The events of every organization that installed the integration, with what they contain, go to "
        "the tunnel instead of the published script, until development mode is disabled.",
        undo=Undo(
            "disable_integration_development_mode", (("integrationName", "arguments.integrationName"),), whole=False
        ),
    ),
    Endpoint(
        operation="disableIntegrationDevelopmentMode",
        method="DELETE",
        path="/integrations/{integrationName}/dev",
        title="Disable development mode",
        description="Go back from the tunnel to the published script. A human must confirm.",
        risk=Risk.DESTROY,
        credentials=USER | OAUTH,
        input=OfIntegration,
        result=NOTHING,
        success=(205,),
        consequence="The integration's events go to the published script again; the developer's tunnel gets none. It "
        "can be enabled again with the tunnel's URL.",
    ),
    Endpoint(
        operation="listIntegrationEvents",
        method="GET",
        path="/integrations/{integrationName}/events",
        title="List events",
        description="List an integration's events with payload and status (success or failed).",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=PagedOfIntegration,
        result=paged(Event),
    ),
    Endpoint(
        operation="getIntegrationEvent",
        method="GET",
        path="/integrations/{integrationName}/events/{eventId}",
        title="Get an event with its trace",
        description="One event with the trace of its logs: why it failed.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=OfEvent,
        result=one(TracedEvent),
    ),
    Endpoint(
        operation="queueIntegrationTask",
        method="POST",
        path="/integrations/{integrationName}/tasks",
        title="Queue a task",
        description="Queue a task that the integration runs later.",
        risk=Risk.WRITE,
        credentials=INTEGRATION,
        input=Task,
        result=NOTHING,
        success=(204,),
    ),
    Endpoint(
        operation="renderIntegrationUIWithPost",
        method="POST",
        path="/integrations/{integrationName}/render",
        title="Render an integration's UI",
        description="Run an integration's component, optionally with an action, and get the ContentKit it renders.",
        risk=Risk.WRITE,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=Rendering,
        result=one(RenderOutput),
    ),
)
