"""The sandbox behaves like GitBook, over HTTP; another module compares its responses with the OpenAPI."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import httpx
import pytest

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.checks import INTERNAL_SCOPES
from gitbook_integrations_api.endpoint import CredentialKind
from gitbook_integrations_api.endpoints.publishing import Publication
from gitbook_integrations_mcp.sandbox import (
    INTEGRATION_TOKEN,
    ORGANIZATION_ID,
    OWN_INTEGRATION,
    USER_TOKEN,
    Sandbox,
    create_sandbox,
)
from gitbook_integrations_mcp.sandbox.credentials import LIFETIME
from gitbook_integrations_mcp.sandbox.operations import OPERATIONS
from gitbook_integrations_mcp.sandbox.state import Installation, State
from tests.support.grown_sandbox import Size, create_grown_sandbox
from tests.support.real_organization import REAL

pytestmark = pytest.mark.anyio

NOW = 1_760_000_000.0
ORG = f"/orgs/{ORGANIZATION_ID}"
OWN = f"/integrations/{OWN_INTEGRATION}"
PUBLICATION = {
    "organization": ORGANIZATION_ID,
    "title": "Glossary",
    "description": "Explains terms.",
    "script": "export default {};",
    "scopes": ["space:content:read"],
}


class Clock:
    """Tells the time it was set to."""

    now = NOW

    def __call__(self) -> float:
        return self.now


class Api:
    """An HTTP client of one sandbox that sends the user's token by default."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.state = sandbox.state
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=sandbox, raise_app_exceptions=True), base_url="http://gitbook.test/v1"
        )

    async def send(
        self, method: str, path: str, body: Any = None, token: str | None = USER_TOKEN, **query: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self._client.request(method, path, json=body, headers=headers, params=query or None)

    async def get(self, path: str, token: str | None = USER_TOKEN, **query: Any) -> Any:
        """Return the JSON of a GET that must succeed."""
        response = await self.send("GET", path, token=token, **query)
        assert response.status_code == 200, response.text
        return response.json()

    async def get_names(self, path: str, token: str | None = USER_TOKEN, **query: Any) -> list[str]:
        """Return the names of the integrations that a list answers."""
        items = (await self.get(path, token, **query))["items"]
        return [item.get("name") or item["integration"]["name"] for item in items]

    async def close(self) -> None:
        await self._client.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def api(clock: Clock) -> AsyncIterator[Api]:
    client = Api(create_sandbox(clock=clock))
    yield client
    await client.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Sandbox], Api]]:
    """Clients for sandboxes that a test makes itself."""
    clients: list[Api] = []

    def connect(sandbox: Sandbox) -> Api:
        clients.append(Api(sandbox))
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


def find(state: State, integration: str, organization: str = ORGANIZATION_ID) -> Installation:
    return state.get_installations(integration=integration, organization=organization)[0]


def locate(installation: Installation) -> str:
    return f"/integrations/{installation.integration}/installations/{installation.id}"


def get_neighbour(state: State) -> str:
    return next(each.id for each in state.organizations.values() if each.member and each.id != ORGANIZATION_ID)


def find_title(state: State, title: str) -> str:
    places = (*state.spaces.values(), *state.sites.values())
    return next(place.id for place in places if place.title == title and place.organization == ORGANIZATION_ID)


def count_installations(state: State) -> int:
    own = state.get_installations(organization=ORGANIZATION_ID)
    return sum(1 + len(each.enabled["space"]) + len(each.enabled["site"]) for each in own)


def assert_error(response: httpx.Response, status: int) -> str:
    """Check an error's shape and return its message."""
    assert response.status_code == status, response.text
    content = response.json()
    assert set(content) == {"error"}
    assert content["error"]["code"] == status
    message = content["error"]["message"]
    assert isinstance(message, str)
    assert message
    return message


# What there is at the start


def test_every_endpoint_of_the_table_has_an_operation() -> None:
    assert set(OPERATIONS) == set(ENDPOINTS)


def test_two_new_sandboxes_have_the_same_state() -> None:
    def freeze(state: State) -> list[str]:
        kinds = (state.organizations, state.integrations, state.spaces, state.sites, state.installations, state.events)
        return [repr(kind) for kind in kinds]

    assert freeze(create_sandbox().state) == freeze(create_sandbox().state)


def test_the_default_organization_has_a_realistic_size() -> None:
    state = create_sandbox().state
    spaces, sites = state.get_places("space", ORGANIZATION_ID), state.get_places("site", ORGANIZATION_ID)
    assert (len(spaces), len(sites), count_installations(state)) == (20, 5, 40)


async def test_the_default_marketplace_shows_thirteen_integrations_of_all_visibilities(api: Api) -> None:
    items = (await api.get(f"{ORG}/integrations"))["items"]
    assert len(items) == 13
    assert {item["visibility"] for item in items} == {"public", "private", "unlisted"}
    assert {item["verified"] for item in items} == {True, False}
    assert {item["target"] for item in items} == {"all", "space", "site", "organization"}


