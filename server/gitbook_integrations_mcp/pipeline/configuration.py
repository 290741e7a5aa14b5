"""The configuration stage: compares a configuration with the schema that the integration publishes for its level.

GitBook stores any key and any type. An integration ignores a misspelt key, so a wrong update would be lost in silence.
GitBook does not say either why an installation is pending; `explain_pending` does.
"""

from collections.abc import Collection, Container, Iterator, Mapping
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import ConfigurationLevel, Widening
from gitbook_integrations_mcp.calls.arguments import join_names
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.response import read_list, read_object
from gitbook_integrations_mcp.calls.view import View
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.errors import ArgumentsError, CallError, ErrorCode, TargetError
from gitbook_integrations_mcp.spelling import find_nearest
from gitbook_integrations_mcp.text import clean_text

_TYPES: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}
"""Types of properties that have a value, and their Python types."""
_MAX_NAMED = 20
"""Number of settings, or of values of one, that an error names."""


async def check_configuration(
    call: EndpointCall,
    current: Mapping[str, Any] | None,
    targets: TargetReader,
    kept: Collection[str] | None = None,
) -> None:
    """Check the configuration of a call, if it has one, against the integration's schema for its level.

    `current` is the target before the call. The keys of its configuration are accepted, because integrations store
    values of their own. Without it, or without a schema that this caller may read, nothing is checked. `kept` are the
    keys whose values stay, by default those that the call sends as they are shown. These values are not compared.

    Raises:
        ArgumentsError: a key is unknown or missing, or a value has the wrong type. The message repeats no value.
        TargetError: the schema could not be read for another reason than a missing right.
    """
    level = call.tool.configures
    configuration = (call.request.body or {}).get("configuration")
    if level is None or configuration is None or current is None:
        return
    try:
        integration = await targets.read_integration(call)
    except CallError as error:
        raise TargetError(
            f"{call.tool.name} could not read the settings that the integration has, so nothing was changed. {error}"
        ) from None
    schema = find_schema(integration, level)
    if schema is None:
        return
    stored = read_object(current.get("configuration"))
    if kept is None:
        kept = _find_kept(call.arguments["configuration"], configuration, stored, current)
    problems = list(find_problems(schema, configuration, stored, kept))
    if problems:
        scrub = call.caller.credentials.scrub
        listed = "\n".join(f"- {join_names(('configuration', scrub(key)))} {text}" for key, text in problems)
        raise ArgumentsError(
            f"The configuration does not fit the schema of {call.arguments['integrationName']} for this level "
            f"({level}). Nothing was sent.\n{listed}\n"
            f"{_describe_settings(schema)}{_name_other_levels(integration, schema, configuration)}",
            ErrorCode.INVALID_CONFIGURATION,
        )


async def explain_pending(call: EndpointCall, content: Mapping[str, Any], targets: TargetReader) -> str:
    """Return why the installation that a call made or changed is pending, or "" if it is not.

    `content` is GitBook's response. The missing settings are named if this caller may read the integration's schema.
    """
    installs = call.tool.configures is not None or call.tool.widens is Widening.ACCESS
    if not installs or content.get("status") != "pending":
        return ""
    level: ConfigurationLevel = "site" if "site" in content else "space" if "space" in content else "account"
    try:
        schema = find_schema(await targets.read_integration(call), level)
    except CallError:
        schema = None
    missing = _list_missing(schema, read_object(content.get("configuration"))) if schema else []
    if not missing:
        return "It is pending until its required settings are set, or until a human completes its setup in GitBook."
    updater = next(one.name for one in ENDPOINTS.values() if one.configures == level)
    named = ", ".join(join_names((key,)) for key in missing[:_MAX_NAMED])
    return f"It is pending because required settings are missing: {named}. Set them with {updater}."


def find_schema(integration: Mapping[str, Any] | None, level: ConfigurationLevel) -> Mapping[str, Any] | None:
    """Return the schema of a level, or None if the integration declares none or shows a component of its own there.

    If the integration declares settings for other levels only, it has none at this one.
    """
    configurations = (integration or {}).get("configurations")
    if not isinstance(configurations, Mapping) or not configurations:
        return None
    schema = configurations.get(level, {"properties": {}})
    return schema if isinstance(schema, Mapping) and isinstance(schema.get("properties"), Mapping) else None


