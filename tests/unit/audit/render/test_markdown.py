"""Text of third parties is no markup in a chat, and IDs can be copied from it."""

import pytest

from gitbook_integrations_mcp.audit.render.markdown import escape, format_changes


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("_em_ and __strong__", r"\_em\_ and \_\_strong\_\_"),
        ("(_em_)", r"(\_em\_)"),
        ("~~gone~~", r"\~\~gone\~\~"),
        ("$x$", r"\$x\$"),
        ("**a** [b](c) `d` <e> |", r"\*\*a\*\* \[b\](c) \`d\` \<e\> \|"),
        ("see https://evil.example/a_b_~c now", "see `https://evil.example/a_b_~c` now"),
        ("HTTPS://evil.example", "`HTTPS://evil.example`"),
        ("www.evil.example, mailto:a@b.example", "`www.evil.example`, `mailto:a@b.example`"),
        ("a@b.example", "`a@b.example`"),
        ("`https://evil.example`", r"\``https://evil.example`\`"),
        ("https://app.gitbook.com.evil.example/", "`https://app.gitbook.com.evil.example/`"),
    ],
)
def test_text_of_others_becomes_no_markup(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@pytest.mark.parametrize(
    "text", ["a_b_c", "site_Ab_3", "same-kind:x:y", "https://app.gitbook.com/o/a_b/integrations", "é_é", 5]
)
def test_ids_and_addresses_of_gitbook_stay(text: object) -> None:
    assert escape(text) == str(text)


@pytest.mark.parametrize(("number", "text"), [(1, "1 new finding,"), (2, "2 new findings,")])
def test_one_new_finding_is_no_plural(number: int, text: str) -> None:
    counts = dict.fromkeys(("added", "removed", "changed", "reopened", "fixed", "undecided"), 0) | {
        "newFindings": number
    }
    since = {"since": "2026-11-18T12:00:00Z", "sinceAgeSeconds": None, "sinceComplete": True}
    [line] = format_changes(since | counts)
    assert text in line
