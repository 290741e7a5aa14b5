"""Bad days of the database: each is a clear error, nothing is lost, and the store works again afterwards."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import ErrorCode, StoreError
from gitbook_integrations_mcp.store import database, migrations
from gitbook_integrations_mcp.store.migrations import migrate
from gitbook_integrations_mcp.store.pending import PendingConfirmation, Preview
from gitbook_integrations_mcp.store.schema import METADATA, REVISION
from gitbook_integrations_mcp.store.store import Store
from tests.support.postgres_server import PostgresServer
from tests.support.process import TIMEOUT
from tests.support.repository import DOCS
from tests.support.stores import find_url, open_store

DATABASES = ("sqlite", "postgres")
PREVIEW = Preview("Uninstall?", "All is lost.", "state")
REVISIONS = sorted(path.name[:4] for path in Path(migrations.__file__).parent.glob("versions/[0-9]*.py"))


async def open_one(store: Store, preview: Preview = PREVIEW) -> PendingConfirmation:
    """Open a confirmation."""
    return await store.confirmations.open("form", "binding", preview)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


# The file


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
async def test_only_its_owner_can_read_the_file(path: Path, url: str) -> None:
    before = os.umask(0)
    try:
        store = open_store(url)
        await open_one(store)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"store.db", "store.db-wal", "store.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    await store.close()


async def test_a_file_that_others_could_read_becomes_private(path: Path, url: str) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    store = open_store(url)
    await open_one(store)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await store.close()


async def test_a_full_disk_is_reported_and_nothing_is_lost(url: str) -> None:
    store = open_store(url)
    put = await open_one(store)
    async with store.database.read() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="has no space left on its disk"):
        await open_one(store, Preview("Uninstall?", "x" * 1_000_000, "state"))
    assert await store.confirmations.get(put.id) == put
    async with store.database.read() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    await open_one(store, Preview("Uninstall?", "x" * 1_000_000, "state"))
    await store.close()


_WRITE = """
import resource, signal, sys, anyio
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.store.pending import Preview
from tests.support.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    put = await store.confirmations.open("form", "binding", Preview("?", "", ""))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        await store.confirmations.open("form", "binding", Preview("?", "x" * 1_000_000, ""))
    except StoreError as error:
        print(error.reason)
    assert await store.confirmations.get(put.id) == put
    assert await store.confirmations.consume(put.id) == put
    await store.close()

anyio.run(main)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_log_that_cannot_grow_is_reported_and_nothing_is_lost(url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _WRITE, url], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() in {"has no space left on its disk", "cannot be read or written"}


