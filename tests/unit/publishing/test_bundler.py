"""Bundling with the folder's own esbuild: only where the operator allows it, and without the server's environment."""

import sys
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.calls.script import find_script_problem
from gitbook_integrations_mcp.config.models import PublishingSection
from gitbook_integrations_mcp.publishing import bundler
from gitbook_integrations_mcp.publishing.files import Roots
from gitbook_integrations_mcp.publishing.folder import Folder, Order, read_folder
from tests.support.elicitation_client import GitBookSpy, Human, meet, read_status
from tests.support.integration_folder import COMPONENT, create_folder_server, write_folder
from tests.support.npm import install_package

ESBUILD, RUNTIME = "esbuild@0.25.12", "@gitbook/runtime@0.23.3"
BUILD = PublishingSection(build=True)


def read(folder: Path, settings: PublishingSection = BUILD) -> Folder:
    return read_folder(settings, Roots([folder]), Order(str(folder)))


def write_program(folder: Path, body: str) -> None:
    """Write a program in place of esbuild, in Python."""
    program = folder / "node_modules" / ".bin" / "esbuild"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!{sys.executable}\nimport os, sys\n{body}")
    program.chmod(0o755)


def write_sources(place: Path, **changed: Any) -> Path:
    files = {"src/index.tsx": COMPONENT, "src/note.raw.css": "a{b:c}", **changed.pop("files", {})}
    return write_folder(place, files, script="src/index.tsx", **changed)


@pytest.mark.slow
def test_the_real_esbuild_bundles_jsx_on_the_runtime_of_gitbook(tmp_path: Path) -> None:
    modules = install_package(ESBUILD, RUNTIME)
    folder = write_sources(tmp_path)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    read_bundle = read_folder(BUILD, Roots([folder, modules]), Order(str(folder)))
    assert read_bundle.problems == ()
    script = read_bundle.arguments["script"]
    assert find_script_problem(script) is None
    assert "a{b:c}" in script
    assert "process.env" not in script
    assert read_bundle.arguments["runtime"] == "v2"
    [fact] = [one for one in read_bundle.files if one.role == "script"]
    assert (fact.path, fact.bundled, fact.bytes) == ("src/index.tsx", True, len(script.encode()))


@pytest.mark.slow
def test_the_errors_of_the_real_esbuild_are_reported(tmp_path: Path) -> None:
    modules = install_package(ESBUILD, RUNTIME)
    folder = write_sources(tmp_path, files={"src/index.tsx": 'import "not-there";\nexport default {;'})
    (folder / "node_modules").symlink_to(modules / "node_modules")
    [problem] = read_folder(BUILD, Roots([folder, modules]), Order(str(folder))).problems
    assert "src/index.tsx:2:" in problem.text


