"""The socket on which HTTP is served."""

import socket


def open_listener(host: str, port: int) -> tuple[socket.socket, str]:
    """Return a socket that listens on `host` and `port` (0 takes a free port), and its address as a URL.

    Raises:
        OSError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # Connections inherit this. Without it, a response in two parts waits 40 ms for a delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = f"[{host}]" if family == socket.AF_INET6 else host
    return listener, f"http://{name}:{listener.getsockname()[1]}"
