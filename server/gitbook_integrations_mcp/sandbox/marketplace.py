"""Operations on integrations: the marketplace, and what an organization can install."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call
from gitbook_integrations_mcp.sandbox.objects import show_integration
from gitbook_integrations_mcp.sandbox.paging import list_whole, paginate
from gitbook_integrations_mcp.sandbox.state import Integration


def matches(search: str | None, integration: Integration) -> bool:
    """Whether a search by name finds the integration: its name or title contains the text, in any case."""
    text = (search or "").lower()
    return text in integration.name.lower() or text in integration.manifest["title"].lower()


def _passes(call: Call, integration: Integration) -> bool:
    manifest = integration.manifest
    blocks: list[dict[str, Any]] = manifest.get("blocks", [])
    patterns = [pattern for block in blocks for pattern in block.get("urlUnfurl", [])]
    domain: str | None = call.get("blockDomain")
    return (
        matches(call.get("search"), integration)
        and (call.get("category") is None or call["category"] in manifest.get("categories", []))
        and (call.get("scope") is None or call["scope"] in manifest["scopes"])
        and call.get("target") in {None, integration.target}
        and call.get("owner") in {None, integration.owner}
        and call.get("blocks") in {None, bool(blocks)}
        and call.get("contentSources") in {None, bool(manifest.get("contentSources"))}
        and (domain is None or any(_get_domain(pattern) == domain.lower() for pattern in patterns))
    )


def _get_domain(pattern: str) -> str:
    return pattern.rpartition("://")[2].partition("/")[0].removeprefix("*.").lower()


def _list(call: Call, offered: Callable[[Integration], bool]) -> ApiResponse:
    found = [each for each in call.state.integrations.values() if offered(each) and _passes(call, each)]
    return paginate(call, found, partial(show_integration, call.state))


def _is_listed(integration: Integration) -> bool:
    return integration.visibility == "public" and not integration.delisted


def list_integrations(call: Call) -> ApiResponse:
    return _list(call, _is_listed)


def list_organization_integrations(call: Call) -> ApiResponse:
    """List public integrations, the organization's own, and those that it has installed."""
    organization = call.find_organization()
    trusted = {each.integration for each in call.state.get_installations(organization=organization.id)}
    return _list(
        call,
        lambda integration: (
            _is_listed(integration) or integration.owner == organization.id or integration.name in trusted
        ),
    )


def get_integration_by_name(call: Call) -> ApiResponse:
    return call.respond(show_integration(call.state, call.find_integration()))


def list_enabled(call: Call, integrations: Iterable[Integration]) -> ApiResponse:
    """Return the integrations enabled on a space or a site that match the search."""
    found = [each for each in integrations if matches(call.get("search"), each)]
    return list_whole(call, found, partial(show_integration, call.state))
