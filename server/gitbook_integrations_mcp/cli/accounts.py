"""The command `accounts`: shows and removes the GitBook accounts that callers over HTTP linked."""

from argparse import Namespace

import anyio

from gitbook_integrations_mcp.auth.principal import describe_principal
from gitbook_integrations_mcp.cli.console import print_json, print_table
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import UsageError
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text
from gitbook_integrations_mcp.times import write_time

_SHORTEST_ID = 4
"""Fewer characters of an ID are probably a typing error, also if only one account has them."""


def run(settings: Settings, arguments: Namespace) -> int:
    """Run `accounts list` or `accounts remove`.

    Raises:
        StoreError: the store cannot be used.
        UsageError: no account has the ID.
    """

    async def act() -> int:
        store = Store(settings)
        try:
            return await (_remove(store, arguments) if arguments.action == "remove" else _list(store, arguments))
        finally:
            await store.close()

    return anyio.run(act)


async def _list(store: Store, arguments: Namespace) -> int:
    rows = []
    for one in await store.accounts.list():
        user, client = describe_principal(one.principal)
        rows.append(
            {
                "id": one.id[:12],
                "caller": clean_text(user, 100),
                "client": clean_text(client, 100),
                "gitbook user": clean_text(one.login.name or one.login.user or "unknown", 100),
                "scopes": ", ".join(sorted(one.login.scopes)),
                "linked": write_time(one.time),
            }
        )
    if arguments.json:
        print_json({"accounts": rows})
    elif rows:
        print_table(rows)
    else:
        print("No caller has linked a GitBook account.")
    return SUCCESS


async def _remove(store: Store, arguments: Namespace) -> int:
    from gitbook_integrations_mcp.gitbook.login import revoke

    found = [one for one in await store.accounts.list() if one.id.startswith(arguments.account)]
    if len(found) != 1 or len(arguments.account) < _SHORTEST_ID:
        raise UsageError(f"No account has the ID {arguments.account}. `accounts list` shows all.")
    removed = await store.accounts.remove(found[0].id)
    is_revoked = removed is not None and removed[1] is not None and await revoke(removed[0], removed[1])
    if arguments.json:
        print_json({"removed": found[0].id[:12], "revoked": is_revoked})
    else:
        end = "GitBook revoked its tokens." if is_revoked else "GitBook did not revoke its tokens."
        print(f"Removed. {end}")
    return SUCCESS
