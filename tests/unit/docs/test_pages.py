"""The README and the pages say what the code does, and their links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.prompts import PROMPTS
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.cli.parser import parse
from gitbook_integrations_mcp.config.settings import Settings, iterate_settings, name_variable
from gitbook_integrations_mcp.config.variables import CLI_VARIABLES
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.repository import DOCS, README, ROOT

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (README, *sorted(DOCS.rglob("*.md")), *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY")))
}

NOT_RUN = {
    "publish": "asks on a terminal",
    "audit --open": "opens a browser",
    "login": "opens a browser",
    "logout": "needs a login",
    "whoami": "needs a login",
    "serve": "runs until it is stopped",
    "sandbox": "runs until it is stopped",
    "changes --follow": "runs until it is stopped",
    "audit accept": "asks on a terminal",
    "audit withdraw": "asks on a terminal",
    "call undo_change": "asks on a terminal",
}
"""Commands that are only parsed, by their first words: the reason."""


@pytest.mark.parametrize("page", PAGES)
def test_every_tool_setting_and_variable_it_names_exists(page: str) -> None:
    variables = {name_variable(section, key) for section, key, _ in iterate_settings()} | set(CLI_VARIABLES)
    variables |= {f"GITBOOK_MCP_{section}".upper() for section in ("", *Settings.model_fields)}
    variables |= {"GITBOOK_MCP_CONFIG", "GITBOOK_MCP_PROFILE", "GITBOOK_MCP_<SECTION>__<KEY>"}
    for variable in re.findall(r"(?<!\w)GITBOOK_[A-Z_<>]+", PAGES[page]):
        assert variable in variables, variable
    settings = {f"{section}.{key}" for section, key, _ in iterate_settings()}
    for name in re.findall(rf"`((?:{'|'.join(Settings.model_fields)})\.\w+)`", PAGES[page]):
        assert name in settings or name.endswith((".py", ".md", ".json")), name
    for name in re.findall(
        r"`((?:audit|get|list|install|uninstall|update|publish|unpublish|create|queue|render)_\w+)`", PAGES[page]
    ):
        assert name in {*TOOLS, *PROMPTS}, name


@pytest.mark.parametrize("page", PAGES)
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    for target, anchor in _find_links(PAGES[page]):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in _list_anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_every_address_of_this_repository_leads_to_a_file(page: str) -> None:
    places = rf"https://(?:github\.com/{NAME}/{NAME}/blob|raw\.githubusercontent\.com/{NAME}/{NAME})/main/([^)\"\s]+)"
    for path in re.findall(places, PAGES[page]):
        assert (ROOT / path).exists(), path


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, left = set[str](), ["README.md", "docs/index.md"]
    while left:
        if (page := left.pop()) not in reached and page in PAGES:
            reached.add(page)
            folder = (ROOT / page).parent
            targets = [(folder / target).resolve() for target, _ in _find_links(PAGES[page]) if target]
            left += [target.relative_to(ROOT).as_posix() for target in targets]
    assert set(PAGES) - {"CONTRIBUTING.md", "SECURITY.md"} <= reached


def _list_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command line of this program in the page's blocks for a shell, and in its workflows."""
    for token in MarkdownIt().parse(text):
        if token.type == "fence" and token.info in {"sh", "console", "yaml"}:
            for line in token.content.replace("\\\n", " ").splitlines():
                if token.info == "console" and not line.startswith("$ "):
                    continue  # output
                command = re.sub(r"^(- run: |\$ |uvx |pipx run |\.venv/bin/)+", "", line.strip())
                if command.startswith(f"{NAME} "):
                    yield [word for word in shlex.split(re.split(r" [|>#&] ?", command)[0])[1:] if word != "\\"]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if any(_list_commands(text))])
def test_the_commands_of_a_page_run_in_their_order(
    page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GITBOOK_MCP_SERVER__SANDBOX", "true")
    monkeypatch.setenv("GITBOOK_ORGANIZATION", ORGANIZATION_ID)
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{tmp_path}/store.db")
    for words in _list_commands(PAGES[page]):
        words = [ORGANIZATION_ID if word == "ORGANIZATION" else word for word in words]
        left_open = "--follow" in words or any("…" in word or word.isupper() for word in words)
        assert left_open or parse(words).run
        if left_open or any(" ".join(words).startswith(one) for one in NOT_RUN):
            continue
        assert main(words) in {0, 3}, (words, capsys.readouterr().err)


def _find_links(text: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the anchor of each link that leads to a file of this repository."""
    for token in MarkdownIt().parse(text):
        for child in token.children or ():
            target = child.attrs.get("href") or child.attrs.get("src") if child.type in {"link_open", "image"} else None
            if isinstance(target, str) and not re.match(r"[a-z]+:", target):
                path, _, anchor = target.partition("#")
                yield path, anchor


def _list_anchors(text: str) -> set[str]:
    """Return the anchors of a page, as GitHub makes them from its headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    return anchors | set(re.findall(r'<a id="([^"]+)"', text))
