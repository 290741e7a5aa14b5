"""Several worker processes on one socket under uvicorn's supervisor, each with a server of its own."""

import functools
import multiprocessing
import os
import secrets
import signal
import socket
import sys
import threading
from typing import Any

import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.net.http_server import build_options
from gitbook_integrations_mcp.process import FAILURE, configure_logging, reduce_garbage_collection
from gitbook_integrations_mcp.transports.web import create_application

_START_SECONDS = 60
"""Time after which the supervisor replaces a worker that has not started."""


class WorkerConfig(uvicorn.Config):
    """uvicorn's configuration of a worker, which each worker builds again from the settings.

    Workers receive the settings through a pipe, so that no secret is in their environment or on disk. `run` identifies
    this run of the server in the store.
    """

    def __init__(self, settings: Settings, run: str) -> None:
        super().__init__(
            functools.partial(_create_worker, settings, run),
            factory=True,
            workers=settings.http.workers,
            timeout_worker_healthcheck=_START_SECONDS,
            **build_options(settings.http),
        )
        self._settings = settings
        self._run = run

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkerConfig, (self._settings, self._run)


def run_workers(settings: Settings, listener: socket.socket) -> None:
    """Serve with `http.workers` processes until a signal stops them; dead workers are replaced.

    Raises:
        SystemExit: a worker could not start.
    """
    config = WorkerConfig(_share_keys(settings), secrets.token_urlsafe(16))
    supervisor = Multiprocess(config, [listener])
    supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        sys.exit(FAILURE)


def _share_keys(settings: Settings) -> Settings:
    """Return the settings with a random key for all workers, if none is configured."""
    if settings.confirmation.keys:
        return settings
    keys = (SecretStr(secrets.token_hex()),)
    return settings.model_copy(update={"confirmation": settings.confirmation.model_copy(update={"keys": keys})})


def _create_worker(settings: Settings, run: str) -> ASGIApp:
    configure_logging(settings.server.log_level)
    reduce_garbage_collection()
    threading.Thread(target=_follow_supervisor, daemon=True).start()
    return create_application(settings, create_server(settings, run=run))


def _follow_supervisor() -> None:
    """Stop this worker when its supervisor has died."""
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)
