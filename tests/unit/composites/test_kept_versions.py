"""Published versions that are kept: script and manifest, secrets encrypted, and only if GitBook accepted them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from gitbook_integrations_mcp.store.maintenance import export_rows
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.store.versions import Version
from tests.support.audit_fixtures import Watched, fail
from tests.support.elicitation_client import Human, meet
from tests.support.stores import KINDS, find_url

SECRET = "s3cr3t-value-of-the-script"
ARGUMENTS = {
    "integrationName": OWN_INTEGRATION,
    "organization": ORGANIZATION_ID,
    "title": "Release Notes Bot",
    "description": "Writes release notes",
    "script": "export default {}",
    "scopes": ["space:content:read"],
    "secrets": {"API": SECRET},
}


@pytest.fixture(params=KINDS[1:])
async def settings(request: pytest.FixtureRequest) -> Any:
    url = find_url(request, request.param)
    keys = ["a-key-of-at-least-thirty-two-characters"]
    return load_settings({"server": {"sandbox": True}, "store": {"url": url, "keys": keys}, "limits": {"attempts": 1}})


@pytest.fixture
async def store(settings: Any) -> AsyncIterator[Store]:
    store = Store(settings)
    yield store
    await store.close()


async def publish(settings: Any, watched: Any, **changed: Any) -> Any:
    server = create_server(settings, http_transport=httpx.ASGITransport(app=watched))
    async with meet(server, Human(), "2026-07-28") as client:
        return await client.call_tool("publish_integration", {**ARGUMENTS, **changed})


async def list_versions(store: Store) -> list[Version]:
    found = [await store.versions.get(one.id) for one in await store.versions.list_entries(OWN_INTEGRATION)]
    return [one for one in found if one]


async def test_script_and_manifest_are_kept_and_secrets_only_encrypted(settings: Any, store: Store) -> None:
    result = await publish(settings, Watched(), summary="Long **text**")
    assert not result.is_error, result.content
    [kept] = await list_versions(store)
    assert kept.script == ARGUMENTS["script"]
    assert kept.organization == ORGANIZATION_ID
    assert kept.version == str(result.structured_content["version"])
    expected = {
        name: value for name, value in ARGUMENTS.items() if name not in {"integrationName", "script", "secrets"}
    }
    assert {name: kept.manifest[name] for name in expected} == expected
    assert kept.manifest["summary"] == "Long **text**"
    assert kept.sealed is not None
    assert await store.sealer.open(kept.sealed, kept.id) == {"secrets": {"API": SECRET}}
    rows = json.dumps([row async for row in export_rows(store.database)])
    assert SECRET not in rows
    if (path := store.location.path) is not None:
        assert SECRET.encode() not in b"".join(one.read_bytes() for one in path.parent.glob("store.db*"))


async def test_the_same_publication_has_the_same_digest(settings: Any, store: Store) -> None:
    for title in ("Release Notes Bot", "Release Notes Bot", "Another title"):
        await publish(settings, Watched(), title=title)
    newest, second, first = await list_versions(store)
    assert first.digest == second.digest != newest.digest
    assert len({one.id for one in (newest, second, first)}) == 3


async def test_a_credential_in_another_field_is_encrypted_too(settings: Any, store: Store) -> None:
    given = f"ghp_{'Ab1' * 12}"
    result = await publish(settings, Watched(), summary=given)
    assert not result.is_error, result.content
    [kept] = await list_versions(store)
    assert "summary" not in kept.manifest
    assert kept.sealed is not None
    assert (await store.sealer.open(kept.sealed, kept.id))["summary"] == given


async def test_a_script_in_any_characters_comes_back(settings: Any, store: Store) -> None:
    script = "export default '\x00\u2028é日本'"
    result = await publish(settings, Watched(), script=script)
    assert not result.is_error, result.content
    [kept] = await list_versions(store)
    assert kept.script == script


async def test_what_gitbook_rejects_is_not_kept(settings: Any, store: Store) -> None:
    result = await publish(settings, Watched(fault=fail(f"/integrations/{OWN_INTEGRATION}", 400)))
    assert result.is_error
    assert await list_versions(store) == []


async def test_a_store_that_fails_after_the_publication_is_only_logged(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail_to_add(_self: Any, _version: Version) -> None:
        raise StoreError("has no space left on its disk")

    monkeypatch.setattr("gitbook_integrations_mcp.store.versions.VersionStore.add", fail_to_add)
    result = await publish(settings, Watched())
    assert not result.is_error
    assert any("has no space left" in one.message and "not kept" in one.message for one in caplog.records)
