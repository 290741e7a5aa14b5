"""Operations on the installations of spaces and sites. Both levels work alike, so `level` is a parameter."""

from collections.abc import Mapping
from typing import Any

from gitbook_integrations_api.choices import Level
from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call, FailureError
from gitbook_integrations_mcp.sandbox.installations import change, find_if_any
from gitbook_integrations_mcp.sandbox.marketplace import list_enabled
from gitbook_integrations_mcp.sandbox.objects import API, locate, show_script, show_setup
from gitbook_integrations_mcp.sandbox.paging import paginate
from gitbook_integrations_mcp.sandbox.state import Installation, Setup

# On a space, on a site


def list_space_integrations(call: Call) -> ApiResponse:
    space = call.find_space()
    return list_enabled(call, [integration for integration, _ in call.state.get_enabled("space", space.id)])


def list_site_integrations(call: Call) -> ApiResponse:
    site = call.find_site()
    return list_enabled(call, [integration for integration, _ in call.state.get_enabled("site", site.id)])


def list_space_integrations_blocks(call: Call) -> ApiResponse:
    space = call.find_space()
    enabled = [integration for integration, _ in call.state.get_enabled("space", space.id)]
    return call.respond(
        [{"name": each.name, "blocks": each.manifest["blocks"]} for each in enabled if each.manifest.get("blocks")]
    )


def list_site_integration_scripts(call: Call) -> ApiResponse:
    site = call.find_site()
    scripts = [
        show_script(integration, installation, site.id)
        for integration, installation in call.state.get_enabled("site", site.id)
        if "site:script:inject" in integration.manifest["scopes"]
    ]
    return call.respond(scripts + site.orphaned_scripts)


# Of an integration or an installation


def list_everywhere(level: Level, call: Call) -> ApiResponse:
    """List the spaces or sites that an integration is enabled on, in all organizations."""
    integration = call.find_own_integration()
    return _list(level, call, call.state.get_installations(integration=integration.name))


def list_of_installation(level: Level, call: Call) -> ApiResponse:
    return _list(level, call, [call.find_installation()])


def _list(level: Level, call: Call, installations: list[Installation]) -> ApiResponse:
    found = [
        (installation, place_id)
        for installation in installations
        if call.sees(installation)
        for place_id, setup in installation.enabled[level].items()
        if call.get("externalId") in {None, *setup.external_ids}
    ]
    return paginate(call, found, lambda item: _show(level, call, *item))


def get(level: Level, call: Call) -> ApiResponse:
    installation, place_id, _ = _find(level, call)
    return call.respond(_show(level, call, installation, place_id))


def install(level: Level, call: Call) -> ApiResponse:
    installation = call.find_installation()
    integration = call.state.integrations[installation.integration]
    place = call.find_place(level, call["space" if level == "space" else "siteId"], installation)
    if not integration.fits(level):
        raise FailureError(400, f"The integration cannot be installed on a {level}; its target is {integration.target}")
    if place.id in installation.enabled[level]:
        raise FailureError(409, f"The integration is already installed on the {level}")
    setup = Setup(status=integration.compute_status(level, {}))
    installation.enabled[level][place.id] = setup
    _record(level, call, installation, place.id, "setup", {"status": setup.status})
    location = API + locate(installation, level, place.id)
    return call.respond(_show(level, call, installation, place.id), location)


def update(level: Level, call: Call) -> ApiResponse:
    installation, place_id, setup = _find(level, call)
    before = {"status": setup.status, "configuration": setup.configuration}
    change(setup, call.arguments)
    if setup.status == "pending":
        setup.status = call.state.integrations[installation.integration].compute_status(level, setup.configuration)
    _record(level, call, installation, place_id, "setup", {"status": setup.status, "previous": before})
    return call.respond(_show(level, call, installation, place_id))


def uninstall(level: Level, call: Call) -> ApiResponse:
    """Disable an installation on one space or site; if it was enabled on all, the others become a selection."""
    installation = find_if_any(call)
    place_id = call[f"{level}Id"]
    if installation is None or place_id not in installation.enabled[level]:
        return ApiResponse(204)
    setup = installation.enabled[level].pop(place_id)
    installation.selection[level] = "selected"
    news = {"previous": {"configuration": setup.configuration}}
    _record(level, call, installation, place_id, "deleted", news)
    return call.respond()


def _find(level: Level, call: Call) -> tuple[Installation, str, Setup]:
    installation = call.find_installation()
    place = call.find_place(level, call[f"{level}Id"], installation)
    setup = installation.enabled[level].get(place.id)
    if setup is None:
        raise FailureError(404, f"The integration is not installed on the {level}")
    return installation, place.id, setup


def _show(level: Level, call: Call, installation: Installation, place_id: str) -> dict[str, Any]:
    return show_setup(call.state, level, installation, place_id, extended=call.get("extended") is True)


def _record(
    level: Level, call: Call, installation: Installation, place_id: str, what: str, news: Mapping[str, Any]
) -> None:
    kind = f"{level}_installation_{what}"
    content = {f"{level}Id": place_id, **news}
    call.state.record(installation.integration, installation.id, kind, call.now, content)
    installation.updated_at = call.now
