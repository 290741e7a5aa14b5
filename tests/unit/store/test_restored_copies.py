"""Copies of the database that are restored, and a standby that takes over: no used approval is valid again.

The process that uses it again is always another than the one that used it, since each also remembers what it used.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gitbook_integrations_mcp.store.pending import PendingConfirmation, Preview
from gitbook_integrations_mcp.store.store import Store
from tests.support.postgres_server import NAME, PostgresServer, find_free_port, start_postgres
from tests.support.stores import open_store

pytestmark = pytest.mark.slow


async def open_approved(store: Store) -> PendingConfirmation:
    """Return a confirmation that the human has approved."""
    opened = await store.confirmations.open("browser", "binding", Preview("Uninstall?", "All is lost.", "state"))
    assert await store.confirmations.decide(opened.id, "approved")
    return opened


async def assert_void(store: Store, approved: PendingConfirmation) -> None:
    """Check that the copy has the confirmation, and that nobody can use it."""
    async with store.database.read() as connection:
        count = (await connection.exec_driver_sql("SELECT count(*) FROM confirmations")).scalar()
    assert count == 1
    assert await store.confirmations.get(approved.id) is None
    assert await store.confirmations.consume(approved.id) is None
    assert await store.confirmations.consume_decided("binding") is None
    await store.close()


def move_over(copy: Path, path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    copy.replace(path)


def copy_into(copy: Path, path: Path) -> None:
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)


@pytest.mark.parametrize("restore", [move_over, copy_into])
@pytest.mark.parametrize("running", [True, False])
async def test_a_restored_file_revives_no_approval(
    restore: Callable[[Path, Path], None], running: bool, tmp_path: Path
) -> None:
    path, copy = tmp_path / "store.db", tmp_path / "copy.db"
    url = f"sqlite:///{path}"
    first, second = open_store(url), open_store(url)
    approved = await open_approved(first)
    assert await second.confirmations.get(approved.id) is not None
    copy_into(path, copy)
    assert await first.confirmations.consume(approved.id) is not None
    if not running:
        await first.close()
        await second.close()
        second = open_store(url, run="the next run")
    restore(copy, path)
    await assert_void(second, approved)
    await first.close()


async def test_a_restored_folder_of_postgresql_revives_no_approval(tmp_path: Path) -> None:
    with start_postgres() as server:
        first, second = open_store(server.url), open_store(server.url)
        approved = await open_approved(first)
        assert await second.confirmations.get(approved.id) is not None
        server.stop("immediate")
        copy = server.folder.with_name("copy")
        shutil.copytree(server.folder, copy)
        own(copy, server.folder)
        server.start()
        # The restart makes it void; in the copy, the first start has not been yet.
        again = await open_approved(first)
        server.execute("CHECKPOINT")
        assert await first.confirmations.consume(again.id) is not None
        await first.close()
        server.stop()
        shutil.rmtree(server.folder)
        copy.rename(server.folder)
        server.start()
        await assert_void(second, approved)


async def test_rows_that_pg_restore_writes_again_are_void(postgres: PostgresServer) -> None:
    first, second = open_store(postgres.url), open_store(postgres.url)
    approved = await open_approved(first)
    dump = postgres.folder.with_name("dump")
    postgres.run("pg_dump", "--format=custom", "--data-only", "--table=confirmations", f"--file={dump}", postgres.url)
    assert await first.confirmations.consume(approved.id) is not None
    postgres.run("pg_restore", "--data-only", f"--dbname={postgres.url}", str(dump))
    await assert_void(second, approved)
    await first.close()


async def test_a_standby_that_lagged_and_takes_over_revives_no_approval() -> None:
    with start_postgres() as primary:
        first = open_store(primary.url)
        approved = await open_approved(first)
        standby = PostgresServer(primary.folder.with_name("standby"), find_free_port())
        source = primary.url.replace(f"/{NAME}", "/postgres")
        primary.run("pg_basebackup", "-R", "--checkpoint=fast", "-D", str(standby.folder), "-d", source)
        standby.start()
        try:
            standby.stop()  # what happens now does not reach it
            assert await first.confirmations.consume(approved.id) is not None
            await first.close()
            primary.stop("immediate")
            standby.start("-c wal_retrieve_retry_interval=100")
            standby.execute("SELECT pg_promote()")
            await assert_void(open_store(standby.url), approved)
        finally:
            standby.stop("immediate")


def own(folder: Path, like: Path) -> None:
    """Give a copy to the owner of the original."""
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, like.stat().st_uid, like.stat().st_gid)
