"""Authentication over HTTP: which bearer tokens are accepted for which resource."""

from mcp.server.auth.handlers.metadata import ProtectedResourceMetadataHandler
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.shared.auth import ProtectedResourceMetadata
from starlette.routing import Route
from starlette.types import ASGIApp

from gitbook_integrations_mcp import TITLE
from gitbook_integrations_mcp.auth.access_tokens import AccessTokens
from gitbook_integrations_mcp.auth.bearer import BearerGuard, StaticTokens
from gitbook_integrations_mcp.auth.issuer import Issuer
from gitbook_integrations_mcp.config.settings import Settings


class Authentication:
    """Authentication as configured. Without `http.tokens` and `oauth.issuer`, every caller is accepted."""

    def __init__(self, settings: Settings) -> None:
        http, oauth = settings.http, settings.oauth
        paths = {"sse": http.sse_path, "streamable-http": http.streamable_path}
        self._oauth = oauth
        self._resources: dict[str, str] = {}
        self._static_tokens = StaticTokens(http.tokens)
        self._access_tokens: AccessTokens | None = None
        self._verifiers: list[TokenVerifier] = [self._static_tokens] if http.tokens else []
        if oauth.issuer:
            served = [paths[transport] for transport in settings.server.transport]
            self._resources = {path: f"{http.public_url}{path}" for path in served}
            audience = oauth.audience or tuple(self._resources.values())
            self._access_tokens = AccessTokens(oauth, audience, Issuer(oauth))
            self._verifiers.append(self._access_tokens)
        self._public_url = http.public_url

    @property
    def resource(self) -> str:
        """The URL for which an access token is requested (RFC 8707)."""
        return next(iter(self._resources.values()))

    async def verify_static_token(self, token: str) -> AccessToken | None:
        """Return the caller whose bearer token is in the settings, or None."""
        return await self._static_tokens.verify_token(token)

    async def verify_access_token(self, token: str) -> AccessToken | None:
        """Return the verified claims of an access token, or None if it is not a JWT.

        Raises:
            BearerError: the token is invalid, or cannot be verified now.
        """
        return await self._access_tokens.verify_token(token) if self._access_tokens else None

    def guard(self, app: ASGIApp, path: str) -> ASGIApp:
        """Return `app` behind a bearer guard, if authentication is configured. `path` is the path of its resource."""
        if not self._verifiers:
            return app
        url = f"{self._public_url}{_build_metadata_path(path)}" if path in self._resources else None
        return BearerGuard(app, self._verifiers, scopes=self._oauth.scopes, metadata_url=url)

    def list_routes(self) -> list[Route]:
        """Return the routes of the metadata that names the issuer of tokens for each resource (RFC 9728)."""
        return [
            Route(_build_metadata_path(path), self._create_metadata_handler(url).handle)
            for path, url in self._resources.items()
        ]

    def _create_metadata_handler(self, resource: str) -> ProtectedResourceMetadataHandler:
        # Clients compare the spelling of the issuer. Validation from plain strings keeps it.
        metadata = {
            "resource": resource,
            "authorization_servers": [self._oauth.issuer],
            "scopes_supported": self._oauth.scopes or None,
            "resource_name": TITLE,
        }
        return ProtectedResourceMetadataHandler(ProtectedResourceMetadata.model_validate(metadata))


def _build_metadata_path(path: str) -> str:
    return "/.well-known/oauth-protected-resource" + path.removesuffix("/")
