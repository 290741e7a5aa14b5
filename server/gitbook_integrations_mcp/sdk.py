"""Imports the MCP SDK without the parts that this server does not use.

The code of the packages `mcp` and `mcp.server` imports whatever a program may want from them: the client, the server
with decorators, and what these need. This server imports modules by their full names and needs none of that. Without
it, the server is 4 MiB smaller and starts faster, by a tenth of the CPU time of the imports.
"""

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType


def defer_packages() -> None:
    """Run the code of the SDK's packages only when a name is imported from them that is no imported module."""
    sys.modules["mcp"] = package = _defer("mcp")
    package.__dict__["server"] = sys.modules["mcp.server"] = _defer("mcp.server")


def _defer(name: str) -> ModuleType:
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not installed", name=name)
    loader, module = spec.loader, module_from_spec(spec)

    def load(attribute: str) -> object:
        if module.__dict__.pop("__getattr__", None) is not None:
            loader.exec_module(module)
        return getattr(module, attribute)

    module.__dict__["__getattr__"] = load
    return module
