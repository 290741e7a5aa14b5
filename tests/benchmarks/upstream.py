"""A fake GitBook that answers at once: fixed bytes over keep-alive HTTP, in a process of its own.

It reads no more of a request than where it ends and what it asks for, so that the servers under test, not this one,
set the pace. It prints its port, and stops when its standard input closes, hence never outlives the benchmark.
"""

import argparse
import asyncio
import json
import os
import re
import ssl
import sys
from functools import cache
from typing import Any

PAGE_TARGET = re.compile(rb"GET /v1/integrations[? ]")
HUGE_TARGET = re.compile(rb"GET /v1/integrations/huge[? ]")
HUGE_BYTES = 50_000_000
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

NAMES = [
    f"{name}{suffix}"
    for suffix in ("", "-embed", "-events", "-sync", "-login")
    for name in ("slack", "github", "gitlab", "intercom", "segment", "figma", "linear", "jira", "sentry", "zendesk")
]


def integration(name: str) -> dict[str, Any]:
    """Return a small integration, some 300 bytes as JSON."""
    return {
        "object": "integration",
        "name": name,
        "version": 12,
        "title": name.replace("-", " ").title(),
        "description": f"Bring {name} into your documentation.",
        "visibility": "public",
        "target": "space",
        "scopes": ["space:content:read", "space:metadata:read"],
        "categories": ["collaboration"],
        "urls": {"app": f"https://app.gitbook.com/integrations/{name}"},
    }


def full_integration(name: str, number: int) -> dict[str, Any]:
    """Return an integration as the marketplace lists it, some 2 KB as JSON."""
    title = name.replace("-", " ").title()
    asset = f"https://integrations.gitbook.com/assets/{name}"
    return {
        **integration(name),
        "createdAt": f"2023-0{number % 9 + 1}-14T09:26:53.589Z",
        "updatedAt": f"2025-0{number % 9 + 1}-27T18:28:18.284Z",
        "verified": number % 3 == 0,
        "summary": f"# Overview\n\nThe {title} integration connects your content with the tools your team uses. "
        f"Readers see what matters where they need it, and writers hear about it in {title}.\n\n"
        "# How it works\n\nAfter the installation, choose the spaces and sites it may use. Nothing is shared with "
        f"{title} before you connect an account, and disconnecting removes every copy.\n\n"
        "# Configure\n\nOpen the integration's settings, authorize the account, and save. An administrator can "
        "change or revoke the choice at any time; events of the last days are kept for debugging.\n\n"
        "- Works with public, unlisted and share-link content\n- Respects the permissions of each space\n"
        "- No code needed: paste a link, and it unfurls into a block",
        "icon": f"{asset}/icon.png",
        "previewImages": [f"{asset}/preview-{index}.png" for index in range(3)],
        "blocks": [
            {
                "id": f"{name}-embed",
                "title": f"{title} embed",
                "description": f"Insert a live preview from {title}.",
                "icon": f"{asset}/block.svg",
                "urlUnfurl": [f"https://{name}.example.com/**", f"https://www.{name}.example.com/**"],
            }
        ],
        "externalLinks": [
            {"url": f"https://{name}.example.com/docs", "label": "Documentation"},
            {"url": f"https://{name}.example.com/support", "label": "Support"},
        ],
        "configurations": {"account": {"componentId": "config"}, "space": {"componentId": "config"}},
        "permissions": {"install": True, "edit": False},
        "owner": {
            "object": "organization",
            "id": f"org{number:017d}",
            "title": "GitBook",
            "createdAt": "2022-03-14T15:09:26.535Z",
            "urls": {"app": "https://app.gitbook.com/o/gitbook", "location": "https://api.gitbook.com/v1/orgs/gitbook"},
        },
    }


def http_response(content: object) -> bytes:
    """Return a whole response with the headers GitBook documents."""
    body = json.dumps(content, separators=(",", ":")).encode()
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncache-control: no-store\r\n"
        "x-ratelimit-limit: 1000\r\nx-ratelimit-remaining: 999\r\nx-ratelimit-reset: 4102444800\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


SMALL = http_response(integration("slack"))
PAGE = http_response({"items": [full_integration(name, number) for number, name in enumerate(NAMES)]})


@cache
def make_huge() -> bytes:
    """Return an answer of 50 MB, which GitBook would not give."""
    return http_response({**integration("huge"), "summary": "word " * (HUGE_BYTES // 5)})


class Connection(asyncio.Protocol):
    """One connection; `latency` is in seconds."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._buffer = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = CONTENT_LENGTH.search(self._buffer, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < end:
                return
            answer = self._choose()
            self._buffer = self._buffer[end:]
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)

    def _choose(self) -> bytes:
        if PAGE_TARGET.match(self._buffer):
            return PAGE
        return make_huge() if HUGE_TARGET.match(self._buffer) else SMALL


async def serve(port: int, latency: float, certificate: str | None) -> None:
    loop = asyncio.get_running_loop()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", port, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--latency", type=float, default=0, metavar="MS", help="wait before every answer")
    parser.add_argument("--certificate", metavar="FILE", help="certificate and key, to be reached over TLS")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.latency / 1000, options.certificate))
    os._exit(0)  # Python 3.12+ waits for open connections on the way out; nobody is left to answer.


if __name__ == "__main__":
    main()
