"""Logging to standard error, whoever reads it."""

import contextlib
import logging
import os
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest

from gitbook_integrations_mcp.process import LossyHandler
from tests.support.process import TIMEOUT


@contextlib.contextmanager
def open_log() -> Iterator[tuple[logging.Logger, int, int]]:
    """Yield a logger that writes to a pipe, and the ends of the pipe."""
    reader, writer = os.pipe()
    logger = logging.Logger("test", logging.DEBUG)  # noqa: LOG001
    logger.addHandler(LossyHandler(writer))
    try:
        yield logger, reader, writer
    finally:
        os.close(writer)
        os.close(reader)


def test_lines_are_written_in_order_before_the_program_goes_on() -> None:
    with open_log() as (logger, reader, _):
        logger.info("first")
        logger.info("second \u00fc")
        assert os.read(reader, 100) == "first\nsecond \u00fc\n".encode()


def test_lines_are_dropped_while_nobody_reads_and_their_number_is_reported() -> None:
    with open_log() as (logger, reader, writer):
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        os.set_blocking(writer, True)
        started = time.monotonic()
        for number in range(1000):
            logger.info("line %d", number)
        assert time.monotonic() - started < 50  # of the time-outs of clients
        text = b""
        deadline = time.monotonic() + TIMEOUT
        while b"line 1001" not in text:
            assert time.monotonic() < deadline
            # The pipe can be empty here: the line before was dropped if its writer was not ready yet.
            if select.select([reader], [], [], 0.01)[0]:
                text += os.read(reader, 1 << 16)
            logger.info("line 1001")
    assert text.strip(b"x").startswith(b"line 0\n(")
    assert b" lines of the log were dropped" in text


def test_a_reader_that_has_gone_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    logger = logging.Logger("test")  # noqa: LOG001
    logger.addHandler(LossyHandler(writer))
    logger.warning("nobody reads this")
    logger.warning("nor this")
    os.close(writer)


@pytest.mark.parametrize("level", ["debug", "warning"])
def test_the_last_line_is_written_before_the_program_ends(level: str) -> None:
    program = (
        "import logging; from gitbook_integrations_mcp.process import configure_logging; "
        f"configure_logging({level!r}); logging.getLogger('x').error('the end')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "ERROR x: the end\n"


@pytest.mark.parametrize("level", ["debug", "warning"])
def test_the_log_has_no_session_id_of_the_sdk(level: str) -> None:
    identifier = uuid.UUID("0af7651916cd43dd8448eb211c80319c")
    code = (
        "import logging, uuid\n"
        "from gitbook_integrations_mcp.process import configure_logging\n"
        f"configure_logging({level!r})\n"
        "log = logging.getLogger('mcp.server.sse')\n"
        f"log.warning('Rejecting message for session %s: credential does not match', uuid.UUID('{identifier}'))\n"
        f"log.warning('Could not find session for ID: {identifier.hex}')\n"
        f"log.debug('Sent endpoint event: /messages/?session_id={identifier.hex}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    assert len(done.stderr.splitlines()) == 2
    assert "Rejecting message for session" in done.stderr
    assert identifier.hex[-8:] not in done.stderr


def test_the_log_quotes_nothing_that_a_client_sent(capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import logging; from pydantic import TypeAdapter\n"
        "from gitbook_integrations_mcp.process import configure_logging\n"
        "configure_logging('warning')\n"
        'try: TypeAdapter(int).validate_json(b\'{"password": "hunter22"\')\n'
        "except ValueError: logging.getLogger('mcp.server.sse').exception('Failed to parse %s', 'message')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('x').exception('Failed')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=TIMEOUT)
    log = capfd.readouterr().err
    assert "hunter22" not in log
    assert log.startswith("ERROR mcp.server.sse: Failed to parse message (ValidationError)\nERROR x: Failed\nTraceback")
