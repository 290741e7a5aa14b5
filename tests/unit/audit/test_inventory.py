"""The inventory keeps the keys of credentials, and no others."""

from typing import Any

import pytest

from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.report import Narrowing
from gitbook_integrations_mcp.audit.inventory import Inventory


def list_credentials(name: str, level: Level, configuration: dict[str, Any]) -> tuple[str, ...]:
    """Return the keys of credentials in the configuration of an integration without a schema, on a space or site."""
    inventory = Inventory("o", Narrowing())
    inventory.add_installation({"installation": {"id": "i"}, "integration": {"name": name}})
    installed = inventory.installations["i"]
    item = {"integration": name, "installation": "i", "configuration": configuration, level: "p"}
    assert installed.add_place(level, item)
    return tuple(installed.secrets.get("p", ()))


@pytest.mark.parametrize(
    ("name", "level", "keys"),
    [
        ("posthog", "site", ()),
        ("posthog", "space", ("projectApiKey",)),
        ("plain", "site", ("projectApiKey",)),
    ],
)
def test_what_results_show_as_public_is_no_credential_in_an_audit(
    name: str, level: Level, keys: tuple[str, ...]
) -> None:
    assert list_credentials(name, level, {"projectApiKey": "phc_0123456789"}) == keys
