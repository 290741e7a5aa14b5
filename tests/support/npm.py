"""Packages from npm that tests use, installed once into a cache."""

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gitbook-integrations-mcp" / "npm"


def install_package(*packages: str) -> Path:
    """Return the folder in whose `node_modules` these packages are, each given with its exact version.

    No script of a package runs while it is installed.
    Where npm is missing or cannot download them, the test is skipped with a message; in CI it fails.
    """
    ranges = [package for package in packages if not re.fullmatch(r"\S+@\d+\.\d+\.\d+(-[\w.]+)?", package)]
    assert not ranges, f"not an exact version: {', '.join(ranges)}"
    folder = CACHE / "-".join(package.replace("/", "_").replace("@", "_") for package in packages)
    if folder.exists():
        return folder
    npm = shutil.which("npm")
    if npm is not None:
        CACHE.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=CACHE))
        command = [npm, "install", "--silent", "--ignore-scripts", "--prefix", str(making), *packages]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            # Whole or not at all, also where several processes want the same.
            with contextlib.suppress(OSError):
                making.rename(folder)
            return folder
    reason = f"npm is missing, or cannot download {' and '.join(packages)}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def name_node() -> str:
    """Return the package with Node's program for this platform. The package `node` would install it with a script."""
    system = {"win32": "win"}.get(sys.platform, sys.platform)
    machine = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x64"
    return f"node-bin-{system}-{machine}" if (system, machine) == ("darwin", "arm64") else f"node-{system}-{machine}"
