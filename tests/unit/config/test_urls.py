"""Tokens and approvals travel without encryption only where nobody on the internet can read them."""

import pytest

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import SettingsError

SETTINGS = (("gitbook", "endpoint"), ("http", "public_url"))
INNER = (
    "localhost:8000",
    "127.0.0.1",
    "[::1]:8000",
    "10.1.2.3",
    "192.168.1.1",
    "172.16.0.1",
    "[fd12:3456::1]",
    "gitbook:8787",
    "gitbook.internal",
    "mcp.ns.svc.cluster.local",
    "mcp.localhost",
)
OUTER = (
    "api.gitbook.com",
    "mcp.example.com:8000",
    "8.8.8.8",
    "134744072",
    "0x8080808",
    "[2606:2800:220:1::1]",
    "[::ffff:8.8.8.8]",
    "internal.example",
    "notlocal.example",
)


@pytest.mark.parametrize(("section", "key"), SETTINGS)
@pytest.mark.parametrize("host", INNER)
def test_http_within_a_network_is_accepted(section: str, key: str, host: str) -> None:
    assert getattr(getattr(load_settings({section: {key: f"http://{host}"}}), section), key) == f"http://{host}"


@pytest.mark.parametrize(("section", "key"), SETTINGS)
@pytest.mark.parametrize("host", OUTER)
def test_http_over_the_internet_is_refused(section: str, key: str, host: str) -> None:
    with pytest.raises(SettingsError, match=rf"{section}\.{key}: must begin with https"):
        load_settings({section: {key: f"http://{host}"}})
    load_settings({section: {key: f"https://{host}"}})


@pytest.mark.parametrize("host", ["gitbook\N{IDEOGRAPHIC FULL STOP}com", "gitbook\N{FULLWIDTH FULL STOP}com"])
def test_a_dot_in_another_script_makes_no_inner_name(host: str) -> None:
    with pytest.raises(SettingsError, match="https"):
        load_settings({"gitbook": {"endpoint": f"http://{host}"}})
