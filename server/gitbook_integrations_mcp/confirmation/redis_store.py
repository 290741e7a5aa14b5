"""The store of pending confirmations in Redis, which replicas and workers share.

Every step is one script, which Redis runs atomically and with its own clock, so that replicas need not agree on the
time. A step is sent once. Redis keeps the preview that the human reads, never the target, and deletes it when the last
confirmation expires, even if no server runs.
"""

import json
import logging
from typing import Any

import anyio
from pydantic import SecretStr

from gitbook_integrations_mcp.confirmation.preview import Preview
from gitbook_integrations_mcp.confirmation.store import (
    MAX_PENDING,
    MAX_PENDING_PER_CALL,
    MAX_PENDING_PER_OWNER,
    ConfirmationMode,
    Decision,
    PendingConfirmation,
)
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import SettingsError, StoreError

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError, AuthorizationError, RedisError
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import TimeoutError as RedisTimeoutError
except ModuleNotFoundError:
    raise SettingsError(
        "confirmation.store: Redis needs a package that is not installed: pip install 'gitbook-integrations-mcp[redis]'"
    ) from None

logger = logging.getLogger(__name__)

PREFIX = "{gitbook-integrations-mcp}:2:"
"""Prefix of all keys. The braces keep them in one slot of a cluster. The number changes with the format of a record, so
that two versions can run side by side during an update."""

_SECONDS = 3
"""Time-out of a connection, and of a response."""

_INTERVAL = 0.5
"""Seconds between two polls of a confirmation that another process decides."""

_COMMON = """
local confirmations, expiries, alike = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function get(part, id)
    return redis.call('HGET', confirmations, part .. ':' .. id)
end

local function show(id)
    local expires, record = redis.call('ZSCORE', expiries, id), get('record', id)
    return expires and record and {id, record, get('decision', id), expires - now}
end

local function drop(id)
    redis.call('HDEL', confirmations, 'record:' .. id, 'state:' .. id, 'decision:' .. id)
    redis.call('ZREM', expiries, id)
end

local function list(key)
    local ids = {}
    for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        if redis.call('ZSCORE', expiries, id) then
            table.insert(ids, id)
        else
            redis.call('ZREM', key, id)
        end
    end
    return ids
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now)) do
    drop(id)
end
"""
"""Beginning of every script. The key `confirmations` has the parts of each confirmation by its ID. `expiries` has all
IDs, `alike` the IDs of one call in one mode, and `owned` those of one caller. All are ordered by expiry. Redis can
evict a key at any time. A confirmation without its parts counts as expired."""

_OPEN = """
local id, kept, ttl, keep, maximum, state, share = unpack(ARGV)
local owned = KEYS[4]
local ids = list(alike)
if state ~= '' then
    for _, other in ipairs(ids) do
        if not get('decision', other) and get('state', other) == state then
            return show(other)
        end
    end
end
for index = 1, #ids - keep do
    drop(ids[index])
end
local own = list(owned)
while #own >= tonumber(share) or (#own > 0 and redis.call('ZCARD', expiries) >= tonumber(maximum)) do
    drop(table.remove(own, 1))
end
while redis.call('ZCARD', expiries) >= tonumber(maximum) do
    drop(redis.call('ZRANGE', expiries, 0, 0)[1])
end
redis.call('HSET', confirmations, 'record:' .. id, kept, 'state:' .. id, state)
for _, key in ipairs({expiries, alike, owned}) do
    redis.call('ZADD', key, now + ttl, id)
end
for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, ttl)
end
return show(id)
"""

_GET = """
return show(ARGV[1])
"""

_CONSUME = """
local shown = show(ARGV[1])
drop(ARGV[1])
return shown
"""

_CONSUME_DECIDED = """
for _, id in ipairs(list(alike)) do
    if get('decision', id) then
        local shown = show(id)
        drop(id)
        return shown
    end
end
return false
"""

_REFUSE = """
local shown = show(ARGV[1])
drop(ARGV[1])
for _, id in ipairs(list(alike)) do
    drop(id)
end
return shown
"""

_DECIDE = """
return show(ARGV[1]) and redis.call('HSETNX', confirmations, 'decision:' .. ARGV[1], ARGV[2]) == 1
"""


