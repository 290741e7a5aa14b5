"""The baseline's tools, as plain data in a JSON file that the benchmark writes before it starts a server.

They are the operations of the product's table, so that both servers have the same ones: name, description and input
schema as an engineer would copy them from the API's reference. The baseline reads the file and imports nothing of the
product: neither the table nor pydantic's models cost it start-up time or memory.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """One tool and the request it makes. Arguments that are neither in `path` nor in `query` are the JSON body."""

    name: str
    description: str
    method: str
    path: str
    query: list[str]
    input_schema: dict[str, Any]


def read_operations(path: Path) -> list[Operation]:
    """Return the tools that a file holds."""
    return [Operation(**row) for row in json.loads(path.read_bytes())]


def write_operations(path: Path) -> Path:
    """Write the operations of the product's table to a file, and return its path."""
    # Not at the top: the baseline imports this module, also where the product is not installed.
    from gitbook_integrations_api.catalog import ENDPOINTS
    from gitbook_integrations_api.schema import describe_model

    rows = [
        Operation(
            name=endpoint.name,
            description=endpoint.description,
            method=endpoint.method,
            path=endpoint.path,
            query=sorted(endpoint.query_names),
            input_schema=describe_model(endpoint.input),
        )._asdict()
        for endpoint in ENDPOINTS.values()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path
