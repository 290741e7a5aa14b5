"""Results and reports as Markdown, for chats. Third-party text cannot become markup."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gitbook_integrations_api.endpoints.audit import SECTIONS, Section
from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.audit.problems import MOST_FIRST, describe_verdict, format_command, group_findings
from gitbook_integrations_mcp.audit.sections import describe_comparison, list_change_examples, list_items, summarize
from gitbook_integrations_mcp.text import format_count, quote

_MARKUP = re.compile(r"([\\`*~$\[\]<>|]|(?<![^\W_])_|_(?![^\W_]))")
"""Characters that can start emphasis, a formula, a link, an image, an element or a cell.

Underscores inside words start nothing, and stay, so that IDs can be copied.
"""

_ADDRESS = re.compile(
    r"(?:(?:[a-z][a-z0-9+.-]{0,30}://|www\.|mailto:|xmpp:)[^\s`|<>]*|[^\s@`|<>]{1,64}@[^\s@`|<>]*)[^\s@`|<>.,;:!?]",
    re.IGNORECASE,
)
"""Addresses that chats turn into links without any markup. Punctuation at the end belongs to the text around them."""

_OWN_ADDRESS = "https://app.gitbook.com/"


def escape(value: Any) -> str:
    """Return text with all Markdown characters escaped, including those of tables.

    Addresses become inline code, in which nothing is a link, but for those of GitBook's application.
    """
    text = str(value)
    parts, end = [], 0
    for match in _ADDRESS.finditer(text):
        parts.append(_escape_markup(text[end : match.start()]))
        parts.append(_escape_markup(match[0]) if match[0].startswith(_OWN_ADDRESS) else f"`{match[0]}`")
        end = match.end()
    return "".join([*parts, _escape_markup(text[end:])])


def _escape_markup(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


PARTLY_CHECKED = "There may be more findings, because not every rule was fully checked."


def render_summary(summary: Mapping[str, Any], age: str) -> str:
    """Return the summary: figures, findings by severity and rule, coverage, changes."""
    organization = summary["organization"]
    changes = [escape(line) for line in format_changes(summary.get("changes"))]
    changes += [f"- {escape(example)}" for example in summary.get("changeExamples", ())]
    return "\n".join(
        [
            f"## Installation audit of {escape(organization['title'] or organization['id'])}{age}",
            "",
            format_figures(summary["figures"]),
            *render_narrowing(summary["narrowing"]),
            "",
            *_render_findings(summary),
            "",
            *([*changes, ""] if changes else []),
            "**Installations**",
            *([f"- {escape(line)}" for line in summary["installations"]] or ["None."]),
            *_render_more(summary["moreInstallations"]),
            "",
            *map(escape, format_coverage(summary["coverage"])),
            *map(escape, format_others(summary)),
        ]
    )


def format_figures(figures: Mapping[str, Any]) -> str:
    """Return the figures as two sentences."""

    def count(name: str, noun: str) -> str:
        bound = "at least " if name in figures["atLeast"] else ""
        return f"{bound}{format_count(figures[name], noun)}"

    return (
        f"{count('installations', 'installation')}, {count('spaces', 'space')}, {count('sites', 'site')} "
        f"({figures['publishedSites']:,} published), {count('scripts', 'script')} on sites. Installations are enabled "
        f"{count('spaceInstallations', 'time')} on spaces and {count('siteInstallations', 'time')} on sites."
    )


def render_narrowing(narrowing: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts that a partial audit was limited to."""
    for what, names in narrowing.items():
        yield f"Only these {what} were audited: {escape(', '.join(names))}."


def _render_findings(summary: Mapping[str, Any]) -> Iterator[str]:
    counts = summary["findings"]
    yield f"**Findings**: {', '.join(f'{number} {severity}' for severity, number in counts.items())}"
    if "findings" in summary["figures"]["atLeast"]:
        yield "There may be more findings, because the audit is incomplete."
    elif not {"partly", "unchecked"}.isdisjoint(summary["coverage"]["rulesNotChecked"].values()):
        yield PARTLY_CHECKED
    for group in summary["byRule"]:
        yield f"- **{group['severity']}** {escape(group['title'])} (`{group['rule']}`): {group['count']}"
        yield from (f"  - {escape(example)}" for example in group["examples"])
        if (more := group["count"] - len(group["examples"])) > 0:
            yield f"  - and {more} more"


