"""The client of GitBook's OAuth authorization server: metadata, registration, authorization, tokens, revocation.

The program goes on without features that the server does not have (rotation, revocation) where it can. Texts of errors
contain no token, no code and no address with a query.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_core import from_json, to_json

from gitbook_integrations_mcp import TITLE
from gitbook_integrations_mcp.config.models import GitBookSection
from gitbook_integrations_mcp.config.urls import is_loopback, is_private, leads_inward
from gitbook_integrations_mcp.errors import ErrorCode, LoginError, UnreachableError
from gitbook_integrations_mcp.gitbook.http import USER_AGENT, HTTPTransport, open_transport
from gitbook_integrations_mcp.store.logins import Tokens
from gitbook_integrations_mcp.text import clean_text

_SECONDS = 30.0
_MAX_BYTES = 256 * 1024
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class RejectedError(Exception):
    """The server rejected a token request. `reason` is its error code and description, as clean text."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Metadata(BaseModel):
    """The metadata of an authorization server (RFC 8414), as far as they are used here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    code_challenge_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False


class _TokenResponse(BaseModel):
    access_token: str = Field(pattern=r"^[!-~]+$", max_length=65536)
    token_type: str = "Bearer"  # noqa: S105
    expires_in: float | None = None
    refresh_token: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorization request: the address for the browser, and what its response is checked with."""

    address: str
    client_id: str
    redirect_uri: str
    state: str
    verifier: SecretStr
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Granted:
    """The response to a token request. `scopes` is None if the server did not say which it granted."""

    tokens: Tokens
    scopes: frozenset[str] | None


def find_issuer(settings: GitBookSection) -> str:
    """Return the issuer of the authorization server: that in the settings, or the sibling of the API's host."""
    if settings.oauth_endpoint:
        return settings.oauth_endpoint.rstrip("/")
    scheme, _, rest = settings.endpoint.partition("://")
    return f"{scheme}://oauth.{rest.removeprefix('api.')}" if rest.startswith("api.") else settings.endpoint


