"""Publishing and unpublishing integrations."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from gitbook_integrations_api.checks import Check
from gitbook_integrations_api.endpoint import NOTHING, OAUTH, USER, Composite, Endpoint, Input, Risk, Widening, one
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
from gitbook_integrations_api.plans import PlanResult
from gitbook_integrations_api.schema import ABSENT, InWords

Visibility = Literal["public", "private", "unlisted"]
Policy: Any = ContentSecurityPolicy


class Publication(Input):
    integrationName: Annotated[
        str,
        Check.NAME,
        Field(
            pattern=INTEGRATION_NAME,
            max_length=100,
            description="A new name, or the name of the integration to replace",
        ),
    ]
    organization: Annotated[
        str, Field(description="Owner: ID from list_organizations_for_authenticated_user, or its subdomain")
    ]
    title: Annotated[str, Field(min_length=2, max_length=30, description="Displayed name, 2 to 30 characters")]
    description: Annotated[str, Field(max_length=100, description="One sentence, at most 100 characters")]
    script: Annotated[str, Check.SCRIPT, Field(description="Bundled JavaScript code itself, with all modules")]
    scopes: Annotated[
        list[Scope], Check.SCOPES, Field(description="Scopes that it requests; site:script:* are for GitBook only")
    ]
    runtime: Annotated[
        Literal["v1", "v2"], Check.RUNTIME, Field(description="v2: ES modules; v1: older scripts. Default: by script")
    ] = ABSENT
    summary: Annotated[str, Field(max_length=2048, description="Long description in Markdown")] = ABSENT
    icon: Annotated[Base64Image, Check.ICON, Field(description="PNG in Base64")] = ABSENT
    previewImages: Annotated[
        list[Base64Image], Check.PREVIEW_IMAGES, Field(max_length=3, description="At most 3 screenshots")
    ] = ABSENT
    visibility: Annotated[
        Visibility,
        Field(
            description="public: anyone can install it; private: the owner; unlisted: anyone with the link. "
            "None is for chosen organizations"
        ),
    ] = ABSENT
    target: Annotated[Target, Field(description="Where it can be installed; default everywhere")] = ABSENT
    categories: Annotated[list[Category], Field(description="Marketplace categories")] = ABSENT
    blocks: Annotated[list[Block], Check.IDS, Field(description="Blocks that it adds to the editor")] = ABSENT
    contentSources: Annotated[list[ContentSource], Check.IDS, Field(description="Content sources that it provides")] = (
        ABSENT
    )
    externalLinks: Annotated[
        list[ExternalLink], Check.LINKS, Field(max_length=5, description="At most 5 links on its marketplace page")
    ] = ABSENT
    configurations: Annotated[
        Configurations,
        Check.CONFIGURATIONS,
        InWords,
        Field(
            description="Settings that users fill in, by level: account, space, site. A level is {componentId}, or "
            "{properties: {name: {type, title, description}}, required: [names]}. type: string (also default, enum, "
            "completion_url), number or boolean (also default), button (with callback_url, button_text)"
        ),
    ] = ABSENT
    secrets: Annotated[
        dict[str, str],
        Check.SECRETS,
        Field(max_length=20, description="At most 20 values that only the script can read"),
    ] = ABSENT
    contentSecurityPolicy: Annotated[
        str | Annotated[Policy, WithJsonSchema({"type": "object"})],
        Field(description="CSP of its scripts and blocks: a header value, or an object of directives"),
    ] = ABSENT


class VersionOfIntegration(OfIntegration):
    version: Annotated[str, Field(description="version or id from list_integration_versions")]


class VersionList(BaseModel):
    """The versions that the store keeps, newest first."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    items: list[dict[str, Any]]
    live: int | None = None
    note: str | None = None


class FolderInput(Input):
    path: Annotated[str, Field(description="Folder with gitbook-manifest.yaml, or that file")]
    environment: Annotated[str, Field(description="Environment in envs of the manifest")] = ABSENT
    organization: Annotated[str, Field(description="Owner, in place of the manifest's")] = ABSENT
    scriptFile: Annotated[str, Field(description="Bundled file in the folder, in place of the manifest's script")] = (
        ABSENT
    )


