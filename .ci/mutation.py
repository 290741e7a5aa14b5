"""Mutation testing of what safety rests on: `python .ci/mutation.py [SUBJECT …]`, with mutmut 3 installed.

Every mutant is tried in a fork of a process that has imported it, so that one takes a second. Hence what runs while
modules are imported cannot be mutated, and tests that start the real command do not count.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SERVER = "gitbook_integrations_mcp"
KILLED = {"killed", "timeout", "segfault"}


@dataclass(frozen=True)
class Subject:
    """Modules, the tests that are about them, and which of their mutants to try, all where empty.

    A function that is `left` takes, as itself, other arguments than in the wrapper that mutmut puts around it.
    """

    modules: Sequence[str]
    tests: Sequence[str]
    only: Sequence[str] = ()
    left: str = ""


_CONFIRMATION_MODULES = ("service", "elicitation", "preview", "results")
_CONFIRMATION = tuple(f"unit/confirmation/test_{name}" for name in ("service", "page"))
_PATHS = ("encode_segment", "Endpointǁbuild_request", "_query_pairs", "_tidy_number")
SUBJECTS = {
    "confirmation": Subject([f"{SERVER}/confirmation/{name}" for name in _CONFIRMATION_MODULES], _CONFIRMATION),
    "page": Subject(
        [f"{SERVER}/confirmation/page"],
        ("unit/confirmation/test_page",),
        left="application",  # uvicorn tries to call it
    ),
    "paths": Subject(
        ["gitbook_integrations_api/endpoint"],
        ("unit/api/test_endpoint", "unit/calls/test_arguments"),
        [f"gitbook_integrations_api.endpoint.x*{name}__mutmut_*" for name in _PATHS],
    ),
    "masking": Subject([f"{SERVER}/calls/masking"], ("unit/calls/test_masking", "unit/pipeline/test_mask_attacks")),
    "masked values": Subject([f"{SERVER}/pipeline/masked_values"], ("unit/calls/test_masking",)),
    "retry": Subject([f"{SERVER}/gitbook/retry"], ("unit/gitbook/test_retry",)),
    "rate limit": Subject([f"{SERVER}/gitbook/rate_limit"], ("unit/gitbook/test_rate_limit",)),
}


def read(*command: str, at: Path) -> list[str]:
    """Return the lines that a command prints."""
    return subprocess.run(command, cwd=at, check=True, capture_output=True, text=True).stdout.splitlines()


def lay_out(directory: Path, subject: Subject) -> None:
    """Copy the project as mutmut wants it: one root of sources, and its own settings."""
    for name in read("git", "ls-files", at=ROOT):
        root, _, rest = name.partition("/")
        target = directory / ("src/" + rest if root in {"server", "tools"} else name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for module in subject.modules if subject.left else ():
        path = directory / f"src/{module}.py"
        marked = re.sub(
            rf"(def {subject.left}\(.*:)$", r"\1  # pragma: no mutate block", path.read_text(), flags=re.MULTILINE
        )
        path.write_text(marked)
    settings = {
        "source_paths": ["src/"],
        "only_mutate": [f"src/{module}.py" for module in subject.modules],
        "pytest_add_cli_args_test_selection": [f"tests/{test}.py" for test in subject.tests],
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
    }
    with (directory / "pyproject.toml").open("a") as file:
        file.write("\n[tool.mutmut]\nuse_git_change_detection = false\ntrack_dependencies = false\n")
        file.write("timeout_multiplier = 3\ntimeout_constant = 5\n")  # those that wait for ever are many
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())


def run(subject: Subject, children: int) -> Iterator[tuple[str, str]]:
    """Yield each mutant's name and how it fared."""
    mutmut = [sys.executable, "-m", "mutmut"]
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made)
        lay_out(tree, subject)
        tried = [*mutmut, "run", "--max-children", str(children), *subject.only]
        subprocess.run(tried, cwd=tree, check=True, stdout=sys.stderr)
        for line in read(*mutmut, "results", "--all", "true", at=tree):
            name, separator, status = line.strip().partition(": ")
            if separator and status != "not checked":
                yield name, status
                if status not in KILLED:
                    print(f"{name}: {status}", *read(*mutmut, "show", name, at=tree), sep="\n", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python .ci/mutation.py", description="How many mutants the tests kill.")
    parser.add_argument("subjects", nargs="*", choices=[*SUBJECTS, "all"], default="all")
    parser.add_argument("--children", type=int, default=1, help="mutants at a time (default: 1)")
    options = parser.parse_args()
    print("| Module | Mutants | Killed | |\n|---|---:|---:|---:|")
    for name in SUBJECTS if options.subjects == "all" else options.subjects:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for mutant, status in run(SUBJECTS[name], options.children):
            counts[mutant.rpartition(".")[0]][status] += 1
        for module, fared in counts.items():
            killed = sum(fared[status] for status in KILLED)
            print(f"| `{module}` | {fared.total()} | {killed} | {killed / fared.total():.0%} |", flush=True)


if __name__ == "__main__":
    main()