def test_the_default_installations_have_every_status() -> None:
    installations = create_sandbox().state.get_installations(organization=ORGANIZATION_ID)
    setups = [setup for each in installations for level in each.enabled.values() for setup in level.values()]
    assert (
        {each.status for each in installations} == {"active", "pending", "paused"} == {each.status for each in setups}
    )
    assert {each.selection["space"] for each in installations} == {"all", "selected"}
    assert {each.selection["site"] for each in installations} == {"all", "selected"}
    assert any("FAKE" in json.dumps(each.configuration) for each in installations)


def test_every_sample_integration_could_have_been_published() -> None:
    for planted in create_grown_sandbox(Size(integrations=250)).state.integrations.values():
        named = {"integrationName": planted.name, "organization": planted.owner}
        Publication.model_validate({**PUBLICATION, **planted.manifest, **named})


@pytest.mark.parametrize("size", [Size(60, 500, 50, 2000), Size(1, 0, 0, 1), Size(3, 2, 1, 5), Size(12, 20, 5, 90)])
def test_an_organization_can_have_another_size(size: Size) -> None:
    state = create_grown_sandbox(size).state
    assert len(state.get_places("space", ORGANIZATION_ID)) == size.spaces
    assert len(state.get_places("site", ORGANIZATION_ID)) == size.sites
    assert len(state.integrations) == size.integrations + 1  # somebody else's private one, which nobody sees
    assert count_installations(state) == size.installations


def test_an_installation_for_all_places_is_enabled_on_all_in_every_size() -> None:
    for size in (Size(), Size(installations=15), Size(60, 500, 50, 2000)):
        state = create_grown_sandbox(size).state
        for installation in state.get_installations(organization=ORGANIZATION_ID):
            for level, selection in installation.selection.items():
                if selection == "all" and installation.status == "active":
                    assert len(installation.enabled[level]) == len(state.get_places(level, ORGANIZATION_ID))


def test_more_installations_than_places_are_rejected() -> None:
    with pytest.raises(ValueError, match="room for 1 installations"):
        create_grown_sandbox(Size(1, 0, 0, 2))
    with pytest.raises(ValueError, match="at least one integration"):
        Size(integrations=0)


# Routes and errors


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/integrations/"),
        ("PUT", "/integrations"),
        ("HEAD", "/user"),
        ("GET", "/integrations/slack%2Finstallations"),
        ("GET", "/integrations/%2E%2E"),
        ("GET", "/integrations/sl%C3%A4ck"),
        ("GET", "/integrations/%FF"),
        ("GET", f"/integrations/{'x' * 101}"),
    ],
)
async def test_unknown_paths_are_not_found(api: Api, method: str, path: str) -> None:
    response = await api.send(method, path)
    assert response.status_code == 404
    if method != "HEAD":
        assert_error(response, 404)


@pytest.mark.parametrize("token", [None, "wrong", "gb_sandbox_integration_nobody", "gb_sandbox_installation_guess"])
async def test_without_a_valid_token_every_request_is_a_401(api: Api, token: str | None) -> None:
    assert_error(await api.send("GET", "/user", token=token), 401)


async def test_only_the_bearer_scheme_is_accepted(clock: Clock) -> None:
    transport = httpx.ASGITransport(app=create_sandbox(clock=clock))
    async with httpx.AsyncClient(transport=transport, auth=(USER_TOKEN, "")) as client:
        assert_error(await client.get("http://gitbook.test/v1/user"), 401)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/integrations", {"limit": "1001"}),
        ("/integrations", {"limit": "-1"}),
        ("/integrations", {"limit": "many"}),
        ("/integrations", {"limit": "nan"}),
        ("/integrations", {"blocks": "yes"}),
        ("/integrations", {"category": "games"}),
        ("/integrations", {"blockDomain": "a/b"}),
        ("/integrations", {"page": "not a cursor"}),
        ("/integrations", {"page": ""}),
        (f"{ORG}/sites", {"type": ["basic", "royal"]}),
        (f"{ORG}/integrations/installations-status", {"target": "galaxy"}),
        (f"{ORG}/integrations/installations-status", {"site": "site_x"}),
        (f"{ORG}/integrations/installations-status", {"target": "site", "space": "x"}),
    ],
)
async def test_an_invalid_query_is_rejected(api: Api, path: str, query: dict[str, Any]) -> None:
    message = assert_error(await api.send("GET", path, **query), 400)
    assert next(reversed(query)) in message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"organization": 5}',
        b"{}",
        b'{"organization": null}',
        b'{"organization": "\\ud800"}',
        b"[" * 9999,
    ],
)
async def test_an_invalid_body_is_rejected(clock: Clock, content: bytes) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=create_sandbox(clock=clock))) as client:
        response = await client.post(
            "http://gitbook.test/v1/integrations/harbor-people/installations",
            content=content,
            headers={"Authorization": f"Bearer {USER_TOKEN}"},
        )
    assert_error(response, 400)


async def test_an_error_never_repeats_the_rejected_value(api: Api) -> None:
    response = await api.send("POST", "/integrations/glossary", {**PUBLICATION, "secrets": {"key": ["s3cret"]}})
    assert "s3cret" not in assert_error(response, 400)


