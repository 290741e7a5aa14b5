"""The confirmation page's HTML: plain, without JavaScript, and with every text of others escaped."""

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from gitbook_integrations_mcp.pending import Pending


@cache
def _read(name: str) -> str:
    return (files("gitbook_integrations_mcp") / name).read_text(encoding="utf-8")


@cache
def hash_style() -> str:
    """Return the source that a content security policy allows for the page's style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(_read('page.css').encode()).digest()).decode()}'"


def _fill(title: str, content: str) -> str:
    return Template(_read("page.html")).substitute(title=escape(title), style=_read("page.css"), content=content)


def write_question(pending: Pending, problem: str = "") -> str:
    """Return the page that puts a question: the facts, what would happen, and the two ways to decide."""
    preview = pending.preview
    *facts, consequence = preview.lines
    alert = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    name = (
        f'<label for="name">Type <code>{escape(preview.typed)}</code> to approve</label>'
        '<input type="text" id="name" name="name" autocomplete="off" autocapitalize="off" spellcheck="false">'
        if preview.typed is not None
        else ""
    )
    content = f"""\
<h1>{escape(preview.title)}</h1>
{alert}
{_write_facts(facts)}
<p class="consequence">{escape(consequence)}</p>
<form method="post" autocomplete="off">
<input type="hidden" name="csrf" value="{escape(pending.csrf)}">
{name}
<label class="box"><input type="checkbox" name="confirm" value="yes"> I have read this and approve it.</label>
<div class="choices">
<button type="submit" name="decision" value="refuse">Refuse</button>
<button type="submit" name="decision" value="approve">Approve once</button>
</div>
</form>"""
    return _fill(preview.title, content)


def write_notice(title: str, text: str) -> str:
    """Return a page that only tells something."""
    return _fill(title, f'<h1>{escape(title)}</h1>\n<p role="status">{escape(text)}</p>')


def _write_facts(lines: list[str]) -> str:
    """Return the facts as a list of terms; a line without a colon stands by itself."""
    rows = []
    sentences = []
    for line in lines:
        label, separator, value = line.partition(": ")
        if separator and len(label) <= 40:
            rows.append(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>")
        else:
            sentences.append(f"<p>{escape(line)}</p>")
    return (f"<dl>{''.join(rows)}</dl>" if rows else "") + "".join(sentences)