def _find_kept(
    sent: Mapping[str, Any], restored: Mapping[str, Any], stored: Mapping[str, Any], target: Mapping[str, Any]
) -> set[str]:
    """Return the keys whose values stay. A value with a credential stays only if the call has it as it is shown.

    Otherwise the presence of an error would show whether a guess of the credential is right.
    """
    shown = dict(zip(stored, View().show({**target, "configuration": stored})["configuration"].values(), strict=True))
    return {
        key
        for key, value in stored.items()
        if (restored.get(key) == value if shown[key] == value else sent.get(key) == shown[key])
    }


def find_problems(
    schema: Mapping[str, Any], configuration: Mapping[str, Any], stored: Container[str], kept: Container[str]
) -> Iterator[tuple[str, str]]:
    """Yield each key of `configuration` that does not fit, with a predicate that says why and ends the sentence.

    `stored` are the keys that the configuration has already, and `kept` those of them whose values stay.
    """
    properties = _list_settings(schema)
    for key, value in configuration.items():
        if key in kept or (key in stored and key not in properties):
            continue
        if key in schema["properties"] and key not in properties:
            yield key, "is set by a button: a human presses it on the integration's page in GitBook."
        elif key not in properties:
            nearest = find_nearest(key, properties, likeness=0.5)
            yield key, f"is unknown. Did you mean {join_names(nearest)}?" if nearest else "is unknown."
        elif value is not None and (expected := _find_mismatch(properties[key], value)):
            yield key, f"must be {expected}."
    for key in _list_missing(schema, configuration):
        omitted = key in stored and key not in configuration
        deleted = " It is set now, and the call would delete it: send all settings." if omitted else ""
        yield key, f"is required: {_describe_type(properties[key])}.{deleted}"


def _name_other_levels(
    integration: Mapping[str, Any] | None, schema: Mapping[str, Any], configuration: Mapping[str, Any]
) -> str:
    """Return sentences that name the tools for the given settings that the integration has at other levels only."""
    unknown = [key for key in configuration if key not in schema["properties"]]
    text = ""
    for updater in ENDPOINTS.values():
        other = find_schema(integration, updater.configures) if updater.configures else None
        if other and (found := [join_names((key,)) for key in unknown if key in _list_settings(other)]):
            text += f" {updater.name} sets {', '.join(found[:_MAX_NAMED])}."
    return text


def _list_settings(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the properties that have a value: all but buttons."""
    return {
        key: each
        for key, each in schema["properties"].items()
        if isinstance(each, Mapping) and each.get("type") != "button"
    }


def _list_required(schema: Mapping[str, Any]) -> list[str]:
    settings = _list_settings(schema)
    return [name for name in read_list(schema.get("required")) if isinstance(name, str) and name in settings]


def _list_missing(schema: Mapping[str, Any], configuration: Mapping[str, Any]) -> list[str]:
    return [key for key in _list_required(schema) if configuration.get(key) in (None, "")]


def _read_type(setting: Mapping[str, Any]) -> str | None:
    """Return the type of a setting, or None if it has none that can be checked."""
    kind = setting.get("type")
    return kind if isinstance(kind, str) and kind in _TYPES else None


def _list_choices(setting: Mapping[str, Any]) -> list[Any]:
    return read_list(setting.get("enum"))


def _find_mismatch(setting: Mapping[str, Any], value: Any) -> str | None:
    """Return the type or values that a setting requires, or None if `value` fits."""
    kind, choices = _read_type(setting), _list_choices(setting)
    fits = kind is None or (isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "boolean"))
    return None if fits and (not choices or value in choices) else _describe_type(setting)


def _describe_type(setting: Mapping[str, Any]) -> str:
    """Return the type of a setting, or its values if they are listed. They are the publisher's text."""
    choices = [clean_text(str(choice), 40).replace('"', "'") for choice in _list_choices(setting)]
    if not choices:
        return f"a {_read_type(setting) or 'value'}"
    listed = ", ".join(f'"{choice}"' for choice in choices[:_MAX_NAMED])
    return f"one of {listed}{' and more' if len(choices) > _MAX_NAMED else ''}"


def _describe_settings(schema: Mapping[str, Any]) -> str:
    settings, required = _list_settings(schema), _list_required(schema)
    if not settings:
        return "The integration has no settings at this level."
    listed = [
        f"{join_names((key,))} ({_read_type(setting) or 'any'}{', required' if key in required else ''})"
        for key, setting in settings.items()
    ]
    more = f" and {len(listed) - _MAX_NAMED} more" if len(listed) > _MAX_NAMED else ""
    return f"Settings at this level: {', '.join(listed[:_MAX_NAMED])}{more}."
