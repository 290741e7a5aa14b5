"""Fixtures of the tests of composite tools."""

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The URL of an empty store in a file."""
    return f"sqlite:///{tmp_path}/store.db"