class RedisConfirmationStore:
    """The pending confirmations of all servers that share a Redis."""

    def __init__(self, url: SecretStr, ttl: float) -> None:
        """Connect at the first step.

        Raises:
            SettingsError: the URL has options that the client of Redis does not know.
        """
        self._ttl = ttl
        try:
            self._redis = Redis.from_url(
                url.get_secret_value(),
                decode_responses=True,
                encoding_errors="replace",  # a caller can send any text as an ID
                protocol=2,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=_SECONDS,
                socket_timeout=_SECONDS,
            )
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError):  # its text may contain the URL with the password
            raise SettingsError("confirmation.store: the URL contains an invalid option.") from None
        self._scripts = {
            body: self._redis.register_script(_COMMON + body)
            for body in (_OPEN, _GET, _CONSUME, _CONSUME_DECIDED, _REFUSE, _DECIDE)
        }

    async def open(
        self, mode: ConfirmationMode, binding: str, preview: Preview, owner: str = ""
    ) -> PendingConfirmation:
        """See `ConfirmationStore`."""
        new = PendingConfirmation(mode, binding, preview, self._ttl)
        record = {"mode": mode, "binding": binding, "csrf": new.csrf, "preview": preview.to_json()}
        keep, state = (0, preview.state) if mode == "browser" else (MAX_PENDING_PER_CALL - 1, "")
        milliseconds = round(self._ttl * 1000)
        arguments = (new.id, json.dumps(record), milliseconds, keep, MAX_PENDING, state, MAX_PENDING_PER_OWNER)
        return _read(await self._run(_OPEN, mode, binding, *arguments, owner=owner)) or new

    async def get(self, confirmation_id: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        return _read(await self._run(_GET, "", "", confirmation_id))

    async def consume(self, confirmation_id: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        return _read(await self._run(_CONSUME, "", "", confirmation_id))

    async def consume_decided(self, binding: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        return _read(await self._run(_CONSUME_DECIDED, "browser", binding))

    async def refuse(self, confirmation_id: str, binding: str) -> bool:
        """See `ConfirmationStore`."""
        return await self._run(_REFUSE, "browser", binding, confirmation_id) is not None

    async def decide(self, confirmation_id: str, decision: Decision) -> bool:
        """See `ConfirmationStore`."""
        return bool(await self._run(_DECIDE, "", "", confirmation_id, decision))

    async def wait(self, confirmation_id: str) -> None:
        """See `ConfirmationStore`."""
        while (  # noqa: ASYNC110  # another process decides
            confirmation := await self.get(confirmation_id)
        ) and confirmation.decision is None:
            await anyio.sleep(_INTERVAL)

    async def close(self) -> None:
        """See `ConfirmationStore`. The confirmations stay."""
        await self._redis.aclose()

    async def _run(self, script: str, mode: str, binding: str, *arguments: str | int, owner: str | None = None) -> Any:
        keys = [f"{PREFIX}confirmations", f"{PREFIX}expiries", f"{PREFIX}alike:{mode}:{binding}"]
        if owner is not None:
            keys.append(f"{PREFIX}owned:{digest_json(owner)}")
        try:
            return await self._scripts[script](keys=keys, args=arguments)
        except (RedisError, OSError) as error:
            logger.warning("The confirmation store (confirmation.store) failed: %s", type(error).__name__)
            raise StoreError(_describe_failure(error)) from None


def _describe_failure(error: Exception) -> str:
    """Return a predicate about the store, without the text of `error`, which may contain the password."""
    if any(isinstance(one, AuthenticationError | AuthorizationError) for one in (error, error.__cause__)):
        return "rejects this server's login"
    if isinstance(error, RedisTimeoutError):
        return "does not respond in time"
    return "cannot be reached" if isinstance(error, RedisConnectionError) else "fails"


def _read(shown: Any) -> PendingConfirmation | None:
    """Return the confirmation that a script returned."""
    if shown is None:
        return None
    confirmation_id, text, decision, milliseconds = shown
    record = json.loads(text)
    return PendingConfirmation(
        mode=record["mode"],
        binding=record["binding"],
        preview=Preview.from_json(record["preview"]),
        expires_in=round(milliseconds / 1000),
        id=confirmation_id,
        csrf=record["csrf"],
        decision=decision,
    )
