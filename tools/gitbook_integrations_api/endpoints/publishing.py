"""Publishing an integration and taking it back."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from gitbook_integrations_api.endpoint import NOTHING, OAUTH, USER, Endpoint, Input, Risk, one
from gitbook_integrations_api.inputs import OfIntegration
from gitbook_integrations_api.manifest import (
    Base64Image,
    Block,
    Configurations,
    ContentSecurityPolicy,
    ContentSource,
    ExternalLink,
)
from gitbook_integrations_api.objects import Integration
from gitbook_integrations_api.parameters import INTEGRATION_NAME, Category, Scope, Target
from gitbook_integrations_api.schema import ABSENT

Visibility = Literal["public", "private", "unlisted"]
Policy: Any = ContentSecurityPolicy


class Publication(Input):
    integrationName: Annotated[
        str, Field(pattern=INTEGRATION_NAME, max_length=100, description="A new name, or that of the one to replace")
    ]
    organization: Annotated[str, Field(description="From list_organizations_for_authenticated_user, or a subdomain")]
    title: Annotated[str, Field(min_length=2, max_length=30, description="Name people see")]
    description: Annotated[str, Field(max_length=100, description="One sentence")]
    script: Annotated[str, Field(description="Bundled JavaScript")]
    scopes: Annotated[list[Scope], Field(description="Rights it asks for")]
    runtime: Annotated[Literal["v1", "v2"], Field(description="Version of the runtime")] = "v1"
    summary: Annotated[str, Field(max_length=2048, description="Long description, Markdown")] = ABSENT
    icon: Base64Image = ABSENT
    previewImages: Annotated[list[Base64Image], Field(max_length=3, description="Screenshots")] = ABSENT
    visibility: Annotated[Visibility, Field(description="Who finds it")] = ABSENT
    target: Annotated[Target, Field(description="Where it may be installed; everywhere if left out")] = ABSENT
    categories: Annotated[list[Category], Field(description="Where the marketplace lists it")] = ABSENT
    blocks: Annotated[list[Block], Field(description="Blocks for the editor")] = ABSENT
    contentSources: Annotated[list[ContentSource], Field(description="Sources it computes content from")] = ABSENT
    externalLinks: Annotated[list[ExternalLink], Field(max_length=5, description="Links on its page")] = ABSENT
    configurations: Annotated[Configurations, Field(description="Settings asked for per level")] = ABSENT
    secrets: Annotated[dict[str, str], Field(max_length=20, description="Values only its script reads")] = ABSENT
    contentSecurityPolicy: Annotated[
        str | Annotated[Policy, WithJsonSchema({"type": "object"})],
        Field(description="CSP header of its scripts and blocks, or an object of directives"),
    ] = ABSENT


TOOLS = (
    Endpoint(
        operation="publishIntegration",
        method="POST",
        path="/integrations/{integrationName}",
        title="Publish an integration",
        description="Create an integration, or replace its live version everywhere: send all of it, what is left out "
        "may be lost.",
        risk=Risk.WRITE,
        credentials=USER | OAUTH,
        input=Publication,
        result=one(Integration),
    ),
    Endpoint(
        operation="unpublishIntegration",
        method="DELETE",
        path="/integrations/{integrationName}",
        title="Unpublish an integration",
        description="Delete an integration for good, with every installation of it in every organization. "
        "A human must confirm.",
        risk=Risk.DESTROY,
        credentials=USER | OAUTH,
        input=OfIntegration,
        result=NOTHING,
        success=(205, 204),
        consequence="The integration and every installation of it, in every organization, are deleted with their "
        "configuration and external IDs. This cannot be undone.",
        irreversible=True,
    ),
)
