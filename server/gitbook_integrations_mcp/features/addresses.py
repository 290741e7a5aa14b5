"""Addresses of resources: the URI of a resource and its arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from mcp.shared.uri_template import UriTemplate

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.options import name_options
from gitbook_integrations_api.resources import RESOURCES, Resource
from gitbook_integrations_mcp.calls.arguments import build_request, check_arguments, split_options
from gitbook_integrations_mcp.errors import UnknownResourceError

MIME_TYPE = "application/json"
"""The MIME type of every resource that is not a document."""

_MAX_LENGTH = 1000
"""Maximum length of a URI in characters. A subscription keeps its URI in memory."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URI of this server: its resource, and the arguments for reading it."""

    uri: str
    resource: Resource
    arguments: Mapping[str, Any]


def read_address(uri: str) -> Address:
    """Return the address that `uri` denotes.

    Raises:
        UnknownResourceError: no resource has this URI.
        ArgumentsError: variables in the path or the query of the URI are invalid.
    """
    path, _, query = uri.partition("?")
    for resource in RESOURCES.values():
        if (variables := _parse(resource).match(path, max_uri_length=_MAX_LENGTH - len(query))) is not None:
            arguments = {**dict(parse_qsl(query, keep_blank_values=True)), **variables, **resource.fixed}
            given, option_values = split_options(arguments, name_options(resource.tool))
            check_arguments(resource.tool, given, option_values)
            if isinstance(resource.tool, Endpoint):
                build_request(resource.tool, given)
            return Address(uri, resource, arguments)
    templates = ", ".join(resource.uri_template for resource in RESOURCES.values())
    raise UnknownResourceError(f"Unknown resource. Valid addresses: {templates}.")


@cache
def _parse(resource: Resource) -> UriTemplate:
    return UriTemplate.parse(resource.path_template)


def write_uri(resource: Resource, arguments: Mapping[str, str]) -> str:
    """Return the URI of `resource` with these arguments."""
    return _parse(resource).expand(arguments)
