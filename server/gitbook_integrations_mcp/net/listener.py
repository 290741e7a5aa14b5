"""The socket on which HTTP is served."""

import errno
import socket

from gitbook_integrations_mcp.config.urls import is_wildcard


def open_listener(host: str, port: int) -> tuple[socket.socket, str]:
    """Return a socket that listens on `host` and `port` (0 takes a free port), and its address as a URL.

    Raises:
        OSError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The address :: stands for all addresses, so it accepts IPv4 too, where the operating system can do that.
    dualstack = is_wildcard(host) and family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    listener = socket.create_server((host, port), family=family, dualstack_ipv6=dualstack)
    # Connections inherit this. Without it, a response in two parts waits 40 ms for a delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener, build_address(host, listener.getsockname()[1])


def describe_failure(error: OSError, port: int, flag: str = "--port") -> str:
    """Return why an address cannot be listened on, and what to do. `flag` sets the port."""
    reason = (error.strerror or "unknown host").partition(" (while ")[0]  # asyncio repeats the address there
    return f"{reason}. {_advise(error, port, flag)}"


def _advise(error: OSError, port: int, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Choose another port with {flag}, or stop the program that uses this one."
    if error.errno in {errno.EACCES, errno.EPERM}:
        needs = "Ports below 1024 need special rights. " if 0 < port < 1024 else ""
        return f"{needs}Choose another port with {flag}."
    return "Choose an address of this machine with --host, for example 127.0.0.1."


def build_address(host: str, port: int) -> str:
    """Return the URL of what listens on `host` and `port`."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
