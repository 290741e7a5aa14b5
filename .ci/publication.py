"""The entry for registries and the bundle for desktop clients, made from package, settings and tools.

`python .ci/publication.py bundle OUTPUT.mcpb` builds the bundle that desktop clients install with a double click: the
project's own files and a manifest; the client's `uv` makes the environment. `.ci/generate.py` writes `server.json`, the
entry of the MCP registry.
"""

import json
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from gitbook_integrations_mcp import NAME, TITLE
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import Settings, load_settings, name_variable
from gitbook_integrations_mcp.config.variables import CLI_VARIABLES

ROOT = Path(__file__).parent.parent
PROJECT = "pyproject.toml"
CONTENTS = ("server", "tools", "README.md", "LICENSE", "requirements.lock")
ICON = ROOT / "docs" / "images" / "icon.png"

REGISTRY_NAME = f"io.github.{NAME}/{NAME}"
"""Its first part is an account that the publisher must own; the README carries the name, too."""

REGISTRY_SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"


@dataclass(frozen=True)
class Choice:
    """A setting that people are asked for before the server starts. An empty variable counts as not set."""

    section: str
    key: str
    title: str
    type: str = "string"
    default: str | bool = ""
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        own = [name for name, place in CLI_VARIABLES.items() if place == (self.section, self.key)]
        return own[0] if own else name_variable(self.section, self.key)

    @property
    def description(self) -> str:
        """The words of the setting itself."""
        section: Any = Settings.model_fields[self.section].annotation
        return str(section.model_fields[self.key].description)


CHOICES = (
    Choice("gitbook", "token", "Personal access token", secret=True),
    Choice("gitbook", "integration_token", "Token of your own integration", secret=True),
    Choice("gitbook", "organization", "Organization ID"),
    Choice("tools", "read_only", "Read-only", "boolean", default=True),
    Choice("server", "sandbox", "Try it with the built-in GitBook sandbox", "boolean", default=False),
)


async def describe_bundle() -> dict[str, Any]:
    """Return the manifest of the bundle."""
    about = metadata(NAME)
    async with Client(create_server(load_settings())) as client:
        tools = (await client.list_tools()).tools
        prompts = (await client.list_prompts()).prompts
    return {
        "manifest_version": "0.4",
        "name": NAME,
        "display_name": TITLE,
        "version": about["Version"],
        "description": about["Summary"],
        "author": {"name": f"The authors of {NAME}"},
        "repository": {"type": "git", "url": _find_url("Source")},
        "homepage": _find_url("Homepage"),
        "documentation": _find_url("Documentation"),
        "support": _find_url("Issues"),
        "icon": ICON.name,
        "license": about["License-Expression"],
        "keywords": about["Keywords"].split(","),
        "server": {
            "type": "uv",
            "entry_point": "server/gitbook_integrations_mcp/__main__.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--quiet", "--no-dev", "--directory", "${__dirname}", NAME],
                "env": {one.variable: f"${{user_config.{one.key}}}" for one in CHOICES},
            },
        },
        "tools": [{"name": tool.name, "description": tool.description} for tool in tools],
        "prompts_generated": bool(prompts),
        "user_config": {
            one.key: {
                "type": one.type,
                "title": one.title,
                "description": one.description,
                "default": one.default,
                "required": False,
                **({"sensitive": True} if one.secret else {}),
            }
            for one in CHOICES
        },
        "compatibility": {"platforms": ["darwin", "linux", "win32"], "runtimes": {"python": about["Requires-Python"]}},
    }


def pin_dependencies() -> str:
    """Return `pyproject.toml` with the versions of the lock file: every installation of the bundle gets the same."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.removesuffix("\\").strip() for line in lines if line and not line.startswith(" ")]  # without hashes
    table = ["", "[tool.uv]", "constraint-dependencies = [", *(f"    {json.dumps(pin)}," for pin in pins), "]", ""]
    return (ROOT / PROJECT).read_text(encoding="utf-8") + "\n".join(table)


def build_bundle(output: Path) -> None:
    """Write the bundle: the files that the program consists of, and the manifest."""
    files = [
        path for name in CONTENTS for path in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])
    ]
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("manifest.json", _write(anyio.run(describe_bundle)))
        bundle.writestr(PROJECT, pin_dependencies())
        bundle.write(ICON, ICON.name)
        for path in sorted(files):
            if path.is_file() and "__pycache__" not in path.parts:
                bundle.write(path, path.relative_to(ROOT))


def describe_registry_entry() -> str:
    """Return `server.json`."""
    about = metadata(NAME)
    variables = [
        {
            "name": one.variable,
            "description": one.description,
            "isRequired": False,
            **({"isSecret": True} if one.secret else {}),
            **({"format": "boolean"} if one.type == "boolean" else {}),
        }
        for one in CHOICES
    ]
    package = {
        "registryType": "pypi",
        "identifier": NAME,
        "version": about["Version"],
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "environmentVariables": variables,
    }
    entry = {
        "$schema": REGISTRY_SCHEMA,
        "name": REGISTRY_NAME,
        "title": TITLE,
        "description": about["Summary"],
        "version": about["Version"],
        "websiteUrl": _find_url("Documentation"),
        "repository": {"url": _find_url("Source"), "source": "github"},
        "icons": [{"src": f"{_find_url('Source')}/raw/main/docs/images/icon.png", "mimeType": "image/png"}],
        "packages": [package],
    }
    return _write(entry)


def _find_url(label: str) -> str:
    """Return a URL of the project, by its label in `pyproject.toml`."""
    return str(tomllib.loads((ROOT / PROJECT).read_text(encoding="utf-8"))["project"]["urls"][label])


def _write(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["bundle", output]:
            build_bundle(Path(output))
        case _:
            sys.exit(__doc__)
