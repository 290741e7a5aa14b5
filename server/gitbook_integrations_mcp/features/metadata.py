"""Tolerates invalid metadata: a `_meta` field that no call needs never fails the call."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CLIENT_INFO_META_KEY, LOG_LEVEL_META_KEY, Implementation, LoggingLevel, ProgressToken
from pydantic import TypeAdapter, ValidationError

_META = "_meta"

_OPTIONAL: Mapping[str, TypeAdapter[Any]] = {
    "progressToken": TypeAdapter(ProgressToken),
    LOG_LEVEL_META_KEY: TypeAdapter(LoggingLevel),
    CLIENT_INFO_META_KEY: TypeAdapter(Implementation),
}
"""Fields that the SDK validates although a call works without them. Some clients send null for what they do not use."""


async def drop_invalid_metadata(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Run a request without the optional metadata that is invalid. This is a middleware of the SDK's server."""
    params = ctx.params
    if params is None or params.get(_META) is None:
        return await call_next(ctx)
    meta = params[_META]
    kept = {name: value for name, value in meta.items() if _is_valid(name, value)} if isinstance(meta, Mapping) else {}
    if kept != meta:
        ctx = replace(ctx, params={**params, _META: kept})
    return await call_next(ctx)


def _is_valid(name: str, value: Any) -> bool:
    adapter = _OPTIONAL.get(name)
    if adapter is None:
        return True
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True
