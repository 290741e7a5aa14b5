"""The optional second baseline: what FastMCP makes of GitBook's official OpenAPI without a line by hand."""

import subprocess
import sys
import tarfile
from pathlib import Path

from tests.benchmarks.environment import CACHE, install
from tests.benchmarks.subject import Subject

REQUIREMENT = "fastmcp==4.*"
SPECIFICATION = "@gitbook/api@0.202.0"


def fastmcp() -> Subject:
    """Prepare the environment and the specification, and return the server as a subject."""
    argv = (install(REQUIREMENT), "-m", "tests.benchmarks.fastmcp_server", str(_fetch_openapi()))
    return Subject("FastMCP `from_openapi`", argv)


def _fetch_openapi() -> Path:
    path = CACHE / "openapi.json"
    if not path.exists():
        print(f"Fetching the OpenAPI of {SPECIFICATION} …", file=sys.stderr)
        command = ["npm", "pack", "--silent", SPECIFICATION]
        packed = subprocess.run(command, cwd=CACHE, check=True, stdout=subprocess.PIPE, text=True)
        archive = CACHE / packed.stdout.split()[-1]
        with tarfile.open(archive) as package:
            member = package.extractfile("package/spec/openapi.json")
            assert member is not None
            path.write_bytes(member.read())
        archive.unlink()
    return path
