"""Every error has a code, every code is documented, and some test provokes it."""

import ast
import importlib
import pkgutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

import gitbook_integrations_mcp
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.auth.bearer import BearerError
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import (
    CallError,
    ErrorCode,
    LimitError,
    ProgramError,
    RefusedError,
    StatusError,
    UnreachableError,
    UpstreamError,
)
from tests.support.fake_gitbook import ONCE, TOKENS, Upstream, connect, read_code
from tests.support.repository import ROOT

TESTS = ROOT / "tests"

GROUPS = {ProgramError, CallError, RefusedError, UpstreamError}
"""Classes that group others and are never raised."""

CODED_BY_ARGUMENTS = (
    StatusError(418, "text"),
    UnreachableError("text", sent=True),
    UnreachableError("text", sent=False),
    LimitError("text"),
    BearerError(401, ErrorCode.INVALID_TOKEN, "text"),
)
"""Errors of the classes whose code depends on their arguments."""


def find_asserted_codes(path: Path) -> Iterator[str]:
    """Yield the codes in assertions and in tables of cases, as literals or as members of `ErrorCode`.

    The source is read, not the run: a record of codes at run time would be incomplete wherever only some tests run.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assert) or (
            isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.parametrize"
        ):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value
                elif isinstance(part, ast.Attribute) and ast.unparse(part.value) == "ErrorCode":
                    yield part.attr.lower()


def test_every_code_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    for code in ErrorCode:
        assert text.count(f'| <a id="{code}"></a>`{code}` | {code.meaning} | {code.remedy} |') == 1


def test_every_code_is_asserted_by_a_test() -> None:
    asserted = {code for path in TESTS.rglob("test_*.py") for code in find_asserted_codes(path)}
    assert [str(code) for code in ErrorCode if code not in asserted] == []


def test_a_member_has_the_name_of_its_code() -> None:
    assert all(name.lower() == code for name, code in ErrorCode.__members__.items())


def test_every_error_that_is_raised_has_a_code() -> None:
    for module in pkgutil.walk_packages(gitbook_integrations_mcp.__path__, "gitbook_integrations_mcp."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for error in CODED_BY_ARGUMENTS:
        assert isinstance(error.code, ErrorCode)
    known = {type(error) for error in CODED_BY_ARGUMENTS}
    for kind in list_subclasses(ProgramError):
        assert kind in GROUPS | known or isinstance(kind.code, ErrorCode), kind


def list_subclasses(kind: type[ProgramError]) -> Iterator[type[ProgramError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from list_subclasses(subclass)


def test_a_class_that_groups_others_is_never_raised() -> None:
    names = {kind.__name__ for kind in GROUPS}
    for path in (ROOT / "server").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                assert ast.unparse(node.exc.func) not in names, f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "gitbook_rejected"),
        (401, "token_rejected"),
        (403, "forbidden"),
        (404, "not_found"),
        (409, "conflict"),
        (412, "conflict"),
        (418, "gitbook_rejected"),
        (422, "gitbook_rejected"),
        (429, "rate_limited"),
        (500, "gitbook_failed"),
        (503, "gitbook_failed"),
    ],
)
async def test_an_error_status_of_gitbook_has_its_code(status: int, code: str) -> None:
    upstream = Upstream()
    upstream.answer({"error": {"code": status, "message": "no"}}, status)
    async with connect(upstream) as client:
        assert read_code(await client.call_tool("list_integrations", {})) == code


async def test_a_gitbook_that_cannot_be_reached_has_its_code() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"  # nothing listens there
    settings = load_settings({"gitbook": {**TOKENS, "endpoint": endpoint}, "limits": ONCE})
    async with Client(create_server(settings)) as client:
        assert read_code(await client.call_tool("list_integrations", {})) == "unreachable"


async def test_a_target_that_cannot_be_read_has_its_code() -> None:
    upstream = Upstream()
    upstream.answer({"error": {"code": 500, "message": "no"}}, 500)
    arguments: dict[str, Any] = {
        "integrationName": "slack",
        "installationId": "i",
        "configuration": {"token": "[masked]"},
    }
    async with connect(upstream) as client:
        assert read_code(await client.call_tool("update_integration_installation", arguments)) == "target_unreadable"
    assert {request.method for request in upstream.requests} == {"GET"}
