"""Reads an integration's folder: turns its manifest, images and script into the arguments of `publish_integration`.

Every problem is found at once, with its file and line. The checks are those of `publish_integration` and the further
ones of GitBook's command line.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoints.publishing import Policy, Publication
from gitbook_integrations_mcp.calls.arguments import NOT_JSON, is_json, join_names, list_problems
from gitbook_integrations_mcp.calls.checks import complete_arguments
from gitbook_integrations_mcp.calls.masking import MASK
from gitbook_integrations_mcp.calls.script import find_script_problem
from gitbook_integrations_mcp.config.models import PublishingSection
from gitbook_integrations_mcp.publishing.bundler import BuildError, bundle_script
from gitbook_integrations_mcp.publishing.document import MAX_BYTES, Document, DocumentError, Location, parse_document
from gitbook_integrations_mcp.publishing.files import FileError, Roots
from gitbook_integrations_mcp.publishing.variables import VariableError, Variables, read_dotenv
from gitbook_integrations_mcp.spelling import suggest
from gitbook_integrations_mcp.text import clean_text

PUBLISH = ENDPOINTS["publish_integration"]
DEFAULT_ENVIRONMENT = "default"

_ENVIRONMENT_KEYS = ("organization", "visibility", "secrets")
"""The keys that an environment in `envs` can replace."""
_ARGUMENTS = {"name": "integrationName"}
"""Keys of a manifest with another name in the API."""
_NAMED = [name for name in Publication.model_fields if name not in {"integrationName", "runtime"}]
KEYS = ("name", *_NAMED, "envs")
"""Every key that a manifest can have."""
_SCRIPT_BYTES = 5 * 1024 * 1024
_IMAGE_BYTES = 8 * 1024 * 1024
_MOST_PREVIEWS = 3
_ANY_IMAGE = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
_ANY_SCRIPT = "export default {};"


@dataclass(frozen=True, slots=True)
class Order:
    """The folder or its manifest, as a caller names it, and the choices that the manifest leaves open."""

    path: str
    environment: str = DEFAULT_ENVIRONMENT
    organization: str | None = None
    script: str | None = None


@dataclass(frozen=True, slots=True)
class FolderProblem:
    """A problem in a file, as a sentence, with the line from 1."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class FileFact:
    """A file that is published: its role, its name in the manifest, the size in bytes, and the digest."""

    role: str
    path: str
    bytes: int
    sha256: str
    bundled: bool = False


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it was read. `arguments` are those of `publish_integration`, and empty if there is a problem."""

    manifest: Path
    environment: str
    arguments: Mapping[str, Any] = field(repr=False)
    files: tuple[FileFact, ...]
    problems: tuple[FolderProblem, ...]
    notes: tuple[str, ...]

    @property
    def secrets(self) -> list[str]:
        """The names of the secrets that are published."""
        return sorted(self.arguments.get("secrets", ()))


def read_folder(
    settings: PublishingSection, roots: Roots, order: Order, scrub: Callable[[str], str] = lambda text: text
) -> Folder:
    """Return the folder that `order` names. `scrub` replaces the server's own tokens in a text.

    With `publishing.build`, this runs the esbuild of the folder.

    Raises:
        FolderError: the path is not below a root, or there is no manifest.
    """
    manifest = roots.find_manifest(order.path)
    return _Reader(settings, roots, order, manifest, scrub).read()


class _Reader:
    """Reads one folder, and collects its problems."""

    def __init__(
        self, settings: PublishingSection, roots: Roots, order: Order, manifest: Path, scrub: Callable[[str], str]
    ) -> None:
        self._settings = settings
        self._roots = roots
        self._order = order
        self._manifest = manifest
        self._folder = manifest.parent
        self._scrub = scrub
        self._document = Document({}, {})
        self._overridden: frozenset[str] = frozenset()
        self._problems: dict[FolderProblem, None] = {}
        self._notes: list[str] = []
        self._files: list[FileFact] = []

    def read(self) -> Folder:
        arguments: dict[str, Any] = {}
        try:
            content = self._roots.read(self._folder, self._manifest.name, MAX_BYTES)
            self._document = parse_document(content.decode("utf-8-sig"))
            if self._check_json(self._document.value, lambda place: place):
                arguments = self._read_manifest(self._document.value)
        except FileError as error:
            self._add((), f"The manifest {error}.")
        except ValueError:
            self._add((), "The manifest is not valid UTF-8.")
        except DocumentError as error:
            self._add((), f"The manifest {error}.", error.line)
        problems = sorted(self._problems, key=lambda problem: (problem.file, problem.line))
        return Folder(
            self._manifest,
            self._order.environment,
            {} if problems else arguments,
            tuple(self._files),
            tuple(problems),
            tuple(self._notes),
        )

    def _add(self, place: Location, text: str, line: int | None = None) -> None:
        problem = FolderProblem(self._manifest.name, line or self._document.find_line(place), self._scrub(text))
        self._problems[problem] = None

    def _clean(self, text: str, limit: int) -> str:
        """Return a text for one line, scrubbed before it is cut."""
        return clean_text(self._scrub(text), limit)

    def _check_json(self, value: Any, locate: Callable[[Location], Location]) -> bool:
        """Check that a value is JSON. `locate` returns the place in the manifest from which a place in it comes."""
        if is_json(value):
            return True
        place = locate(_find_no_json(value))
        self._add(place, f"{join_names(place) or 'The manifest'} contains {NOT_JSON}.")
        return False

    def _read_manifest(self, manifest: Any) -> dict[str, Any]:
        """Return the arguments of `publish_integration`; complete only if there is no problem."""
        if not isinstance(manifest, dict):
            raise DocumentError("must be an object of keys and values")
        for key in manifest:
            if key not in KEYS:
                line = self._document.find_line((key,))
                name = self._clean(key, 64)
                self._notes.append(f"Line {line}: {name} is not a manifest key and is ignored.{suggest(name, KEYS)}")
        if "organization" not in manifest:
            self._add((), "organization is required: the owner's ID or subdomain.")
        merged = {key: manifest[key] for key in KEYS if key in manifest} | self._read_environment(manifest)
        arguments = {_ARGUMENTS.get(key, key): value for key, value in merged.items() if key != "envs"}
        arguments.setdefault("description", "")
        arguments.setdefault("previewImages", [])
        if owner := self._order.organization:
            if arguments.get("organization") not in (None, owner):
                line = self._document.find_line(self._locate(("organization",)))
                self._notes.append(f"Line {line}: organization is replaced by {self._clean(owner, 64)}.")
            arguments["organization"] = owner
        self._complete(arguments)
        return self._check(arguments)

    def _read_environment(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the chosen environment replaces. All environments are checked."""
        environments = manifest.get("envs", {})
        if not isinstance(environments, dict):
            self._add(("envs",), "envs must be an object of environments.")
            return {}
        for prefix, values in [((), manifest), *((("envs", name), one) for name, one in environments.items())]:
            if not isinstance(values, dict):
                self._add(prefix, f"{join_names(prefix)} must be an object.")
                continue
            for key in _ENVIRONMENT_KEYS:
                if key in values:
                    self._check_value((*prefix, key), values[key])
            for key in values if prefix else ():
                if key not in _ENVIRONMENT_KEYS:
                    place = (*prefix, key)
                    known = ", ".join(_ENVIRONMENT_KEYS)
                    ignored = f"{self._clean(join_names(place), 64)} is ignored. An environment can only have {known}."
                    self._notes.append(f"Line {self._document.find_line(place)}: {ignored}")
        name = self._order.environment
        if name not in environments and name != DEFAULT_ENVIRONMENT:
            known = ", ".join([DEFAULT_ENVIRONMENT, *map(str, environments)])
            self._add(("envs",), self._clean(f"envs has no environment {name}. It has: {known}.", 500))
        chosen = environments.get(name)
        replaced = {key: chosen[key] for key in _ENVIRONMENT_KEYS if key in chosen} if isinstance(chosen, dict) else {}
        self._overridden = frozenset(replaced)
        return replaced

    def _check_value(self, place: Location, value: Any) -> None:
        """Check a value that an environment can replace, before references in it are replaced."""
        name = str(place[-1])
        if isinstance(value, dict):
            value = {key: one.replace("${{", "") if isinstance(one, str) else one for key, one in value.items()}
        for problem in list_problems(PUBLISH, {name: value}):
            if problem.path[:1] == (name,):
                full = (*place[:-1], *problem.path)
                self._add(full, problem.describe(join_names(full)))

    def _locate(self, path: Location) -> Location:
        """Return the place in the manifest from which a value in the arguments comes."""
        name, *rest = path
        if name in self._overridden:
            return ("envs", self._order.environment, name, *rest)
        return ("name" if name == "integrationName" else name, *rest)

    def _complete(self, arguments: dict[str, Any]) -> None:
        """Replace references and names of files by their values and contents, or by a valid stand-in for the checks."""
        if isinstance(secrets := arguments.get("secrets"), dict):
            arguments["secrets"] = self._replace_secrets(secrets)
        if isinstance(icon := arguments.get("icon"), str):
            arguments["icon"] = self._read_image(("icon",), icon)
        if isinstance(previews := arguments["previewImages"], list):
            arguments["previewImages"] = [
                self._read_image(("previewImages", number), name) if isinstance(name, str) else name
                for number, name in enumerate(previews[:_MOST_PREVIEWS])
            ] + previews[_MOST_PREVIEWS:]
        if isinstance(script := arguments.get("script"), str):
            arguments["script"] = self._read_script(script if self._order.script is None else self._order.script)

    def _replace_secrets(self, secrets: Mapping[str, Any]) -> dict[str, Any]:
        """Return the secrets with values in place of references, without those that have none."""
        replaced: dict[str, Any] = {}
        try:
            variables = Variables(read_dotenv(self._roots, self._folder), self._settings.secrets)
        except FileError as error:
            self._add(self._locate(("secrets",)), f"secrets cannot be read: the file .env {error}.")
            return replaced
        for name, value in secrets.items():
            if isinstance(value, str) and value and "${{" not in value:
                place = self._locate(("secrets", name))
                line, named = self._document.find_line(place), self._clean(join_names(place), 64)
                advice = "is plain text in the manifest. Better: ${{ env.NAME }}, with the value in .env."
                self._notes.append(f"Line {line}: {named} {advice}")
            try:
                replaced[name] = variables.replace(value) if isinstance(value, str) else value
            except VariableError as error:
                place = self._locate(("secrets", name))
                self._add(place, f"{join_names(place)} {error}.")
        return replaced

    def _scrub_variables(self, text: str) -> str:
        """Return a message of a program of the folder without the server's tokens and without values of variables."""
        with suppress(FileError):
            for value in Variables(read_dotenv(self._roots, self._folder), self._settings.secrets).secrets:
                text = text.replace(value, MASK)
        return self._scrub(text)

    def _read_image(self, place: Location, name: str) -> str:
        try:
            _check_image_name(name)
            content = self._roots.read(self._folder, name, _IMAGE_BYTES)
        except FileError as error:
            self._add(place, f"{join_names(place)}: {self._clean(name, 200)} {error}.")
            return _ANY_IMAGE
        self._files.append(self._describe_file(join_names(place), name, content))
        return base64.b64encode(content).decode()

    def _describe_file(self, role: str, name: str, content: bytes, *, bundled: bool = False) -> FileFact:
        return FileFact(role, self._clean(name, 200), len(content), hashlib.sha256(content).hexdigest(), bundled)

    def _read_script(self, name: str) -> str:
        try:
            script, bundled = self._load_script(name)
        except (FileError, BuildError) as error:
            self._add(("script",), f"script: {self._clean(name, 200)} {str(error).removesuffix('.')}.")
            return _ANY_SCRIPT
        self._files.append(self._describe_file("script", name, script.encode(), bundled=bundled))
        return script

    def _load_script(self, name: str) -> tuple[str, bool]:
        """Return a script, and whether it was bundled now. A complete bundle is published as it is.

        Raises:
            FileError: the file cannot be read, or must be bundled first.
            BuildError: bundling failed.
        """
        try:
            script = self._roots.read(self._folder, name, _SCRIPT_BYTES).decode("utf-8-sig")
        except ValueError:
            raise FileError("is not valid UTF-8") from None
        is_javascript = name.endswith((".js", ".mjs"))
        if is_javascript and find_script_problem(script) is None:
            return script, False
        if self._settings.build:
            path = self._roots.find(self._folder, name)
            return bundle_script(self._roots, self._folder, path, _SCRIPT_BYTES, self._scrub_variables), True
        if not is_javascript:
            raise FileError(
                "must be bundled. Name the bundled file (.js) as scriptFile (--script), or ask the operator to set "
                "publishing.build (--build), with which this server bundles it"
            )
        return script, False

    def _check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return checked arguments without keys that GitBook's command line leaves out, too."""
        if not self._check_json(arguments, self._locate):
            return {}  # a variable of the environment can have any bytes
        problems = list_problems(PUBLISH, arguments)
        for problem in problems:
            if problem.path == ("organization",) and "organization" not in arguments:
                continue  # already reported, with what to set
            place = self._locate(problem.path)
            self._add(place, problem.describe(join_names(place)))
        if problems:
            return {}
        known: dict[str, Any] = _keep_known(Publication.model_validate(arguments), arguments)
        for path in _find_missing(known, arguments):
            place = self._locate(path)
            text = f"{self._clean(join_names(place), 200)} is not a manifest key and is ignored."
            self._notes.append(f"Line {self._document.find_line(place)}: {text}")
        text = json.dumps({name: value for name, value in known.items() if name not in {"icon", "previewImages"}})
        if self._scrub(text) != text:
            self._add((), "The integration contains a GitBook token of this server, which is never published.")
        return complete_arguments(PUBLISH, known)


