"""Tools for developers of integrations: development mode, events, tasks and UI."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from gitbook_integrations_api.checks import Check
from gitbook_integrations_api.endpoint import (
    INSTALLATION,
    INTEGRATION,
    NOTHING,
    OAUTH,
    USER,
    Composite,
    Endpoint,
    Risk,
    Undo,
    UndoStep,
    Widening,
    one,
    paged,
)
from gitbook_integrations_api.inputs import OfIntegration, Paged
from gitbook_integrations_api.objects import Event, RenderOutput, TracedEvent
from gitbook_integrations_api.parameters import EventId, InstallationId, Since, Until
from gitbook_integrations_api.schema import ABSENT

_HOST_AND_PORT = re.compile(r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")

_NUMERIC_HOST = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$")
"""A host that URL parsers read as an IPv4 address, in any notation."""

_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


def _check_tunnel(url: str) -> str:
    """Return a URL that clients, GitBook and a human who approves it read alike."""
    if not re.fullmatch(r"[!-~]*", url) or "\\" in url:
        raise PydanticCustomError(
            "tunnel_url",
            "must be a URL of visible ASCII characters without backslashes; write the host as xn--…, and "
            "percent-encode other characters",
        )
    try:
        parts = urlsplit(url)
        absolute = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        absolute = False
    if not absolute:
        raise PydanticCustomError("tunnel_url", "must be an absolute http or https URL")
    if "@" in parts.netloc:
        raise PydanticCustomError("tunnel_url", "must not contain a user name or password")
    if not _HOST_AND_PORT.fullmatch(parts.netloc):
        raise PydanticCustomError("tunnel_url", "must have a host of letters, digits, dots and hyphens")
    if _NUMERIC_HOST.search(parts.hostname or "") and not _IPV4.fullmatch(parts.hostname or ""):
        raise PydanticCustomError("tunnel_url", "must have an IPv4 address as four decimal numbers, or a host name")
    return url


def check_tunnel_host(host: str) -> str:
    """Return the host of a tunnel's URL in lower case, as a policy compares it."""
    url = _check_tunnel(f"https://{host}")
    if urlsplit(url).hostname != host.lower():
        raise PydanticCustomError("tunnel_host", "must be a host only, without a port and a path")
    return host.lower()


class OfEvent(OfIntegration):
    eventId: EventId


class PagedOfIntegration(Paged, OfIntegration):
    pass


class DevelopmentMode(OfIntegration):
    tunnelUrl: Annotated[
        str,
        AfterValidator(_check_tunnel),
        Check.TUNNEL,
        Field(min_length=1, max_length=256, description="Public http(s) URL that receives the events"),
    ]
    all: Annotated[bool, Field(description="Also send events of organizations other than the owner")] = False


class EventFilter(OfIntegration):
    status: Annotated[Literal["success", "failed"], Field(description="Only events with this status")] = ABSENT
    type: Annotated[str, Field(description="Type of event, for example fetch")] = ABSENT
    since: Since = ABSENT
    until: Until = ABSENT
    installationId: Annotated[InstallationId, Field(description="Only events of this installation")] = ABSENT
    withTraces: Annotated[bool, Field(description="false: do not read logs, group by type only")] = True


