"""A browser that links accounts: it keeps cookies, sends the fields of forms, and goes on to the sandbox."""

import re
from dataclasses import dataclass
from html import unescape

import httpx

from tests.support.consent import decide

_HIDDEN = re.compile(r'name="csrf" value="([^"]+)"')
_NEXT = re.compile(r'http-equiv="refresh" content="0; url=([^"]+)"')


@dataclass
class AccountBrowser:
    """A browser at the server at `address`. `gitbook` sends requests to the authorization server."""

    address: str
    client: httpx.AsyncClient
    gitbook: httpx.AsyncClient

    async def post(self, url: str, origin: str | None = None, **fields: str) -> httpx.Response:
        """Open a page and send its form."""
        found = _HIDDEN.search((await self.client.get(url)).text)
        data = {"csrf": found[1] if found else "", **fields}
        return await self.client.post(url, data=data, headers={"Origin": origin or self.address})

    async def sign_in(self, url: str, token: str) -> httpx.Response:
        """Prove to be the caller with this bearer token, and return the page after that."""
        response = await self.post(url, action="sign-in", token=token)
        return await self.client.get(response.headers["location"]) if response.is_redirect else response

    async def go_to_issuer(self, url: str) -> str:
        """Choose to sign in at the issuer of access tokens, and return the address of its page."""
        return find_next(await self.post(url, action="sign-in-at-issuer"))

    async def begin(self, url: str, token: str) -> str:
        """Sign in, approve, and return the address of the authorization server's page."""
        assert (await self.sign_in(url, token)).status_code == 200
        return find_next(await self.post(url, action="link"))

    async def link(self, url: str, token: str, **decision: object) -> httpx.Response:
        """Link an account from the first page to the last, and return the last."""
        back = await decide(self.gitbook, await self.begin(url, token), **decision)  # type: ignore[arg-type]
        return await self.client.get(back)


def find_next(page: httpx.Response) -> str:
    """Return the address that a page sends the browser to."""
    found = _NEXT.search(page.text)
    assert found, page.text
    return unescape(found[1])
