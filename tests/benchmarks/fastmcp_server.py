"""The optional second baseline: `FastMCP.from_openapi` over the operations the product has.

Runs in an environment that has FastMCP and nothing of this project, hence imports only its neighbour's plain data.
"""

import argparse
import importlib
import json
import os
from pathlib import Path
from typing import Any

from tests.benchmarks.baseline_tools import OPERATIONS

# Not dependencies of the project: imported by name, so that type checkers need not have them.
FastMCP: Any = importlib.import_module("fastmcp").FastMCP
httpx: Any = importlib.import_module("httpx2")


def family(specification: dict[str, Any]) -> dict[str, Any]:
    """Return the specification with the product's operations only."""
    wanted = {(row.path, row.method.lower()) for row in OPERATIONS}
    paths = {
        path: {key: value for key, value in item.items() if key == "parameters" or (path, key) in wanted}
        for path, item in specification["paths"].items()
        if any((path, key) in wanted for key in item)
    }
    return {**specification, "paths": paths}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("specification", type=Path)
    parser.add_argument("--port", type=int, help="serve streamable HTTP there instead of stdio")
    options = parser.parse_args()
    specification = family(json.loads(options.specification.read_text()))
    names = {
        specification["paths"][row.path][row.method.lower()]["operationId"]: row.name
        for row in OPERATIONS
        if row.path in specification["paths"]
    }
    headers = {"Authorization": f"Bearer {os.environ['GITBOOK_TOKEN']}"}
    client = httpx.AsyncClient(base_url=f"{os.environ['GITBOOK_ENDPOINT']}/v1", headers=headers, timeout=30)
    http = {"transport": "http", "port": options.port, "log_level": "error"} if options.port else {}
    FastMCP.from_openapi(specification, client, mcp_names=names).run(show_banner=False, **http)


if __name__ == "__main__":
    main()
