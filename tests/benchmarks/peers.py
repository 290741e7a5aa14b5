"""What else makes a server of an API: proxies of GitBook's official OpenAPI, without a line by hand.

They get the operations that the product has, under the same names, so that the same calls can be made of all.
"""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from tests.benchmarks.environment import CACHE, install
from tests.benchmarks.subject import Subject

FASTMCP = "fastmcp==4.*"
AWSLABS = "awslabs.openapi-mcp-server==1.*"
IVOTOBY = "@ivotoby/openapi-mcp-server@1"
SPECIFICATION = "@gitbook/api@0.202.0"


def fastmcp() -> Subject:
    """FastMCP's `from_openapi`, over stdio or HTTP."""
    argv = (install(FASTMCP), "-m", "tests.benchmarks.fastmcp_server", str(_prepare_openapi()))
    return Subject("FastMCP 4 `from_openapi`", argv)


def awslabs() -> Subject:
    """The OpenAPI proxy of AWS Labs, which is a FastMCP 3; stdio only."""
    command = Path(install(AWSLABS)).with_name("awslabs.openapi-mcp-server")
    return _run_in_shell(
        "awslabs.openapi-mcp-server",
        f"{command} --log-level ERROR --api-name gitbook --spec-path {_prepare_openapi()} "
        f"--allowed-spec-dirs {CACHE} --allow-insecure-http --allow-private-networks "
        "--no-validate-output "  # else it refuses answers of the fake, which lack what GitBook's have
        '--api-url "$GITBOOK_ENDPOINT/v1" --auth-type bearer --auth-token "$GITBOOK_TOKEN"',
    )


def ivotoby() -> Subject:
    """The OpenAPI proxy on npm, over stdio."""
    script = _install_from_npm(IVOTOBY) / "node_modules/@ivotoby/openapi-mcp-server/bin/mcp-server.js"
    return _run_in_shell(
        "@ivotoby/openapi-mcp-server",
        f"node {script} --openapi-spec {_prepare_openapi()} --disable-abbreviation true "
        '--api-base-url "$GITBOOK_ENDPOINT/v1" --headers "Authorization:Bearer $GITBOOK_TOKEN"',
        dashed=True,
    )


NO_HTTP = {
    "awslabs.openapi-mcp-server": "it speaks stdio only",
    "@ivotoby/openapi-mcp-server": "it answers on another stream than that of the request, which the clients here do "
    "not open, and speaks 2025-11-25 only",
}
PEERS: tuple[Callable[[], Subject], ...] = (fastmcp, awslabs, ivotoby)


def _run_in_shell(name: str, command: str, *, dashed: bool = False) -> Subject:
    """Return a server whose command line takes the endpoint; the shell that fills it in becomes the server."""
    return Subject(name, ("sh", "-c", f"exec {command}"), dashed)


def _install_from_npm(package: str) -> Path:
    """Return the folder in whose `node_modules` a package is, installed on first use."""
    folder = CACHE / package.replace("/", "_")
    if not (folder / "finished").exists():
        print(f"Installing {package} into {folder} …", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--ignore-scripts", "--prefix", str(folder), package]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (folder / "finished").touch()
    return folder


def _prepare_openapi() -> Path:
    """Return GitBook's OpenAPI with the product's operations only, each called as the product calls it."""
    path = CACHE / "family.json"
    specification = json.loads(_fetch_openapi().read_text(encoding="utf-8"))
    names = {(endpoint.path, endpoint.method.lower()): name for name, endpoint in ENDPOINTS.items()}
    paths: dict[str, Any] = {}
    for place, item in specification["paths"].items():
        for method, operation in item.items():
            if name := names.get((place, method)):
                shared = {"parameters": item["parameters"]} if "parameters" in item else {}
                paths.setdefault(place, shared)[method] = {**operation, "operationId": name}
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps({**specification, "paths": paths}), encoding="utf-8")
    return new.replace(path)


def _fetch_openapi() -> Path:
    path = CACHE / "openapi.json"
    if not path.exists():
        print(f"Fetching the OpenAPI of {SPECIFICATION} …", file=sys.stderr)
        CACHE.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", SPECIFICATION]
        packed = subprocess.run(command, cwd=CACHE, check=True, stdout=subprocess.PIPE, text=True)
        archive = CACHE / packed.stdout.split()[-1]
        with tarfile.open(archive) as package:
            member = package.extractfile("package/spec/openapi.json")
            assert member is not None
            path.write_bytes(member.read())
        archive.unlink()
    return path
