"""Error responses over HTTP: one shape for all of them."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

from gitbook_integrations_mcp.errors import ErrorCode


def create_error_response(
    status: int, code: ErrorCode, description: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a response that names a stable code and describes the error, with the fields of RFC 6749."""
    return JSONResponse({"error": code, "error_description": description}, status, headers)
