"""Packages are layers: each imports only what stands below it, and no two files import each other."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = "gitbook_integrations_mcp"
TOOLS = "gitbook_integrations_api"

LAYERS = (
    {"", "errors", "front", "text", "spelling", "digest", "tokens", "process", "sdk", "shares", "times"},
    {"config"},
    {"net"},
    {"sandbox", "store"},
    {"gitbook"},
    {"auth"},
    {"calls"},
    {"confirmation"},
    {"accounts"},
    {"pipeline"},
    {"composites"},
    {"audit", "publishing"},
    {"features"},
    {"app"},
    {"transports"},
    {"cli"},
    {"__main__"},
)
"""Packages and modules directly below the server's root, from the ground up. A set shares a layer."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def read_imports(package: str, source_root: Path) -> dict[str, set[str]]:
    """Return by module what it imports of this project, inside functions too."""
    found: dict[str, set[str]] = {}
    for path in sorted((source_root / package).rglob("*.py")):
        module = ".".join(path.relative_to(source_root).with_suffix("").parts).removesuffix(".__init__")
        found[module] = set(_find_imports(path))
    # `from package import module` names the module, `from module import name` the module without the name.
    return {module: {_find_module(name, found) for name in names} - {module} for module, names in found.items()}


def _find_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {SERVER, TOOLS}:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in {SERVER, TOOLS})


def _find_module(name: str, modules: dict[str, set[str]]) -> str:
    while name not in modules and "." in name:
        name = name.rpartition(".")[0]
    return name


def find_layer(module: str) -> str:
    """Return the package or module below the server's root that `module` belongs to."""
    return [*module.split("."), ""][1]


def test_every_package_stands_in_one_layer() -> None:
    modules = read_imports(SERVER, ROOT / "server")
    assert {find_layer(module) for module in modules} == set(LEVEL)
    assert sum(map(len, LAYERS)) == len(LEVEL)


def test_a_package_imports_only_what_stands_below_it() -> None:
    upward = [
        f"{module} imports {imported}"
        for module, names in read_imports(SERVER, ROOT / "server").items()
        for imported in sorted(names)
        if imported.startswith(SERVER) and LEVEL[find_layer(imported)] > LEVEL[find_layer(module)]
    ]
    assert upward == []


def test_the_table_of_tools_imports_nothing_of_the_server() -> None:
    imported = {name for names in read_imports(TOOLS, ROOT / "tools").values() for name in names}
    assert not [name for name in imported if name.startswith(SERVER)]


@pytest.mark.parametrize(("package", "source_root"), [(SERVER, "server"), (TOOLS, "tools")])
def test_no_two_files_import_each_other(package: str, source_root: str) -> None:
    imports = read_imports(package, ROOT / source_root)
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {' → '.join(error.args[1])}")


def test_no_test_module_imports_another() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert ".test_" not in (node.module or ""), f"{path} imports {node.module}; move it to tests/support"
