"""The open questions in Redis, where replicas and workers share them.

Every step is one script, which Redis runs whole and alone, and by its own clock: replicas need not agree on the time.
A step is sent once. What is kept is what a human is shown, never the target itself, and it goes when the last question
expires, whether a server still runs or not.
"""

import json
import logging
from dataclasses import asdict
from typing import Any

import anyio
from pydantic import SecretStr

from gitbook_integrations_mcp.confirmation.preview import Preview
from gitbook_integrations_mcp.confirmation.store import ALIKE, MAXIMUM, ConfirmationMode, Decision, PendingConfirmation
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

PREFIX = "{gitbook-integrations-mcp}:1:"
"""What all keys begin with. The braces keep them together in a cluster; the number changes with what a record looks
like, so that versions that run side by side during an update do not misread each other."""

_SECONDS = 3
"""How long Redis may take to accept a connection, or to answer."""

_INTERVAL = 0.5
"""Seconds between two looks at a question that somebody else is to decide."""

_COMMON = """
local questions, expiries, alike = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function get(part, id)
    return redis.call('HGET', questions, part .. ':' .. id)
end

local function show(id)
    local expires = redis.call('ZSCORE', expiries, id)
    return expires and {id, get('record', id), get('decision', id), expires - now}
end

local function drop(id)
    redis.call('HDEL', questions, 'record:' .. id, 'state:' .. id, 'decision:' .. id)
    redis.call('ZREM', expiries, id)
end

local function list()
    local ids = {}
    for _, id in ipairs(redis.call('ZRANGE', alike, 0, -1)) do
        if redis.call('ZSCORE', expiries, id) then
            table.insert(ids, id)
        else
            redis.call('ZREM', alike, id)
        end
    end
    return ids
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now)) do
    drop(id)
end
"""
"""What every script begins with. Of its keys, `questions` holds what is known of each question, by part and identifier;
`expiries` all identifiers, and `alike` those of one call put in one way, both ordered by when they expire."""

_OPEN = """
local id, kept, ttl, keep, maximum, state = unpack(ARGV)
local ids = list()
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
while redis.call('ZCARD', expiries) >= tonumber(maximum) do
    drop(redis.call('ZRANGE', expiries, 0, 0)[1])
end
redis.call('HSET', questions, 'record:' .. id, kept, 'state:' .. id, state)
for _, key in ipairs({expiries, alike}) do
    redis.call('ZADD', key, now + ttl, id)
end
for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, ttl)
end
return show(id)
"""

_LOOK_AT = """
return show(ARGV[1])
"""

_TAKE = """
local shown = show(ARGV[1])
drop(ARGV[1])
return shown
"""

_TAKE_DECIDED = """
for _, id in ipairs(list()) do
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
for _, id in ipairs(list()) do
    drop(id)
end
return shown
"""

_DECIDE = """
return show(ARGV[1]) and redis.call('HSETNX', questions, 'decision:' .. ARGV[1], ARGV[2]) == 1
"""


class RedisConfirmationStore:
    """The open questions of all servers that have the same Redis."""

    def __init__(self, url: SecretStr, ttl: float) -> None:
        """Connect when first needed.

        Raises:
            SettingsError: the URL has options that Redis's client does not know.
        """
        self._ttl = ttl
        try:
            self._redis = Redis.from_url(
                url.get_secret_value(),
                decode_responses=True,
                encoding_errors="replace",  # what callers send as an identifier can be any text
                protocol=2,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=_SECONDS,
                socket_timeout=_SECONDS,
            )
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError):  # whose text may quote the URL, password and all
            raise SettingsError("confirmation.store: the URL has a part that Redis's client cannot use.") from None
        self._scripts = {
            body: self._redis.register_script(_COMMON + body)
            for body in (_OPEN, _LOOK_AT, _TAKE, _TAKE_DECIDED, _REFUSE, _DECIDE)
        }

    async def open(self, way: ConfirmationMode, binding: str, preview: Preview) -> PendingConfirmation:
        """See `ConfirmationStore`."""
        new = PendingConfirmation(way, binding, preview, self._ttl)
        record = {"way": way, "binding": binding, "csrf": new.csrf, "preview": asdict(preview)}
        keep, state = (0, preview.state) if way == "browser" else (ALIKE - 1, "")
        milliseconds = round(self._ttl * 1000)
        shown = await self._run(_OPEN, way, binding, new.id, json.dumps(record), milliseconds, keep, MAXIMUM, state)
        return _read(shown) or new

    async def get(self, identifier: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        return _read(await self._run(_LOOK_AT, "", "", identifier))

    async def take(self, identifier: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        return _read(await self._run(_TAKE, "", "", identifier))

    async def consume_decided(self, binding: str) -> PendingConfirmation | None:
        """See `ConfirmationStore`."""
        return _read(await self._run(_TAKE_DECIDED, "browser", binding))

    async def refuse(self, identifier: str, binding: str) -> bool:
        """See `ConfirmationStore`."""
        return await self._run(_REFUSE, "browser", binding, identifier) is not None

    async def decide(self, identifier: str, decision: Decision) -> bool:
        """See `ConfirmationStore`."""
        return bool(await self._run(_DECIDE, "", "", identifier, decision))

    async def wait(self, identifier: str) -> None:
        """See `ConfirmationStore`."""
        while (  # noqa: ASYNC110  # it is another process that decides
            pending := await self.get(identifier)
        ) and pending.decision is None:
            await anyio.sleep(_INTERVAL)

    async def close(self) -> None:
        """See `ConfirmationStore`. What is in Redis stays."""
        await self._redis.aclose()

    async def _run(self, script: str, way: str, binding: str, *arguments: str | int) -> Any:
        keys = [f"{PREFIX}questions", f"{PREFIX}expiries", f"{PREFIX}alike:{way}:{binding}"]
        try:
            return await self._scripts[script](keys=keys, args=arguments)
        except (RedisError, OSError) as error:
            logger.warning("confirmation.store: %s", type(error).__name__)
            raise StoreError(_explain(error)) from None


def _explain(error: Exception) -> str:
    if any(isinstance(one, AuthenticationError | AuthorizationError) for one in (error, error.__cause__)):
        return "refuses this server's login"
    if isinstance(error, RedisTimeoutError):
        return "does not answer in time"
    return "cannot be reached" if isinstance(error, RedisConnectionError) else "fails"


def _read(shown: Any) -> PendingConfirmation | None:
    """Return the question that a script has shown."""
    if shown is None:
        return None
    identifier, record, decision, milliseconds = shown
    kept = json.loads(record)
    preview = Preview(**{**kept["preview"], "lines": tuple(kept["preview"]["lines"])})
    return PendingConfirmation(
        kept["way"], kept["binding"], preview, round(milliseconds / 1000), identifier, kept["csrf"], decision
    )