class EventGroups(BaseModel):
    """Events in groups, those that failed first."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    events: int
    failed: int
    groups: list[dict[str, Any]]
    developmentMode: dict[str, Any] | None = None
    note: str | None = None


class Task(OfIntegration):
    task: Annotated[dict[str, Any], Field(description="Payload that the integration receives")]
    schedule: Annotated[
        float, Field(ge=0, le=86400, description="Delay in seconds before the task runs; default 0")
    ] = ABSENT


class Rendering(OfIntegration):
    componentId: Annotated[str, Field(description="Block id or configuration componentId from get_integration_by_name")]
    props: Annotated[dict[str, Any], Field(description="Properties of the component")]
    context: Annotated[
        dict[str, Any],
        Field(
            description="Where it is shown. theme: dark or light. type: document, or configuration_account, _space, "
            "_site or _contentsource, with its organizationId, spaceId or siteId. editable: only for document"
        ),
    ]
    state: Annotated[dict[str, Any], Field(description="state from the previous result")] = ABSENT
    action: Annotated[dict[str, Any], Field(description='Action to run first: {"action": name, …}')] = ABSENT


TOOLS = (
    Endpoint(
        operation="setIntegrationDevelopmentMode",
        method="PUT",
        path="/integrations/{integrationName}/dev",
        title="Enable development mode",
        description="Send an integration's events to a tunnel URL instead of the published script, for a limited time.",
        risk=Risk.WRITE,
        credentials=USER | OAUTH,
        scopes=("integration:publish",),
        input=DevelopmentMode,
        policy_action="tunnel",
        result=NOTHING,
        success=(204,),
        always_confirmed=True,
        ended_by="disable_integration_development_mode",
        widens=Widening.EVENTS,
        act="Enable development mode of {integration}",
        consequence="The events of the organizations below, including their content, are sent to the tunnel instead of "
        "the published script. The approval includes the end: this server disables development mode without asking "
        "again after the duration (for), and when it stops.",
        effect="Development mode of {integrationName} is on: its events now go to {tunnelUrl}. While it is on, "
        "get_integration_by_name returns developmentMode.",
        undo=Undo(
            (UndoStep("disable_integration_development_mode", (("integrationName", "arguments.integrationName"),)),),
            lost="An earlier tunnel is not restored. If this server enabled it, list_changes shows its URL.",
        ),
    ),
    Endpoint(
        operation="disableIntegrationDevelopmentMode",
        method="DELETE",
        path="/integrations/{integrationName}/dev",
        title="Disable development mode",
        description="Stop sending events to the tunnel; the published script handles them again.",
        risk=Risk.DESTROY,
        credentials=USER | OAUTH,
        scopes=("integration:publish",),
        input=OfIntegration,
        result=NOTHING,
        success=(205,),
        act="Disable development mode of {integration}",
        consequence="The published script handles the integration's events again. The developer's tunnel receives no "
        "more events. Development mode can be enabled again with the tunnel's URL.",
        effect="Development mode of {integrationName} is off: the published script handles its events.",
        reverted_by="set_integration_development_mode",
    ),
    Composite(
        operation="inspectIntegrationEvents",
        title="Find out why events fail",
        description="Group the events of an integration by type and error: counts, first, last, and a sample with its "
        "logs.",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=EventFilter,
        result=one(EventGroups),
        uses=("list_integration_events", "get_integration_event"),
    ),
    Endpoint(
        operation="listIntegrationEvents",
        method="GET",
        path="/integrations/{integrationName}/events",
        title="List events",
        description="List the events that an integration received, with type, time and status (success or failed).",
        risk=Risk.READ,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=PagedOfIntegration,
        result=paged(Event),
    ),
    Endpoint(
        operation="getIntegrationEvent",
        method="GET",
        path="/integrations/{integrationName}/events/{eventId}",
        title="Get an event and its logs",
        description="Get one event with its payload and the integration's logs, which others wrote. They show why it "
        "failed.",
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
        description="Queue a task that the integration runs later. Requires an integration token.",
        risk=Risk.WRITE,
        credentials=INTEGRATION,
        input=Task,
        result=NOTHING,
        success=(204,),
        effect="The task is queued for {integrationName}.",
        always_confirmed=True,
        act="Queue a task of {integration}",
        consequence="The integration runs the task with all its scopes. Only its code decides what that changes.",
    ),
    Endpoint(
        operation="renderIntegrationUIWithPost",
        method="POST",
        path="/integrations/{integrationName}/render",
        title="Render an integration's UI",
        description="Run a component of an integration and return the ContentKit UI that it renders, which others "
        "wrote. With an action, requires human approval.",
        risk=Risk.WRITE,
        credentials=USER | INTEGRATION | INSTALLATION,
        input=Rendering,
        result=one(RenderOutput),
        confirm_with=("action",),
        act="Run an action of {integration}",
        consequence="The integration runs the action with all its scopes, as if you had clicked it. Only its code "
        "decides what that changes.",
    ),
)
