"""The command `store`: shows where the store is and what it keeps, exports it, prunes it, forgets an organization."""

import json
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable

import anyio

from gitbook_integrations_mcp.cli.console import print_json, print_table, read_line, use_utf8
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import StoreError, UsageError
from gitbook_integrations_mcp.process import FAILURE, SUCCESS
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text, format_count


def run(settings: Settings, arguments: Namespace) -> int:
    """Run `store show`, `export`, `prune` or `forget`.

    Raises:
        StoreError: the store cannot be used.
        UsageError: `forget` needs a terminal to ask, or `--yes`.
    """
    actions: dict[str, Callable[[Store, Namespace], Awaitable[int]]] = {
        "show": _show,
        "export": _export,
        "prune": _prune,
        "forget": _forget,
    }

    async def act() -> int:
        store = Store(settings)
        place = store.location
        try:
            return await actions[arguments.action or "show"](store, arguments)
        except StoreError as error:
            raise StoreError(error.reason, error.code, str(place)) from None
        finally:
            await store.close()

    return anyio.run(act)


async def _show(store: Store, arguments: Namespace) -> int:
    from gitbook_integrations_mcp.store.maintenance import describe_store

    found = await describe_store(store.database)
    rows = [
        {"table": one.table, "rows": one.rows, "oldest": one.oldest, "newest": one.newest} for one in found.contents
    ]
    if arguments.json:
        print_json(
            {
                "place": found.place,
                "bytes": found.bytes,
                "revision": found.revision,
                "tables": rows,
                "damaged": list(found.damaged),
            }
        )
        return SUCCESS
    size = "" if found.bytes is None else f", {found.bytes:,} bytes"
    print(f"{found.place}{size}, tables of version {found.revision}\n")
    print_table(rows)
    for file in found.damaged:
        print(f"\nAn earlier store was damaged and is kept as {file}.")
    return SUCCESS


async def _export(store: Store, _arguments: Namespace) -> int:
    from gitbook_integrations_mcp.store.maintenance import export_rows

    use_utf8()
    async for row in export_rows(store.database):
        print(json.dumps(row, ensure_ascii=True))
    return SUCCESS


async def _prune(store: Store, arguments: Namespace) -> int:
    return _report(await store.prune(), arguments)


async def _forget(store: Store, arguments: Namespace) -> int:
    from gitbook_integrations_mcp.store.maintenance import forget_organization

    organization = arguments.organization
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise UsageError("This deletes what the store keeps of an organization. Add --yes to confirm.")
        print(f"Delete everything about {clean_text(organization, 100)} in {store.location}?", file=sys.stderr)
        try:
            typed = await read_line("Type the ID of the organization to confirm: ")
        except EOFError:
            typed = ""
        if typed != organization:
            print("Nothing was deleted.", file=sys.stderr)
            return FAILURE
    deleted = await forget_organization(store.database, organization)
    if not any(deleted.values()) and not arguments.json:
        print(f"The store keeps nothing about {clean_text(organization, 100)}. Check the ID.", file=sys.stderr)
        return FAILURE
    return _report(deleted, arguments)


def _report(deleted: dict[str, int], arguments: Namespace) -> int:
    if arguments.json:
        print_json({"deleted": deleted})
        return SUCCESS
    print_table([{"table": table, "deleted rows": rows} for table, rows in deleted.items()])
    print(f"Deleted {format_count(sum(deleted.values()), 'row')}.")
    return SUCCESS
