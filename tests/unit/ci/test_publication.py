"""What registries and desktop clients read about the program is true, valid, and starts it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from gitbook_integrations_api.catalog import TOOLS
from publication import build_bundle, describe_registry_entry
from tests.support.npm import install_package
from tests.support.repository import README, ROOT
from tests.support.samples import OFFERED


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    build_bundle(folder / "it.mcpb")
    with zipfile.ZipFile(folder / "it.mcpb") as bundle:
        bundle.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_registry_entry_keeps_the_registrys_rules() -> None:
    entry = json.loads(describe_registry_entry())
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"])
    assert len(entry["name"]) <= 200
    assert 1 <= len(entry["description"]) <= 100
    assert 1 <= len(entry["title"]) <= 100
    assert f"mcp-name: {entry['name']} " in README.read_text(encoding="utf-8"), "how the registry knows the owner"


def test_the_registry_entry_satisfies_the_schema_that_it_names() -> None:
    schema = json.loads((ROOT / "tests" / "data" / "server_schema.json").read_text(encoding="utf-8"))
    entry = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    assert entry["$schema"] == schema["$id"]
    validator = Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(entry)] == []
    assert list(validator.iter_errors({**entry, "version": None}))


@pytest.mark.e2e
def test_the_official_tool_finds_the_bundles_manifest_valid(unpacked: Path) -> None:
    mcpb = install_package("@anthropic-ai/mcpb@2.1.2") / "node_modules" / ".bin" / "mcpb"
    ended = subprocess.run([mcpb, "validate", unpacked / "manifest.json"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_installation_of_the_bundle_gets_the_locked_versions(unpacked: Path) -> None:
    project = tomllib.loads((unpacked / "pyproject.toml").read_text(encoding="utf-8"))
    pins = project["tool"]["uv"]["constraint-dependencies"]
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert pins == re.findall(r"^([a-z].*?)(?: \\)?$", locked, re.MULTILINE)  # without hashes
    pinned = {re.split(r"[=\[]", pin)[0] for pin in pins}
    needed = {re.split(r"[>\[]", one)[0].replace(".", "-") for one in project["project"]["dependencies"]}
    assert needed <= pinned


@pytest.mark.e2e
async def test_the_bundle_starts_as_its_manifest_says_and_has_the_tools_it_names(unpacked: Path) -> None:
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        pytest.skip("uv is missing, which the client would bring")
    manifest = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))
    start = manifest["server"]["mcp_config"]
    arguments = [word.replace("${__dirname}", str(unpacked)) for word in start["args"]]
    chosen: dict[str, Any] = {key: one["default"] for key, one in manifest["user_config"].items()} | {"sandbox": True}
    values = {key: str(value).lower() if isinstance(value, bool) else value for key, value in chosen.items()}
    environment = {
        name: re.sub(r"\$\{user_config\.(\w+)\}", lambda found: values[found.group(1)], value)
        for name, value in start["env"].items()
    }
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    server = StdioServerParameters(command=uv, args=arguments, env={**kept, **environment})
    async with Client(server) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("list_sites", {})
    assert not result.is_error
    named = {tool["name"] for tool in manifest["tools"]}
    assert named == set(OFFERED)
    assert tools == {name for name in named if TOOLS[name].risk == "read"}
