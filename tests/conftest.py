"""Fixtures that several modules of tests share."""

import os
from typing import Any

import pytest

from tests.openapi import PACKAGE, load_openapi


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """GitBook's official OpenAPI. Without it the test is skipped, except in CI, where it must run."""
    document = load_openapi()
    if document is None:
        reason = f"npm is missing, or cannot download {PACKAGE}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return document
