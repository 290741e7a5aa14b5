"""All settings in one frozen model. Flags override environment variables, which override the JSON file.

Every setting has a variable `GITBOOK_MCP_<SECTION>__<KEY>`. Five also have a short one, as in GitBook's own CLI.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as PydanticSettingsError

from gitbook_integrations_mcp.config.gitbook_cli import read_cli_login
from gitbook_integrations_mcp.config.json_text import JsonError, parse_json
from gitbook_integrations_mcp.config.models import (
    AuditSection,
    ConfirmationSection,
    DevelopmentSection,
    GitBookSection,
    HttpSection,
    LimitsSection,
    OAuthSection,
    PolicySection,
    PublishingSection,
    Section,
    ServerSection,
    StoreSection,
    ToolsSection,
)
from gitbook_integrations_mcp.config.types import PATTERNS, expand_home
from gitbook_integrations_mcp.config.variables import CLI_VARIABLES, PREFIX
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.spelling import suggest

DELIMITER = "__"
PROFILE_VARIABLE = f"{PREFIX}PROFILE"
SCHEMA_KEY = "$schema"


class _Environment(EnvSettingsSource):
    """The prefixed variables, whose JSON is as strict as the settings file."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            decoded = super().decode_complex_value(field_name, field, value)
            if decoded is not value:  # text of a list stays text here
                parse_json(value)
        except RecursionError:
            raise JsonError(f"{_name_source(field_name, field)} is nested too deeply") from None
        except JsonError as error:
            raise JsonError(f"{_name_source(field_name, field)} {error}") from None
        except ValueError:
            raise JsonError(f"{_name_source(field_name, field)} contains invalid JSON") from None
        return decoded


class _SettingsFile(InitSettingsSource):
    """The settings file. Its base class accepts sections in other case, and then ignores one of two equal ones."""

    def __init__(self, settings_cls: type[BaseSettings], content: dict[str, Any]) -> None:
        super().__init__(settings_cls, {})
        self.init_kwargs = content


class Settings(BaseSettings):
    """All settings. `load_settings` returns an instance."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    gitbook: GitBookSection = GitBookSection()
    tools: ToolsSection = ToolsSection()
    server: ServerSection = ServerSection()
    http: HttpSection = HttpSection()
    oauth: OAuthSection = OAuthSection()
    confirmation: ConfirmationSection = ConfirmationSection()
    policy: PolicySection = PolicySection()
    store: StoreSection = StoreSection()
    publishing: PublishingSection = PublishingSection()
    audit: AuditSection = AuditSection()
    development: DevelopmentSection = DevelopmentSection()
    limits: LimitsSection = LimitsSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, file. `load_settings` passes the file's content as `_file`."""
        assert isinstance(init_settings, InitSettingsSource)
        flags = dict(init_settings.init_kwargs)
        file = flags.pop("_file", {})
        unprefixed: dict[str, dict[str, str]] = {}
        for variable, (section, key) in CLI_VARIABLES.items():
            if value := os.environ.get(variable):
                unprefixed.setdefault(section, {})[key] = value
        return (
            InitSettingsSource(settings_cls, flags),
            _Environment(settings_cls),
            InitSettingsSource(settings_cls, unprefixed),
            _SettingsFile(settings_cls, file),
        )