_OPEN = """
import os, sys, anyio
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.store.pending import Preview
from tests.support.stores import open_store

async def main(url):
    store = open_store(url)
    try:
        await store.confirmations.open("form", "binding", Preview("?", "", ""))
    except StoreError as error:
        print(error.reason)
    await store.close()

anyio.run(main, sys.argv[1])  # imports everything
if os.geteuid() == 0:  # who may write everything
    os.setgid(65534)
    os.setuid(65534)
anyio.run(main, sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_or_folder_without_rights_is_reported(what: str, url: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's folders are for the user alone
        folder = Path(name)
        path = folder / "store.db"
        if what == "file":
            path.touch(0o444)
            folder.chmod(0o777)
        else:
            folder.chmod(0o555)
        words = [sys.executable, "-c", _OPEN, url, f"sqlite:///{path}"]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=TIMEOUT)
        folder.chmod(0o755)
    assert ended.stdout.strip() == "cannot be opened (Permission denied)", ended.stderr


async def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        await open_one(open_store(f"sqlite:///{tmp_path}/file/store.db"))


async def test_a_locked_file_is_reported_after_a_time(path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_SECONDS", 0.1)
    store = open_store(url)
    put = await open_one(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="is locked by another program"):
            await store.confirmations.consume(put.id)
        assert await store.confirmations.get(put.id) == put
    assert await store.confirmations.consume(put.id) == put
    await store.close()


async def test_a_file_that_is_no_database_is_kept_aside(path: Path, url: str, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all " * 1000)
    store = open_store(url)
    await open_one(store)
    [aside] = path.parent.glob("store.db.damaged-*[0-9]")
    assert aside.read_bytes().startswith(b"no database")
    assert str(aside) in caplog.text
    await store.close()


async def test_a_file_that_is_damaged_later_is_kept_aside_and_its_confirmations_are_void(
    path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(url)
    put = await open_one(store)
    await store.close()  # also moves the log into the file
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert await store.confirmations.consume(put.id) is None
    await open_one(store)
    assert len(list(path.parent.glob("store.db.damaged-*[0-9]"))) == 1
    assert "Open confirmations are void" in caplog.text
    await store.close()


async def test_a_file_that_is_damaged_while_it_is_open_is_an_error_once(path: Path, url: str) -> None:
    store = open_store(url)
    put = await open_one(store)
    async with store.database.write() as connection:
        await connection.exec_driver_sql("PRAGMA cache_size = 0")
    async with store.database._transact() as connection:
        await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        await connection.exec_driver_sql("PRAGMA shrink_memory")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreError, match="is damaged"):
        await store.confirmations.consume(put.id)
    assert await store.confirmations.consume(put.id) is None
    await open_one(store)
    assert len(list(path.parent.glob("store.db.damaged-*[0-9]"))) == 1
    await store.close()


async def test_a_file_that_is_deleted_is_made_again(path: Path, url: str) -> None:
    store = open_store(url)
    put = await open_one(store)
    for file in path.parent.iterdir():
        file.unlink()
    assert await store.confirmations.consume(put.id) is None
    await open_one(store)
    await store.close()


async def test_without_a_home_the_store_cannot_be_opened_or_has_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITBOOK_MCP_STORE__URL", "XDG_STATE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/dev/null")
    with pytest.raises(StoreError, match="cannot be opened"):
        await open_one(Store(load_settings()))


# Both databases


@pytest.fixture(params=DATABASES)
def shared(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind."""
    return find_url(request, request.param)


def find_differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


