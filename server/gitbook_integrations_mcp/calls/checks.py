"""Checks the values of arguments beyond their schema, as the table of tools declares it. Pure functions."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from gitbook_integrations_api.checks import INTERNAL_SCOPES, MOMENT, Check
from gitbook_integrations_api.endpoint import Input, Tool
from gitbook_integrations_api.manifest import Configurations
from gitbook_integrations_mcp.calls.script import derive_runtime, find_script_problem, is_module
from gitbook_integrations_mcp.calls.tunnel import find_private_host
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.spelling import suggest

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.IGNORECASE | re.ASCII)
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
"""How PNG and JPEG files begin. GitBook asks for PNG, but takes a JPEG too: some of its own integrations have one."""
_ICON_KIB = 250
_PREVIEW_KIB = 1024

WRONG_FORM = "has the wrong form"
"""The predicate of a text that does not match a pattern. The pattern itself would not help a model."""


Found = Iterator[tuple[tuple[int | str, ...], str]]
"""Problems of a value: where in it, and what is wrong, as a predicate."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that is not sent: its path in the arguments, what is wrong, as a predicate, and the code of the error."""

    path: tuple[int | str, ...]
    text: str
    code: ErrorCode = ErrorCode.INVALID_PUBLICATION

    def describe(self, name: str) -> str:
        """Return the problem as a sentence about `name`."""
        separator = ": " if self.code is ErrorCode.UNKNOWN_ARGUMENT else " "
        return f"{name}{separator}{self.text}{'' if self.text.endswith(('.', '?')) else '.'}"


def find_problems(
    tool: Tool, arguments: Mapping[str, Any], skip: Iterable[str] = (), *, private_tunnels: bool = False
) -> Iterator[Problem]:
    """Yield the problems of arguments that fit the schema, except of those in `skip`, which do not.

    `private_tunnels` allows tunnels that do not lead to the internet.
    """
    skipped = frozenset(skip)
    for name, check in _find_checks(tool.input).items():
        if name not in arguments or name in skipped or (check is Check.TUNNEL and private_tunnels):
            continue
        for below, text in _CHECKS[check](arguments[name], arguments):
            yield Problem((name, *below), text, _CODES.get(check, ErrorCode.INVALID_PUBLICATION))


def complete_arguments(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return valid `arguments` with those that follow from others: the runtime of a script."""
    missing = [name for name, check in _find_checks(tool.input).items() if check is Check.RUNTIME]
    return {**{name: derive_runtime(arguments["script"]) for name in missing}, **arguments}


@cache
def _find_checks(model: type[Input]) -> Mapping[str, Check]:
    """Return the fields of an input that are checked, with their checks."""
    return {
        name: mark for name, field in model.model_fields.items() for mark in field.metadata if isinstance(mark, Check)
    }


def _check_name(name: str, _: Mapping[str, Any]) -> Found:
    if not _NAME.fullmatch(name):
        yield (), "must consist of letters and digits, with single hyphens between them"


def _check_script(script: str, _: Mapping[str, Any]) -> Found:
    if problem := find_script_problem(script):
        yield (), problem


def _check_runtime(runtime: str, arguments: Mapping[str, Any]) -> Found:
    script = arguments.get("script")
    if not isinstance(script, str) or find_script_problem(script):
        return
    if runtime == "v1" and is_module(script):
        yield (), "must be v2 or left out: the script is an ES module, which v1 cannot run"
    elif runtime == "v2" and not is_module(script):
        yield (), "must be v1 or left out: the script is not an ES module, which v2 requires"


def _check_scopes(scopes: list[str], _: Mapping[str, Any]) -> Found:
    for number, scope in enumerate(scopes):
        if scope in INTERNAL_SCOPES:
            yield (number,), f"must not be {scope}: only GitBook's own integrations may request it. Use blocks instead"


def _check_icon(image: str, _: Mapping[str, Any]) -> Found:
    if problem := _find_image_problem(image, _ICON_KIB):
        yield (), problem


def _check_preview_images(images: list[str], _: Mapping[str, Any]) -> Found:
    for number, image in enumerate(images):
        if problem := _find_image_problem(image, _PREVIEW_KIB):
            yield (number,), problem


def _find_image_problem(image: str, limit: int) -> str | None:
    if not base64.b64decode(image[:12]).startswith(_IMAGES):
        return "is not a PNG: it must be the content of a PNG file (Base64 in a call)"
    size = len(image) // 4 * 3 - image[-2:].count("=")
    return f"has {size:,} bytes; the maximum is {limit * 1024:,} ({limit} KiB)" if size > limit * 1024 else None


def _check_ids(items: list[Mapping[str, Any]], _: Mapping[str, Any]) -> Found:
    seen: set[str] = set()
    for number, item in enumerate(items):
        if item["id"] in seen:
            yield (number, "id"), "must not be the same as that of another one"
        seen.add(item["id"])


def _check_configurations(configurations: Mapping[str, Mapping[str, Any]], _: Mapping[str, Any]) -> Found:
    for level, schema in configurations.items():
        if level not in (levels := Configurations.model_fields):
            yield (level,), f"is not a level. The levels are {', '.join(levels)}.{suggest(level, levels)}"
            continue
        properties = schema.get("properties", {})
        for number, name in enumerate(schema.get("required", ()) if "componentId" not in schema else ()):
            if name not in properties:
                yield (level, "required", number), f"must be one of the properties.{suggest(name, properties)}"


def _check_links(links: list[Mapping[str, Any]], _: Mapping[str, Any]) -> Found:
    for number, link in enumerate(links):
        if not _is_absolute(link["url"]):
            yield (number, "url"), "must be an absolute http or https URL"


def _is_absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not re.search(r"\s", url)
    except ValueError:
        return False


def _check_secrets(secrets: Mapping[str, str], _: Mapping[str, Any]) -> Found:
    for name, value in secrets.items():
        if "${{" in value:
            yield (
                (name,),
                "is a reference (${{ … }}) that only GitBook's command line replaces. Send the value itself",
            )


def _check_tunnel(url: str, _: Mapping[str, Any]) -> Found:
    if problem := find_private_host(url):
        yield (), f"{problem}. Use a public URL. Only the operator can allow others (tools.allow_private_tunnels)"


def _check_moment(moment: str | Mapping[str, Any], _: Mapping[str, Any]) -> Found:
    if isinstance(moment, str) and not re.fullmatch(MOMENT, moment):
        yield (), WRONG_FORM


_CODES: Mapping[Check, ErrorCode] = MappingProxyType(
    {Check.TUNNEL: ErrorCode.TUNNEL_NOT_ALLOWED, Check.MOMENT: ErrorCode.INVALID_ARGUMENTS}
)
"""The codes of the checks that are not about publications."""

_CHECKS: Mapping[Check, Callable[[Any, Mapping[str, Any]], Found]] = MappingProxyType(
    {
        Check.NAME: _check_name,
        Check.SCRIPT: _check_script,
        Check.RUNTIME: _check_runtime,
        Check.SCOPES: _check_scopes,
        Check.ICON: _check_icon,
        Check.PREVIEW_IMAGES: _check_preview_images,
        Check.IDS: _check_ids,
        Check.CONFIGURATIONS: _check_configurations,
        Check.LINKS: _check_links,
        Check.SECRETS: _check_secrets,
        Check.TUNNEL: _check_tunnel,
        Check.MOMENT: _check_moment,
    }
)