async def test_unknown_parameters_and_fields_are_ignored(api: Api) -> None:
    await api.get("/integrations", colour="red")
    response = await api.send(
        "POST", "/integrations/harbor-people/installations", {"organization": ORGANIZATION_ID, "x": 1}
    )
    assert response.status_code == 201


# Tokens


@pytest.mark.parametrize("name", ENDPOINTS)
async def test_an_endpoint_rejects_other_kinds_of_token(api: Api, name: str) -> None:
    endpoint = ENDPOINTS[name]
    path = endpoint.path.format_map(dict.fromkeys(endpoint.path_names, "x"))
    tokens = {
        CredentialKind.USER: USER_TOKEN,
        CredentialKind.INTEGRATION: INTEGRATION_TOKEN,
        CredentialKind.INSTALLATION: await issue(api, find(api.state, OWN_INTEGRATION)),
    }
    for kind, token in tokens.items():
        response = await api.send(endpoint.method, path, {} if endpoint.body_names else None, token=token)
        refused = response.status_code == 403 and "does not accept" in response.text
        assert refused == (kind not in endpoint.credentials), kind


async def issue(api: Api, installation: Installation) -> str:
    """Return a temporary token of an installation, which its integration asks for."""
    token = f"{INTEGRATION_TOKEN}_{installation.integration}"
    response = await api.send("POST", f"{locate(installation)}/tokens", token=token)
    assert response.status_code == 200, response.text
    return str(response.json()["token"])


async def test_the_default_integration_token_belongs_to_the_organizations_own_integration(api: Api) -> None:
    own = await api.get(f"{OWN}/installations", token=INTEGRATION_TOKEN)
    assert own == await api.get(f"{OWN}/installations", token=f"{INTEGRATION_TOKEN}_{OWN_INTEGRATION}")


async def test_an_integration_sees_its_installations_in_all_organizations(api: Api) -> None:
    items = (await api.get(f"{OWN}/installations", token=INTEGRATION_TOKEN))["items"]
    assert {item["target"]["organization"] for item in items} == {ORGANIZATION_ID, get_neighbour(api.state)}


async def test_an_integration_has_no_access_to_another_one(api: Api) -> None:
    slack = find(api.state, "slack")
    assert_error(await api.send("GET", "/integrations/slack/installations", token=INTEGRATION_TOKEN), 403)
    assert_error(await api.send("GET", locate(slack), token=INTEGRATION_TOKEN), 403)
    assert_error(await api.send("GET", "/integrations/nobody/installations", token=INTEGRATION_TOKEN), 404)
    assert_error(await api.send("GET", f"{OWN}/installations/{slack.id}", token=INTEGRATION_TOKEN), 404)


async def test_an_integration_sees_of_an_organization_only_its_own_installation(api: Api) -> None:
    assert await api.get_names(f"{ORG}/installations", token=INTEGRATION_TOKEN) == [OWN_INTEGRATION]
    assert len(await api.get_names(f"{ORG}/installations")) == 9
    assert_error(await api.send("GET", f"{ORG}/integrations", token=f"{INTEGRATION_TOKEN}_harbor-people"), 403)


async def test_an_installations_token_acts_for_that_installation_only(api: Api) -> None:
    own, neighbour = find(api.state, OWN_INTEGRATION), find(api.state, OWN_INTEGRATION, get_neighbour(api.state))
    token = await issue(api, own)
    assert (await api.get(locate(own), token=token))["id"] == own.id
    assert_error(await api.send("GET", locate(neighbour), token=token), 403)
    assert_error(await api.send("GET", f"/orgs/{neighbour.organization}/spaces", token=token), 403)
    assert len((await api.get(f"{OWN}/installations", token=token))["items"]) == 1
    assert len((await api.get(f"{OWN}/spaces", token=token))["items"]) == 1
    assert await api.get(f"{ORG}/spaces", token=token)


async def test_an_installations_token_expires(api: Api, clock: Clock) -> None:
    installation = find(api.state, OWN_INTEGRATION)
    token = await issue(api, installation)
    assert token != await issue(api, installation)
    clock.now += LIFETIME - 1
    await api.get(locate(installation), token=token)
    clock.now += 1
    assert_error(await api.send("GET", locate(installation), token=token), 401)


async def test_an_installations_token_ends_with_the_installation(api: Api) -> None:
    installation = find(api.state, OWN_INTEGRATION)
    token = await issue(api, installation)
    await api.send("DELETE", locate(installation))
    assert_error(await api.send("GET", locate(installation), token=token), 401)


# Organizations


async def test_the_user_belongs_to_two_organizations(api: Api) -> None:
    items = (await api.get("/orgs"))["items"]
    assert [item["title"] for item in items] == ["Aurora Robotics", "Kestrel Collective"]


async def test_other_organizations_are_inaccessible(api: Api) -> None:
    stranger = next(each.id for each in api.state.organizations.values() if not each.member)
    assert_error(await api.send("GET", f"/orgs/{stranger}/spaces"), 403)
    assert_error(await api.send("GET", "/orgs/nobody/spaces"), 404)
    assert_error(await api.send("POST", "/integrations/harbor-people/installations", {"organization": stranger}), 403)
    assert_error(await api.send("POST", "/integrations/harbor-people/installations", {"organization": "nobody"}), 404)


