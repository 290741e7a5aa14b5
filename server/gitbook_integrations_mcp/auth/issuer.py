"""The authorization server that issues access tokens: its metadata and its public keys.

Keys are fetched when a token needs them, and cached. A token with an unknown key ID causes a new fetch, but at most one
in `PAUSE_SECONDS`, because anyone can invent key IDs. If a fetch fails, cached keys stay valid for `_STALE_SECONDS`.
After that, all access tokens are rejected.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from pydantic_core import from_json

from gitbook_integrations_mcp.config.models import OAuthSection
from gitbook_integrations_mcp.config.urls import is_private, leads_inward
from gitbook_integrations_mcp.gitbook.http import USER_AGENT, open_transport

_FRESH_SECONDS = 600
"""Age of the cached keys after which they are fetched again."""

_STALE_SECONDS = 3600
"""Age of the cached keys after which they are no longer valid."""

PAUSE_SECONDS = 30
"""Minimum time between two fetches."""

_FETCH_SECONDS = 10
"""Time-out of a fetch, of all its requests together."""

_MAX_BYTES = 1_000_000
"""Maximum size of metadata and of a key set."""

_logger = logging.getLogger(__name__)


class IssuerError(Exception):
    """The issuer's keys cannot be fetched; the text says why."""


class Issuer:
    """The keys of one issuer."""

    def __init__(self, settings: OAuthSection, clock: Callable[[], float] = time.monotonic) -> None:
        assert settings.issuer is not None
        self.name = settings.issuer
        self._jwks_url = settings.jwks_url
        self._algorithms = settings.algorithms
        self._clock = clock
        self._lock = anyio.Lock()
        self._keys: list[PyJWK] = []
        self._fetched = self._tried = float("-inf")
        self._problem = ""

    async def find_key(self, identifier: str | None, algorithm: str) -> PyJWK | None:
        """Return the public key for a signature, or None if the issuer does not publish it.

        Raises:
            IssuerError: the issuer does not respond, and no valid key is cached.
        """
        key = self._select(identifier, algorithm)
        # While another request fetches newer keys, a cached key that is still valid is used without waiting.
        if key is None or self._is_older_than(_FRESH_SECONDS if not self._lock.locked() else _STALE_SECONDS):
            await self._refresh()
            key = self._select(identifier, algorithm)
        if self._problem and (key is None or self._is_older_than(_STALE_SECONDS)):
            raise IssuerError(self._problem)
        return key

    def _is_older_than(self, seconds: float) -> bool:
        return self._clock() - self._fetched > seconds

    def _select(self, identifier: str | None, algorithm: str) -> PyJWK | None:
        """Return the cached key with that ID. A token may omit the ID if only one key fits."""
        fitting = [key for key in self._keys if key.algorithm_name == algorithm]
        if identifier is not None:
            fitting = [key for key in fitting if key.key_id == identifier]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self) -> None:
        async with self._lock:
            if self._clock() - self._tried < PAUSE_SECONDS:
                return
            self._tried, self._problem = self._clock(), f"{self.name} has not responded yet."
            try:
                self._keys = await self.fetch_keys()
            except IssuerError as error:
                self._problem = str(error)
                _logger.warning("Cannot verify access tokens: %s", error)
            else:
                self._problem, self._fetched = "", self._clock()

    async def fetch_keys(self) -> list[PyJWK]:
        """Return the keys that the issuer publishes now, each once for every algorithm it fits.

        Raises:
            IssuerError: the issuer does not respond, or does not return keys.
        """
        try:
            with anyio.fail_after(_FETCH_SECONDS):
                url = self._jwks_url or await self._discover()
                document = await _fetch_json(url)
        except TimeoutError:
            raise IssuerError(f"{self.name} did not respond within {_FETCH_SECONDS} s.") from None
        if document is None or not isinstance(document.get("keys"), list):
            raise IssuerError(f"{url} did not return a key set (JWKS).")
        pairs = itertools.product(document["keys"], self._algorithms)
        return [key for jwk, algorithm in pairs if (key := _read_key(jwk, algorithm))]

    async def _discover(self) -> str:
        for url in _list_metadata_urls(self.name):
            metadata = await _fetch_json(url)
            if metadata is None:
                continue
            if metadata.get("issuer") != self.name:
                raise IssuerError(f"The issuer in {url} is not {self.name} (oauth.issuer).")
            found = metadata.get("jwks_uri")
            if not isinstance(found, str) or not is_private(found) or leads_inward(found, self.name):
                raise IssuerError(f"{url} contains no https URL of keys (jwks_uri). Set oauth.jwks_url.")
            return found
        raise IssuerError(f"{self.name} publishes no authorization server metadata. Set oauth.jwks_url.")


def _list_metadata_urls(issuer: str) -> Iterator[str]:
    """Yield the possible URLs of an issuer's metadata (RFC 8414, OpenID Connect Discovery), in the MCP order."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    yield f"{origin}/.well-known/openid-configuration{path}"
    if path:
        yield f"{origin}{path}/.well-known/openid-configuration"


async def _fetch_json(url: str) -> dict[str, Any] | None:
    """Return the JSON object at `url`, or None if there is none.

    Raises:
        IssuerError: the URL cannot be reached, or its content is too long.
    """
    # Compressed content could be small on its way and fill the memory here.
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        # Without a time-out of its own: `_FETCH_SECONDS` applies to the whole.
        async with (
            httpx.AsyncClient(transport=open_transport(url), headers=headers, timeout=None) as client,  # noqa: S113
            client.stream("GET", url) as response,
        ):
            document = from_json(await _read_content(response, url)) if response.status_code == 200 else None
    except httpx.HTTPError as error:
        raise IssuerError(f"{url} cannot be reached ({type(error).__name__}).") from None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


async def _read_content(response: httpx.Response, url: str) -> bytes:
    """Return the content of a response.

    Raises:
        IssuerError: it is compressed, or longer than `_MAX_BYTES`.
    """
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise IssuerError(f"{url} sent compressed content, which this server does not accept.")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > _MAX_BYTES:
            raise IssuerError(f"{url} sent more than {_MAX_BYTES // 1_000_000} MB.")
    return bytes(content)


def _read_key(jwk: Any, algorithm: str) -> PyJWK | None:
    """Return a published key for an algorithm, or None if it has another purpose or cannot be read."""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    try:
        return PyJWK(jwk, algorithm)
    except PyJWTError:
        return None
