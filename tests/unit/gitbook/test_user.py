"""Whose credentials these are: the GitBook user, or else the credentials themselves."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.user import UserResolver
from tests.support.elicitation_client import Clock
from tests.support.fake_gitbook import ONCE, Upstream


def hold(token: str | None, integration: str | None = None) -> Credentials:
    return Credentials(SecretStr(token) if token else None, SecretStr(integration) if integration else None)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def users(upstream: Upstream, clock: Clock) -> AsyncIterator[UserResolver]:
    settings = load_settings({"limits": ONCE})
    gitbook = GitBook(settings.gitbook.endpoint, settings.limits, httpx.ASGITransport(app=upstream))
    yield UserResolver(gitbook, clock)
    await gitbook.close()


async def test_all_tokens_of_a_user_belong_to_the_user(users: UserResolver, upstream: Upstream) -> None:
    upstream.answer({"object": "user", "id": "u1", "displayName": "Ada"})
    one, other = await users.resolve(hold("token-1")), await users.resolve(hold("token-2", "integration"))
    assert one == other
    assert (one.key, one.name) == ("user:u1", "Ada")


async def test_half_a_character_in_the_name_does_not_hide_the_user(users: UserResolver, upstream: Upstream) -> None:
    upstream.answer({"id": "u1", "displayName": "Ada \ud83d"})
    one = await users.resolve(hold("token-1"))
    assert (one.key, one.name) == ("user:u1", "Ada \ufffd")


async def test_gitbook_is_asked_once_and_again_after_some_minutes(
    users: UserResolver, upstream: Upstream, clock: Clock
) -> None:
    upstream.answer({"id": "u1"})
    for _ in range(3):
        await users.resolve(hold("token-1"))
    assert len(upstream.requests) == 1
    clock.now += 601
    upstream.answer({"error": {"code": 401, "message": "revoked"}}, 401)
    assert (await users.resolve(hold("token-1"))).key.startswith("credentials:")


@pytest.mark.parametrize(
    ("answer", "status"),
    [({"error": {}}, 403), ({"error": {}}, 404), ({}, 200), ([], 200), ({"id": 7}, 200), ({"id": ""}, 200)],
)
async def test_without_a_user_the_credentials_count_and_are_not_asked_about_again(
    answer: Any, status: int, users: UserResolver, upstream: Upstream
) -> None:
    upstream.answer(answer, status)
    one, other = await users.resolve(hold("token-1")), await users.resolve(hold("token-2"))
    assert one != other
    assert one.name is None
    assert "token-1" not in repr(one)
    assert await users.resolve(hold("token-1")) == one
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_failure_of_gitbook_is_not_remembered(status: int, users: UserResolver, upstream: Upstream) -> None:
    upstream.answer({"error": {}}, status)
    assert (await users.resolve(hold("token-1"))).key.startswith("credentials:")
    upstream.answer({"id": "u1"})
    assert (await users.resolve(hold("token-1"))).key == "user:u1"


async def test_an_integration_token_alone_is_never_sent(users: UserResolver, upstream: Upstream) -> None:
    assert (await users.resolve(hold(None, "integration"))).key.startswith("credentials:")
    assert upstream.requests == []
