"""A user who decides on the sandbox's authorization page, without a browser."""

import re
from collections.abc import Collection
from html import unescape
from urllib.parse import urlsplit

import httpx

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_OFFERED = re.compile(r'name="granted" value="([^"]*)"')


async def decide(
    client: httpx.AsyncClient, address: str, *, approve: bool = True, without: Collection[str] = ()
) -> str:
    """Open the authorization page at `address`, decide, and return the address that the browser is sent to.

    The user takes the ticks from the scopes in `without`.
    """
    page = await client.get(address)
    if page.is_redirect:
        return str(page.headers["location"])
    assert page.status_code == 200, page.text
    form: dict[str, str | list[str]] = {unescape(name): unescape(value) for name, value in _HIDDEN.findall(page.text)}
    form["granted"] = [scope for scope in _OFFERED.findall(page.text) if scope not in without]
    form["decision"] = "approve" if approve else "decline"
    parts = urlsplit(address)
    response = await client.post(f"{parts.scheme}://{parts.netloc}/oauth/authorize", data=form)
    assert response.status_code == 302, response.text
    return str(response.headers["location"])
