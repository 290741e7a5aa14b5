"""Renew the lock files: the exact version and the hashes of every package that is installed with the program.

`requirements.lock` is for users and the container image, `requirements-dev.lock` has everything that development
needs. Both have the same versions. Without an option, pinned versions stay; `--upgrade` renews all of them, and
`--upgrade-package NAME` one.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
USER_LOCK, DEVELOPER_LOCK = "requirements.lock", "requirements-dev.lock"
DEVELOPER_EXTRAS = frozenset({"test", "dev"})


def list_extras() -> list[str]:
    """Return the extras that change what the program can do."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(project["optional-dependencies"].keys() - DEVELOPER_EXTRAS)


def compile_lock(name: str, *options: str) -> None:
    """Resolve the dependencies of all platforms and Python versions that the project supports."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "pyproject.toml", "--output-file", name]
    subprocess.run([*command, *options], cwd=ROOT, check=True)


def main(*options: str) -> None:
    """Renew both files."""
    compile_lock(
        DEVELOPER_LOCK, *(f"--extra={extra}" for extra in [*list_extras(), *sorted(DEVELOPER_EXTRAS)]), *options
    )
    user = [f"--extra={extra}" for extra in list_extras()]
    compile_lock(USER_LOCK, *user, "--constraint", DEVELOPER_LOCK, *options)


if __name__ == "__main__":
    main(*sys.argv[1:])