def _find_no_json(value: Any) -> Location:
    """Return the place of the innermost value that is no JSON, or of the object with a key that is none."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if not is_json(child):
            return (key, *_find_no_json(child))
    return ()


def _keep_known(checked: Any, given: Any) -> Any:
    """Return `given` without the keys that the table of tools does not have. A policy can have any."""
    if isinstance(checked, BaseModel) and not isinstance(checked, Policy):
        fields = ((name, info.alias or name) for name, info in type(checked).model_fields.items())
        return {key: _keep_known(getattr(checked, name), given[key]) for name, key in fields if key in given}
    if isinstance(checked, list):
        return [_keep_known(one, raw) for one, raw in zip(checked, given, strict=True)]
    if isinstance(checked, dict):
        return {key: _keep_known(one, given[key]) for key, one in checked.items()}
    return given


def _find_missing(kept: Any, given: Any) -> Iterator[Location]:
    """Yield the place of each key in `given` that `kept` does not have."""
    if isinstance(given, dict):
        for key, value in given.items():
            below = _find_missing(kept[key], value) if key in kept else [()]
            yield from ((key, *rest) for rest in below)
    elif isinstance(given, list):
        for number, (one, value) in enumerate(zip(kept, given, strict=True)):
            yield from ((number, *rest) for rest in _find_missing(one, value))


def _check_image_name(name: str) -> None:
    if not name.endswith(".png"):
        raise FileError("is not a PNG: its name must end with .png")
