"""Looking at the whole store, exporting it, forgetting an organization."""

import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.store.maintenance import KEPT, describe_store, export_rows, forget_organization
from gitbook_integrations_mcp.store.schema import METADATA, acceptances, changes, development_modes, reports, versions
from gitbook_integrations_mcp.store.store import Store

SEALED = b"\x01sealed-values-of-a-row"


def fill(organization: str, number: int) -> list[tuple[Any, dict[str, Any]]]:
    """Return one row of each table about an organization."""
    row = {"id": f"id-{organization}-{number}", "time": 1_700_000_000.0 + number, "organization": organization}
    call = {"owner": "o", "tool": "t", "operation": "POST /", "arguments": {"a": organization}}
    report = {"user": "u", "narrowing": "n", "complete": True, "size": 2, "report": zlib.compress(b'{"r": 1}')}
    version = {"integration": "i", "digest": "d", "manifest": {}, "script": zlib.compress(b"export default 1")}
    mode = {"owner": "o", "integration": "i", "tunnel": "t.example", "all": False, "credentials": "c"}
    return [
        (development_modes, row | mode),
        (changes, row | call | {"outcome": "done", "sealed": SEALED}),
        (reports, row | report),
        (acceptances, row | {"finding": "f", "reason": f"because of {organization}"}),
        (versions, row | version),
    ]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store on each engine, with 120 rows of one organization and one of another."""
    urls = {"memory": "memory", "sqlite": f"sqlite:///{tmp_path}/store.db"}
    url = urls.get(request.param) or request.getfixturevalue("postgres").url
    store = Store(load_settings({"store": {"url": url}}))
    async with store.database.write() as connection:
        for table, values in [*(row for number in range(120) for row in fill("acme", number)), *fill("other", 500)]:
            await connection.execute(insert(table).values(**values))
    yield store
    await store.close()


async def test_the_description_says_how_much_is_kept_since_when(store: Store) -> None:
    found = await describe_store(store.database)
    assert {(one.table, one.rows, one.oldest, one.newest) for one in found.contents} == {
        (table.name, 121, "2023-11-14T22:13:20Z", "2023-11-14T22:21:40Z") for table in KEPT
    }
    assert (found.bytes is None) == (found.place == "memory")
    assert "postgres@" not in found.place


async def test_an_export_has_every_row_once_and_no_encrypted_value(store: Store) -> None:
    rows = [row async for row in export_rows(store.database)]
    assert len({(row["table"], row["id"]) for row in rows}) == len(rows) == 5 * 121
    assert "sealed" not in json.dumps([list(row) for row in rows])
    [version] = [row for row in rows if row["table"] == "versions" and row["organization"] == "other"]
    assert version["script"] == "export default 1"


async def test_a_forgotten_organization_leaves_nothing_and_others_stay(store: Store) -> None:
    assert await forget_organization(store.database, "acme") == {table.name: 120 for table in KEPT}
    assert {row["organization"] async for row in export_rows(store.database)} == {"other"}
    if (path := store.location.path) is not None:
        await store.close()
        content = b"".join(one.read_bytes() for one in path.parent.iterdir())
        assert b"because of other" in content
        assert b"acme" not in content


async def test_every_table_can_be_looked_at_exported_and_forgotten() -> None:
    """A new table without these columns would be left out of a promise to forget."""
    private = {METADATA.tables[name] for name in ("confirmations", "accounts", "account_links")}
    assert set(KEPT) == set(METADATA.tables.values()) - private
    assert all({"id", "time", "organization"} <= set(table.c.keys()) for table in KEPT)


async def test_a_damaged_store_that_was_moved_aside_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("this is no database, and longer than the header of one " * 20)
    store = Store(load_settings({"store": {"url": f"sqlite:///{tmp_path}/store.db"}}))
    found = await describe_store(store.database)
    assert len(found.damaged) == 1
    assert Path(found.damaged[0]).read_text().startswith("this is no database")
    async with store.database.read() as connection:
        assert (await connection.execute(select(changes))).all() == []
    await store.close()
