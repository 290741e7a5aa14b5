"""`FastMCP.from_openapi` over a specification.

Runs in an environment that has FastMCP and nothing of this project.
"""

import argparse
import importlib
import json
import os
from pathlib import Path
from typing import Any

# Not dependencies of the project: imported by name, so that type checkers need not have them.
FastMCP: Any = importlib.import_module("fastmcp").FastMCP
httpx: Any = importlib.import_module("httpx2")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("specification", type=Path)
    parser.add_argument("--port", type=int, help="serve streamable HTTP there instead of stdio")
    options = parser.parse_args()
    headers = {"Authorization": f"Bearer {os.environ['GITBOOK_TOKEN']}"}
    client = httpx.AsyncClient(base_url=f"{os.environ['GITBOOK_ENDPOINT']}/v1", headers=headers, timeout=30)
    http = {"transport": "http", "port": options.port, "log_level": "error"} if options.port else {}
    FastMCP.from_openapi(json.loads(options.specification.read_text()), client).run(show_banner=False, **http)


if __name__ == "__main__":
    main()
