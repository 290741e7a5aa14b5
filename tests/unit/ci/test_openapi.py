"""The facts of GitBook's OpenAPI hold no prose, and a renewal reports what changed."""

import copy
from typing import Any

import pytest

from openapi import describe_changes, extract_facts, reduce_schema, render
from tests.conftest import OPENAPI


def test_the_stored_facts_are_nothing_but_facts_and_none_is_lost(openapi: dict[str, Any]) -> None:
    assert extract_facts(openapi) == openapi
    assert render(openapi) == OPENAPI.read_text(encoding="utf-8")


def test_a_schema_loses_its_prose_and_keeps_properties_with_the_names_of_keywords() -> None:
    schema = {
        "description": "Prose",
        "properties": {"description": {"type": "string", "title": "Prose", "example": "Prose", "x-mark": True}},
        "required": ["description"],
        "additionalProperties": {"anyOf": [{"enum": ["a"], "summary": "Prose"}, {"$ref": "#/components/schemas/A"}]},
    }
    assert reduce_schema(schema) == {
        "properties": {"description": {"type": "string"}},
        "required": ["description"],
        "additionalProperties": {"anyOf": [{"enum": ["a"]}, {"$ref": "#/components/schemas/A"}]},
    }


def test_an_unknown_keyword_is_an_error() -> None:
    with pytest.raises(ValueError, match="unevaluatedProperties"):
        reduce_schema({"items": {"unevaluatedProperties": False}})


def test_added_removed_and_changed_operations_and_components_are_reported(openapi: dict[str, Any]) -> None:
    new = copy.deepcopy(openapi)
    item = new["paths"]["/integrations"]
    item["post"] = {"operationId": "postIntegration"}
    item["get"]["responses"]["202"] = {}
    del new["components"]["parameters"]["listLimit"]
    assert describe_changes(openapi, openapi) == []
    assert describe_changes(openapi, new) == [
        "added: operation postIntegration",
        "changed: operation listIntegrations: responses.202 null → {}",
        "removed: parameter listLimit",
    ]
