"""Every response of the sandbox satisfies the response schemas of GitBook's official OpenAPI."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import CredentialKind, Endpoint
from gitbook_integrations_mcp.sandbox import (
    INTEGRATION_TOKEN,
    ORGANIZATION_ID,
    OWN_INTEGRATION,
    USER_TOKEN,
    Sandbox,
    create_sandbox,
)
from gitbook_integrations_mcp.sandbox.state import State
from tests.support.grown_sandbox import Size, create_grown_sandbox

pytestmark = pytest.mark.anyio

ROOT = "urn:gitbook"

UNDOCUMENTED_SUCCESS = {("disable_integration_development_mode", 204)}
"""Statuses by tool that the OpenAPI does not name: there was nothing to disable."""

FORMATS = FormatChecker(formats=())


@FORMATS.checks("uri")
def _is_uri(text: object) -> bool:
    return not isinstance(text, str) or bool(urlsplit(text).scheme and urlsplit(text).netloc)


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(text: object) -> bool:
    return not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is not None


class Contract:
    """The OpenAPI's word on what each operation may answer."""

    def __init__(self, document: dict[str, Any]) -> None:
        resource = DRAFT202012.create_resource(document)
        self._registry: Registry[Any] = Registry().with_resource(ROOT, resource)
        self._errors = f"{ROOT}#/components/schemas/Error"
        self._responses = {
            operation["operationId"]: (f"/paths/{path.replace('/', '~1')}/{method}/responses", operation["responses"])
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if "responses" in operation
        }

    def check(self, endpoint: Endpoint, response: httpx.Response) -> None:
        """Assert that `response` is one the OpenAPI allows for the endpoint."""
        status = response.status_code
        pointer, documented = self._responses[endpoint.operation]
        answer = documented.get(str(status))
        if answer is None:
            assert status >= 400 or (endpoint.name, status) in UNDOCUMENTED_SUCCESS, f"{status} is not documented"
            schema = self._errors if status >= 400 else None
        elif "$ref" in answer:
            schema = f"{ROOT}{answer['$ref']}/content/application~1json/schema"
        elif "content" in answer:
            schema = f"{ROOT}#{pointer}/{status}/content/application~1json/schema"
        else:
            schema = None
        if schema is None:
            assert response.content == b""
            return
        assert response.headers["content-type"] == "application/json"
        validator = Draft202012Validator({"$ref": schema}, registry=self._registry, format_checker=FORMATS)
        problems = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(response.json())]
        assert not problems, problems


class Client:
    """Sends what the table builds to one sandbox, and checks each answer."""

    def __init__(self, sandbox: Sandbox, contract: Contract) -> None:
        self.state = sandbox.state
        self._contract = contract
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox), base_url="http://gitbook.test/v1")

    async def call(self, name: str, arguments: dict[str, Any], token: str | None = None) -> httpx.Response:
        """Call an endpoint, by default with a token of a kind that it accepts."""
        endpoint = ENDPOINTS[name]
        if token is None:
            integration = arguments.get("integrationName")
            own = f"{INTEGRATION_TOKEN}_{integration}" if integration in self.state.integrations else INTEGRATION_TOKEN
            token = USER_TOKEN if CredentialKind.USER in endpoint.credentials else own
        request = endpoint.build_request(arguments)
        response = await self._client.request(
            request.method,
            request.path,
            params=request.query or None,
            json=request.body,
            headers={"Authorization": f"Bearer {token}"},
        )
        self._contract.check(endpoint, response)
        return response

    async def close(self) -> None:
        await self._client.aclose()


@pytest.fixture(scope="session")
def contract(openapi: dict[str, Any]) -> Contract:
    return Contract(openapi)


@pytest.fixture
async def client(contract: Contract) -> AsyncIterator[Client]:
    client = Client(create_sandbox(), contract)
    yield client
    await client.close()


