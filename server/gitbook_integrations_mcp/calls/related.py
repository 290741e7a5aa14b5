"""Finds, in the table of endpoints, the one that reads what another tool changes or lists."""

from functools import cache

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import CredentialKind, Endpoint, Tool, Widening
from gitbook_integrations_api.objects import GitBookObject


@cache
def find_target(tool: Tool) -> Endpoint | None:
    """Return the endpoint that reads the target of `tool`: the GET of its path, or of the nearest path above."""
    if not isinstance(tool, Endpoint):
        return None
    segments = tool.path.split("/")
    for length in range(len(segments), 1, -1):
        if reader := find_get("/".join(segments[:length]), "object"):
            return reader
    return None


@cache
def find_state_reader(endpoint: Endpoint) -> Endpoint | None:
    """Return the endpoint that shows whether a call of `endpoint` took effect, with a token that `endpoint` accepts.

    It reads the same path, or lists what the call creates, or else reads the target.
    """
    kinds = endpoint.credentials - {CredentialKind.OAUTH}
    readers = [row for row in ENDPOINTS.values() if row.method == "GET" and row.credentials & kinds]
    same = [row for row in readers if row.path == endpoint.path]
    collection = endpoint.path.rpartition("/")[2]
    lists = [row for row in readers if row.result.shape == "page" and row.path.endswith(f"/{collection}")]
    return next(iter([*same, *lists]), find_target(endpoint))


@cache
def find_installer(endpoint: Endpoint) -> Endpoint | None:
    """Return the endpoint that installs what `endpoint` is about, if that is an installation, or one on a place."""
    collection = endpoint.path.rpartition("/")[0]
    installers = (row for row in ENDPOINTS.values() if row.method == "POST" and row.widens is Widening.ACCESS)
    return next((row for row in installers if row.path == collection), None)


@cache
def find_item_reader(endpoint: Endpoint) -> Endpoint | None:
    """Return the endpoint that reads one item of the list that `endpoint` returns."""
    readers = [row for row in ENDPOINTS.values() if (row.method, row.result.shape) == ("GET", "object")]
    below = (row for row in readers if row.path.rpartition("/")[0] == endpoint.path)
    alike = (row for row in readers if row.result.model is endpoint.result.model is not GitBookObject)
    return next(below, None) or next(alike, None)


def find_get(path: str, shape: str) -> Endpoint | None:
    """Return the endpoint that reads `path` and returns that shape."""
    return next(
        (row for row in ENDPOINTS.values() if (row.method, row.path, row.result.shape) == ("GET", path, shape)), None
    )
