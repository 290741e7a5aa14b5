"""Check the English of Markdown pages and of the texts, docstrings and comments in the code.

`.ci/prose.toml` lists the phrases to avoid, each with its replacement. `python .ci/prose.py [PATH …]` prints findings
as `file:line: message`, and exits with 1 if there are any. Generated parts of pages are checked in their sources.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs")
CODE = ("server", "tools", ".ci", "Dockerfile", "compose.yaml", "pyproject.toml")

Kind = Literal["text", "docstring", "comment"]
"""Users, operators and models read texts; maintainers read docstrings and comments."""


@dataclass(frozen=True)
class Passage:
    """Prose in a file, from line `start` to line `end`, counted from 1."""

    kind: Kind
    text: str
    start: int
    end: int


# Extraction


def read_python(source: str) -> Iterator[Passage]:
    """Yield the string literals that contain a space, the docstrings, and the comments."""
    yield from _read_literals(ast.parse(source), "text")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield from _join_comments((one.start[0], one.string) for one in tokens if one.type == tokenize.COMMENT)


def _read_literals(node: ast.AST, kind: Kind) -> Iterator[Passage]:
    inner: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Constant | ast.JoinedStr):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        values = [one.value if isinstance(one, ast.Constant) else None for one in parts]
        text = "".join(value if isinstance(value, str) else "…" for value in values)
        if " " in text:
            yield Passage(kind, text, node.lineno, node.end_lineno or node.lineno)
        inner = [one for one in parts if isinstance(one, ast.FormattedValue)]
    for child in inner:
        yield from _read_literals(child, "docstring" if isinstance(node, ast.Expr) else "text")


def read_hash_comments(source: str) -> Iterator[Passage]:
    """Yield the comments of a file whose comments start with `#`."""
    found = [(number, re.search(r"(?:^|\s)#\s.*", line)) for number, line in enumerate(source.splitlines(), 1)]
    yield from _join_comments((number, match[0]) for number, match in found if match)


def _join_comments(comments: Iterable[tuple[int, str]]) -> Iterator[Passage]:
    """Yield comments, those of neighbouring lines as one."""
    block: list[str] = []
    last = 0
    for number, comment in comments:
        if block and number != last + 1:
            yield Passage("comment", "\n".join(block), last - len(block) + 1, last)
            block = []
        block.append(comment.strip("# "))
        last = number
    if block:
        yield Passage("comment", "\n".join(block), last - len(block) + 1, last)


def read_markdown(source: str) -> Iterator[Passage]:
    """Yield paragraphs, headings, list items and table cells, without code; skip generated parts."""
    source = _blank(r"<!-- (\w+) -->\n.*?\n<!-- /\1 -->", source)
    for token in MarkdownIt("commonmark").enable("table").parse(source):
        if token.type == "inline" and token.map:
            yield Passage("text", "".join(map(_read_inline, token.children or [])), token.map[0] + 1, token.map[1])


def _read_inline(token: Token) -> str:
    match token.type:
        case "text":
            return token.content
        case "code_inline" | "image":
            return "…"
        case "softbreak" | "hardbreak":
            return " "
    return ""


def read_html(source: str) -> Iterator[Passage]:
    """Yield the texts of a template, without its styles, scripts and placeholders."""
    for pattern, text in ((r"<!--.*?-->|\{#.*?#\}|\{%.*?%\}", ""), (r"\{\{.*?\}\}", "…")):
        source = _blank(pattern, source, text)
    reader = _TextReader()
    reader.feed(source)
    yield from reader.passages


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.passages: list[Passage] = []

    def handle_data(self, data: str) -> None:
        start = self.getpos()[0]
        if self.cdata_elem is None and " " in data.strip():
            self.passages.append(Passage("text", data.strip(), start, start + data.count("\n")))


def read_javascript(source: str) -> Iterator[Passage]:
    """Yield the quoted strings that contain a space; a placeholder in them counts as a word."""
    for found in re.finditer(r"""(["'`])((?:\\.|(?!\1)[^\n\\])* (?:\\.|(?!\1)[^\n\\])*)\1""", source):
        line = source.count("\n", 0, found.start()) + 1
        yield Passage("text", re.sub(r"\$\{.*?\}", "…", found[2]), line, line)


def _blank(pattern: str, source: str, text: str = "") -> str:
    """Return `source` with `text` for each match, and with the same lines."""
    return re.sub(pattern, lambda found: text + "\n" * found[0].count("\n"), source, flags=re.DOTALL)


READERS = {
    ".md": read_markdown,
    ".py": read_python,
    ".html": read_html,
    ".jinja": read_html,
    ".js": read_javascript,
}


def read_passages(path: Path) -> Iterator[Passage]:
    """Yield the prose of a file."""
    yield from READERS.get(path.suffix, read_hash_comments)(path.read_text(encoding="utf-8"))


# The check

RULES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PHRASES = [(re.compile(one["pattern"], re.IGNORECASE), one["use"]) for one in RULES["phrases"]]
LONGEST: int = RULES["longest_sentence"]


def split_sentences(text: str) -> Iterator[str]:
    """Yield sentences with single spaces; a blank line, a list item and a table row end one, too."""
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.)\s)", text):
        yield from re.split(r"(?<=[.!?])[\"')\]]* (?=[\"'(\[“*]*[A-Z…`])", " ".join(block.split()))


