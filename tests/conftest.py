"""Fixtures that several modules of tests share."""

import gc
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator

from tests.support.browser import open_browser
from tests.support.postgres_server import PostgresServer, start_postgres

E2E = Path(__file__).parent / "e2e"
HTTP = Path(__file__).parent / "integration" / "http"
STDIO = Path(__file__).parent / "integration" / "stdio"
OPENAPI = Path(__file__).parent / "data" / "openapi.json"

# No test of this project is timed, and the first draw of text builds Hypothesis's table of Unicode.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("untimed"), max_examples=10_000)
settings.register_profile("fast", settings.get_profile("untimed"), max_examples=20)
settings.load_profile("untimed")

# Python searches for garbage after every 700 new objects by default, which takes an eighth of the time of the tests.
gc.set_threshold(100_000)

# A shell starts background jobs so that they ignore Ctrl-C, and so would the servers that these tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of each property where slow tests are left out."""
    if "not slow" in config.option.markexpr and not config.getoption("--hypothesis-profile"):
        settings.load_profile("fast")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow: tests through real sockets and pipes, by their folder, and those on PostgreSQL."""
    for item in items:
        if E2E in item.path.parents:
            item.add_marker("e2e")
        elif {HTTP, STDIO}.intersection(item.path.parents) or "postgres" in item.name.partition("[")[2]:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def check_schemas_once() -> Iterator[None]:
    """Check each output schema once, not once for every client: that check took a third of the time of all tests."""
    check, checked = Draft202012Validator.check_schema, set[str]()

    def check_once(schema: Any, *options: Any, **named: Any) -> None:
        if (text := json.dumps(schema, sort_keys=True)) not in checked:
            check(schema, *options, **named)
            checked.add(text)  # only what passed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", check_once)
        yield


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """A real browser."""
    with open_browser() as driver:
        yield driver


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """The facts of GitBook's official OpenAPI; `.ci/openapi.py` renews them."""
    document: dict[str, Any] = json.loads(OPENAPI.read_bytes())
    return document


@pytest.fixture(scope="session", autouse=True)
def keep_user_files_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use no store, saved answers, keyring or login of the user who runs the tests. Processes inherit this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITBOOK_MCP_STORE__URL", "memory")
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL, one for all tests."""
    with start_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> PostgresServer:
    """A real PostgreSQL with nothing in its database."""
    postgres_server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return postgres_server
