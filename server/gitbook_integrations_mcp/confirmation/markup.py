"""The confirmation page's HTML: plain, without JavaScript, and with every text of others escaped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import Literal

from gitbook_integrations_mcp.confirmation.preview import Preview
from gitbook_integrations_mcp.confirmation.store import PendingConfirmation
from gitbook_integrations_mcp.digest import csp_hash

# A label, not the beginning of a sentence; what is neither for sure is shown as a sentence, whole in any case.
_FACT = re.compile(r"(?P<label>\w+|[^:.“]{1,40}(?=: .*[^.]$)): (?P<value>.+)")


@dataclass(frozen=True, slots=True)
class Problem:
    """What an approval lacks: the right name, or the tick. `typed` is the name that was typed."""

    field: Literal["name", "confirm"]
    typed: str

    def explain(self, preview: Preview) -> str:
        """Return the problem in words."""
        if self.field == "confirm":
            return "To approve, tick the box as well."
        wrong = f"The name “{self.typed}”" if self.typed else "An empty name"
        return f"{wrong} is not the one asked for. To approve, type exactly {preview.typed}."


@cache
def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


@cache
def write_style_source() -> str:
    """Return the source that a content security policy allows for the page's style."""
    return csp_hash(_read("page.css"))


def _fill(title: str, content: str) -> str:
    return Template(_read("page.html")).substitute(title=escape(title), style=_read("page.css"), content=content)


def write_question(pending: PendingConfirmation, problem: Problem | None = None) -> str:
    """Return the page that puts a question: the facts, what would happen, and the two ways to decide."""
    preview = pending.preview
    alert = ""
    if problem:
        explained = escape(problem.explain(preview))
        alert = f'<p class="problem" id="problem" role="alert">{explained} Nothing has been decided.</p>'
    token = f'<input type="hidden" name="csrf" value="{escape(pending.csrf)}">'
    # Two forms: pressed in the field for the name, Enter sends the form's first button, which must not be Refuse.
    # The browser then asks for what is missing, and the box still is to be ticked.
    content = f"""\
<h1>{escape(preview.title)}</h1>
{_write_lines(preview.lines)}
{alert}
<form id="refusal" method="post" autocomplete="off">{token}</form>
<form method="post" autocomplete="off">
{token}
{_write_name(preview, problem)}
<label class="box"><input type="checkbox" name="confirm" value="yes" required{_mark(problem, "confirm")}>
I have read this and approve it.</label>
<div class="choices">
<button name="decision" value="refuse" form="refusal">Refuse</button>
<button name="decision" value="approve">Approve once</button>
</div>
</form>
<p class="hint">Nothing has been sent to GitBook yet. If you do not know what this is about, refuse.</p>"""
    return _fill(f"Error: {preview.title}" if problem else preview.title, content)


def write_notice(title: str, text: str) -> str:
    """Return a page that only tells something."""
    return _fill(title, f'<h1>{escape(title)}</h1>\n<p role="status">{escape(text)}</p>')


def _write_name(preview: Preview, problem: Problem | None) -> str:
    if preview.typed is None:
        return ""
    typed = escape(problem.typed) if problem else ""
    return f"""\
<label for="name">Type <code>{escape(preview.typed)}</code> to approve</label>
<input type="text" id="name" name="name" value="{typed}" required{_mark(problem, "name")}
 autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false">"""


def _mark(problem: Problem | None, field: str) -> str:
    """Return what leads a human, and a screen reader, to the field that a problem is with."""
    return ' aria-invalid="true" aria-describedby="problem" autofocus' if problem and problem.field == field else ""


def _write_lines(lines: Sequence[str]) -> str:
    """Return neighbouring facts as a list of terms, sentences as paragraphs, and the last sentence, the consequence."""
    *rest, consequence = lines
    parts = []
    for is_fact, group in groupby(rest, key=lambda line: _FACT.fullmatch(line) is not None):
        if is_fact:
            parts.append(f"<dl>{''.join(map(_write_fact, group))}</dl>")
        else:
            parts.extend(f"<p>{escape(line)}</p>" for line in group)
    return "\n".join([*parts, f'<p class="consequence">{escape(consequence)}</p>'])


def _write_fact(line: str) -> str:
    label, _, value = line.partition(": ")
    return f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>"
