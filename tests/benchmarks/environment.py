"""Virtual environments for servers that must not share the product's: what is installed changes how fast they are.

They are kept in a cache directory, which can be deleted at any time.
"""

import subprocess
import sys
import venv

from tests.benchmarks.subject import ROOT

CACHE = ROOT / ".cache" / "benchmarks"


def install(*requirements: str) -> str:
    """Return the Python of an environment that has nothing but `requirements`, made on first use."""
    directory = CACHE / "-".join(requirement.replace("==", "-").replace("*", "x") for requirement in requirements)
    python = str(directory / "bin" / "python")
    finished = directory / "finished"
    if not finished.exists():
        print(f"Installing {' '.join(requirements)} into {directory} …", file=sys.stderr)
        venv.create(directory, clear=True, with_pip=True)
        command = [python, "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(command, check=True, stdout=sys.stderr)
        finished.touch()
    return python
