"""Parts of an integration's manifest, as `publishIntegration` takes them in its body."""

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, create_model
from pydantic_core import PydanticCustomError

from gitbook_integrations_api.schema import ABSENT, DocumentedModel


def _check_base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", "is not valid Base64 (padded, without line breaks)") from None
    return text


Base64Image = Annotated[
    str, AfterValidator(_check_base64), Field(description="Base64 image", json_schema_extra={"format": "byte"})
]


class ManifestPart(DocumentedModel):
    """A nested object of the manifest. Unknown fields are allowed, as GitBook allows them."""

    model_config = ConfigDict(extra="allow")


def _check_unique(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise PydanticCustomError("unique_items", "must not name a property twice")
    return names


class MarkdownCodeBlock(ManifestPart):
    codeblock: str
    body: str


class Block(ManifestPart):
    id: str
    title: Annotated[str, Field(min_length=2, max_length=40)]
    description: Annotated[str, Field(min_length=0, max_length=150)] = ABSENT
    icon: str = ABSENT
    urlUnfurl: list[str] = ABSENT
    markdown: MarkdownCodeBlock = ABSENT


class ConfigurationComponent(ManifestPart):
    componentId: str


class ContentSource(ManifestPart):
    id: str
    title: Annotated[str, Field(min_length=2, max_length=40)]
    description: Annotated[str, Field(min_length=0, max_length=150)] = ABSENT
    icon: str = ABSENT
    configuration: ConfigurationComponent


class ExternalLink(ManifestPart):
    url: Annotated[str, Field(max_length=2048, json_schema_extra={"format": "uri"})]
    label: str


class Property(ManifestPart):
    title: Annotated[str, Field(min_length=2, max_length=50)] = ABSENT
    description: Annotated[str, Field(max_length=100)] = ABSENT


class StringProperty(Property):
    type: Literal["string"]
    default: str = ABSENT
    completion_url: str = ABSENT
    enum: list[str] = ABSENT


class NumberProperty(Property):
    type: Literal["number"]
    default: float = ABSENT


class BooleanProperty(Property):
    type: Literal["boolean"]
    default: bool = ABSENT


class ButtonProperty(Property):
    type: Literal["button"]
    callback_url: str
    button_text: str


class PropertiesConfiguration(ManifestPart):
    properties: dict[
        str,
        Annotated[StringProperty | NumberProperty | BooleanProperty | ButtonProperty, Field(discriminator="type")],
    ]
    required: Annotated[list[str], AfterValidator(_check_unique), Field(json_schema_extra={"uniqueItems": True})] = (
        ABSENT
    )


def _find_kind(value: Any) -> str:
    """Return which of the two a configuration is meant to be, so that problems are only those of this one.

    GitBook's command line keeps only the component of one that is both.
    """
    names = value if isinstance(value, dict) else {*getattr(value, "model_fields_set", ())}
    return "(component)" if "componentId" in names else "(properties)"


ConfigurationSchema = Annotated[
    Annotated[PropertiesConfiguration, Tag("(properties)")] | Annotated[ConfigurationComponent, Tag("(component)")],
    Discriminator(_find_kind),
]


class Configurations(ManifestPart):
    account: ConfigurationSchema = ABSENT
    space: ConfigurationSchema = ABSENT
    site: ConfigurationSchema = ABSENT


CSP_DIRECTIVES = (
    "base-uri",
    "block-all-mixed-content",
    "child-src",
    "connect-src",
    "default-src",
    "font-src",
    "form-action",
    "frame-ancestors",
    "frame-src",
    "img-src",
    "manifest-src",
    "media-src",
    "navigate-to",
    "object-src",
    "plugin-types",
    "prefetch-src",
    "referrer",
    "report-to",
    "report-uri",
    "require-sri-for",
    "require-trusted-types-for",
    "sandbox",
    "script-src",
    "script-src-attr",
    "script-src-elem",
    "style-src",
    "style-src-attr",
    "style-src-elem",
    "trusted-types",
    "upgrade-insecure-requests",
    "worker-src",
)


class _Directives(ManifestPart):
    __pydantic_extra__: dict[str, str]


_directives: dict[str, Any] = {
    name.replace("-", "_"): (str, Field(default=ABSENT, alias=name)) for name in CSP_DIRECTIVES
}
ContentSecurityPolicy: type[ManifestPart] = create_model("ContentSecurityPolicy", __base__=_Directives, **_directives)