def check(passage: Passage) -> Iterator[tuple[str, str]]:
    """Yield what is wrong: the words of the passage, and a message."""
    for sentence in split_sentences(passage.text):
        for pattern, use in PHRASES:
            if found := pattern.search(sentence):
                words = found[0].strip()
                yield words, f"“{words[:40]}”: write {use}"
        length = max(len(re.findall(r"\S*(?:\w|…)\S*", part)) for part in sentence.split("; "))
        is_code = len(re.findall(r"[=;{}<>()\[\]]", sentence)) > length / 4
        if passage.kind == "text" and length > LONGEST and not is_code:
            yield sentence, f"“{sentence[:40]}…”: {length} words; write {LONGEST} at most"


def find_line(lines: list[str], passage: Passage, words: str) -> int:
    """Return the line on which these words of a passage start, as well as can be found."""
    segment = "\n".join(lines[passage.start - 1 : passage.end])
    pattern = r"\W+".join(re.escape(word) for word in re.findall(r"\w+", words)[:4])
    found = re.search(pattern, segment)
    return passage.start + (segment.count("\n", 0, found.start()) if found else 0)


def check_file(path: Path) -> Iterator[tuple[int, Kind, str]]:
    """Yield line, kind and message of each finding in a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for passage in read_passages(path):
        for words, message in check(passage):
            yield find_line(lines, passage, words), passage.kind, message


def find_files(places: Iterable[Path]) -> Iterator[Path]:
    """Yield the files, and those in the folders that hold prose."""
    for place in places:
        if place.is_dir():
            yield from sorted(one for one in place.rglob("*") if one.is_file() and _has_prose(one))
        elif place.exists():
            yield place


def _has_prose(path: Path) -> bool:
    return path.suffix in READERS or path.parent.name == ".ci"


def main() -> int:
    """Print the findings, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[ROOT / place for place in (*PAGES, *CODE)], metavar="PATH"
    )
    parser.add_argument("--count", action="store_true", help="print the number of findings by folder only")
    arguments = parser.parse_args()
    counts: Counter[Path] = Counter()
    for path in find_files(arguments.paths):
        place = path.resolve().relative_to(ROOT) if path.resolve().is_relative_to(ROOT) else path
        for line, kind, message in sorted(check_file(path)):
            counts[place.parent if place.parent.name else place] += 1
            if not arguments.count:
                print(f"{place}:{line}: {kind}: {message}")
    for folder, count in sorted(counts.items()) if arguments.count else ():
        print(f"{count:5} {folder}")
    print(f"{counts.total()} findings in prose", file=sys.stderr)
    return 1 if counts else 0


if __name__ == "__main__":
    sys.exit(main())
