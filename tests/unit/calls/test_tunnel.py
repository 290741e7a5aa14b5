"""Which hosts are on the internet, in every spelling of an address, without a look-up of names."""

import pytest

from gitbook_integrations_mcp.calls.tunnel import find_private_host
from tests.support.fake_gitbook import ERAS, Era, Upstream, connect, read_code, read_text

PUBLIC = (
    "tunnel.example",
    "tunnel.example.",
    "TUNNEL.Example:8443",
    "my_tunnel.ngrok.app",
    "localhost.example",
    "internal.example.com",
    "1e100.net",
    "0x7f.example",
    "10.0.0.1.example",
    "8.8.8.8",
    "0x8.8.8.8",
    "134744072",
    "172.15.0.1",
    "172.32.0.1",
    "[2606:2800:220:1::1]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::808:808]",
    "[::ffff:0:808:808]",
)
PRIVATE = (
    "localhost",
    "LOCALHOST.",
    "localhost:8787",
    "app.localhost",
    "printer.local",
    "metadata.google.internal",
    "intranet",
    "wiki.corp",
    "nas.home.arpa",
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0X7F.1",
    "017700000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "10.1.2.3",
    "10.66051",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "0xc0.0xa8.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "192.0.2.1",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::8.8.8.8]",
    "[::ffff:0:127.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[ff02::1]",
    "[2001:db8::1]",
)
INVALID = ("256.1.1.1", "1.2.3.4.5", "1.2.3.999", "08.1.1.1", "0x100000000", "a.b.1", "1..1", "[1::2::3]")


@pytest.mark.parametrize("host", PUBLIC)
def test_a_host_on_the_internet_is_accepted(host: str) -> None:
    assert find_private_host(f"https://{host}/hook") is None


@pytest.mark.parametrize("host", PRIVATE)
def test_a_host_that_is_not_on_the_internet_is_refused(host: str) -> None:
    assert "one network" in (problem := find_private_host(f"http://{host}/") or "") or "not on the internet" in problem


@pytest.mark.parametrize("host", [one for one in INVALID if not one.startswith("[")])
def test_what_looks_like_an_address_and_is_none_is_refused(host: str) -> None:
    assert "neither a name nor an IP address" in (find_private_host(f"http://{host}/") or "")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:7f00:1]", "localhost"])
async def test_a_private_tunnel_is_refused_before_a_human_is_asked_or_anything_is_sent(host: str, era: Era) -> None:
    upstream = Upstream()
    arguments = {"integrationName": "acme", "tunnelUrl": f"http://{host}/secret-path", "all": True}
    async with connect(upstream, era) as client:
        result = await client.call_tool("set_integration_development_mode", arguments)
    assert read_code(result) == "tunnel_not_allowed"
    assert "tools.allow_private_tunnels" in read_text(result)
    assert "secret-path" not in read_text(result)
    assert upstream.requests == []


@pytest.mark.parametrize("era", ERAS)
async def test_the_operator_can_allow_private_tunnels(era: Era) -> None:
    upstream = Upstream(status=204, body=b"")
    arguments = {"integrationName": "acme", "tunnelUrl": "http://127.0.0.1:8787"}
    async with connect(upstream, era, tools={"allow_private_tunnels": True}) as client:
        result = await client.call_tool("set_integration_development_mode", arguments)
    assert not result.is_error, read_text(result)
    assert [request.method for request in upstream.requests] == ["PUT"]