@pytest.mark.parametrize("earlier", [None, *REVISIONS])
async def test_migrations_lead_from_every_earlier_schema_to_the_declared_tables(
    shared: str, earlier: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if earlier is not None:
        store = open_store(shared)
        monkeypatch.setattr(database, "_migrate", lambda connection, **_: migrate(connection, earlier))
        async with store.database.write():
            pass
        await store.close()
        monkeypatch.undo()
    store = open_store(shared)
    async with store.database.write() as connection:
        assert await connection.run_sync(find_differences) == []
        assert (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar() == REVISION
    await store.close()


async def test_a_newer_schema_is_left_alone(shared: str) -> None:
    store = open_store(shared)
    async with store.database.write() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    await store.close()
    with pytest.raises(StoreError) as caught:
        await open_one(store)
    assert caught.value.code == ErrorCode.STORE_TOO_NEW
    await store.close()


@pytest.mark.parametrize("kind", ["memory", *DATABASES])
async def test_a_transaction_that_fails_changes_nothing_and_the_next_one_works(
    request: pytest.FixtureRequest, kind: str
) -> None:
    store = open_store(find_url(request, kind))
    put = await open_one(store)

    async def fail() -> None:
        async with store.database.write() as connection:
            await connection.exec_driver_sql("DELETE FROM confirmations")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await store.confirmations.consume(put.id) == put
    async with store.database.write() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM confirmations")).scalar() == 0
    await store.close()


_MIGRATE = """
import sys, anyio
from gitbook_integrations_mcp.store.pending import Preview
from tests.support.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    store.database
    print("ready", flush=True)
    sys.stdin.readline()
    await store.confirmations.open("form", "binding", Preview("?", "", ""))
    await store.close()

anyio.run(main)
"""


@pytest.mark.slow
def test_programs_that_migrate_at_once_all_work(shared: str) -> None:
    words = [sys.executable, "-c", _MIGRATE, shared]
    pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    programs: list[subprocess.Popen[str]] = [subprocess.Popen(words, text=True, **pipes) for _ in range(4)]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    ended = [(program.communicate(timeout=TIMEOUT)[1], program.returncode) for program in programs]
    assert ended == [("", 0)] * 4

    async def count() -> Any:
        store = open_store(shared)
        async with store.database.read() as connection:
            rows = (await connection.exec_driver_sql("SELECT count(*) FROM confirmations")).scalar()
        await store.close()
        return rows

    assert anyio.run(count) == 4


_USE = """
import os, signal, sys, anyio
from tests.support.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    assert await store.confirmations.consume(sys.argv[2])
    os.kill(os.getpid(), signal.SIGKILL)  # the call would be sent now

anyio.run(main)
"""


@pytest.mark.slow
async def test_a_confirmation_stays_used_if_the_program_is_killed_right_afterwards(shared: str) -> None:
    store = open_store(shared)
    put = await open_one(store)
    words = [sys.executable, "-c", _USE, shared, put.id]
    ended = await anyio.run_process(words, check=False)
    assert ended.returncode == -9, ended.stderr
    assert await store.confirmations.consume(put.id) is None
    await store.close()


# PostgreSQL


async def test_a_user_who_may_only_read_is_reported_with_the_way_out(postgres: PostgresServer) -> None:
    store = open_store(postgres.url)
    put = await open_one(store)
    await store.close()
    postgres.execute("CREATE ROLE reader SUPERUSER LOGIN")
    try:
        postgres.execute("ALTER ROLE reader SET default_transaction_read_only = on")
        store = open_store(postgres.url.replace("postgres@", "reader@"))
        with pytest.raises(StoreError, match=r"read-only: .*replica.*primary.*default_transaction_read_only"):
            await store.confirmations.consume(put.id)
        await store.close()
    finally:
        postgres.execute("DROP ROLE reader")


async def test_a_statement_that_waits_for_a_lock_times_out(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database._POSTGRESQL_OPTIONS, "options", "-c lock_timeout=100")
    store = open_store(postgres.url)
    put = await open_one(store)
    other = open_store(postgres.url)
    async with other.database.write() as connection:
        await connection.exec_driver_sql("LOCK TABLE confirmations IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreError, match="is locked by another program"):
            await store.confirmations.consume(put.id)
    assert await store.confirmations.consume(put.id) == put
    await store.close()
    await other.close()


async def test_a_database_that_does_not_exist_is_reported(postgres: PostgresServer) -> None:
    with pytest.raises(StoreError, match="cannot be reached"):
        await open_one(open_store(f"{postgres.url}-of-nobody"))


async def test_no_error_and_no_log_has_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        await open_one(open_store("postgresql://user:pass-word@127.0.0.1:1/gitbook"))
    assert "pass-word" not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None


async def test_a_process_opens_as_many_connections_as_the_documentation_says_and_closes_them(
    postgres: PostgresServer,
) -> None:
    [most] = re.findall("(\\d+) for transactions", Path(DOCS, "operate/replicas.md").read_text(encoding="utf-8"))
    store, release, done = open_store(postgres.url), anyio.Event(), []

    async def read(number: int) -> None:
        async with store.database.read():
            await release.wait()
            done.append(number)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(read, number)
        await postgres.await_connections(int(most))
        await anyio.sleep(0.5)
        assert postgres.count_connections() == int(most)
        release.set()
    assert len(done) == 20
    await store.close()
    await postgres.await_connections(0)


async def test_close_waits_for_a_transaction_that_runs(postgres: PostgresServer) -> None:
    store, steps = open_store(postgres.url), []

    async def close() -> None:
        await store.close()
        steps.append("closed")

    async with anyio.create_task_group() as group, store.database.read() as connection:
        group.start_soon(close)
        await anyio.sleep(0.2)
        await connection.exec_driver_sql("SELECT 1")
        steps.append("read")
    assert steps == ["read", "closed"]
    await postgres.await_connections(0)


async def test_several_may_close_while_transactions_run(postgres: PostgresServer) -> None:
    store = open_store(postgres.url)

    async def read(seconds: float) -> None:
        async with store.database.read():
            await anyio.sleep(seconds)

    with anyio.fail_after(TIMEOUT):
        await store.database.execute(text("SELECT 1"))
        async with anyio.create_task_group() as group:
            for seconds in (0.2, 0.4, 0.6):
                group.start_soon(read, seconds)
            await anyio.sleep(0.1)
            for _ in range(3):
                group.start_soon(store.close)
        await postgres.await_connections(0)
