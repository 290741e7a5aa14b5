"""Keeps what was published through this server; the tools `list_integration_versions` and `rollback_integration`.

Neither returns a script. GitBook decides who may see the versions of an integration: its administrators. The caller who
published a version sees it in any case, also after the integration was unpublished.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.masking import find_secrets
from gitbook_integrations_mcp.calls.output import Describe, Output
from gitbook_integrations_mcp.calls.plan import PUBLISHED, Plan, Step
from gitbook_integrations_mcp.calls.response import get_path, read_object
from gitbook_integrations_mcp.confirmation.facts import clean_foreign, name_keys
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import ErrorCode, RefusedError, StoreError
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.gitbook.json_body import read_json
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text
from gitbook_integrations_mcp.times import write_time

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.versions import Version, VersionEntry

logger = logging.getLogger(__name__)

PUBLISHING = "publish_integration"

_NONE_KEPT = (
    "The store keeps no version of {name} that you may see. Only versions that were published through this server are "
    "kept. Publish an earlier one from its source."
)


class VersionError(RefusedError):
    """A version that cannot be published again."""

    code = ErrorCode.UNKNOWN_VERSION


async def keep_version(store: Store, call: EndpointCall, response: GitBookResponse | None, change: str) -> None:
    """Keep script and manifest if `call` published an integration and GitBook accepted it.

    `change` is the ID of the change. GitBook has already published it, so a failure of the store is only logged.
    """
    if call.tool.name != PUBLISHING or response is None or not 200 <= response.status < 300:
        return
    from gitbook_integrations_mcp.store.versions import Version

    body = call.request.body or {}
    script = str(body.get("script", ""))
    secret = {name: value for name, value in body.items() if _is_secret(name, value, call.arguments)}
    published = _read_published(response)
    # GitBook chooses what the manifest leaves out, and would choose otherwise in a rollback.
    manifest = {name: published[name] for name in ("visibility", "target") if isinstance(published.get(name), str)}
    manifest |= {name: value for name, value in body.items() if name not in secret and name != "script"}
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


def _read_published(response: GitBookResponse) -> Mapping[str, Any]:
    try:
        content = read_json(response.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


class PublishedVersions:
    """Lists the versions in `store`, and plans their publication."""

    def __init__(self, store: Store, targets: TargetReader) -> None:
        self._store = store
        self._targets = targets

    async def show(self, call: Call) -> Output:
        """Return the result of `list_integration_versions`.

        Raises:
            StoreError: the store fails.
            CallError: GitBook failed or could not be reached.
        """
        live = await self._targets.read_integration(call)
        found = await self._find_visible(call, live)
        content: dict[str, Any] = {"items": [_describe_entry(one) for one in found]}
        if (number := _read_live(live)) is not None:
            content["live"] = int(number)
        if not found:
            content["note"] = _NONE_KEPT.format(name=call.arguments["integrationName"])
        return Output(content)

    async def plan_rollback(self, call: Call) -> Plan:
        """Return the call that publishes a version again.

        Raises:
            VersionError: the store does not keep exactly one such version.
            StoreError: the store fails, or the kept secrets cannot be decrypted.
            DisabledToolError: the server does not offer publish_integration.
            CallError: GitBook failed or could not be reached.
        """
        call.caller.policy.admit(PUBLISHING)
        call.caller.credentials.select(ENDPOINTS[PUBLISHING])
        name, wanted = call.arguments["integrationName"], call.arguments["version"].strip()
        live = await self._targets.read_integration(call)
        entries = await self._find_visible(call, live)
        if not entries:
            raise VersionError(f"{_NONE_KEPT.format(name=name)} Nothing was sent.")
        matching = [one for one in entries if wanted in {one.id, one.version}]
        if len(matching) != 1:
            only = len(entries) == 1 and entries[0].version == _read_live(live)
            raise VersionError(_describe_mismatch(wanted, matching or entries, several=bool(matching), only=only))
        number = _read_live(live)  # numbers repeat after an integration was unpublished: the newest one counts
        published = next((one for one in entries if one.version == number), None) if number else None
        if matching[0] is published:
            return Plan((), unchanged=f"Version {number} is the published one, so there is nothing to do.")
        version = await self._store.versions.get(matching[0].id)
        if version is None:
            raise VersionError(f"{matching[0].id} was deleted meanwhile. Nothing was sent.")
        secret = {} if version.sealed is None else await self._store.sealer.open(version.sealed, version.id)
        arguments = {"integrationName": name, **version.manifest, **secret, "script": version.script}
        lost = [f"{field} is not restored, because its secrets were not kept." for field in version.omitted]
        entry = _describe_entry(matching[0])
        by = clean_foreign(call.caller.credentials.scrub(entry.get("by", "unknown")), 100)
        facts = [
            Fact("Earlier version", f"{_name_version(matching[0])}, published at {entry['time']} by {by}"),
            *(Fact("Not restored", text) for text in lost),
        ]
        if names := read_object(secret.get("secrets")):
            rotated = "Their values are those of that version. One that was rotated since then gets its old value again"
            facts.append(Fact("Secrets that return", f"{name_keys([*names])}. {rotated}"))
        if published and (same := await self._find_same(version, published)):
            facts.insert(1, Fact("Already published", f"version {number} has the same {same}"))
        return Plan((Step(ENDPOINTS[PUBLISHING], arguments),), tuple(facts), tuple(lost), returned=PUBLISHED)

    @property
    def effects(self) -> Mapping[str, Describe]:
        """Describe effects of calls, by tool name, that GitBook does not show."""
        return {PUBLISHING: self._describe_dropped_secrets}

    async def _describe_dropped_secrets(self, call: Call) -> Sequence[tuple[str, str]]:
        """Return the secrets of the published version that a publication does not send, if the store knows them.

        Their values are not compared: the answer would confirm a guess.
        """
        live = await self._targets.read_integration(call)
        if (number := _read_live(live)) is None:
            return []
        entry = next((one for one in await self._find_visible(call, live) if one.version == number), None)
        version = await self._store.versions.get(entry.id) if entry else None
        if version is None or version.sealed is None:
            return []
        try:
            secrets = read_object((await self._store.sealer.open(version.sealed, version.id)).get("secrets"))
        except StoreError:
            return [("Secrets dropped", f"unknown, because those of version {number} cannot be decrypted")]
        dropped = [name for name in secrets if name not in read_object(call.arguments.get("secrets"))]
        return [("Secrets dropped", f"{name_keys(dropped)}; version {number} has them")] if dropped else []

    async def _find_same(self, version: "Version", published: "VersionEntry") -> str | None:
        """Return what a version has in common with the published one, as far as the store knows it."""
        if version.digest == published.digest:
            return "script and manifest. Nothing would change, except that secrets can differ"
        live = await self._store.versions.get(published.id)
        return "script. The manifest differs" if live and live.script == version.script else None

    async def _find_visible(self, call: Call, live: Mapping[str, Any] | None) -> "list[VersionEntry]":
        found = await self._store.versions.list_entries(call.arguments["integrationName"])
        # Another organization may have taken the name of an integration that was unpublished.
        owner = get_path(live, "owner.id") if get_path(live, "permissions.admin") is True else None
        return [one for one in found if one.owner == call.caller.owner or (owner and one.organization == owner)]


def _read_live(integration: Mapping[str, Any] | None) -> str | None:
    """Return GitBook's number of the published version, if there is one."""
    number = (integration or {}).get("version")
    return str(int(number)) if isinstance(number, int | float) else None


def _describe_entry(entry: "VersionEntry") -> dict[str, Any]:
    content = {
        "id": entry.id,
        "version": entry.version,
        "time": write_time(entry.time),
        "by": entry.principal,
        "changeId": entry.change,
        "scriptCharacters": entry.size,
        "digest": entry.digest[:12],
    }
    return {name: value for name, value in content.items() if value is not None}


def _name_version(entry: "VersionEntry") -> str:
    return f"{entry.version} ({entry.id})" if entry.version else entry.id


def _describe_mismatch(wanted: str, entries: "list[VersionEntry]", *, several: bool, only: bool) -> str:
    names = ", ".join(_name_version(one) for one in entries[:5])
    problem = "is the number of several versions; use an ID" if several else "is not one of the kept versions"
    rest = " It is the published one, and no earlier one is kept: publish that from its source." if only else ""
    return f"version: {clean_text(wanted, 40)} {problem}. Kept: {names}.{rest} Nothing was sent."
