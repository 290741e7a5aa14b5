"""A client of the confirmation page that behaves like a browser."""

import re
from collections.abc import Mapping

import httpx


class Browser:
    """Sends the requests of a browser: it keeps the fields of the form and sets the Origin."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def read(self, url: str) -> httpx.Response:
        """Open a page."""
        return await self.client.get(url)

    async def decide(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Open a page and send its form, with `fields` as the human fills them."""
        page = await self.read(url)
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        csrf = found[1] if found else ""
        origin = str(httpx.URL(url).join("/")).rstrip("/")
        return await self.client.post(url, data={"csrf": csrf, **fields}, headers={"Origin": origin, **(headers or {})})


APPROVE = {"decision": "approve", "confirm": "yes"}
