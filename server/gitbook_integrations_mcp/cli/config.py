"""The command `config`: shows the settings in force and their sources, and writes a settings file."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import to_jsonable_python

from gitbook_integrations_mcp.cli.console import print_json, print_table
from gitbook_integrations_mcp.cli.flags import read_flags
from gitbook_integrations_mcp.cli.launcher import name_command
from gitbook_integrations_mcp.config.settings import (
    SCHEMA_KEY,
    Settings,
    find_variable,
    iterate_settings,
    read_settings_file,
)
from gitbook_integrations_mcp.config.variables import PREFIX
from gitbook_integrations_mcp.errors import UsageError
from gitbook_integrations_mcp.process import SUCCESS

HIDDEN = "(set)"


def run(settings: Settings, arguments: Namespace) -> int:
    """Run one of the actions.

    Raises:
        UsageError: `init` would overwrite a file, or cannot write it; another action gets a file.
    """
    if arguments.file and arguments.action != "init":
        raise UsageError("FILE is only for `config init`. Name a settings file with --config FILE.")
    match arguments.action:
        case "init":
            file = arguments.file or Path("gitbook-mcp.json")
            schema = write_file(file)
            if arguments.json:
                print_json({"files": [str(file), str(schema)]})
                return SUCCESS
            start = f"Start with --config {file}, or set {PREFIX}CONFIG."
            print(f"Written: {file}, for a read-only server. {start}")
            print(f"Written: {schema}, with which editors complete and check it.")
        case "schema":
            print_json(describe_schema())
        case _:
            rows = list_settings(settings, arguments)
            shown = [row for row in rows if _is_shown(row, arguments)]
            all_default = f"Every setting has its default. `{name_command()} config --all` shows them."
            print_json(rows) if arguments.json else print_table(shown, [] if shown else [all_default])
    return SUCCESS


def _is_shown(row: dict[str, Any], arguments: Namespace) -> bool:
    return bool(arguments.all) or row["source"] != "default"


def list_settings(settings: Settings, arguments: Namespace) -> list[dict[str, Any]]:
    """Return each setting with its value and its source. Secrets are only said to be set."""
    flags, file = read_flags(arguments), read_settings_file(arguments.config)
    rows = []
    for section, key, _ in iterate_settings():
        value = getattr(getattr(settings, section), key)
        rows.append(
            {
                "setting": f"{section}.{key}",
                "value": to_jsonable_python(_hide(value)),
                "source": _find_source(section, key, flags, file),
            }
        )
    return rows


def _hide(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, list | tuple):
        return [_hide(one) for one in value]
    return value


def _find_source(section: str, key: str, flags: dict[str, dict[str, Any]], file: dict[str, Any]) -> str:
    if key in flags.get(section, {}):
        return "flag"
    if variable := find_variable(section, key):
        return variable
    return "file" if key in file.get(section, {}) else "default"


def describe_schema() -> dict[str, Any]:
    """Return the JSON Schema of a settings file, with which editors complete and check it."""
    schema = Settings.model_json_schema()
    sections = dict(schema["properties"])
    profile = {"type": "object", "additionalProperties": False, "properties": sections}
    schema["properties"] = {
        SCHEMA_KEY: {"type": "string"},
        **sections,
        "profiles": {
            "type": "object",
            "description": "Settings by the name of a profile (--profile). They replace those of the file.",
            "additionalProperties": profile,
        },
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write_file(path: Path) -> Path:
    """Write a settings file for an auditor, and its schema beside it. Return the file of the schema.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    if not path.name:
        raise UsageError(f"{path} is a folder. Name the file, for example {path / 'gitbook-mcp.json'}.")
    schema = path.with_suffix(".schema.json")
    if schema.exists():
        raise UsageError(f"{schema} exists already. Nothing was written; choose another name.")
    content = {
        SCHEMA_KEY: f"./{schema.name}",
        "tools": {"read_only": True},
        "profiles": {"example": {"gitbook": {"organization": "ID-of-the-organization"}}},
    }
    try:
        path.touch(0o600, exist_ok=False)  # people add tokens to it
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        schema.write_text(json.dumps(describe_schema(), indent=2) + "\n", encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{path} exists already. Nothing was written; choose another name.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    return schema
