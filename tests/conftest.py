"""Fixtures that several modules of tests share."""

import json
from typing import Any

import pytest

from .npm import install_package


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """GitBook's official OpenAPI, from the npm package that carries it."""
    api = install_package("@gitbook/api@0.202.0") / "node_modules" / "@gitbook" / "api"
    document: dict[str, Any] = json.loads((api / "spec" / "openapi.json").read_bytes())
    return document
