"""GitBook's official OpenAPI, from the npm package that carries it; downloaded once and kept in a cache."""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "@gitbook/api@0.202.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gitbook-integrations-mcp-tests"


def load_openapi() -> dict[str, Any] | None:
    """Return the OpenAPI document, or None where npm is missing or cannot download it."""
    cached = CACHE / f"{PACKAGE.replace('/', '-')}.json"
    if not cached.exists():
        document = _download()
        if document is None:
            return None
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}")
        partial.write_bytes(document)
        partial.replace(cached)
    content: dict[str, Any] = json.loads(cached.read_bytes())
    return content


def _download() -> bytes | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        pack = subprocess.run([npm, "pack", PACKAGE, "--silent"], cwd=folder, capture_output=True, check=False)
        archives = list(Path(folder).glob("*.tgz"))
        if pack.returncode or not archives:
            return None
        with tarfile.open(archives[0]) as archive:
            file = archive.extractfile("package/spec/openapi.json")
            assert file
            return file.read()
