"""The page on which callers link their GitBook account, see it, and remove it.

Users sign in first: with their bearer token for this server, or at the issuer of its access tokens. A link from a call
can be used only by the principal who made the call, in the browser in which they signed in. GitBook is asked only after
the user approved here. The state of that request belongs to the browser, and works once.
"""

import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from mcp.server.auth.provider import AccessToken
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.accounts.links import PATH
from gitbook_integrations_mcp.auth.authentication import Authentication
from gitbook_integrations_mcp.auth.bearer import BearerError
from gitbook_integrations_mcp.auth.principal import describe_principal, is_same_user, read_principal
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.confirmation.page import (
    build_headers,
    is_same_origin,
    load_template,
    read_form,
    read_style,
)
from gitbook_integrations_mcp.errors import CallError, ErrorCode, LoginError, StoreError
from gitbook_integrations_mcp.gitbook.http import HTTPTransport
from gitbook_integrations_mcp.store.links import SECONDS, Link, digest
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text

if TYPE_CHECKING:
    from gitbook_integrations_mcp.gitbook.oauth import Authorization, Metadata, OAuthClient

CALLBACK = f"{PATH}/callback"

_GONE = "This link was already used, has expired, or does not exist. Ask your assistant to try again."
_FOREIGN = "The request does not come from this page and this browser, so it does not count. Nothing was linked."


@dataclass(frozen=True, slots=True)
class _Request:
    """An authorization request that waits for the browser. `kind` is what it is for."""

    kind: str
    metadata: Mapping[str, Any]
    client_id: str
    redirect_uri: str
    state: str
    verifier: str
    scopes: list[str]


