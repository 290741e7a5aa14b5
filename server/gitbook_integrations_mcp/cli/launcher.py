"""The command that starts this program: as people type it, and as other programs can start it later.

`uvx` and `pipx run` install the program into a cache that is emptied from time to time. A path into it works only for
a while, and the program is not on the PATH.
"""

import json
import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from gitbook_integrations_mcp import NAME


def find_command() -> list[str]:
    """Return an absolute command, because the PATH of other programs differs from the shell's."""
    if runner := _find_runner():
        return runner
    if command := shutil.which(NAME, path=sysconfig.get_path("scripts")):
        return [command]
    return [sys.executable, "-m", __package__.partition(".")[0]]


def name_command() -> str:
    """Return the command as a person can type it here."""
    if runner := _find_runner():
        return shlex.join([Path(runner[0]).stem, *runner[1:]])
    typed = sys.argv[0]
    is_ours = Path(typed).stem == NAME
    found = shutil.which(NAME)
    if not is_ours or (found and Path(found).absolute() == Path(typed).absolute()):
        return NAME
    return shlex.quote(typed)


def show_commands(text: str) -> str:
    """Return a text for people with its commands as they can be typed here."""
    return text.replace(f"`{NAME} ", f"`{name_command()} ")


def _find_runner() -> list[str] | None:
    """Return the command of `uvx` or `pipx run` if this program runs in its cache, and the runner can be found."""
    prefix = Path(sys.prefix)
    if re.fullmatch(r"(archive|environments)-v\d+", prefix.parent.name):
        uv = os.environ.get("UV")
        return _build_runner("uvx", "--from", (), str(Path(uv).parent) if uv else None)
    folder = prefix.parent
    if folder.name == "pipx" or (folder.name == ".cache" and folder.parent.name == "pipx"):
        return _build_runner("pipx", "--spec", ("run",), None)
    return None


def _build_runner(name: str, option: str, words: Sequence[str], folder: str | None) -> list[str] | None:
    runner = (folder and shutil.which(name, path=folder)) or shutil.which(name)
    source = _find_source()
    return [runner, *words, *([option, source] if source else []), NAME] if runner else None


def _find_source() -> str | None:
    """Return what this program was installed from, if that was not a package index."""
    try:
        text = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    if not text:
        return None
    origin = json.loads(text)
    version_control = origin.get("vcs_info")
    if version_control:
        return f"{version_control['vcs']}+{origin['url']}@{version_control['commit_id']}"
    return str(origin["url"])