def get_samples(state: State) -> dict[str, list[dict[str, Any]]]:
    """Return, by tool, arguments of calls that succeed, each on a fresh sandbox."""
    integration = {"integrationName": OWN_INTEGRATION}
    organization = {"organizationId": ORGANIZATION_ID}
    own = state.get_installations(integration=OWN_INTEGRATION, organization=ORGANIZATION_ID)[0]
    analytics = state.get_installations(integration="googleanalytics")[0]
    on_spaces = {**integration, "installationId": own.id}
    on_sites = {"integrationName": "googleanalytics", "installationId": analytics.id}
    used_space, used_site = next(iter(own.enabled["space"])), next(iter(analytics.enabled["site"]))
    free_space = next(each.id for each in state.get_places("space", own.organization) if each.id != used_space)
    free_site = [each.id for each in state.get_places("site", own.organization)][-1]
    space, site = {"spaceId": used_space}, {"siteId": used_site}
    change = {"configuration": {"channel": "#new"}, "externalIds": ["a", "b"]}
    publication = {
        "organization": ORGANIZATION_ID,
        "title": "Glossary",
        "description": "Explains terms.",
        "script": "export default {};",
        "scopes": ["space:content:read"],
    }
    whole_publication = publication | {
        "runtime": "v2",
        "summary": "# Glossary",
        "icon": "aWNvbg==",
        "previewImages": ["aW1hZ2U="],
        "visibility": "public",
        "target": "all",
        "categories": ["content"],
        "blocks": [{"id": "term", "title": "Term", "markdown": {"codeblock": "term", "body": "text"}}],
        "contentSources": [{"id": "terms", "title": "Terms", "configuration": {"componentId": "terms"}}],
        "externalLinks": [{"url": "https://glossary.example", "label": "Home"}],
        "configurations": {
            "account": {"properties": {"key": {"type": "string", "title": "Key"}}, "required": ["key"]},
            "site": {"componentId": "settings"},
        },
        "secrets": {"KEY": "value"},
        "contentSecurityPolicy": {"script-src": "https://glossary.example"},
    }
    # No props: GitBook's schema of their values has no type, so that a text is valid twice and `oneOf` refuses it.
    rendering = {**integration, "componentId": "release-notes", "props": {}, "context": {"theme": "dark"}}
    return {
        "get_authenticated_user": [{}],
        "list_organizations_for_authenticated_user": [{}, {"limit": 1}],
        "list_spaces_in_organization_by_id": [organization, {**organization, "limit": 3}],
        "list_sites": [organization, {**organization, "type": ["basic", "premium"], "published": True}],
        "list_integrations": [{}, {"search": "a", "limit": 2}, {"search": "nothing"}],
        "get_integration_by_name": [{"integrationName": name} for name in state.integrations if name != "pricing-sync"],
        "list_organization_integrations": [organization, {**organization, "category": "analytics"}],
        "list_organization_installations": [organization, {**organization, "limit": 1}],
        "list_organization_integrations_status": [
            {**organization, "target": target} for target in ("organization", "space", "site")
        ],
        "get_organization_integration_status": [{**organization, **integration}],
        "list_integration_installations": [integration, {**integration, "externalId": "tracker:aurora"}],
        "get_integration_installation_by_id": [on_spaces],
        "install_integration": [
            {"integrationName": name, "organization": ORGANIZATION_ID} for name in ("harbor-people", "style-linter")
        ],
        "update_integration_installation": [
            {**on_spaces, **change},
            {**on_spaces, "space_selection": "all", "site_selection": "selected"},
        ],
        "uninstall_integration": [on_spaces, {**on_spaces, "installationId": "nothing"}],
        "create_integration_installation_token": [on_spaces],
        "list_space_integrations": [space, {**space, "search": "mermaid"}],
        "list_space_integrations_blocks": [space],
        "list_integration_space_installations": [{**integration, "extended": extended} for extended in (True, False)],
        "list_integration_installation_spaces": [{**on_spaces, "extended": extended} for extended in (True, False)],
        "get_integration_space_installation": [
            {**on_spaces, **space, "extended": extended} for extended in (True, False)
        ],
        "install_integration_on_space": [
            {**on_spaces, "space": free_space, "extended": extended} for extended in (True, False)
        ],
        "update_integration_space_installation": [{**on_spaces, **space, **change}],
        "uninstall_integration_from_space": [{**on_spaces, **space}, {**on_spaces, "spaceId": free_space}],
        "list_site_integrations": [{**organization, **site}, {**organization, **site, "search": "google"}],
        "list_site_integration_scripts": [
            {**organization, "siteId": each} for each in state.sites if _is_own(state, each)
        ],
        "list_integration_site_installations": [
            {"integrationName": "googleanalytics", "extended": extended} for extended in (True, False)
        ],
        "list_integration_installation_sites": [{**on_sites, "extended": extended} for extended in (True, False)],
        "get_integration_site_installation": [{**on_sites, **site, "extended": extended} for extended in (True, False)],
        "install_integration_on_site": [
            {**on_sites, "siteId": free_site, "extended": extended} for extended in (True, False)
        ],
        "update_integration_site_installation": [{**on_sites, **site, **change}],
        "uninstall_integration_from_site": [{**on_sites, **site}, {**on_sites, "siteId": free_site}],
        "set_integration_development_mode": [{**integration, "tunnelUrl": "https://tunnel.example"}],
        "disable_integration_development_mode": [{"integrationName": "style-linter"}],
        "list_integration_events": [integration, {**integration, "limit": 2}],
        "get_integration_event": [{**integration, "eventId": event.id} for event in state.events],
        "queue_integration_task": [{**integration, "task": {"kind": "x"}, "schedule": 5}],
        "render_integration_ui_with_post": [
            rendering,
            {**rendering, "action": {"action": "@ui.modal.close", "returnValue": {"a": "b"}}},
            {"integrationName": "github", "componentId": "configure", "props": {}, "context": {}},
        ],
        "publish_integration": [
            {"integrationName": "glossary", **publication},
            {"integrationName": OWN_INTEGRATION, **whole_publication},
        ],
        "unpublish_integration": [integration, {"integrationName": "nothing"}],
    }