@pytest.mark.skipif(sys.platform == "win32", reason="a program in Python needs a first line that Windows ignores")
class TestAProgramInPlaceOfEsbuild:
    """What a folder can do with a program of its own."""

    WRITE = "[path] = [w[10:] for w in sys.argv if w.startswith('--outfile=')]\nopen(path, 'w').write("

    def test_it_does_not_run_unless_the_operator_allows_it(self, tmp_path: Path) -> None:
        write_program(write_sources(tmp_path), f"open({str(tmp_path / 'ran')!r}, 'w')")
        assert read(tmp_path, PublishingSection()).problems
        assert not (tmp_path / "ran").exists()

    def test_it_does_not_run_for_a_bundle_that_is_complete(self, tmp_path: Path) -> None:
        write_program(write_folder(tmp_path), f"open({str(tmp_path / 'ran')!r}, 'w')")
        assert read(tmp_path).problems == ()
        assert not (tmp_path / "ran").exists()

    def test_it_gets_neither_the_environment_nor_the_input_of_the_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITBOOK_TOKEN", "gb_api_0123456789")
        shown = "'export default ' + repr(sorted(os.environ)) + repr(sys.stdin.read()))"
        write_program(write_sources(tmp_path), self.WRITE + shown)
        script = read(tmp_path).arguments["script"]
        assert script.endswith("''")
        assert "GITBOOK" not in script

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ("sys.exit('✘ \\x1b[31msrc/index.tsx:1:7: wrong')", "src/index.tsx:1:7: wrong"),
            ("sys.exit('x' * 2000)", "esbuild reports:\n" + "x" * 2000 + "."),
            ("sys.exit('x' * 2001)", "esbuild reports:\n" + "x" * 2000 + "… (cut)."),
            ("", "wrote no file"),
            (WRITE + "'export default 1' + ' ' * 6_000_000)", "more than"),
            (WRITE + "'')", "is empty"),
            ("import time; time.sleep(60)", "did not finish"),
        ],
    )
    def test_a_failure_is_a_problem_of_the_script(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, named: str
    ) -> None:
        monkeypatch.setattr(bundler, "_SECONDS", 0.5 if "sleep" in body else 40)
        write_program(write_sources(tmp_path), body)
        [problem] = read(tmp_path).problems
        assert named in problem.text
        assert "\x1b" not in problem.text

    @pytest.mark.parametrize("padding", [0, 1980, 1990])
    def test_its_messages_contain_no_value_of_a_variable_and_no_token_not_even_where_they_are_cut(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, padding: int
    ) -> None:
        secret, allowed, token = "dotenv-secret-0123456789", "allowed-secret-0123456789", "gb_api_0123456789abcdef"
        monkeypatch.setenv("BOT_SECRET", allowed)
        folder = write_sources(tmp_path, files={".env": f"KEY={secret}\nPORT=3000\n"})
        text = f"{'-' * padding}{{}} port 3000\n"
        for value in (secret, allowed, token):
            write_program(folder, f"sys.exit({text.format(value)!r})")
            settings = PublishingSection(build=True, secrets=("BOT_SECRET",))
            order, roots = Order(str(folder)), Roots([folder])
            [problem] = read_folder(settings, roots, order, lambda text: text.replace(token, "[redacted]")).problems
            assert value[:8] not in problem.text
            assert padding or "port 3000" in problem.text

    def test_a_program_outside_of_the_roots_does_not_run(self, tmp_path: Path) -> None:
        write_program(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
        root = write_sources(tmp_path / "root")
        assert "add that to publishing.roots" in read(root).problems[0].text
        (root / "node_modules").symlink_to(tmp_path / "node_modules")
        assert "add that to publishing.roots" in read(root).problems[0].text
        assert not (tmp_path / "ran").exists()
        read_folder(BUILD, Roots([root, tmp_path]), Order(str(root)))
        assert (tmp_path / "ran").exists()

    @pytest.mark.parametrize("linked", [False, True])
    def test_the_program_of_gitbooks_command_line_comes_first(self, tmp_path: Path, linked: bool) -> None:
        folder = write_sources(tmp_path)
        cli = folder / "node_modules" / "@gitbook" / "cli"
        place = folder / "node_modules" / ".pnpm" / "cli" if linked else cli  # pnpm has a link, and nothing beside it
        write_program(place, self.WRITE + "'export default 1')")
        if linked:
            cli.parent.mkdir()
            cli.symlink_to(place)
        else:
            write_program(folder, "sys.exit('another version')")
        assert read(folder).problems == ()

    async def test_the_question_says_that_the_code_of_the_developer_ran(self, tmp_path: Path) -> None:
        write_program(write_sources(tmp_path), self.WRITE + "'export default 1')")
        spy, human = GitBookSpy(), Human()
        async with meet(create_folder_server(spy, tmp_path, publishing={"build": True}), human, "2026-07-28") as client:
            result = await client.call_tool("publish_integration_folder", {"path": str(tmp_path)})
        assert read_status(result) == "done"
        assert "esbuild in the folder ran" in human.texts[0]
