"""The functions that run the operations, by the names in the table of endpoints."""

from collections.abc import Callable, Mapping
from functools import partial

from gitbook_integrations_mcp.sandbox import (
    contents,
    development,
    installations,
    marketplace,
    organizations,
    publishing,
)
from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call

Operation = Callable[[Call], ApiResponse]

_PLAIN: tuple[Operation, ...] = (
    organizations.get_authenticated_user,
    organizations.list_organizations_for_authenticated_user,
    organizations.list_spaces_in_organization_by_id,
    organizations.list_sites,
    marketplace.list_integrations,
    marketplace.get_integration_by_name,
    marketplace.list_organization_integrations,
    publishing.publish_integration,
    publishing.unpublish_integration,
    installations.list_organization_installations,
    installations.list_organization_integrations_status,
    installations.get_organization_integration_status,
    installations.list_integration_installations,
    installations.get_integration_installation_by_id,
    installations.install_integration,
    installations.update_integration_installation,
    installations.uninstall_integration,
    installations.create_integration_installation_token,
    contents.list_space_integrations,
    contents.list_space_integrations_blocks,
    contents.list_site_integrations,
    contents.list_site_integration_scripts,
    development.set_integration_development_mode,
    development.disable_integration_development_mode,
    development.list_integration_events,
    development.get_integration_event,
    development.queue_integration_task,
    development.render_integration_ui_with_post,
)

OPERATIONS: Mapping[str, Operation] = {operation.__name__: operation for operation in _PLAIN} | {
    "list_integration_space_installations": partial(contents.list_everywhere, "space"),
    "list_integration_site_installations": partial(contents.list_everywhere, "site"),
    "list_integration_installation_spaces": partial(contents.list_of_installation, "space"),
    "list_integration_installation_sites": partial(contents.list_of_installation, "site"),
    "get_integration_space_installation": partial(contents.get, "space"),
    "get_integration_site_installation": partial(contents.get, "site"),
    "install_integration_on_space": partial(contents.install, "space"),
    "install_integration_on_site": partial(contents.install, "site"),
    "update_integration_space_installation": partial(contents.update, "space"),
    "update_integration_site_installation": partial(contents.update, "site"),
    "uninstall_integration_from_space": partial(contents.uninstall, "space"),
    "uninstall_integration_from_site": partial(contents.uninstall, "site"),
}