async def test_sites_are_filtered_by_title_type_publication_and_space(api: Api) -> None:
    async def titles(**query: Any) -> list[str]:
        return [item["title"] for item in (await api.get(f"{ORG}/sites", **query))["items"]]

    assert await titles(title="portal") == ["Developer Portal", "Partner Portal"]
    assert await titles(published="false") == ["Changelog Preview"]
    assert await titles(type=["basic", "premium"]) == ["Developer Portal", "Help Center", "Changelog Preview"]
    assert await titles(type="ultimate", published="true") == ["Aurora Docs", "Partner Portal"]
    assert await titles(space=find_title(api.state, "Release Notes")) == ["Aurora Docs", "Changelog Preview"]


async def test_a_site_is_found_in_its_own_organization_only(api: Api) -> None:
    site = find_title(api.state, "Aurora Docs")
    await api.get(f"{ORG}/sites/{site}/integrations")
    assert_error(await api.send("GET", f"/orgs/{get_neighbour(api.state)}/sites/{site}/integrations"), 404)


# Pages


async def test_pages_follow_each_other_without_gap_or_repetition(api: Api) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 7}
    for expected in (7, 7, 6):
        content = await api.get(f"{ORG}/spaces", **query)
        assert content["count"] == 20
        assert len(content["items"]) == expected
        seen += [item["id"] for item in content["items"]]
        query["page"] = content.get("next", {}).get("page")
    assert query["page"] is None
    assert len(set(seen)) == 20


async def test_a_limit_of_zero_or_none_is_the_default(connect: Callable[[Sandbox], Api], clock: Clock) -> None:
    api = connect(create_grown_sandbox(Size(spaces=51), clock=clock))
    for query in ({}, {"limit": "0"}, {"limit": "50.0"}):
        assert len((await api.get(f"{ORG}/spaces", **query))["items"]) == 50


async def test_a_cursor_is_valid_for_its_own_list_only(api: Api) -> None:
    cursor = (await api.get("/integrations", limit=1))["next"]["page"]
    assert_error(await api.send("GET", f"{ORG}/integrations", page=cursor), 400)


# Marketplace


async def test_only_public_integrations_are_listed_publicly(api: Api) -> None:
    items = (await api.get("/integrations"))["items"]
    assert {item["visibility"] for item in items} == {"public"}
    assert len(items) == 9


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"search": "ANALYT"}, ["googleanalytics", "lumen-analytics"]),
        ({"search": "sign-in"}, ["harbor-auth"]),
        ({"category": "visitor-auth"}, ["harbor-auth"]),
        ({"blockDomain": "people.harbor.example"}, ["harbor-people"]),
        ({"blocks": "true"}, ["mermaid", "figma", "harbor-people"]),
        ({"contentSources": "true"}, ["ticket-importer"]),
        ({"scope": "space:git:sync"}, []),
        ({"target": "organization"}, ["harbor-people"]),
        ({"target": "site", "blocks": "false", "search": "chat"}, ["chatterbox"]),
        ({"owner": "Lm5vT8sXnP0dQaHj6YgU"}, ["lumen-analytics"]),
        ({"owner": "nobody"}, []),
    ],
)
async def test_integrations_are_filtered(api: Api, query: dict[str, str], names: list[str]) -> None:
    assert await api.get_names("/integrations", **query) == names


