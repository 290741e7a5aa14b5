"""The published JSON Schema of the audit report matches the code, and the rules are complete."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator

import gitbook_integrations_api.report
from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.choices import SEVERITIES
from gitbook_integrations_api.rules import RULES

PUBLISHED = Path(gitbook_integrations_api.report.__file__).with_name("report.schema.json")


def test_the_published_schema_is_valid() -> None:
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


def test_every_rule_is_explained_and_names_a_tool() -> None:
    for rule in RULES.values():
        assert rule.severity in SEVERITIES
        # Where no call alone fixes a finding, the proposed one shows what to look at, and the advice says so.
        assert TOOLS[rule.remedy].risk in {"write", "destroy"} or "call" in rule.advice
        for text in (rule.meaning, rule.why, rule.advice):
            assert text.endswith("."), rule.id