class AccountPage:
    """Serves the page below `http.public_url`. `transport` replaces the network to GitBook, for tests."""

    def __init__(self, settings: Settings, store: Store, transport: HTTPTransport | None) -> None:
        assert settings.http.public_url
        self._settings = settings
        self._store = store
        self._transport = transport
        self._origin = settings.http.public_url
        self._redirect_uri = f"{self._origin}{CALLBACK}"
        self._authentication = Authentication(settings)
        self._issuer: tuple[Metadata, str] | None = None
        """Metadata of the issuer of access tokens, and the client ID of this page there."""
        self._registering = anyio.Lock()
        self._is_encrypted = self._origin.startswith("https:")
        self._cookie = "__Host-gitbook-accounts" if self._is_encrypted else "gitbook-accounts"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. This ASGI application has no routes, so that every response passes the same checks."""
        response = await self._respond(Request(scope, receive))
        response.headers.update(build_headers())
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.headers.get("host", "") != self._origin.partition("://")[2]:
            return _render(421, "Wrong address", notice="Open the link exactly as you received it.")
        if request.method not in {"GET", "POST"}:
            return HTMLResponse(status_code=405, headers={"Allow": "GET, POST"})
        if request.method == "POST" and not is_same_origin(request, self._origin):
            return _render_foreign()
        form = await read_form(request)
        if isinstance(form, Response):
            return form
        try:
            return await self._route(request, form)
        except StoreError:
            return _render(503, "Temporarily unavailable", notice="The server cannot use its store. Try again later.")
        except BearerError as error:
            return _render(error.status, "Not signed in", notice=str(error))
        except CallError as error:
            return _render(502, "Not linked", notice=f"{error} Nothing was linked.")

    async def _route(self, request: Request, form: Mapping[str, str]) -> Response:
        path = request.url.path.rstrip("/")
        if path == CALLBACK and request.method == "GET":
            return await self._finish(request)
        if path == PATH:
            if request.method == "GET":
                return self._render_sign_in()
            return await self._sign_in(None, form)
        link = await self._store.links.find(path.removeprefix(f"{PATH}/")) if path.startswith(f"{PATH}/") else None
        if link is None:
            return _render(410, "Link expired", notice=_GONE)
        if form.get("action", "").startswith("sign-in"):
            return await self._sign_in(link, form)
        is_signed_in = link.is_proven and hmac.compare_digest(digest(self._read_cookie(request)), link.browser or "")
        if request.method == "GET":
            return await self._render_consent(link) if is_signed_in else self._render_sign_in()
        if not is_signed_in or not hmac.compare_digest(form.get("csrf", "").encode(), link.csrf.encode()):
            return _render_foreign()
        return await self._act(link, form)

    async def _act(self, link: Link, form: Mapping[str, str]) -> Response:
        """Do what the signed-in user decided."""
        assert link.principal
        match form.get("action"):
            case "link" if link.scopes:
                from gitbook_integrations_mcp.gitbook.login import authorize

                found = await authorize(self._settings, self._create_client(), self._redirect_uri, link.scopes)
                return await self._leave(link, "link", *found)
            case "remove":
                return await self._remove(link.principal, form.get("account", ""))
            case "cancel":
                await self._store.links.delete(link.id)
                return _render(200, "Cancelled", notice="Nothing was linked. You can close this page.")
        return _render(400, "Nothing decided", notice="The form contains no decision.")

    async def _sign_in(self, link: Link | None, form: Mapping[str, str]) -> Response:
        """Bind a link to this browser if it sent the token of the principal, or send it to the issuer."""
        if form.get("action") == "sign-in-at-issuer" and self._settings.oauth.issuer:
            return await self._begin_sign_in(link or await self._store.links.open(None))
        access = await self._authentication.verify_static_token(form.get("token", ""))
        if access is None:
            return self._render_sign_in("This server does not know this token.")
        return await self._accept(link or await self._store.links.open(None), access)

    async def _accept(self, link: Link, access: AccessToken) -> Response:
        """Bind a link to this browser, whose user proved their identity, if it is theirs."""
        principal = read_principal(access)
        if link.principal is not None and not is_same_user(link.principal, principal):
            return _render(403, "Link of another user", notice="This link was made for another user. Do not use it.")
        cookie = await self._store.links.bind(link.id, link.principal or principal, is_proven=True)
        if cookie is None:
            return _render(410, "Link expired", notice=_GONE)
        response = RedirectResponse(f"{self._origin}{PATH}/{link.id}", 303)
        self._set_cookie(response, cookie)
        return response

    async def _begin_sign_in(self, link: Link) -> Response:
        """Send the browser to the issuer of access tokens."""
        oauth, client = self._settings.oauth, self._create_issuer_client()
        async with self._registering:  # once: anybody can begin to sign in
            if self._issuer is None:
                metadata = await client.discover()
                self._issuer = metadata, oauth.client_id or await client.register(metadata, self._redirect_uri)
        metadata, client_id = self._issuer
        resource = self._authentication.resource
        authorization = client.prepare(metadata, client_id, self._redirect_uri, oauth.scopes, resource=resource)
        cookie = await self._store.links.bind(link.id, link.principal, is_proven=False)
        bound = await self._store.links.find(link.id)
        if cookie is None or bound is None:
            return _render(410, "Link expired", notice=_GONE)
        response = await self._leave(bound, "sign-in", metadata, authorization)
        self._set_cookie(response, cookie)
        return response

    async def _leave(self, link: Link, kind: str, metadata: "Metadata", authorization: "Authorization") -> Response:
        """Keep an authorization request, and send the browser to its server."""
        request = _Request(
            kind,
            metadata.model_dump(),
            authorization.client_id,
            authorization.redirect_uri,
            authorization.state,
            authorization.verifier.get_secret_value(),
            sorted(authorization.scopes),
        )
        if not await self._store.links.await_response(link, authorization.state, asdict(request)):
            return _render(410, "Link expired", notice=_GONE)
        # A redirect would count as the target of the form, which the content security policy limits to this page.
        host = urlsplit(authorization.address).netloc
        return _render(200, f"Continue to {host}", address=authorization.address, host=host)

    async def _finish(self, request: Request) -> Response:
        """Take the response of an authorization server, if its state belongs to this browser."""
        from gitbook_integrations_mcp.gitbook.oauth import Authorization, Metadata, read_answer

        address = str(request.url)
        found = await self._store.links.spend(self._read_cookie(request), read_answer(address).get("state", ""))
        if found is None:
            return _render_foreign()
        link, kept = found[0], _Request(**found[1])
        metadata = Metadata.model_validate(kept.metadata)
        authorization = Authorization(
            "", kept.client_id, kept.redirect_uri, kept.state, SecretStr(kept.verifier), frozenset(kept.scopes)
        )
        try:
            if kept.kind == "sign-in":
                return await self._finish_sign_in(link, metadata, authorization, address)
            return await self._finish_link(link, metadata, authorization, address)
        except LoginError as error:
            status = 200 if error.code is ErrorCode.LOGIN_DECLINED else 502
            notice = f"{error} Nothing was linked. To try again, ask your assistant."
            return _render(status, "Not linked", notice=notice)

    async def _finish_link(
        self, link: Link, metadata: "Metadata", authorization: "Authorization", address: str
    ) -> Response:
        from gitbook_integrations_mcp.gitbook.login import obtain_login, revoke

        if not link.is_proven or link.principal is None:
            return _render_foreign()
        client = self._create_client()
        login, tokens = await obtain_login(self._settings, client, metadata, authorization, address, self._transport)
        earlier = await self._store.accounts.keep(link.principal, login, tokens)
        if earlier is not None:
            await revoke(*earlier, self._transport)
        name = clean_text(login.name or login.user or "unknown", 100)
        notice = f"GitBook user: {name}. You can close this page and return to your assistant."
        return _render(200, "Account linked", notice=notice)

    async def _finish_sign_in(
        self, link: Link, metadata: "Metadata", authorization: "Authorization", address: str
    ) -> Response:
        client = self._create_issuer_client()
        granted = await client.exchange(metadata, authorization, address, resource=self._authentication.resource)
        access = await self._authentication.verify_access_token(granted.tokens.access.get_secret_value())
        if access is None:
            return _render(502, "Not signed in", notice="The issuer sent no access token for this server.")
        again = await self._store.links.open(link.principal, link.scopes)
        return await self._accept(again, access)

    async def _remove(self, principal: str, identifier: str) -> Response:
        from gitbook_integrations_mcp.gitbook.login import revoke

        mine = {one.id for one in await self._store.accounts.list() if is_same_user(one.principal, principal)}
        removed = await self._store.accounts.remove(identifier) if identifier in mine else None
        if removed is None:
            return _render(410, "Nothing removed", notice="You have no account like this.")
        login, tokens = removed
        is_revoked = tokens is not None and await revoke(login, tokens, self._transport)
        notice = "This server has deleted its tokens." + (" GitBook has revoked them." if is_revoked else "")
        return _render(200, "Account removed", notice=notice)

    def _create_client(self) -> "OAuthClient":
        from gitbook_integrations_mcp.gitbook.oauth import OAuthClient, find_issuer

        return OAuthClient(find_issuer(self._settings.gitbook), self._transport)

    def _create_issuer_client(self) -> "OAuthClient":
        from gitbook_integrations_mcp.gitbook.oauth import OAuthClient

        assert self._settings.oauth.issuer
        return OAuthClient(self._settings.oauth.issuer.rstrip("/"))

    def _read_cookie(self, request: Request) -> str:
        return request.cookies.get(self._cookie, "")

    def _set_cookie(self, response: Response, value: str) -> None:
        # The browser comes back from another site, which a strict cookie would not survive.
        response.set_cookie(
            self._cookie, value, int(SECONDS), path="/", secure=self._is_encrypted, httponly=True, samesite="lax"
        )

    def _render_sign_in(self, problem: str | None = None) -> Response:
        settings = self._settings
        issuer = urlsplit(settings.oauth.issuer).netloc if settings.oauth.issuer else None
        sign_in = {"with_token": bool(settings.http.tokens), "issuer": issuer, "problem": problem}
        return _render(403 if problem else 200, "Sign in", sign_in=sign_in)

    async def _render_consent(self, link: Link) -> Response:
        assert link.principal
        user, client = describe_principal(link.principal)
        accounts = [
            {
                "id": one.id,
                "name": clean_text(one.login.name or one.login.user or "unknown", 100),
                "client": describe_principal(one.principal)[1],
                "scopes": sorted(one.login.scopes),
            }
            for one in await self._store.accounts.list()
            if is_same_user(one.principal, link.principal)
        ]
        consent = {
            "user": user,
            "client": client if link.scopes else None,
            "scopes": sorted(link.scopes),
            "redirect_uri": self._redirect_uri,
            "csrf": link.csrf,
            "accounts": accounts,
        }
        return _render(200, "Link your GitBook account" if link.scopes else "Your GitBook account", consent=consent)


def _render_foreign() -> Response:
    return _render(403, "Not from this page", notice=_FOREIGN)


def _render(status: int, title: str, **parts: Any) -> Response:
    values = {"notice": None, "sign_in": None, "consent": None, "address": None, "host": None, **parts}
    return HTMLResponse(load_template(__package__).render(style=read_style(), title=title, **values), status)
