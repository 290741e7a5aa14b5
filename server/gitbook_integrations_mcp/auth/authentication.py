"""The door that callers over HTTP come through: which proof of who they are it takes, for which resource."""

from mcp.server.auth.handlers.metadata import ProtectedResourceMetadataHandler
from mcp.server.auth.provider import TokenVerifier
from mcp.shared.auth import ProtectedResourceMetadata
from starlette.routing import Route
from starlette.types import ASGIApp

from gitbook_integrations_mcp import TITLE
from gitbook_integrations_mcp.auth.access_tokens import AccessTokens
from gitbook_integrations_mcp.auth.bearer import BearerGuard, StaticTokens
from gitbook_integrations_mcp.auth.issuer import Issuer
from gitbook_integrations_mcp.config.settings import Settings


class Door:
    """What lets callers in, as the settings say; everybody, where they name neither tokens nor an issuer."""

    def __init__(self, settings: Settings) -> None:
        http, oauth = settings.http, settings.oauth
        paths = {"sse": http.sse_path, "streamable-http": http.streamable_path}
        self._oauth = oauth
        self._resources: dict[str, str] = {}
        self._verifiers: list[TokenVerifier] = [StaticTokens(http.tokens)] if http.tokens else []
        if oauth.issuer:
            served = [paths[transport] for transport in settings.server.transport]
            self._resources = {path: f"{http.public_url}{path}" for path in served}
            audience = oauth.audience or tuple(self._resources.values())
            self._verifiers.append(AccessTokens(oauth, audience, Issuer(oauth)))
        self._public_url = http.public_url

    def guard(self, app: ASGIApp, path: str) -> ASGIApp:
        """Return `app`, behind the door where there is one; `path` is that of the resource which it belongs to."""
        if not self._verifiers:
            return app
        url = f"{self._public_url}{_place_metadata(path)}" if path in self._resources else None
        return BearerGuard(app, self._verifiers, scopes=self._oauth.scopes, metadata_url=url)

    def list_routes(self) -> list[Route]:
        """Return the routes that tell clients who issues tokens for each resource (RFC 9728)."""
        return [Route(_place_metadata(path), self._describe(url).handle) for path, url in self._resources.items()]

    def _describe(self, resource: str) -> ProtectedResourceMetadataHandler:
        # Validated from plain strings, an issuer keeps its spelling, which clients compare.
        metadata = {
            "resource": resource,
            "authorization_servers": [self._oauth.issuer],
            "scopes_supported": self._oauth.scopes or None,
            "resource_name": TITLE,
        }
        return ProtectedResourceMetadataHandler(ProtectedResourceMetadata.model_validate(metadata))


def _place_metadata(path: str) -> str:
    return "/.well-known/oauth-protected-resource" + path.removesuffix("/")
