"""TLS against real servers: which certificates are trusted, and how often they are read."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gitbook_integrations_mcp.gitbook.tls import create_context, skip_default_certificates
from tests.support.certificates import create_certificate


@asynccontextmanager
async def serve(certificate: ssl.SSLContext) -> AsyncIterator[int]:
    """Yield the port of a TLS server on loopback that closes every connection."""

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=certificate)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def connect(port: int, context: ssl.SSLContext) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.close()


def count_certificates(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509"]


async def test_an_authority_that_the_environment_names_is_trusted_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = create_certificate(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    context = create_context()
    (tmp_path / "server.pem").unlink()
    async with serve(certificate) as port:
        await asyncio.gather(*(connect(port, context) for _ in range(4)))


async def test_a_trusted_certificate_of_another_host_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = create_certificate(tmp_path / "server.pem", "127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    async with serve(certificate) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
            await connect(port, create_context())


async def test_an_unknown_certificate_is_rejected(tmp_path: Path) -> None:
    async with serve(create_certificate(tmp_path / "server.pem")) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
            await connect(port, create_context())


@pytest.mark.skipif(sys.platform == "win32", reason="OpenSSL searches no paths on Windows")
def test_where_openssl_finds_no_certificates_truststore_searches_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import truststore

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert isinstance(create_context(), truststore.SSLContext)
    (tmp_path / "1a2b3c4d.0").touch()
    if sys.platform == "linux":
        assert type(create_context()) is ssl.SSLContext


async def test_only_contexts_of_the_same_thread_are_without_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_certificate(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    whole = count_certificates(ssl.create_default_context())
    with skip_default_certificates():
        assert count_certificates(ssl.create_default_context()) == 0
        other = await asyncio.to_thread(ssl.create_default_context)
    assert whole == count_certificates(other) == count_certificates(ssl.create_default_context()) == 1


@pytest.mark.slow
def test_a_request_loads_no_command_line_and_reads_certificates_once(tmp_path: Path) -> None:
    program = """
import ssl, sys
from gitbook_integrations_mcp.gitbook.http import open_transport
transport = open_transport("https://gitbook.invalid")
import aiohttp.connector as connector
contexts = (connector._SSL_CONTEXT_VERIFIED, connector._SSL_CONTEXT_UNVERIFIED)
print([name for name in ("rich", "pygments", "click") if name in sys.modules], end=" ")
print([context.cert_store_stats()["x509"] for context in contexts], connector._SSL_CONTEXT_VERIFIED.verify_mode.name)
"""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[] [0, 0] CERT_REQUIRED"