def iterate_settings() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield section, key and field of every setting, in the order of the model."""
    for section, info in Settings.model_fields.items():
        assert isinstance(info.annotation, type)
        assert issubclass(info.annotation, Section)
        for key, field in info.annotation.model_fields.items():
            yield section, key, field


def is_secret(field: FieldInfo) -> bool:
    """Whether the value of a setting is a secret."""
    return "SecretStr" in repr(field.annotation)


def name_variable(section: str, key: str) -> str:
    """Return the name of the environment variable of a setting."""
    return f"{PREFIX}{section}{DELIMITER}{key}".upper()


def find_variable(section: str, key: str) -> str | None:
    """Return the environment variable that sets a setting, if there is one."""
    variables = {name.upper(): value for name, value in os.environ.items() if value}
    own = [name for name, place in CLI_VARIABLES.items() if place == (section, key)]
    if found := next((name for name in (name_variable(section, key), *own) if name in variables), None):
        return found
    whole = f"{PREFIX}{section}".upper()
    return whole if key in parse_json(variables.get(whole, "{}")) else None


def _name_source(name: str, field: FieldInfo) -> str:
    """Return the variable of a field: that of a setting, or that of the section `name`."""
    found = (name_variable(section, key) for section, key, each in iterate_settings() if each is field)
    return next(found, f"{PREFIX}{name}".upper())


def load_settings(flags: Mapping[str, Mapping[str, Any]] | None = None, config: Path | None = None) -> Settings:
    """Return the settings from `flags`, the environment, and the file `config` or else `GITBOOK_MCP_CONFIG`.

    `GITBOOK_MCP_PROFILE` selects one of the file's `profiles`, whose keys replace the file's.

    Raises:
        SettingsError: unreadable file, unknown key or variable, or invalid value.
    """
    _check_variables()
    file = read_settings_file(config)
    build: Callable[..., Settings] = Settings  # takes sources, not fields: see settings_customise_sources
    try:
        settings = build(_file=file, **(flags or {}))
    except ValidationError as error:
        raise SettingsError("\n".join(map(_describe, _select_problems(error)))) from None
    except PydanticSettingsError as error:
        raise SettingsError(f"{error.__cause__}.") from None
    return _use_cli_login(settings)


def _use_cli_login(settings: Settings) -> Settings:
    """Return the settings with the token of GitBook's own command line, if they need one and it fits.

    A token is sent only to the endpoint that it is for.
    """
    section = settings.gitbook
    needs = settings.http.credentials == "operator" and not settings.server.sandbox and section.cli_environment
    if section.token or section.integration_token or not needs:
        return settings
    login = read_cli_login(section.cli_environment or "")
    if login is None:
        return settings
    default = GitBookSection().endpoint
    try:
        endpoint = GitBookSection(endpoint=login.endpoint or default).endpoint
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        problem = f"The login of GitBook's command line ({login.path}) is not used: its endpoint {reason}."
        return settings.model_copy(update={"gitbook": section.refuse_login(problem)})
    if "endpoint" in section.model_fields_set and section.endpoint != endpoint:
        return settings
    return settings.model_copy(update={"gitbook": section.use_login(login.token, endpoint, login.path)})


def locate_settings_file(config: Path | None = None) -> Path | None:
    """Return `config`, or else the settings file that the environment names, if it names one."""
    if config is None and (named := os.environ.get(f"{PREFIX}CONFIG")):
        return expand_home(Path(named))
    return config


def read_settings_file(config: Path | None) -> dict[str, Any]:
    """Return the sections of the settings file, as `load_settings` finds it; without a file, none.

    Raises:
        SettingsError: the file cannot be read, or does not have the profile.
    """
    config = locate_settings_file(config)
    profile = os.environ.get(PROFILE_VARIABLE) or None
    content = _read_file(config) if config else {}
    content.pop(SCHEMA_KEY, None)
    profiles = content.pop("profiles", {})
    if profile is None:
        return content
    if not isinstance(profiles, dict) or not isinstance(selected := profiles.get(profile), dict):
        names = [*profiles] if isinstance(profiles, dict) else []
        listed = f" It has: {', '.join(names)}." if names else ""
        missing = f"there is no settings file; pass --config, or set {PREFIX}CONFIG"
        where = f"the settings file {config} does not have it" if config else missing
        raise SettingsError(f"profile {profile}: {where}.{suggest(profile, names)}{listed}")
    for section, keys in selected.items():
        base = content.get(section)
        content[section] = {**base, **keys} if isinstance(base, dict) and isinstance(keys, dict) else keys
    return content


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except JsonError as error:
        raise SettingsError(f"The settings file {path} {error}.") from None
    except ValueError:
        raise SettingsError(f"The settings file {path} is not valid UTF-8.") from None
    if not isinstance(content, dict):
        raise SettingsError(
            f"The settings file {path} must contain a JSON object of sections, like config.example.json."
        )
    profiles = content.get("profiles")
    for sections in (content, *(profiles.values() if isinstance(profiles, dict) else ())):
        _place_files(sections, path.parent)
    return content


def _place_files(sections: Any, folder: Path) -> None:
    """Make relative paths of files in sections relative to `folder`, which is that of the settings file."""
    for section, key, start in (("audit", "accepted", ""), ("store", "url", "sqlite:///")):
        keys: Any = sections.get(section) if isinstance(sections, dict) else None
        value = keys.get(key) if isinstance(keys, dict) else None
        if isinstance(value, str) and re.match(f"{start}[^~]", value):
            keys[key] = start + (folder / value.removeprefix(start)).as_posix()


def _check_variables() -> None:
    known = {name_variable(section, key) for section, key, _ in iterate_settings()}
    known |= {f"{PREFIX}{section}".upper() for section in Settings.model_fields} | {f"{PREFIX}CONFIG", PROFILE_VARIABLE}
    seen: set[str] = set()
    for variable, value in os.environ.items():
        if not (name := variable.upper()).startswith(PREFIX):
            continue
        if name not in known:
            raise SettingsError(f"{variable}: unknown variable.{suggest(name, known)}")
        if value and name in seen:
            raise SettingsError(f"{name} is set twice, in different upper and lower case.")
        if value:
            seen.add(name)


def _select_problems(error: ValidationError) -> list[ErrorDetails]:
    """Return the problems of an error, without those of a list whose items have problems of their own.

    For a list with an invalid item, pydantic also reports the list as too short.
    """
    problems = error.errors(include_input=False)
    locations = [problem["loc"] for problem in problems]
    return [
        problem
        for problem in problems
        if not any(len(one) > len(problem["loc"]) and one[: len(problem["loc"])] == problem["loc"] for one in locations)
    ]


def _describe(problem: ErrorDetails) -> str:
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    name = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"{name}: unknown setting.{suggest(location[-1].lower(), _list_siblings(problem['loc']))}"
    variables = [variable for variable, place in CLI_VARIABLES.items() if list(place) == location[:2]]
    if len(location) > 1:
        variables.append(name_variable(*location[:2]))
    match problem["type"]:
        case "missing":
            message = "is required"
        case "string_pattern_mismatch":
            message = f"must be {PATTERNS[problem['ctx']['pattern']]}"
        case "bool_type" | "bool_parsing":
            message = "must be true or false"
        case "int_type" | "int_parsing" | "int_from_float":
            message = "must be a whole number"
        case "float_type" | "float_parsing":
            message = "must be a number"
        case _:
            message = re.sub(r"^\w+ should", "must", problem["msg"]).partition(" after validation")[0].rstrip(".")
    message = message.replace("valid tuple", "list").replace("dictionary", "object").partition(" or instance ")[0]
    return (
        f"{name}: {message} (set by {', '.join(variables)}, the settings file or a flag)."
        if variables
        else (f"{name}: {message}.")
    )


def _list_siblings(location: tuple[int | str, ...]) -> Mapping[str, FieldInfo]:
    """Return the known keys where `location` has an unknown one, also in an object within a list."""
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        if isinstance(part, str):
            kinds: list[Any] = [model.model_fields[part].annotation]
            while not (isinstance(kinds[0], type) and issubclass(kinds[0], BaseModel)):
                kinds += get_args(kinds.pop(0))
            model = kinds[0]
    return model.model_fields
