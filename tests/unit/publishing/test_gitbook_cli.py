"""GitBook's own command line and this server publish the same folder by the same request, field by field."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, USER_TOKEN
from tests.support.elicitation_client import GitBookSpy, Human, meet, read_status
from tests.support.integration_folder import COMPONENT, PNG, create_folder_server, write_folder
from tests.support.loopback import listen, open_listener
from tests.support.npm import install_package

CLI, RUNTIME = "@gitbook/cli@0.25.1", "@gitbook/runtime@0.23.3"
MANIFEST = f"""\
name: {OWN_INTEGRATION}
title: yes
icon: assets/icon.png
organization: {ORGANIZATION_ID}
visibility: public
description: Writes release notes
summary: |
    # Überblick
    A **text**.
script: ./src/index.tsx
unknown: dropped
previewImages:
    - assets/one.png
    - assets/two.png
externalLinks:
    - label: Documentation
      url: https://example.com/docs
      colour: red
scopes: [space:content:read, space:metadata:read]
categories: [collaboration]
target: space
blocks:
    - id: note
      title: Note
      urlUnfurl: ["https://example.com/**"]
      extra: dropped
configurations:
    account:
        properties:
            oauth: {{type: button, title: Connection, button_text: Authorize, callback_url: /oauth}}
            limit: {{type: number, default: 1}}
            quiet: {{type: boolean, title: Quiet, default: false, colour: red}}
        required: [oauth]
    site:
        componentId: config
        properties: {{key: {{type: string}}}}
        extra: dropped
contentSecurityPolicy:
    script-src: example.com
    x-own: "1"
secrets:
    CLIENT_ID: ${{{{ env.CLIENT_ID }}}}
    CLIENT_SECRET: "<${{{{ env.CLIENT_SECRET }}}}>"
envs:
    prod:
        visibility: private
        secrets:
            CLIENT_ID: prod-${{{{ env.CLIENT_ID }}}}
"""


class Recorder(GitBookSpy):
    """The sandbox, with the bodies of its POST requests."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the body, then serve the request."""
        parts: list[bytes] = []

        async def note() -> Message:
            message = await receive()
            parts.append(message.get("body", b""))
            return message

        await super().__call__(scope, note, send)
        if scope.get("method") == "POST":
            self.bodies.append(json.loads(b"".join(parts)))


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["default", "prod"])
async def test_both_send_the_same_request(tmp_path: Path, environment: str) -> None:
    modules = install_package(CLI, RUNTIME)
    variables = {"CLIENT_ID": "id-1", "CLIENT_SECRET": "s3cr3t-2"}
    files: dict[str, str | bytes] = {
        "src/index.tsx": COMPONENT,
        "src/note.raw.css": "a{b:c}",
        "assets/one.png": PNG + b"1",
        "assets/two.png": PNG + b"2",
        ".env": "".join(f"{name}={value}\n" for name, value in variables.items()),
    }
    folder = write_folder(tmp_path / "bot", files, text=MANIFEST)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    recorder = Recorder()
    with open_listener() as (listener, address):
        async with listen(recorder, HttpSection(), listener):
            ended = await anyio.run_process(
                [str(modules / "node_modules" / ".bin" / "gitbook"), "publish", "--env", environment, str(folder)],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(tmp_path),
                    "GITBOOK_TOKEN": USER_TOKEN,
                    "GITBOOK_ENDPOINT": address,
                    **variables,
                },
                check=False,
                stderr=subprocess.STDOUT,
            )
    assert ended.returncode == 0, ended.stdout.decode()
    sections = {"publishing": {"roots": [str(folder), str(modules)], "build": True}}
    server = create_folder_server(recorder, None, **sections)
    async with meet(server, Human(), "2026-07-28") as client:
        arguments = {"path": str(folder), "environment": environment}
        assert read_status(await client.call_tool("publish_integration_folder", arguments)) == "done"
    theirs, ours = recorder.bodies
    assert sorted(ours) == sorted(theirs)
    assert {name: ours[name] == value for name, value in theirs.items()} == dict.fromkeys(theirs, True)
