"""The store is asked for what it may contain without opening it again and again, and never misses a row."""

import os
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.store.development_modes import DevelopmentMode
from gitbook_integrations_mcp.store.location import locate_store
from gitbook_integrations_mcp.store.store import Store

TABLE = "development_modes"
MODE = DevelopmentMode(
    id="chg_1",
    time=1.0,
    owner="ann",
    principal="ann",
    organization="o1",
    integration="own",
    tunnel="tunnel.example",
    all=False,
    credentials="digest",
    approval=None,
    ends_at=None,
)


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two programs with the same file."""
    settings = load_settings({"store": {"url": f"sqlite:///{tmp_path / 'store.db'}"}, "server": {"sandbox": True}})
    reader, writer = Store(settings), Store(settings)
    yield reader, writer
    await writer.close()


async def test_an_empty_table_is_asked_once_until_any_program_writes(
    stores: tuple[Store, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = stores
    assert not reader.may_contain(TABLE)
    assert list(tmp_path.iterdir()) == []
    assert await writer.development_modes.list() == []
    await writer.close()
    for file in tmp_path.iterdir():
        os.utime(file, (time.time() - 60,) * 2)
    assert not reader.may_contain(TABLE)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", pytest.fail)
        assert not reader.may_contain(TABLE)
    await writer.development_modes.add(MODE)
    assert reader.may_contain(TABLE)
    await writer.development_modes.remove([MODE.id])
    assert not reader.may_contain(TABLE)


async def test_a_row_written_right_after_the_table_was_empty_is_seen(stores: tuple[Store, Store]) -> None:
    reader, writer = stores
    await writer.development_modes.list()
    for _ in range(50):
        assert not reader.may_contain(TABLE)
        await writer.development_modes.add(MODE)
        assert reader.may_contain(TABLE)
        await writer.development_modes.remove([MODE.id])


async def test_a_file_that_is_a_link_to_itself_fails_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.symlink_to(path)
    store = Store(load_settings({"store": {"url": f"sqlite:///{path}"}}))
    assert store.may_contain(TABLE)
    with pytest.raises(StoreError):
        await store.development_modes.list()


@pytest.mark.skipif(os.name == "nt", reason="the current folder cannot be deleted")
def test_a_store_in_a_folder_that_is_gone_has_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(StoreError, match="current folder does not exist"):
        locate_store(load_settings({"store": {"url": "sqlite:///store.db"}}))


def test_a_store_in_the_home_directory_has_no_place_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(StoreError, match="no home directory"):
        locate_store(load_settings({"store": {"url": "sqlite:///~/store.db"}}))
