"""An address that cannot be listened on is an error whose advice fits the cause."""

import errno
import os
import socket

import pytest

from gitbook_integrations_mcp.net.listener import describe_failure, open_listener


def _build_error(number: int) -> OSError:
    # As `socket.create_server` writes it.
    return OSError(number, f"{os.strerror(number)} (while attempting to bind on address ('127.0.0.1', 80))")


@pytest.mark.parametrize(
    ("error", "port", "advice", "others"),
    [
        (_build_error(errno.EADDRINUSE), 8000, "stop the program", "--host"),
        (_build_error(errno.EACCES), 80, "below 1024", "--host"),
        (_build_error(errno.EACCES), 8000, "--port", "below 1024"),  # ports that Windows reserves
        (_build_error(errno.EADDRNOTAVAIL), 8000, "--host", "--port"),
        (_build_error(errno.EAFNOSUPPORT), 8000, "--host", "--port"),
    ],
)
def test_the_advice_fits_the_cause(error: OSError, port: int, advice: str, others: str) -> None:
    described = describe_failure(error, port)
    assert os.strerror(error.errno or 0) in described
    assert advice in described
    assert others not in described
    assert "while attempting" not in described


@pytest.mark.parametrize("host", ["203.0.113.5", "host.invalid"])
def test_an_address_of_another_machine_gets_other_advice_than_a_port_in_use(host: str) -> None:
    with pytest.raises(OSError, match="bind") as caught:
        open_listener(host, 0)
    assert "--host" in describe_failure(caught.value, 0)


def test_a_port_in_use_is_reported_with_the_flag_of_the_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="bind") as caught:
            open_listener("127.0.0.1", port)
    assert "--redirect-port" in describe_failure(caught.value, port, "--redirect-port")
