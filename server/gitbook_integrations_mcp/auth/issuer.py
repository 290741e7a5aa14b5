"""The authorization server that vouches for callers: where its keys are, and which of them are good now.

Keys are fetched when a token needs them, kept for a while, and fetched anew when a token names one that is not among
them; however many strangers make up names, that happens at most once in a while. Where keys cannot be fetched, the ones
that are known stay good for some time, and after that nobody comes in.
"""

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from gitbook_integrations_mcp.config.models import OAuthSection
from gitbook_integrations_mcp.config.urls import is_private
from gitbook_integrations_mcp.gitbook.http import USER_AGENT, open_transport

_FRESH_SECONDS = 600
_STALE_SECONDS = 3600
PAUSE_SECONDS = 30
"""Between two fetches, whatever comes."""

_FETCH_SECONDS = 10

_logger = logging.getLogger(__name__)


class IssuerError(Exception):
    """The issuer's keys cannot be had; the text says why."""


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
        """Return the key with which a signature is verified, or None where the issuer has no such key.

        Raises:
            IssuerError: that cannot be said, because the issuer does not answer.
        """
        key = self._choose(identifier, algorithm)
        # Who has a key that is good enough waits for newer ones only if nobody else does.
        if key is None or self._is_older_than(_FRESH_SECONDS if not self._lock.locked() else _STALE_SECONDS):
            await self._refresh()
            key = self._choose(identifier, algorithm)
        if self._problem and (key is None or self._is_older_than(_STALE_SECONDS)):
            raise IssuerError(self._problem)
        return key

    def _is_older_than(self, seconds: float) -> bool:
        return self._clock() - self._fetched > seconds

    def _choose(self, identifier: str | None, algorithm: str) -> PyJWK | None:
        """Return the key of that name; a token need not name it where there is but one."""
        fitting = [key for key in self._keys if key.algorithm_name == algorithm]
        if identifier is not None:
            fitting = [key for key in fitting if key.key_id == identifier]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self) -> None:
        async with self._lock:
            if self._clock() - self._tried < PAUSE_SECONDS:
                return
            self._tried, self._problem = self._clock(), f"{self.name} has not answered yet."
            try:
                self._keys = await self.fetch_keys()
            except IssuerError as error:
                self._problem = str(error)
                _logger.warning("Callers cannot be told from strangers: %s", error)
            else:
                self._problem, self._fetched = "", self._clock()

    async def fetch_keys(self) -> list[PyJWK]:
        """Return the keys that the issuer publishes now, each once for every algorithm that it can be used with.

        Raises:
            IssuerError: it does not answer, or not with keys.
        """
        try:
            with anyio.fail_after(_FETCH_SECONDS):
                url = self._jwks_url or await self._discover()
                document = await _get(url)
        except TimeoutError:
            raise IssuerError(f"{self.name} did not answer within {_FETCH_SECONDS} s.") from None
        if document is None or not isinstance(document.get("keys"), list):
            raise IssuerError(f"{url} does not answer with a key set (JWKS).")
        pairs = itertools.product(document["keys"], self._algorithms)
        return [key for jwk, algorithm in pairs if (key := _read_key(jwk, algorithm))]

    async def _discover(self) -> str:
        for url in _list_metadata_urls(self.name):
            metadata = await _get(url)
            if metadata is None:
                continue
            if metadata.get("issuer") != self.name:
                raise IssuerError(f"{url} describes another issuer than oauth.issuer, {self.name}.")
            found = metadata.get("jwks_uri")
            if not isinstance(found, str) or not is_private(found):
                raise IssuerError(f"{url} names no https address of keys (jwks_uri); set oauth.jwks_url.")
            return found
        raise IssuerError(f"{self.name} publishes no metadata of an authorization server; set oauth.jwks_url.")


def _list_metadata_urls(issuer: str) -> Iterator[str]:
    """Yield where an issuer's metadata may be (RFC 8414, OpenID Connect Discovery), in the order of the MCP spec."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    yield f"{origin}/.well-known/openid-configuration{path}"
    if path:
        yield f"{origin}{path}/.well-known/openid-configuration"


async def _get(url: str) -> dict[str, Any] | None:
    """Return the JSON object that is at `url`, or None where there is none."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    try:
        async with httpx.AsyncClient(transport=open_transport(url), headers=headers) as client:
            response = await client.get(url)
        document = json.loads(response.content) if response.status_code == 200 else None
    except httpx.HTTPError as error:
        raise IssuerError(f"{url} cannot be reached ({type(error).__name__}).") from None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _read_key(jwk: Any, algorithm: str) -> PyJWK | None:
    """Return a published key for use with an algorithm, unless it is meant for something else."""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    try:
        return PyJWK(jwk, algorithm)
    except PyJWTError:
        return None