def describe(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a manifest that decide what an integration is and where it works."""
    blocks = [{key: block.get(key) for key in ("id", "markdown", "urlUnfurl")} for block in manifest.get("blocks", [])]
    forms = {
        level: form if "componentId" in form else {key: each["type"] for key, each in form["properties"].items()}
        for level, form in manifest.get("configurations", {}).items()
    }
    facts = {key: manifest[key] for key in ("title", "visibility", "target", "scopes")}
    facts |= {
        "categories": manifest.get("categories", []),
        "directives": set(manifest.get("contentSecurityPolicy", ())),
    }
    return {**facts, "blocks": blocks, "forms": forms}


@pytest.mark.parametrize("name", sorted(create_sandbox().state.integrations.keys() & REAL.keys()))
def test_an_integration_with_the_name_of_a_real_one_is_like_it(name: str) -> None:
    assert describe(create_sandbox().state.integrations[name].manifest) == describe(REAL[name])


async def test_an_organization_is_offered_its_own_and_its_installed_integrations_too(api: Api) -> None:
    assert {"style-linter", OWN_INTEGRATION, "heatlens"} < set(await api.get_names(f"{ORG}/integrations"))
    assert "heatlens" not in await api.get_names(f"/orgs/{get_neighbour(api.state)}/integrations")


async def test_another_organizations_private_integration_is_not_found(api: Api) -> None:
    assert api.state.integrations["pricing-sync"].visibility == "private"
    assert_error(await api.send("GET", "/integrations/pricing-sync"), 404)
    body = {"organization": ORGANIZATION_ID}
    assert_error(await api.send("POST", "/integrations/pricing-sync/installations", body), 404)


# Publishing


async def test_publishing_creates_version_one_and_publishing_again_the_next(api: Api) -> None:
    for version in (1, 2, 3):
        response = await api.send("POST", "/integrations/glossary", PUBLICATION)
        assert response.status_code == 200
        assert response.json()["version"] == version
    assert (await api.get("/integrations/glossary"))["owner"]["id"] == ORGANIZATION_ID


async def test_an_integration_can_be_published_under_a_subdomain(api: Api) -> None:
    body = {**PUBLICATION, "organization": "kestrel-collective", "visibility": "public"}
    response = await api.send("POST", "/integrations/glossary", body)
    assert response.json()["owner"]["title"] == "Kestrel Collective"
    assert "glossary" in await api.get_names("/integrations")


async def test_script_and_secrets_of_a_publication_are_never_returned(api: Api) -> None:
    body = {**PUBLICATION, "script": "const x = 'sc-1';", "secrets": {"KEY": "sc-2"}, "icon": "c2MtMw=="}
    response = await api.send("POST", "/integrations/glossary", body)
    for text in (response.text, json.dumps(await api.get("/integrations/glossary"))):
        assert not re.search('sc-[12]|c2MtMw|"secrets"|"script"', text)
    assert response.json()["urls"]["icon"]


@pytest.mark.parametrize("scope", INTERNAL_SCOPES)
async def test_a_scope_of_gitbooks_own_integrations_is_rejected(api: Api, scope: str) -> None:
    body = {**PUBLICATION, "scopes": ["space:content:read", scope]}
    assert f"{scope} scope is not allowed" in assert_error(await api.send("POST", "/integrations/glossary", body), 400)
    assert "glossary" not in api.state.integrations


async def test_publishing_for_or_over_another_organization_is_rejected(api: Api) -> None:
    assert_error(await api.send("POST", "/integrations/glossary", {**PUBLICATION, "organization": "gitbook"}), 403)
    assert_error(await api.send("POST", "/integrations/glossary", {**PUBLICATION, "organization": "nobody"}), 404)
    assert_error(await api.send("POST", "/integrations/slack", PUBLICATION), 403)
    assert_error(await api.send("DELETE", "/integrations/slack"), 403)


async def test_unpublishing_removes_an_integration_with_its_installations(api: Api) -> None:
    assert (await api.send("DELETE", OWN)).status_code == 205
    assert_error(await api.send("GET", OWN), 404)
    assert OWN_INTEGRATION not in await api.get_names(f"{ORG}/installations")
    response = await api.send("DELETE", OWN)
    assert (response.status_code, response.content) == (204, b"")


# Installations on the organization


async def test_an_integration_is_installed_once(api: Api) -> None:
    path, body = "/integrations/harbor-people/installations", {"organization": ORGANIZATION_ID}
    assert_error(await api.send("GET", f"{ORG}/integrations/harbor-people/installation_status"), 404)
    response = await api.send("POST", path, body)
    assert response.status_code == 201
    assert response.headers["location"] == response.json()["urls"]["location"]
    assert await api.get(f"{ORG}/integrations/harbor-people/installation_status") == {"status": "active"}
    assert await api.get(f"{path}/{response.json()['id']}") == response.json()
    assert_error(await api.send("POST", path, body), 409)


async def test_an_installation_is_pending_until_required_settings_are_set(api: Api) -> None:
    body = {"organization": get_neighbour(api.state)}
    created = (await api.send("POST", "/integrations/lumen-analytics/installations", body)).json()
    assert created["status"] == "pending"
    path = f"/integrations/lumen-analytics/installations/{created['id']}"
    half = await api.send("PATCH", path, {"configuration": {"api_token": ""}})
    assert half.json()["status"] == "pending"
    whole = await api.send("PATCH", path, {"configuration": {"api_token": "sandbox-FAKE"}, "externalIds": ["a"]})
    assert whole.json() == await api.get(path)
    assert (whole.json()["status"], whole.json()["externalIds"]) == ("active", ["a"])


async def test_an_update_keeps_fields_that_it_does_not_contain(api: Api, clock: Clock) -> None:
    path = locate(find(api.state, "slack"))
    before = await api.get(path)
    clock.now += 60
    after = (await api.send("PATCH", path, {"externalIds": []})).json()
    assert after["configuration"] == before["configuration"]
    assert after["externalIds"] == []
    assert after["updatedAt"] > before["updatedAt"]
    assert (await api.send("PATCH", path, {"externalIds": list("abcdef")})).status_code == 400


async def test_selecting_all_spaces_enables_the_installation_on_each(api: Api) -> None:
    path = locate(find(api.state, "slack"))
    after = (await api.send("PATCH", path, {"space_selection": "all"})).json()
    assert (after["space_selection"], after["spaces"]) == ("all", 20)
    assert (await api.get(f"{path}/spaces"))["count"] == 20


async def test_a_pending_installation_reaches_all_its_sites_once_it_is_configured(api: Api) -> None:
    path = locate(find(api.state, "harbor-auth"))
    assert (await api.get(path))["site_selection"] == "all"
    assert (await api.get(f"{path}/sites"))["count"] == 0
    keys = {"issuer": "https://id.example", "client_id": "a", "client_secret": "sandbox-FAKE"}
    await api.send("PATCH", path, {"configuration": keys})
    assert (await api.get(f"{path}/sites"))["count"] == 5


async def test_uninstalling_reports_whether_there_was_anything_to_delete(api: Api) -> None:
    slack = find(api.state, "slack")
    path = locate(slack)
    assert (await api.send("DELETE", path)).status_code == 205
    assert (await api.send("DELETE", path)).status_code == 204
    assert (await api.send("DELETE", "/integrations/nobody/installations/x")).status_code == 204
    assert_error(await api.send("GET", path), 404)
    for space in slack.enabled["space"]:
        assert "slack" not in await api.get_names(f"/spaces/{space}/integrations")


async def test_installations_are_found_by_external_id(api: Api) -> None:
    async def find_ids(path: str, external_id: str) -> list[str]:
        content = await api.get(path, token=INTEGRATION_TOKEN, externalId=external_id)
        return [item.get("id") or item["installation"] for item in content["items"]]

    own = find(api.state, OWN_INTEGRATION).id
    assert await find_ids(f"{OWN}/installations", "tracker:aurora") == [own]
    assert await find_ids(f"{OWN}/spaces", "channel:releases") == [own]
    assert await find_ids(f"{OWN}/installations", "nothing") == await find_ids(f"{OWN}/sites", "nothing") == []


async def test_statuses_are_listed_for_the_requested_level(api: Api) -> None:
    path = f"{ORG}/integrations/installations-status"
    for level, count in (("organization", 9), ("space", 25), ("site", 6)):
        content = await api.get(path, target=level)
        assert content["count"] == count
        assert {item["target"]["type"] for item in content["items"]} == {level}
    assert (await api.get(path)) == (await api.get(path, target="organization"))


async def test_statuses_are_filtered_by_place_and_name(api: Api) -> None:
    path = f"{ORG}/integrations/installations-status"
    help_center = find_title(api.state, "Help Center")
    names = await api.get_names(path, target="site", site=help_center)
    assert names == ["googleanalytics", "chatterbox", "heatlens"]
    assert await api.get_names(path, target="site", site=help_center, search="lens") == ["heatlens"]
    assert await api.get_names(path, target="space", space="nowhere") == []
    assert await api.get_names(f"{ORG}/installations", search="mermaid") == ["mermaid"]


# Installations on spaces and sites


@pytest.mark.parametrize(
    ("level", "integration", "title", "field"),
    [("space", OWN_INTEGRATION, "Simulator", "space"), ("site", "lumen-analytics", "Developer Portal", "siteId")],
)
async def test_a_place_can_be_added_read_changed_and_removed(
    api: Api, level: str, integration: str, title: str, field: str
) -> None:
    place = find_title(api.state, title)
    path = f"{locate(find(api.state, integration))}/{level}s"
    assert_error(await api.send("GET", f"{path}/{place}"), 404)

    created = await api.send("POST", path, {field: place})
    assert created.status_code == 201
    assert created.headers["location"] == created.json()["urls"]["location"]
    assert created.json()[level] == place
    assert_error(await api.send("POST", path, {field: place}), 409)
    assert place in [item[level] for item in (await api.get(path))["items"]]

    configuration = {"channel": "#x", "nested": {"kept": None}}
    changed = await api.send("PATCH", f"{path}/{place}", {"configuration": configuration, "externalIds": ["e"]})
    assert changed.json() == await api.get(f"{path}/{place}")
    assert (changed.json()["configuration"], changed.json()["externalIds"]) == (configuration, ["e"])
    assert integration in await api.get_names(f"{'' if level == 'space' else ORG}/{level}s/{place}/integrations")

    assert (await api.send("DELETE", f"{path}/{place}")).status_code == 205
    assert (await api.send("DELETE", f"{path}/{place}")).status_code == 204
    assert_error(await api.send("PATCH", f"{path}/{place}", {}), 404)


async def test_extended_responses_contain_the_whole_place(api: Api) -> None:
    path = f"{locate(find(api.state, 'github'))}/spaces"
    for item in (await api.get(path, extended="true"))["items"]:
        assert item["space"]["object"] == "space"
    space = find_title(api.state, "API Reference")
    assert (await api.get(f"{path}/{space}", extended="true"))["space"]["title"] == "API Reference"
    assert (await api.get(f"{path}/{space}", extended="false"))["space"] == space
    changed = await api.send("PATCH", f"{path}/{space}", {"externalIds": []}, extended="true")
    assert changed.json()["space"]["id"] == space


async def test_a_place_must_be_in_the_organization_and_fit_the_integrations_target(api: Api) -> None:
    own = find(api.state, OWN_INTEGRATION)
    foreign = api.state.get_places("space", get_neighbour(api.state))[0].id
    assert_error(await api.send("POST", f"{locate(own)}/spaces", {"space": foreign}), 404)
    assert_error(await api.send("POST", f"{locate(own)}/spaces", {"space": "nowhere"}), 404)
    site = find_title(api.state, "Aurora Docs")
    assert_error(await api.send("POST", f"{locate(own)}/sites", {"siteId": site}), 400)


async def test_removing_one_of_all_spaces_leaves_a_selection_of_the_others(api: Api) -> None:
    path = locate(find(api.state, "mermaid"))
    assert (await api.get(path))["space_selection"] == "all"
    await api.send("DELETE", f"{path}/spaces/{find_title(api.state, 'Simulator')}")
    after = await api.get(path)
    assert (after["space_selection"], after["spaces"]) == ("selected", 19)


async def test_only_active_installations_are_enabled(api: Api) -> None:
    space, site = find_title(api.state, "Vision SDK"), find_title(api.state, "Help Center")
    assert await api.get_names(f"/spaces/{space}/integrations") == ["mermaid"]
    assert await api.get_names(f"{ORG}/sites/{site}/integrations") == ["googleanalytics", "heatlens"]
    assert await api.get_names(f"{ORG}/sites/{site}/integrations", search="goo") == ["googleanalytics"]
    assert_error(await api.send("GET", "/spaces/nowhere/integrations"), 404)


async def test_a_space_lists_the_blocks_of_its_integrations(api: Api) -> None:
    space = find_title(api.state, "Release Notes")
    found = await api.get(f"/spaces/{space}/integration-blocks")
    assert {item["name"]: [block["id"] for block in item["blocks"]] for item in found} == {
        OWN_INTEGRATION: ["release-notes"],
        "mermaid": ["diagram"],
    }


async def test_a_site_lists_its_scripts_with_policy_and_cookies(api: Api) -> None:
    async def tell(title: str) -> list[tuple[str, bool, bool]]:
        scripts = await api.get(f"{ORG}/sites/{find_title(api.state, title)}/integration-scripts")
        return [(each["script"].split("/")[5], "contentSecurityPolicy" in each, each["cookies"]) for each in scripts]

    assert await tell("Aurora Docs") == [("googleanalytics", True, True), ("lumen-analytics", True, False)]
    assert [name for name, _, _ in await tell("Help Center")] == ["googleanalytics", "heatlens", "crisp"]
    assert await tell("Partner Portal") == []


async def test_a_policy_published_as_an_object_is_shown_as_one_line(api: Api) -> None:
    installation = find(api.state, "chatterbox")
    site = next(iter(installation.enabled["site"]))
    installation.status = installation.enabled["site"][site].status = "active"
    scripts = await api.get(f"{ORG}/sites/{site}/integration-scripts")
    policy = next(each["contentSecurityPolicy"] for each in scripts if "chatterbox" in each["script"])
    assert policy.startswith("script-src https://widget.chatterbox.example; connect-src ")


# Development


async def test_an_integration_under_development_starts_in_development_mode(api: Api) -> None:
    assert (await api.send("DELETE", "/integrations/style-linter/dev")).status_code == 205


async def test_development_mode_is_enabled_and_disabled(api: Api) -> None:
    path = f"{OWN}/dev"
    assert (await api.send("DELETE", path)).status_code == 204
    assert (await api.send("PUT", path, {"tunnelUrl": "https://tunnel.example"})).status_code == 204
    development = api.state.integrations[OWN_INTEGRATION].development
    assert development
    assert (development.tunnel, development.all) == ("https://tunnel.example", False)
    assert (await api.send("DELETE", path)).status_code == 205
    assert (await api.send("DELETE", path)).status_code == 204
    assert_error(await api.send("PUT", path, {"tunnelUrl": "ftp://tunnel.example"}), 400)
    assert_error(await api.send("PUT", "/integrations/slack/dev", {"tunnelUrl": "https://tunnel.example"}), 403)
    assert_error(await api.send("DELETE", "/integrations/nobody/dev"), 404)


async def test_a_failed_event_has_a_trace_with_the_reason(api: Api) -> None:
    events = (await api.get(f"{OWN}/events"))["items"]
    assert [event["createdAt"] for event in events] == sorted((event["createdAt"] for event in events), reverse=True)
    assert {event["status"] for event in events} == {"success", "failed"}
    failed = [event for event in events if event["status"] == "failed"]
    for event in failed:
        content = await api.get(f"{OWN}/events/{event['id']}")
        assert content["event"] == event
        assert any(log["level"] == "error" for log in content["trace"]["logs"])
    assert_error(await api.send("GET", f"{OWN}/events/nothing"), 404)
    assert_error(await api.send("GET", "/integrations/slack/events"), 403)


async def test_a_queued_task_becomes_an_event_at_its_time(api: Api, clock: Clock) -> None:
    async def list_tasks() -> list[Any]:
        items = (await api.get(f"{OWN}/events", token=INTEGRATION_TOKEN))["items"]
        return [item["payload"]["task"] for item in items if item["payload"]["type"] == "task"]

    before = await list_tasks()
    for schedule in ({}, {"schedule": 90}):
        body = {"task": {"n": len(schedule)}, **schedule}
        assert (await api.send("POST", f"{OWN}/tasks", body, token=INTEGRATION_TOKEN)).status_code == 204
    assert await list_tasks() == [{"n": 0}, *before]
    clock.now += 90
    assert await list_tasks() == [{"n": 1}, {"n": 0}, *before]


async def test_changes_of_an_installation_are_events_of_its_integration(api: Api) -> None:
    installation = find(api.state, OWN_INTEGRATION)
    space = find_title(api.state, "Simulator")
    await api.send("POST", f"{locate(installation)}/spaces", {"space": space})
    await api.send("DELETE", f"{locate(installation)}/spaces/{space}")
    await api.send("PATCH", locate(installation), {"configuration": {}})
    await api.send("DELETE", locate(installation))
    events = [event.payload for event in api.state.events[-4:]]
    assert [event["type"] for event in events] == [
        "space_installation_setup",
        "space_installation_deleted",
        "installation_setup",
        "installation_deleted",
    ]
    assert events[2]["previous"]["configuration"]["webhook_url"]


async def test_a_component_is_rendered_and_a_modal_completes(api: Api) -> None:
    body: dict[str, Any] = {"componentId": "release-notes", "props": {"p": 1}, "context": {"theme": "light"}}
    rendered = (await api.send("POST", f"{OWN}/render", body)).json()
    assert (rendered["type"], rendered["element"]["type"], rendered["props"]) == ("element", "block", {"p": 1})
    body |= {"state": {"a": 1}, "action": {"action": "refresh"}}
    assert (await api.send("POST", f"{OWN}/render", body)).json()["state"] == {"a": 1, "action": "refresh"}
    body["action"] = {"action": "@ui.modal.close", "returnValue": {"ok": True}}
    assert (await api.send("POST", f"{OWN}/render", body)).json() == {"type": "complete", "returnValue": {"ok": True}}
    settings = {"componentId": "configure", "props": {}, "context": {}}
    assert (await api.send("POST", "/integrations/github/render", settings)).json()["element"][
        "type"
    ] == "configuration"
    assert_error(await api.send("POST", f"{OWN}/render", {**body, "componentId": "nothing"}), 404)


# Limits, time and headers


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("GET", "/user", USER_TOKEN, 200),
        ("DELETE", "/integrations/nobody", USER_TOKEN, 204),
        ("GET", "/user", None, 401),
        ("GET", "/integrations/nobody", USER_TOKEN, 404),
    ],
)
async def test_every_response_has_limit_request_id_and_date(
    api: Api, method: str, path: str, token: str | None, status: int
) -> None:
    first, second = await api.send(method, path, token=token), await api.send(method, path, token=token)
    assert first.status_code == second.status_code == status
    assert first.headers["x-ratelimit-limit"] == "1000"
    assert [each.headers["x-ratelimit-remaining"] for each in (first, second)] == ["999", "998"]
    assert first.headers["x-ratelimit-reset"] == str(int(NOW) + 60)
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert parsedate_to_datetime(first.headers["date"]).timestamp() == NOW


async def test_a_token_over_its_limit_waits_for_the_next_window(
    connect: Callable[[Sandbox], Api], clock: Clock
) -> None:
    api = connect(create_sandbox(clock=clock, rate_limit=2))
    await api.get("/user")
    clock.now += 30
    await api.get("/user")
    response = await api.send("GET", "/user")
    assert_error(response, 429)
    assert response.headers["x-ratelimit-remaining"] == "0"
    await api.get("/integrations", token=INTEGRATION_TOKEN)
    clock.now = float(response.headers["x-ratelimit-reset"]) - 0.5
    assert_error(await api.send("GET", "/user"), 429)
    clock.now += 0.5
    await api.get("/user")


async def test_latency_passes_before_anything_changes(
    connect: Callable[[Sandbox], Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = connect(create_grown_sandbox(latency=0.05))
    waited: list[tuple[float, bool]] = []

    async def sleep(seconds: float) -> None:
        waited.append((seconds, "glossary" in api.state.integrations))

    monkeypatch.setattr(anyio, "sleep", sleep)
    await api.send("POST", "/integrations/glossary", PUBLICATION)
    assert waited == [(0.05, False)]
    assert "glossary" in api.state.integrations


# On a port


@pytest.fixture
def served() -> Iterator[dict[str, str]]:
    """The variables that a sandbox on a port prints, while it is served."""
    code = "from gitbook_integrations_mcp.sandbox import create_sandbox, serve_sandbox; serve_sandbox(create_sandbox())"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield dict(process.stdout.readline().strip().split("=", 1) for _ in range(4))
        finally:
            process.terminate()


def test_the_sandbox_can_be_served_on_a_port(served: dict[str, str]) -> None:
    for variable, path in (("GITBOOK_TOKEN", "/user"), ("GITBOOK_INTEGRATION_TOKEN", f"{OWN}/installations")):
        headers = {"Authorization": f"Bearer {served[variable]}"}
        response = httpx.get(f"{served['GITBOOK_ENDPOINT']}/v1{path}", headers=headers, trust_env=False)
        assert response.status_code == 200
        assert len(response.headers.get_list("date")) == 1
    assert served["GITBOOK_ORGANIZATION"] == ORGANIZATION_ID