def _is_own(state: State, site_id: str) -> bool:
    return state.sites[site_id].organization == ORGANIZATION_ID


def list_samples() -> Iterator[Any]:
    for name, samples in get_samples(create_sandbox().state).items():
        for number, arguments in enumerate(samples, start=1):
            yield pytest.param(name, arguments, id=f"{name}-{number}")


def test_there_is_a_sample_for_every_endpoint() -> None:
    assert set(get_samples(create_sandbox().state)) == set(ENDPOINTS)


@pytest.mark.parametrize(("name", "arguments"), [*list_samples()])
async def test_a_success_satisfies_the_openapi(client: Client, name: str, arguments: dict[str, Any]) -> None:
    response = await client.call(name, arguments)
    assert response.is_success, response.text


@pytest.mark.parametrize("name", ENDPOINTS)
async def test_errors_satisfy_the_openapi(client: Client, name: str) -> None:
    endpoint = ENDPOINTS[name]
    sample = get_samples(client.state)[name][0]
    assert (await client.call(name, sample, token="wrong")).status_code == 401
    foreign = (
        INTEGRATION_TOKEN
        if CredentialKind.INTEGRATION not in endpoint.credentials
        else f"{INTEGRATION_TOKEN}_harbor-people"
    )
    refused = await client.call(name, sample, token=foreign)
    assert refused.status_code == 403 or name in {"list_integrations", "get_integration_by_name"}
    for argument in sorted(endpoint.path_names):
        missing = await client.call(name, {**sample, argument: "nothing"})
        gone = endpoint.method == "DELETE" and 204 in endpoint.success
        created = name == "publish_integration"
        assert missing.status_code == (200 if created else 204 if gone else 404)
    for argument in sorted(endpoint.query_names & {"limit", "extended", "published", "target"}):
        assert (await client.call(name, {**sample, argument: "wrong"})).status_code == 400
    if endpoint.body_names:
        wrong = {argument: ["wrong", {}] for argument in endpoint.body_names}
        assert (await client.call(name, {**sample, **wrong})).status_code == 400


async def test_a_second_installation_conflicts_as_errors_do(client: Client) -> None:
    for name in ("install_integration", "install_integration_on_space", "install_integration_on_site"):
        sample = get_samples(create_sandbox().state)[name][0]
        assert (await client.call(name, sample)).status_code == 201
        assert (await client.call(name, sample)).status_code == 409


async def test_disabling_nothing_responds_like_deleting_nothing(client: Client) -> None:
    for status in (205, 204):
        response = await client.call("disable_integration_development_mode", {"integrationName": "style-linter"})
        assert response.status_code == status


async def test_an_exceeded_limit_satisfies_the_openapi(contract: Contract) -> None:
    client = Client(create_sandbox(rate_limit=0), contract)
    assert (await client.call("list_integrations", {})).status_code == 429
    await client.close()


async def test_events_of_everything_that_happens_satisfy_the_openapi(client: Client) -> None:
    for name in (
        "install_integration_on_space",
        "update_integration_space_installation",
        "uninstall_integration_from_space",
        "update_integration_installation",
        "queue_integration_task",
    ):
        await client.call(name, get_samples(create_sandbox().state)[name][0])
    events = (await client.call("list_integration_events", {"integrationName": OWN_INTEGRATION})).json()["items"]
    assert {event["payload"]["type"] for event in events} >= {"space_installation_deleted", "installation_setup"}


async def test_a_grown_organization_satisfies_the_openapi(contract: Contract) -> None:
    client = Client(create_grown_sandbox(Size(30, 40, 9, 150)), contract)
    organization = {"organizationId": ORGANIZATION_ID}
    for name in (
        "list_spaces_in_organization_by_id",
        "list_sites",
        "list_organization_integrations",
        "list_organization_installations",
        "list_organization_integrations_status",
    ):
        assert (await client.call(name, organization)).is_success
    for site in client.state.get_places("site", ORGANIZATION_ID):
        assert (await client.call("list_site_integration_scripts", {**organization, "siteId": site.id})).is_success
    for installation in client.state.get_installations(organization=ORGANIZATION_ID):
        named = {"integrationName": installation.integration, "installationId": installation.id, "extended": True}
        assert (await client.call("list_integration_installation_spaces", named)).is_success
        assert (await client.call("list_integration_installation_sites", named)).is_success
    await client.close()
