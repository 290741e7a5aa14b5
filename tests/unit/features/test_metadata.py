"""Invalid metadata that a call does not need is dropped; every other part of the request stays."""

from typing import Any

import pytest
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, LOG_LEVEL_META_KEY

from gitbook_integrations_mcp.features.metadata import drop_invalid_metadata

VALID = {"progressToken": 0, LOG_LEVEL_META_KEY: "debug", CLIENT_INFO_META_KEY: {"name": "x", "version": "1"}}
NEEDED = {CLIENT_CAPABILITIES_META_KEY: 5, "example.com/own": None}


async def run(params: dict[str, Any] | None) -> Any:
    passed: list[Any] = []

    async def note(ctx: ServerRequestContext[Any, Any]) -> HandlerResult:
        passed.append(ctx.params)
        return {}

    session: Any = None
    ctx = ServerRequestContext[Any, Any](
        session=session, lifespan_context=None, protocol_version="2025-11-25", method="tools/call", params=params
    )
    await drop_invalid_metadata(ctx, note)
    (result,) = passed
    return result


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("value", [None, 1.5, {}, [], {"name": 1}])
async def test_an_invalid_field_is_dropped_alone(name: str, value: Any) -> None:
    meta = {**VALID, **NEEDED, name: value}
    assert (await run({"name": "t", "_meta": meta}))["_meta"] == {
        key: kept for key, kept in meta.items() if key != name
    }


@pytest.mark.parametrize("meta", [5, "x", [], True])
async def test_metadata_that_is_no_object_counts_as_none(meta: Any) -> None:
    assert await run({"name": "t", "_meta": meta}) == {"name": "t", "_meta": {}}


@pytest.mark.parametrize(
    "params", [None, {}, {"name": "t"}, {"name": "t", "_meta": None}, {"name": "t", "_meta": {**VALID, **NEEDED}}]
)
async def test_other_requests_stay_as_they_are(params: dict[str, Any] | None) -> None:
    assert await run(params) is params
