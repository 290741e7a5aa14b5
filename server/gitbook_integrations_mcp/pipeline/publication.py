"""Keeps what was published through this server, so that an earlier version can be published again."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import from_json

from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.masking import find_secrets
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.store.store import Store

logger = logging.getLogger(__name__)

PUBLISHING = "publish_integration"


async def keep_publication(
    store: Store, call: EndpointCall, response: GitBookResponse | None, change: str | None = None
) -> None:
    """Keep script and manifest if `call` published an integration and GitBook accepted it.

    `change` is the ID of the change.

    GitBook has already published it, so a failure of the store is only logged.
    """
    if call.tool.name != PUBLISHING or response is None or not 200 <= response.status < 300:
        return
    from gitbook_integrations_mcp.store.versions import Version

    body = call.request.body or {}
    script = str(body.get("script", ""))
    secret = {name: value for name, value in body.items() if _is_secret(name, value, call.arguments)}
    manifest = {name: value for name, value in body.items() if name not in secret and name != "script"}
    published = _read(response)
    owner, number = get_path(published, "owner.id"), published.get("version")
    whole = isinstance(number, int) or (isinstance(number, float) and number.is_integer())
    version = Version(
        time=store.database.clock(),
        integration=call.arguments["integrationName"],
        organization=owner if isinstance(owner, str) else call.arguments["organization"],
        version=str(int(number)) if number is not None and whole else None,
        digest=digest_json([script, manifest]),
        manifest=manifest,
        script=script,
        size=len(script),
        change=change,
        owner=call.caller.owner,
        principal=call.caller.user,
    )
    try:
        sealed = await store.sealer.seal(secret, version.id) if secret else None
        omitted = tuple(secret) if sealed is None else ()
        await store.versions.add(replace(version, sealed=sealed, omitted=omitted))
    except StoreError as error:
        logger.warning("An integration was published, but its version was not kept: the store %s", error.reason)


def _is_secret(name: str, value: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether a field is encrypted: it has credentials, or was restored from values that the model was not shown."""
    if name in {"script", "configurations"}:  # the latter describes settings and contains none
        return False
    restored = name in arguments and arguments[name] != value
    return name == "secrets" or restored or any(find_secrets({name: value}))


def _read(response: GitBookResponse) -> Mapping[str, Any]:
    try:
        content = from_json(response.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
