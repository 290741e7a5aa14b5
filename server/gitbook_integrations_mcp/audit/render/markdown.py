"""Answers and reports in Markdown, for chats. Text of third parties cannot become markup."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gitbook_integrations_api.endpoints.audit import SECTIONS, Section
from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.audit.sections import list_items, summarize

_MARKUP = re.compile(r"([\\`*\[\]<>|])")
"""What could make a link, an image, an element or a cell. An underscore stays, as IDs must be copied as they are."""


def escape(value: Any) -> str:
    """Return text whose characters mean themselves in Markdown, tables included."""
    return _MARKUP.sub(r"\\\1", str(value))


def render_summary(summary: Mapping[str, Any], age: str = "") -> str:
    """Return the short answer: figures, findings by severity and rule, coverage, changes."""
    organization = summary["organization"]
    return "\n".join(
        [
            f"## Installation audit of {escape(organization['title'] or organization['id'])}{age}",
            "",
            format_figures(summary["figures"]),
            *_render_narrowing(summary["narrowing"]),
            "",
            *_render_findings(summary),
            "",
            *map(escape, format_coverage(summary["coverage"])),
            *map(escape, format_changes(summary.get("changes"))),
        ]
    )


def format_figures(figures: Mapping[str, Any]) -> str:
    """Return the figures as a sentence."""

    def count(name: str, word: str) -> str:
        number = figures[name]
        least = "at least " if name in figures["atLeast"] else ""
        return f"{least}{number:,} {word}{'' if number == 1 else 's'}"

    return (
        f"{count('installations', 'installation')} in the organization: {count('spaceInstallations', 'place')} on "
        f"{count('spaces', 'space')}, {count('siteInstallations', 'place')} on {count('sites', 'site')} "
        f"({figures['publishedSites']:,} published), where {count('scripts', 'script')} run."
    )


def _render_narrowing(narrowing: Mapping[str, Any]) -> Iterator[str]:
    for what, names in narrowing.items():
        yield f"Confined to these {what}: {escape(', '.join(names))}."


def _render_findings(summary: Mapping[str, Any]) -> Iterator[str]:
    counts = summary["findings"]
    yield f"**Findings**: {', '.join(f'{number} {severity}' for severity, number in counts.items())}"
    if "findings" in summary["figures"]["atLeast"]:
        yield "There may be more: not all could be read."
    for group in summary["byRule"]:
        yield f"- **{group['severity']}** {escape(group['title'])} (`{group['rule']}`): {group['count']}"
        yield from (f"  - {escape(example)}" for example in group["examples"])
        if (more := group["count"] - len(group["examples"])) > 0:
            yield f"  - and {more} more"


def format_coverage(coverage: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that say whether everything was read, and what was not."""
    if coverage["complete"]:
        yield f"Coverage: complete, {coverage['requests']} requests."
    else:
        yield f"Coverage: INCOMPLETE, {coverage['requests']} requests. This is not the whole:"
    for gap in coverage["gaps"]:
        yield f"- {gap['source']}: {gap['reason']} {gap['consequence']}"
    if coverage["moreGaps"]:
        yield f"- and {coverage['moreGaps']} more gaps"
    if unchecked := coverage["rulesNotChecked"]:
        yield f"Rules not judged everywhere: {', '.join(f'{rule} ({how})' for rule, how in unchecked.items())}."


def format_changes(changes: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a line that counts what is different from an earlier report, if there is one."""
    if changes is None:
        return
    counted = ", ".join(f"{changes[name]} {name}" for name in ("added", "removed", "changed"))
    part = "" if changes["sinceComplete"] else " (which was incomplete)"
    yield (
        f"Since {changes['since']}{part}: {counted}; {changes['newFindings']} new findings, {changes['fixed']} fixed; "
        f"{changes['undecided']} undecided."
    )


def render_items(section: Section, items: Iterable[Mapping[str, Any]]) -> str:
    """Return the items of a section, each with all it says."""
    lines = [line for item in items for line in _render_item(section, item)]
    return "\n".join(lines or ["Nothing."])


_HEADLINES: Mapping[Section, Sequence[str]] = {
    "findings": ("severity", "summary", "id"),
    "installations": ("name", "space", "site", "title", "status"),
    "scripts": ("url", "title"),
    "coverage": ("source", "rule", "outcome"),
    "changes": ("change", "severity", "title", "id"),
}


def _render_item(section: Section, item: Mapping[str, Any]) -> Iterator[str]:
    headline = [escape(item[name]) for name in _HEADLINES[section] if item.get(name) is not None]
    yield f"- **{headline[0]}** {' · '.join(headline[1:])}".rstrip()
    for name, value in item.items():
        if name not in _HEADLINES[section] and value not in (None, [], ()):
            yield f"  - {name}: {_render_value(value)}"


def _render_value(value: Any) -> str:
    if isinstance(value, Mapping) and "tool" in value:
        call = f"`{value['tool']}` {_quote(value['arguments'])}"
        return f"{call} {escape(value['advice'])}" if "advice" in value else call
    if isinstance(value, Mapping):
        return _quote(value)
    if isinstance(value, list | tuple):
        return escape(", ".join(map(str, value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(value)


def _quote(value: Mapping[str, Any]) -> str:
    """Return JSON as code, which a backtick in it must not end."""
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text.replace('`', chr(0x2019))}`"


def render_report(report: Report) -> str:
    """Return a whole report."""
    parts = [render_summary(summarize(report), f", {report.generatedAt}")]
    parts += [
        f"### {section.capitalize()}\n\n{render_items(section, items)}"
        for section in SECTIONS
        if (items := list_items(report, section))
    ]
    return "\n\n".join(parts) + "\n"