class OAuthClient:
    """A public client of the authorization server at `issuer`. `clock` is in seconds since 1970."""

    def __init__(
        self, issuer: str, transport: HTTPTransport | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._issuer = issuer
        self._transport = transport
        self._clock = clock

    async def discover(self) -> Metadata:
        """Return the metadata of the server.

        Raises:
            LoginError: they are invalid, name another issuer, or the server does not support PKCE with S256.
            UnreachableError: there is no complete response.
        """
        parts = urlsplit(self._issuer)
        path = parts.path.rstrip("/")
        address = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{path}"
        status, body = await self._send("GET", address)
        if status == 404:  # a server of OpenID Connect Discovery
            status, body = await self._send("GET", f"{self._issuer}/.well-known/openid-configuration")
        try:
            metadata = Metadata.model_validate(_read_object(body)) if status == 200 else None
        except (ValueError, ValidationError):
            metadata = None
        if metadata is None:
            raise LoginError(
                f"{parts.netloc} has no valid metadata of an authorization server (status {status}). Check "
                "gitbook.oauth_endpoint."
            )
        if metadata.issuer.rstrip("/") != self._issuer:
            raise LoginError(
                f"The metadata of {parts.netloc} name another issuer: {clean_text(metadata.issuer, 200)}. Nothing was "
                "sent to it.",
                ErrorCode.LOGIN_MISMATCH,
            )
        for name in ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"):
            url = getattr(metadata, name)
            if url is None:
                continue
            if not is_private(url):
                raise LoginError(f"The metadata of {parts.netloc} name a {name} without encryption.")
            if leads_inward(url, self._issuer):
                raise LoginError(f"The metadata of {parts.netloc} name a {name} on this machine.")
        methods = metadata.code_challenge_methods_supported
        if methods is not None and "S256" not in methods:
            raise LoginError(f"{parts.netloc} does not support PKCE with S256.")
        return metadata

    async def register(self, metadata: Metadata, redirect_uri: str) -> str:
        """Register this program as a client, and return the client ID.

        Raises:
            LoginError: the server does not register it.
            UnreachableError: there is no complete response.
        """
        remedy = "Register a client with GitBook yourself, and set its ID as gitbook.client_id."
        if metadata.registration_endpoint is None:
            raise LoginError(f"The authorization server registers no clients. {remedy}")
        client = {
            "client_name": TITLE,
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native" if is_loopback(urlsplit(redirect_uri).hostname or "") else "web",
        }
        headers = {"Content-Type": "application/json"}
        status, body = await self._send("POST", metadata.registration_endpoint, to_json(client), headers)
        try:
            identifier = _read_object(body).get("client_id") if status in {200, 201} else None
        except ValueError:
            identifier = None
        if not isinstance(identifier, str) or not identifier:
            reason = _describe_error(status, body)
            raise LoginError(f"The authorization server did not register this program: {reason}. {remedy}")
        return identifier

    def prepare(
        self,
        metadata: Metadata,
        client_id: str,
        redirect_uri: str,
        scopes: Iterable[str],
        *,
        resource: str | None = None,
    ) -> Authorization:
        """Return a new authorization request for `scopes`, by choice for one resource (RFC 8707)."""
        more = {"resource": resource} if resource else {}
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        address = prepare_grant_uri(
            metadata.authorization_endpoint,
            client_id,
            "code",
            redirect_uri,
            sorted(scopes),
            state,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **more,
        )
        return Authorization(str(address), client_id, redirect_uri, state, SecretStr(verifier), frozenset(scopes))

    async def exchange(
        self, metadata: Metadata, authorization: Authorization, response: str, *, resource: str | None = None
    ) -> Granted:
        """Return the tokens for the response of the browser, given as the address that it was sent to.

        Raises:
            LoginError: the response is for another login or from another issuer, or the user or the server refused.
            UnreachableError: there is no complete response.
        """
        code = self.read_code(metadata, authorization, response)
        more = {"resource": resource} if resource else {}
        try:
            return await self._request_tokens(
                metadata.token_endpoint,
                "authorization_code",
                code=code,
                redirect_uri=authorization.redirect_uri,
                client_id=authorization.client_id,
                code_verifier=authorization.verifier.get_secret_value(),
                **more,
            )
        except RejectedError as error:
            raise LoginError(f"The authorization server issued no token: {error.reason}.") from None

    def read_code(self, metadata: Metadata, authorization: Authorization, response: str) -> str:
        """Return the authorization code in the response of the browser.

        Raises:
            LoginError: the response is for another login or from another issuer, or the user or the server refused.
        """
        answer = read_answer(response)
        if not secrets.compare_digest(answer.get("state", "").encode(), authorization.state.encode()):
            raise LoginError("The response belongs to another login: its state differs.", ErrorCode.LOGIN_MISMATCH)
        issuer = answer.get("iss")
        promised = metadata.authorization_response_iss_parameter_supported
        if (issuer is None and promised) or (issuer is not None and issuer != metadata.issuer):
            raise LoginError("The response is from another authorization server.", ErrorCode.LOGIN_MISMATCH)
        if error := answer.get("error"):
            if error == "access_denied":
                raise LoginError("The login was declined in the browser.", ErrorCode.LOGIN_DECLINED)
            raise LoginError(f"The authorization server refused the login: {clean_text(error, 100)}.")
        if not (code := answer.get("code")):
            raise LoginError("The response has no authorization code.", ErrorCode.LOGIN_MISMATCH)
        return code

    async def renew(self, token_endpoint: str, client_id: str, refresh: SecretStr) -> Granted:
        """Return new tokens for a refresh token. If the server does not rotate it, it remains the same.

        Raises:
            RejectedError: the server refuses, so the refresh token is of no more use.
            LoginError: the response is not one of an authorization server.
            UnreachableError: there is no complete response.
        """
        granted = await self._request_tokens(
            token_endpoint, "refresh_token", refresh_token=refresh.get_secret_value(), client_id=client_id
        )
        tokens = granted.tokens
        return Granted(Tokens(tokens.access, tokens.refresh or refresh, tokens.expires), granted.scopes)

    async def revoke(self, endpoint: str, client_id: str, token: SecretStr, hint: str) -> bool:
        """Revoke a token, and return whether the server did it."""
        form = {"token": token.get_secret_value(), "token_type_hint": hint, "client_id": client_id}
        try:
            status, _ = await self._send("POST", endpoint, urlencode(form).encode(), _FORM)
        except UnreachableError:
            return False
        return 200 <= status < 300

    async def _request_tokens(self, endpoint: str, grant_type: str, **parameters: str) -> Granted:
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        content = prepare_token_request(grant_type, **parameters).encode()
        status, body = await self._send("POST", endpoint, content, _FORM)
        if status in {400, 401, 403}:
            raise RejectedError(_describe_error(status, body))
        try:
            response = _TokenResponse.model_validate(_read_object(body)) if status == 200 else None
        except (ValueError, ValidationError):
            response = None
        if response is None or response.token_type.lower() != "bearer":
            raise LoginError(f"The authorization server did not answer with a token ({_describe_error(status, body)}).")
        expires = None if response.expires_in is None else self._clock() + response.expires_in
        refresh = SecretStr(response.refresh_token) if response.refresh_token else None
        scopes = None if response.scope is None else frozenset(response.scope.split())
        return Granted(Tokens(SecretStr(response.access_token), refresh, expires), scopes)

    async def _send(
        self, method: str, url: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of a response. Redirects are not followed."""
        import anyio
        import httpx

        host = urlsplit(url).netloc
        transport = self._transport or open_transport(url)
        request = httpx.Request(
            method, url, content=content, headers={"User-Agent": USER_AGENT, "Accept": "application/json"}
        )
        request.headers.update(headers or {})
        try:
            with anyio.fail_after(_SECONDS):
                response = await transport.handle_async_request(request)
                try:
                    body = b""
                    assert hasattr(response.stream, "__aiter__")
                    async for chunk in response.stream:
                        body += chunk
                        if len(body) > _MAX_BYTES:
                            raise LoginError(f"{host} sent a response that is too long.")
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError):
            # The text of an exception can contain the request, so it is not used.
            raise UnreachableError(
                f"The authorization server {host} could not be reached. Check the network and HTTPS_PROXY.", sent=False
            ) from None
        finally:
            if self._transport is None:
                await transport.aclose()
        return response.status_code, body


def read_answer(address: str) -> dict[str, str]:
    """Return the parameters in the query of an address; a parameter that comes twice is left out."""
    try:
        query = parse_qs(urlsplit(address.strip()).query)
    except ValueError:
        return {}
    return {name: values[0] for name, values in query.items() if len(values) == 1}


def _read_object(body: bytes) -> dict[str, Any]:
    content = from_json(body)
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004
    return content


def _describe_error(status: int, body: bytes) -> str:
    """Return the error of a response with the fields of RFC 6749, as clean text, or else its status."""
    try:
        content = _read_object(body)
    except ValueError:
        return f"status {status}"
    texts = [content.get("error"), content.get("error_description")]
    found = [clean_text(text, 200).rstrip(".") for text in texts if isinstance(text, str) and text]
    return ": ".join(found) or f"status {status}"
