"""Settings that depend on each other: accounts of callers need callers, a page, and keys."""

from typing import Any

import pytest

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.config.validation import check_accounts
from gitbook_integrations_mcp.errors import SettingsError
from tests.support.http_server import CALLERS
from tests.support.stores import KEYS

POSTGRES = {"url": "postgresql://db.example/store"}
COMPLETE = {"credentials": "login", "tokens": CALLERS, "public_url": "https://mcp.example"}


@pytest.mark.parametrize(
    ("missing", "sections"),
    [
        ("http.tokens", {"http": {**COMPLETE, "tokens": []}}),
        ("http.public_url", {"http": {**COMPLETE, "public_url": None}}),
        ("https", {"http": {**COMPLETE, "public_url": "http://mcp.internal"}}),
        ("sandbox", {"http": COMPLETE, "server": {"sandbox": True}}),
        ("store.keys", {"http": COMPLETE, "store": POSTGRES}),
    ],
)
def test_accounts_of_callers_need_other_settings(missing: str, sections: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=missing):
        check_accounts(load_settings(sections))


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"http": COMPLETE},
        {"http": {**COMPLETE, "public_url": "http://127.0.0.1:8000"}},
        {"http": COMPLETE, "store": {**POSTGRES, "keys": KEYS}},
        {"http": {**COMPLETE, "tokens": []}, "oauth": {"issuer": "https://id.example"}},
    ],
)
def test_complete_settings_are_accepted(sections: dict[str, Any]) -> None:
    check_accounts(load_settings(sections))