def format_coverage(coverage: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that show whether the audit is complete, its gaps, and the rules that were not fully checked."""
    requests, unchecked = format_count(coverage["requests"], "request"), coverage["rulesNotChecked"]
    if not coverage["complete"]:
        yield f"Coverage: INCOMPLETE, {requests}. Gaps:"
    elif unchecked:
        yield f"Coverage: everything was read, {requests}."
    else:
        yield f"Coverage: complete, {requests}."
    for gap in coverage["gaps"]:
        yield f"- {gap['source']}: {gap['reason']} {gap['consequence']}"
    if coverage["moreGaps"]:
        yield f"- and {format_count(coverage['moreGaps'], 'more gap')}"
    if unchecked:
        yield f"Rules not fully checked: {', '.join(f'{rule} ({outcome})' for rule, outcome in unchecked.items())}."


def format_changes(changes: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a line with the number of changes since the baseline, if there is one."""
    if changes is None:
        return
    counts = ", ".join(f"{changes[name]} {name}" for name in ("added", "removed", "changed"))
    age = changes["sinceAgeSeconds"]
    about = ([] if age is None else [f"{format_span(age)} earlier"]) + ["an INCOMPLETE audit"] * (
        not changes["sinceComplete"]
    )
    reopened = f" {changes['reopened']} reopened," if changes["reopened"] else ""
    yield (
        f"Since {changes['since']}{' (' + ', '.join(about) + ')' if about else ''}: {counts}; "
        f"{format_count(changes['newFindings'], 'new finding')},{reopened} "
        f"{changes['fixed']} fixed; "
        f"{changes['undecided']} undecided."
    )


def format_others(
    summary: Mapping[str, Any], advice: str = "Use organizations: all to audit them, too."
) -> Iterator[str]:
    """Yield a line with the organizations that the token can list, too, and how to audit them."""
    if names := summary.get("notAudited"):
        more = f" and {summary['moreNotAudited']} more" if summary["moreNotAudited"] else ""
        yield f"Not audited: {', '.join(names)}{more}. {advice}"


def _render_more(number: int) -> Iterator[str]:
    if number > 0:
        yield f"- and {number:,} more"


def format_span(seconds: float) -> str:
    """Return a length of time in the largest unit of which there are two or more."""
    for unit, size in (("days", 86400), ("hours", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds)} s"


def render_explanation(explanation: Mapping[str, Any]) -> str:
    """Return what an explanation of a finding or a rule says."""
    headline = explanation.get("summary") or explanation["title"]
    lines = [f"## {explanation['severity']}: {escape(headline)}"]
    lines += [escape(f"{explanation['meaning']} {explanation['why']}")]
    hidden = {"summary", "severity", "meaning", "why", "evidence", "findings"}
    if _is_implied("findings", "since", explanation):
        hidden.add("since")
    for name, value in explanation.items():
        if name not in hidden and value not in (None, 0, {}):
            lines.append(f"- {name}: {_render_value(value)}")
    for name in ("evidence", "findings"):
        if name in explanation:
            listed = [f"  - {escape(one)}" for one in explanation[name]]
            lines += [f"- {name}:", *listed] if listed else [f"- {name}: none"]
    return "\n".join(lines)


def render_organizations(content: Mapping[str, Any]) -> str:
    """Return the comparison of several organizations."""
    lines = [f"## Installation audit of {format_count(len(content['organizations']), 'organization')}"]
    for each in content["organizations"]:
        lines += ["", f"**{escape(each['title'] or each['id'])}** (`{each['id']}`)"]
        if "error" in each:
            lines.append(f"Not audited: {escape(each['error'])}")
            continue
        counts = ", ".join(f"{number} {severity}" for severity, number in each["findings"].items())
        lines += [format_figures(each["figures"]), f"Findings: {counts}."]
        for title, items in (("Most severe:", each["mostSevere"]), ("Installations:", each["installations"])):
            lines += [title, *(f"- {escape(item)}" for item in items)] if items else []
        lines += [*_render_more(each["moreInstallations"])]
        lines += [] if each["complete"] else ["This audit is INCOMPLETE; see its section coverage."]
    lines += ["", "**Only in some organizations**"]
    lines += [
        "- " + escape(f"{each['integration']}: in {', '.join(each['in'])}; not in {', '.join(each['notIn'])}")
        for each in content["onlyIn"]
    ] or ["None."]
    lines += [*_render_more(content["moreOnlyIn"]), "", "**Set up differently**"]
    lines += [
        f"- {escape(each['integration'])}: {escape(_describe_differences(each['differences']))}"
        for each in content["different"]
    ] or ["None."]
    rest = format_others(content, "One call audits no more; pass the ID of each as organizationId.")
    lines += [*_render_more(content["moreDifferent"]), *map(escape, rest)]
    return "\n".join(lines)


def _describe_differences(differences: Mapping[str, Mapping[str, Any]]) -> str:
    parts = []
    for name, values in differences.items():
        same = set(values.values()) == {"differs"}
        shown = "differs" if same else ", ".join(f"{value} in {where}" for where, value in values.items())
        parts.append(f"{name}: {shown}")
    return "; ".join(parts)


def render_items(section: Section, items: Iterable[Mapping[str, Any]]) -> str:
    """Return the items of a section with their fields, as far as they say something."""
    lines = [line for item in items for line in _render_item(section, item)]
    legend = [_LEGENDS[section], ""] if lines and section in _LEGENDS else []
    return "\n".join([*legend, *lines] or ["No items."])


_LEGENDS: Mapping[Section, str] = {
    "access": "Items without a status are active; spaces and sites without a visibility are public."
}


_HEADLINES: Mapping[Section, Sequence[str]] = {
    "findings": ("severity", "summary", "id"),
    "installations": ("name", "space", "site", "title", "status"),
    "access": ("scope", "integration"),
    "scripts": ("url", "title"),
    "coverage": ("source", "rule", "outcome", "unavailable"),
    "changes": ("change", "severity", "title", "id"),
}


def _render_item(section: Section, item: Mapping[str, Any]) -> Iterator[str]:
    headline = [escape(item[name]) for name in _HEADLINES[section] if item.get(name) is not None]
    yield f"- **{headline[0]}** {' · '.join(headline[1:])}".rstrip()
    for name, value in item.items():
        if name not in _HEADLINES[section] and not _is_implied(section, name, item):
            yield f"  - {name}: {_render_value(value) or 'none'}"


def _is_implied(section: Section, name: str, item: Mapping[str, Any]) -> bool:
    """Whether a reader misses nothing if a field is left out."""
    value = item.get(name)
    match section, name:
        case "access", "spaces" | "sites":
            return False  # that a scope reaches no place is worth a line
        case "access", "status":
            return bool(value == "active")  # as for places
        case "findings", "rule":
            return True  # the ID begins with it
        case "findings", "since":
            return bool(value == item.get("firstSeen"))  # "since" alone would read as if the problem began then
        case "changes", "before" | "after":
            return False  # an empty list is what was there, or what is left
        case "installations", "spacesComplete" | "sitesComplete":
            return value is True
        case _:
            return value in (None, [], ()) or (value == 0 and value is not False)


_NAMING = frozenset({"level", "id", "title", "visibility"})
"""The fields of an organization, a space or a site."""


def _render_value(value: Any) -> str:
    if isinstance(value, Mapping) and "tool" in value:
        call = f"`{value['tool']}` {_render_json(value['arguments'])}"
        return f"{call} {escape(value['advice'])}" if "advice" in value else call
    if isinstance(value, Mapping) and value.keys() <= _NAMING and value.get("title"):
        details = [str(value[name]) for name in ("level", "id", "visibility") if value.get(name) is not None]
        return f"{escape(quote(value['title']))} ({escape(', '.join(details))})"
    if isinstance(value, Mapping):
        return _render_json(value)
    if isinstance(value, list | tuple):
        return escape(", ".join(map(str, value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(value)


def _render_json(value: Mapping[str, Any]) -> str:
    """Return JSON as inline code. Backticks would end the code, so they are replaced."""
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text.replace('`', chr(0x2019))}`"


def render_brief(report: Report) -> str:
    """Return the verdict, what to do first, and what changed: at most two pages."""
    problems, title = group_findings(report), report.organization.name
    lines = [
        f"## Installation audit of {escape(title)}, {report.generatedAt}",
        "",
        f"**{' · '.join(escape(text) for _, text in describe_verdict(report))}**",
        *render_narrowing(report.narrowing.model_dump(exclude_none=True)),
        "",
        "### Do first",
        "",
    ]
    for number, problem in enumerate(problems[:MOST_FIRST], start=1):
        subjects = f": {problem.subjects}" if problem.subjects else ""
        title = escape(f"{problem.rule.title} ({len(problem.findings)}){subjects}")
        lines += [f"{number}. **{problem.severity}** {title}", ""]
        lines += [f"   {escape(f'{problem.rule.why} {problem.advice}')}"]
        lines += ["", *(f"       {line}" for line in format_command(problem.findings[0].remedy).splitlines()), ""]
    if not problems:
        lines += ["Nothing: the checked rules have no open findings.", ""]
    elif (more := len(problems) - MOST_FIRST) > 0:
        lines += [f"Rules with less severe findings: {more}.", ""]
    if changes := describe_comparison(report):
        lines += ["### What changed", "", *map(escape, format_changes(changes))]
        lines += [f"- {escape(example)}" for example in list_change_examples(report)]
    return "\n".join(lines).rstrip()


def render_report(report: Report) -> str:
    """Return a whole report."""
    summary = summarize(report)
    parts = [
        render_brief(report),
        f"### Figures\n\n{format_figures(summary['figures'])}",
        "\n".join(map(escape, format_coverage(summary["coverage"]))),
    ]
    parts += [
        f"### {section.capitalize()}\n\n{render_items(section, items)}"
        for section in SECTIONS
        if (items := list_items(report, section))
    ]
    return "\n\n".join(parts) + "\n"
