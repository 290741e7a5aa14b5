"""How much of the program the tests run: `coverage run -m pytest -n auto`, then `python .ci/branches.py`.

`coverage report` fails by statements and branches together, where branches that nobody takes hide behind statements.
"""

import json
import tempfile
from collections import Counter
from pathlib import Path

from coverage import Coverage

GOAL = 0.95
"""Of the branches of each root."""


def read_report() -> dict[str, Counter[str]]:
    """Return, by root of the sources, how many statements and branches there are, and how many were run."""
    coverage = Coverage()
    coverage.combine()
    coverage.save()
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        coverage.json_report(outfile=report.name)
        files = json.loads(Path(report.name).read_bytes())["files"]
    roots: dict[str, Counter[str]] = {}
    for path, file in files.items():
        roots.setdefault(Path(path).parts[0], Counter()).update(
            {name: count for name, count in file["summary"].items() if isinstance(count, int)}
        )
        for branch in file["missing_branches"]:
            print(f"{path}: not from line {branch[0]} to {'the end' if branch[1] < 0 else branch[1]}")
    return roots


def main() -> int:
    failed = False
    lines = []
    for root, counts in read_report().items():
        branches = counts["covered_branches"] / counts["num_branches"]
        statements = counts["covered_lines"] / counts["num_statements"]
        lines.append(f"| `{root}/` | {statements:.1%} | {branches:.1%} |")
        failed |= branches < GOAL
    print("| | Statements | Branches |\n|---|---:|---:|", *lines, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
