"""The check of prose finds texts in the code and in pages, and the phrases that are hard to read."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / ".ci" / "prose.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the script is in the repository only")

MODULE = '''"""Explain the module."""

LIMIT = 3
# A reason,
# in two lines.
HELP = "one text, " \\
    "in two literals"


def fail(name: str) -> None:
    """Fail."""
    raise ValueError(f"{name} is unknown. Use {'one of ' + name!r}.")


class Table:
    size: int
    """How large the table is."""
'''


PAGE = """# A title

With `code` and
a [link](x).

```sh
mend it
```

<!-- tools -->
mended

<!-- /tools -->
| a |
|---|
| b c |
"""


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def find(prose: ModuleType, folder: Path, text: str, name: str = "page.md") -> list[tuple[int, str]]:
    """Return line and message of each finding in a file with this text."""
    page = folder / name
    page.write_text(text, encoding="utf-8")
    return [(line, message) for line, _, message in prose.check_file(page)]


def test_python_gives_its_texts_docstrings_and_comments_with_their_lines(prose: ModuleType) -> None:
    found = {(one.kind, one.text, one.start, one.end) for one in prose.read_python(MODULE)}
    assert found == {
        ("docstring", "Explain the module.", 1, 1),
        ("comment", "A reason,\nin two lines.", 4, 5),
        ("text", "one text, in two literals", 6, 7),
        ("text", "… is unknown. Use ….", 12, 12),
        ("text", "one of ", 12, 12),
        ("docstring", "How large the table is.", 17, 17),
    }


def test_a_page_gives_its_prose_and_neither_code_nor_generated_parts(prose: ModuleType) -> None:
    found = [(one.text, one.start) for one in prose.read_markdown(PAGE)]
    assert found == [("A title", 1), ("With … and a link.", 3), ("a", 14), ("b c", 16)]


def test_a_template_gives_its_texts(prose: ModuleType) -> None:
    page = "<style>\na b {}\n</style>\n<p>Hello, {{ user.name }}!</p>\n{% if mended %}<!-- a comment -->"
    assert [(one.text, one.start) for one in prose.read_html(page)] == [("Hello, …!", 4)]
    script = "const a = \"one text\", b = `${n} places`;\nlet c = 'none'"
    assert [(one.text, one.start) for one in prose.read_javascript(script)] == [("one text", 1), ("… places", 1)]


@pytest.mark.parametrize(
    ("avoided", "replacement"),
    [
        ("Deletions wait for a human's yes.", "Deletions wait for a human's approval."),
        ("An error was mended.", "An error was fixed."),
        ("Clients of the\nhandshake era have a session.", "Clients on protocol 2025-11-25 have a session."),
        ("It was left out for want of width.", "It was left out because the terminal is too narrow."),
        ("What cannot be read costs nothing else.", "Unreadable lists do not stop the others."),
        ("It needs an issuer of such.", "It needs such an issuer."),
        ("The finding is spent.", "The finding is used. What does it mean?"),
    ],
)
def test_a_phrase_to_avoid_is_found_and_its_replacement_passes(
    prose: ModuleType, tmp_path: Path, avoided: str, replacement: str
) -> None:
    ((line, message),) = find(prose, tmp_path, f"# Title\n\nFirst.\n*{avoided}*\n\nLast\n")
    assert line == 4 + avoided.count("\n")
    assert "write" in message
    assert find(prose, tmp_path, f"# Title\n\nFirst.\n*{replacement}*\n\nLast\n") == []


def test_a_long_sentence_is_found_where_users_read_it(prose: ModuleType, tmp_path: Path) -> None:
    longest = " ".join(["Word"] * prose.LONGEST)
    assert find(prose, tmp_path, f"{longest}. {longest}.") == []
    ((line, message),) = find(prose, tmp_path, f"Short.\n\n{longest} more.")
    assert (line, f"{prose.LONGEST + 1} words" in message) == (3, True)
    assert find(prose, tmp_path, f'"""{longest} more."""\n', "module.py") == []
    assert len(find(prose, tmp_path, f'HELP = "{longest} more."\n', "module.py")) == 1


def test_the_exit_code_says_whether_there_is_a_finding(
    prose: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("All is well.\n\nIt is mended.\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["prose.py", str(page)])
    assert prose.main() == 1
    assert capsys.readouterr().out.startswith(f"{page}:3: text: “mended”: write fix\n")
    page.write_text("All is well.\n\nIt is fixed.\n", encoding="utf-8")
    assert prose.main() == 0