class FolderPublication(FolderInput):
    dryRun: Annotated[bool, Field(description="Only show what would be approved")] = ABSENT


class FolderReport(BaseModel):
    """A folder that can be published, or was. It has no content of a file and no value of a secret."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    status: str | None = None
    message: str | None = None
    ok: bool | None = None
    integration: str | None = None
    version: float | None = None
    files: list[dict[str, Any]] | None = None
    problems: list[dict[str, Any]] | None = None


TOOLS = (
    Composite(
        operation="listIntegrationVersions",
        title="List published versions",
        description="List the versions of an integration that were published through this server: when, by whom, size "
        "of the script, and one digest of script and manifest.",
        risk=Risk.READ,
        credentials=USER,
        input=OfIntegration,
        result=one(VersionList),
        uses=("get_integration_by_name",),
    ),
    Composite(
        operation="rollbackIntegration",
        title="Publish an earlier version again",
        description="Publish a version from list_integration_versions again, with its script and secrets.",
        act="Roll back {integration}",
        risk=Risk.DESTROY,
        credentials=USER,
        input=VersionOfIntegration,
        result=one(PlanResult),
        consequence="The earlier version below is published again.",
        uses=("publish_integration", "get_integration_by_name"),
    ),
    Composite(
        operation="checkIntegrationFolder",
        title="Check an integration's folder",
        description="Check manifest, images, secrets and script of an integration on this machine, as for publishing. "
        "Lists every problem with its line.",
        risk=Risk.READ,
        credentials=frozenset(),
        input=FolderInput,
        result=one(FolderReport),
        reads_folder=True,
    ),
    Composite(
        operation="publishIntegrationFolder",
        title="Publish an integration from a folder",
        description="Publish an integration from a folder on this machine. Prefer this to publish_integration: the "
        "server reads manifest, images and script.",
        act="Publish {integration}",
        risk=Risk.WRITE,
        credentials=USER | OAUTH,
        input=FolderPublication,
        result=one(FolderReport),
        always_confirmed=True,
        consequence="The manifest, the images and the script of the folder are published.",
        uses=("publish_integration",),
        reads_folder=True,
    ),
    Endpoint(
        operation="publishIntegration",
        method="POST",
        path="/integrations/{integrationName}",
        title="Publish an integration",
        description="Create an integration, or replace its published version for all organizations. Send the complete "
        "definition: omitted fields may be lost.",
        risk=Risk.WRITE,
        credentials=USER | OAUTH,
        scopes=("integration:publish",),
        input=Publication,
        policy_action="publish",
        result=one(Integration),
        widens=Widening.CODE,
        reverted_by="rollback_integration",
        reverted_if="if list_integration_versions has the earlier version; else publish that from its source",
        act="Publish {integration}",
        consequence="The script runs at once for every organization that installed the integration, with all scopes "
        "below. GitBook returns no scripts, so this server can roll back only to versions published through it.",
    ),
    Endpoint(
        operation="unpublishIntegration",
        method="DELETE",
        path="/integrations/{integrationName}",
        title="Unpublish an integration",
        description="Delete an integration permanently, with all its installations in every organization. To remove it "
        "from one organization, use uninstall_integration.",
        risk=Risk.DESTROY,
        credentials=USER | OAUTH,
        scopes=("integration:delete",),
        input=OfIntegration,
        result=NOTHING,
        success=(205, 204),
        reverted_by="rollback_integration",
        reverted_if="if list_integration_versions has a version; else publish it from its source. Installations are "
        "not restored",
        act="Unpublish {integration}",
        consequence="The integration and all its installations in every organization are deleted, with their "
        "configuration and external IDs. This cannot be undone.",
        effect="{integrationName} no longer exists, nor do its installations.",
        irreversible=True,
    ),
)
