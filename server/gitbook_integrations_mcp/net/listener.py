"""A socket to serve HTTP at."""

import socket


def open_listener(host: str, port: int) -> tuple[socket.socket, str]:
    """Return a socket that listens at `host` and `port` (0 takes a free one), and its address as a URL.

    Raises:
        OSError: nothing can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # Connections inherit it. Else an answer in two parts waits for the other side's delayed acknowledgement, 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = f"[{host}]" if family == socket.AF_INET6 else host
    return listener, f"http://{name}:{listener.getsockname()[1]}"
