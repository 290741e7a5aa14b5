"""TLS to GitBook: which certificates are trusted, read once for all connections of a transport.

truststore reads the certificates again for every new connection, which takes 40 ms of the event loop. On Linux, OpenSSL
finds the operating system's certificates itself, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
"""

import re
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+", re.IGNORECASE)
"""Name of a certificate in a folder, as OpenSSL searches for it."""


def create_context() -> ssl.SSLContext:
    """Return the context of a client. It trusts what the operating system trusts, and always checks the host's name."""
    if sys.platform in {"darwin", "win32"} or not _has_certificates(ssl.get_default_verify_paths()):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificates and the host's name
    context.set_default_verify_paths()
    return context


def _has_certificates(paths: ssl.DefaultVerifyPaths) -> bool:
    """Whether there are certificates at the paths that OpenSSL searches."""
    if paths.cafile:
        return True
    return bool(paths.capath) and any(_HASHED.fullmatch(entry.name) for entry in Path(paths.capath).iterdir())


_skipping = threading.Lock()


@contextmanager
def skip_default_certificates() -> Iterator[None]:
    """Let contexts that this thread creates meanwhile trust no certificate, because nobody uses them.

    aiohttp creates two while it is imported, and reads all certificates for each of them.
    """
    thread = threading.get_ident()

    def set_default_verify_paths(context: ssl.SSLContext) -> None:
        if threading.get_ident() != thread:
            super(ssl.SSLContext, context).set_default_verify_paths()

    with _skipping:
        setattr(ssl.SSLContext, "set_default_verify_paths", set_default_verify_paths)  # noqa: B010
        try:
            yield
        finally:
            delattr(ssl.SSLContext, "set_default_verify_paths")
