"""The GitBook sandbox served on loopback by a thread, so that a test can change its state and look into it."""

from collections.abc import Iterator
from contextlib import contextmanager

from gitbook_integrations_mcp.sandbox import Sandbox, create_sandbox, serve_in_background


@contextmanager
def serve_in_thread(sandbox: Sandbox | None = None) -> Iterator[tuple[Sandbox, str]]:
    """Yield the sandbox and its address, and serve it meanwhile."""
    sandbox = sandbox or create_sandbox()
    with serve_in_background(sandbox) as address:
        yield sandbox, address
