"""Sealed values: who can open them, where their key is, and what becomes of one that was tampered with."""

import os
import stat
from pathlib import Path
from typing import Any

import anyio
import keyring
import pytest
from keyring.backend import KeyringBackend

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import ErrorCode, StoreError
from gitbook_integrations_mcp.store.sealing import Sealer
from gitbook_integrations_mcp.store.store import Store

VALUE = {"configuration": {"api_key": "xoxb-very-secret", "digest": True}, "externalIds": ["a", "b"]}
FIRST, SECOND = "the first key of the tests, long enough", "the second key of the tests, long enough"
POSTGRES = "postgresql://localhost/gitbook"


def create(url: str, **section: Any) -> Sealer:
    """Return the sealer of a server."""
    return Store(load_settings({"store": {"url": url, **section}})).sealer


async def refuse(sealer: Sealer, sealed: bytes, row: str) -> None:
    """Check that a value cannot be opened."""
    with pytest.raises(StoreError) as caught:
        await sealer.open(sealed, row)
    assert caught.value.code is ErrorCode.STORE_KEY_UNKNOWN


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a store whose folder does not exist yet."""
    return f"sqlite:///{tmp_path}/new/folder/store.db"


async def test_a_sealed_value_is_opened_for_its_row_and_shows_nothing(url: str) -> None:
    sealer = create(url)
    sealed = await sealer.seal(VALUE, "chg_1")
    assert sealed is not None
    assert b"secret" not in sealed
    assert await sealer.open(sealed, "chg_1") == VALUE
    assert await create(url).open(sealed, "chg_1") == VALUE  # after a restart
    assert await sealer.seal(VALUE, "chg_1") != sealed


async def test_a_sealed_value_cannot_be_opened_in_another_row(url: str) -> None:
    sealer = create(url)
    sealed = await sealer.seal(VALUE, "chg_1")
    assert sealed is not None
    for row in ("chg_2", "", "CHG_1"):
        await refuse(sealer, sealed, row)


async def test_a_changed_or_shortened_value_cannot_be_opened(url: str) -> None:
    sealer = create(url)
    sealed = await sealer.seal(VALUE, "chg_1")
    assert sealed is not None
    for number in range(1, len(sealed)):
        await refuse(sealer, sealed[:number] + bytes([sealed[number] ^ 1]) + sealed[number + 1 :], "chg_1")
    for length in (0, 1, 8, 9, 20, 21, 36, len(sealed) - 1):
        await refuse(sealer, sealed[:length], "chg_1")


async def test_the_key_file_is_for_its_owner_alone_and_one_for_all_processes(url: str, tmp_path: Path) -> None:
    sealers = [create(url) for _ in range(5)]
    sealed: dict[int, bytes | None] = {}

    async def seal(number: int) -> None:
        sealed[number] = await sealers[number].seal(VALUE, str(number))

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(seal, number)
    for number, value in sealed.items():
        assert value is not None
        assert await sealers[number - 1].open(value, str(number)) == VALUE
    file = tmp_path / "new" / "folder" / "store.key"
    assert [path.name for path in file.parent.iterdir()] == ["store.key"]
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
async def test_a_key_file_that_others_could_read_becomes_private(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = await create(url).seal(VALUE, "chg_1")
    assert sealed is not None
    file = tmp_path / "new" / "folder" / "store.key"
    file.chmod(0o644)
    assert await create(url).open(sealed, "chg_1") == VALUE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)

    def deny(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", deny)  # as for a file of another user
    assert await create(url).open(sealed, "chg_1") == VALUE


async def test_concurrent_calls_of_a_store_in_memory_use_one_key() -> None:
    sealer = create("memory")
    sealed: dict[str, bytes | None] = {}

    async def seal(row: str) -> None:
        sealed[row] = await sealer.seal(VALUE, row)

    async with anyio.create_task_group() as group:
        for row in "abc":
            group.start_soon(seal, row)
    for row, value in sealed.items():
        assert value is not None
        assert await sealer.open(value, row) == VALUE
        await refuse(create("memory"), value, row)


async def test_earlier_keys_open_and_the_first_one_seals(url: str) -> None:
    sealed = await create(url, keys=[FIRST]).seal(VALUE, "chg_1")
    assert sealed is not None
    rotated = create(url, keys=[SECOND, FIRST])
    assert await rotated.open(sealed, "chg_1") == VALUE
    new = await rotated.seal(VALUE, "chg_1")
    assert new is not None
    await refuse(create(url, keys=[FIRST]), new, "chg_1")
    await refuse(create(url, keys=[SECOND]), sealed, "chg_1")
    await refuse(create(url), sealed, "chg_1")


async def test_postgresql_uses_only_keys_of_the_settings() -> None:
    assert await create(POSTGRES).seal(VALUE, "chg_1") is None
    sealed = await create(POSTGRES, keys=[FIRST]).seal(VALUE, "chg_1")
    assert sealed is not None
    await refuse(create(POSTGRES), sealed, "chg_1")


async def test_without_kept_values_nothing_is_sealed_and_no_key_is_made(url: str, tmp_path: Path) -> None:
    assert await create(url, keep_values=False, keys=[FIRST]).seal(VALUE, "chg_1") is None
    assert await create(url, keep_values=False).seal(VALUE, "chg_1") is None
    assert list(tmp_path.iterdir()) == []


class Ring(KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        """Return a password."""
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password."""
        self.kept[service, username] = password


async def test_a_keyring_keeps_the_key_where_there_is_one(url: str, tmp_path: Path) -> None:
    ring, earlier = Ring(), keyring.get_keyring()
    keyring.set_keyring(ring)
    try:
        sealed = await create(url).seal(VALUE, "chg_1")
        assert sealed is not None
        assert await create(url).open(sealed, "chg_1") == VALUE
    finally:
        keyring.set_keyring(earlier)
    assert [account for _, account in ring.kept] == [f"{tmp_path}/new/folder/store.db"]
    assert list(tmp_path.iterdir()) == []


async def test_a_key_file_that_cannot_be_used_is_an_error(url: str, tmp_path: Path) -> None:
    (tmp_path / "new" / "folder" / "store.key").mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        await create(url).seal(VALUE, "chg_1")
    assert caught.value.code is ErrorCode.STORE_UNAVAILABLE
