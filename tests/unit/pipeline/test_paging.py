"""Lists: summaries of their items, the way to the next page, all pages, and never more than a model can take."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
from mcp_types import CallToolResult
from starlette.types import Receive, Scope, Send

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.options import Options, name_options
from gitbook_integrations_api.schema import describe_arguments
from gitbook_integrations_api.summary import outline, summarize
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from gitbook_integrations_mcp.tokens import estimate_result
from tests.benchmarks.upstream import PAGE
from tests.support.elicitation_client import GitBookSpy, create_gated_server, meet
from tests.support.fake_gitbook import ERAS, Era, Upstream, connect, read_text
from tests.support.grown_sandbox import Size, create_grown_sandbox
from tests.support.samples import make_arguments
from tests.support.tokens import count_tokens

LISTS = [endpoint for endpoint in ENDPOINTS.values() if endpoint.is_list]
PAGED = [endpoint for endpoint in LISTS if endpoint.is_paged]

each_era = pytest.mark.parametrize("era", ERAS)
each_list = pytest.mark.parametrize("endpoint", LISTS, ids=lambda endpoint: endpoint.name)
each_paged = pytest.mark.parametrize("endpoint", PAGED, ids=lambda endpoint: endpoint.name)


@dataclass
class ReportCache:
    """A list of GitBook's in pages whose cursors are offsets, and what was asked of it."""

    items: list[dict[str, Any]]
    size: int = 50
    count: bool = True
    """Whether responses contain the number of items."""
    fault: Callable[[int], tuple[int, dict[str, Any]] | None] = lambda start: None
    """Returns the answer, with its status, that takes the place of the page from `start`."""
    asked: list[Mapping[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a page."""
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        self.asked.append(query)
        start = int(query.get("page", 0))
        end = start + (int(query.get("limit", 0)) or self.size)
        page: dict[str, Any] = {"items": self.items[start:end]}
        if end < len(self.items):
            page["next"] = {"page": str(end)}
        if self.count:
            page["count"] = len(self.items)
        status, page = self.fault(start) or (200, page)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(page).encode()})


def make_items(number: int, text: str = "") -> list[dict[str, Any]]:
    return [{"name": f"integration-{index}", "title": f"Number {index} {text}"} for index in range(number)]


def read(result: CallToolResult) -> dict[str, Any]:
    """Return the content of a result, the same as text and as structure."""
    assert not result.is_error, read_text(result)
    content: dict[str, Any] = json.loads(read_text(result))
    assert content == result.structured_content
    return content


# The options


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_no_parameter_of_gitbooks_has_the_name_of_an_option(tool: Any) -> None:
    assert not set(Options.model_fields) & set(tool.input.model_fields)


def test_an_option_that_a_tool_does_not_accept_is_an_unknown_argument() -> None:
    for tool in TOOLS.values():
        assert set(name_options(tool)) <= set(describe_arguments(Options)["properties"])
    assert name_options(TOOLS["uninstall_integration"]) == ()
    assert name_options(TOOLS["set_integration_development_mode"]) == ("for",)
    assert name_options(TOOLS["list_site_integration_scripts"]) == ("detail",)
    assert name_options(TOOLS["list_sites"]) == ("detail", "fetchAll", "maxItems")


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("list_integrations", {"detail": "ful"}, "Did you mean 'full'?"),
        ("list_integrations", {"fetchAll": "yes"}, "fetchAll must be a valid boolean"),
        ("list_integrations", {"maxItems": 0}, "maxItems must be greater than or equal to 1"),
        ("list_integrations", {"maxItems": 5001, "limit": "5"}, "maxItems must be less than or equal to 5000"),
        ("list_integrations", {"fetchall": True}, "Did you mean fetchAll?"),
        ("list_site_integration_scripts", {"organizationId": "o", "siteId": "s", "fetchAll": True}, "unknown argument"),
        ("get_integration_by_name", {"integrationName": "x", "detail": "full"}, "unknown argument"),
    ],
)
async def test_invalid_options_are_invalid_arguments(name: str, arguments: dict[str, Any], expected: str) -> None:
    upstream = Upstream()
    async with connect(upstream) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    assert expected in read_text(result)
    assert upstream.requests == []


@each_list
async def test_options_are_not_sent(endpoint: Endpoint) -> None:
    wishes = {"detail": "full", "fetchAll": True, "maxItems": 5}
    chosen = {name: value for name, value in wishes.items() if name in name_options(endpoint)}
    upstream = Upstream(body=b'{"items": []}')
    async with connect(upstream) as client:
        read(await client.call_tool(endpoint.name, make_arguments(endpoint, optional=False) | chosen))
    (sent,) = upstream.requests
    assert not set(sent.query) & set(wishes)
    assert sent.body is None


# Summaries


@each_list
async def test_a_list_returns_summaries_or_full_items_on_request(endpoint: Endpoint) -> None:
    spy = GitBookSpy()
    arguments = make_real_arguments(endpoint, spy)
    async with meet(create_gated_server(spy), None, "2026-07-28") as client:
        short = read(await client.call_tool(endpoint.name, arguments))["items"]
        full = read(await client.call_tool(endpoint.name, arguments | {"detail": "full"}))["items"]
    assert full
    assert short == [summarize(endpoint.result.model, item) for item in full]
    fields = set(outline(endpoint.result.model))
    assert fields
    for item in short:
        assert item
        assert set(item) <= fields
    assert any(short_item != full_item for short_item, full_item in zip(short, full, strict=True)) or (
        endpoint.name == "list_site_integration_scripts"  # three fields, all of which decide
    )


def make_real_arguments(endpoint: Endpoint, spy: GitBookSpy) -> dict[str, Any]:
    """Return arguments with which the sandbox has something to list."""
    state = spy.sandbox.state
    name = OWN_INTEGRATION if not endpoint.path.endswith("sites") else "googleanalytics"
    if endpoint.name == "list_integration_site_installations":
        own = state.integrations[OWN_INTEGRATION]
        own.manifest["target"] = "all"
        installation = state.get_installations(integration=OWN_INTEGRATION)[0]
        site = state.get_places("site", ORGANIZATION_ID)[0]
        installation.enabled["site"][site.id] = next(iter(installation.enabled["space"].values()))
        name = OWN_INTEGRATION
    installed = state.get_installations(integration=name, organization=ORGANIZATION_ID)
    values = {
        "organizationId": ORGANIZATION_ID,
        "integrationName": name,
        "installationId": installed[0].id,
        "spaceId": next(space.id for space in state.spaces.values() if list(state.get_enabled("space", space.id))),
        "siteId": "site_qLN1io",
    }
    return {name: values[name] for name in endpoint.path_names}


def test_every_list_has_a_summary_of_fields_that_its_objects_have() -> None:
    for endpoint in LISTS:
        model = endpoint.result.model
        assert outline(model), endpoint.name
        assert set(outline(model)) <= set(model.model_fields)


async def test_an_item_without_any_field_of_the_summary_is_shown_whole() -> None:
    upstream = Upstream()
    upstream.answer({"items": [{"new": 1}]})
    async with connect(upstream) as client:
        assert read(await client.call_tool("list_integrations", {}))["items"] == [{"new": 1}]


async def test_a_page_of_integrations_costs_a_fraction_of_gitbooks_json() -> None:
    body = PAGE.partition(b"\r\n\r\n")[2]
    upstream = Upstream(body=body)
    async with connect(upstream) as client:
        short = read_text(await client.call_tool("list_integrations", {}))
        full = read_text(await client.call_tool("list_integrations", {"detail": "full"}))
    whole = count_tokens(body.decode())
    assert count_tokens(short) <= 0.15 * whole
    assert count_tokens(full) <= whole


# Pages


@each_era
@each_paged
async def test_next_contains_the_argument_for_the_next_page(endpoint: Endpoint, era: Era) -> None:
    shelf = ReportCache(make_items(7), size=3)
    arguments = make_arguments(endpoint, optional=False)
    names: list[str] = []
    async with connect(shelf, era) as client:
        page: dict[str, Any] = {}
        for _ in range(10):
            content = read(await client.call_tool(endpoint.name, arguments | page | {"detail": "full"}))
            names += [item["name"] for item in content["items"]]
            assert content["count"] == 7
            if "next" not in content:
                break
            page = content["next"]
    assert names == [item["name"] for item in shelf.items]


async def test_a_page_of_another_list_is_named_as_the_cause_and_the_way_out_is_the_first_page() -> None:
    async with meet(create_gated_server(GitBookSpy()), None, "2026-07-28") as client:
        other = (await client.call_tool("list_integrations", {"limit": 1})).structured_content["next"]
        for name in ("list_sites", "audit_installations", "list_changes"):
            section = {"section": "findings"} if name == "audit_installations" else {}
            where = {} if name == "list_changes" else {"organizationId": ORGANIZATION_ID}
            result = await client.call_tool(name, {**where, **section, **other})
            assert "page belongs to another list or has expired. Start without page." in read_text(result), name


@each_era
@pytest.mark.parametrize("count", [True, False])
async def test_fetch_all_reads_all_pages_and_reports_progress(era: Era, count: bool) -> None:
    shelf = ReportCache(make_items(620), count=count)
    heard: list[tuple[float, float | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert message == f"{int(progress)} items"
        heard.append((progress, total))

    async with connect(shelf, era, limits={"result_tokens": 100_000}) as client:
        arguments = {"fetchAll": True, "maxItems": 1000}
        content = read(await client.call_tool("list_integrations", arguments, progress_callback=hear))
    assert [item["name"] for item in content["items"]] == [item["name"] for item in shelf.items]
    assert content["complete"] is True
    assert "next" not in content
    assert "note" not in content
    assert heard == [(done, 620 if count else None) for done in (250, 500, 620)]


async def test_fetch_all_stops_at_max_items_with_a_cursor() -> None:
    shelf = ReportCache(make_items(620))
    async with connect(shelf) as client:
        first = read(await client.call_tool("list_integrations", {"fetchAll": True}))
        rest = read(await client.call_tool("list_integrations", {"fetchAll": True, **first["next"]}))
    assert (len(first["items"]), first["complete"]) == (500, False)
    assert "maxItems (500)" in first["note"]
    assert first["note"].endswith("Pass page to continue.")
    assert [*first["items"], *rest["items"]] == shelf.items
    assert rest["complete"] is True
    assert "before page" in rest["note"]


async def test_a_page_that_fails_midway_keeps_earlier_items_and_the_cursor() -> None:
    broken = {"error": {"code": 500, "message": "Out of order"}}
    shelf = ReportCache(make_items(30), fault=lambda start: (500, broken) if start == 20 else None)
    async with connect(shelf) as client:
        arguments = {"fetchAll": True, "limit": 10}
        first = read(await client.call_tool("list_integrations", arguments))
        shelf.fault = lambda start: None
        rest = read(await client.call_tool("list_integrations", arguments | first["next"]))
    assert [*first["items"], *rest["items"]] == shelf.items
    assert first["complete"] is False
    assert 'with 500: "Out of order"' in first["note"]
    assert first["note"].endswith("Pass page to continue.")


async def test_a_first_page_that_fails_is_an_error() -> None:
    async with connect(Upstream(500)) as client:
        assert (await client.call_tool("list_integrations", {"fetchAll": True})).is_error


async def test_a_repeated_cursor_ends_the_list() -> None:
    shelf = ReportCache(make_items(30))
    shelf.fault = lambda start: (200, {"items": make_items(1), "next": {"page": "9" if start == 5 else "5"}})
    async with connect(shelf) as client:
        content = read(await client.call_tool("list_integrations", {"fetchAll": True}))
    assert len(shelf.asked) == 3
    assert content["complete"] is False
    assert "the same cursor again" in content["note"]
    assert "next" not in content


async def test_ten_empty_pages_end_the_list() -> None:
    shelf = ReportCache([], fault=lambda start: (200, {"items": [], "next": {"page": str(start + 1)}}))
    async with connect(shelf) as client:
        content = read(await client.call_tool("list_integrations", {"fetchAll": True}))
    assert len(shelf.asked) == 10
    assert content["complete"] is False
    assert content["next"] == {"page": "10"}


async def test_an_endpoint_without_cursors_reports_missing_items() -> None:
    shelf = ReportCache(make_items(9), size=5)
    async with connect(shelf) as client:
        content = read(await client.call_tool("list_space_integrations", {"spaceId": "s"}))
    assert content["complete"] is False
    assert "accepts no cursor" in content["note"]


# Never too much


@pytest.mark.parametrize("fetch_all", [False, True])
@pytest.mark.parametrize("limit", [None, 40, 1000])
async def test_following_the_cursors_of_a_long_list_loses_and_repeats_nothing(
    limit: int | None, fetch_all: bool
) -> None:
    shelf = ReportCache(make_items(200, "with a long and winding title " * 3), size=150)
    arguments: dict[str, Any] = {"fetchAll": fetch_all} | ({"limit": limit} if limit else {})
    items: list[dict[str, Any]] = []
    async with connect(shelf, limits={"result_tokens": 2000}) as client:
        page: dict[str, str] = {}
        for _ in range(200):
            result = await client.call_tool("list_integrations", arguments | page)
            content = read(result)
            assert count_tokens(read_text(result)) <= 2000
            items += content["items"]
            if "next" not in content:
                break
            page = content["next"]
    assert items == shelf.items


async def test_a_single_item_that_is_too_long_is_cut_with_a_marker() -> None:
    shelf = ReportCache(make_items(3))
    shelf.items[1]["title"] = "x y " * 5000
    shelf.items[1]["scopes"] = ["space:content:read"] * 3000
    async with connect(shelf, limits={"result_tokens": 2000}) as client:
        contents = [read(await client.call_tool("list_integrations", {"detail": "full"}))]
        while "next" in contents[-1]:
            arguments = {"detail": "full", **contents[-1]["next"]}
            contents.append(read(await client.call_tool("list_integrations", arguments)))
    assert [[item["name"] for item in content["items"]] for content in contents] == [
        ["integration-0"],
        ["integration-1"],
        ["integration-2"],
    ]
    assert "[cut: " in contents[1]["items"][0]["title"]
    assert "is cut to fit" in contents[1]["note"]


async def test_a_long_list_without_cursors_reports_missing_items() -> None:
    upstream = Upstream()
    upstream.answer([{"script": f"https://scripts.example/{number}.js"} for number in range(500)])
    async with connect(upstream, limits={"result_tokens": 1000}) as client:
        arguments = {"organizationId": "o", "siteId": "s"}
        content = read(await client.call_tool("list_site_integration_scripts", arguments))
    assert 0 < len(content["items"]) < 500
    assert content["complete"] is False
    assert f"Only {len(content['items'])} of 500 items fit" in content["note"]


async def test_a_limit_that_gitbook_ignores_is_noticed() -> None:
    items = make_items(500, "with a long title")
    upstream = Upstream()
    upstream.answer({"items": items, "next": {"page": "500"}})
    async with connect(upstream, limits={"result_tokens": 1000}) as client:
        content = read(await client.call_tool("list_integrations", {}))
    assert len(upstream.requests) == 2
    assert content["complete"] is False
    assert "next" not in content
    assert "no cursor leads to the others" in content["note"]


async def test_a_page_that_cannot_be_shortened_is_shown_as_far_as_it_fits() -> None:
    shelf = ReportCache(make_items(200, "with a long title"))
    shelf.fault = lambda start: (403, {}) if len(shelf.asked) > 1 else None
    async with connect(shelf, limits={"result_tokens": 1000}) as client:
        content = read(await client.call_tool("list_integrations", {"limit": 150}))
    assert 0 < len(content["items"]) < 150
    assert content["complete"] is False
    assert "no cursor leads to the others" in content["note"]


async def test_a_list_that_grew_shorter_meanwhile_is_complete_without_a_note() -> None:
    shelf = ReportCache(make_items(200, "with a long title"), size=200)
    rest = {"items": make_items(3), "count": 3}
    shelf.fault = lambda start: (200, rest) if len(shelf.asked) > 1 else None
    async with connect(shelf, limits={"result_tokens": 1000}) as client:
        content = read(await client.call_tool("list_integrations", {}))
    assert content == rest


@each_era
async def test_an_object_that_is_too_long_is_cut_with_a_note(era: Era) -> None:
    upstream = Upstream()
    upstream.answer({"name": "x", "summary": "Long story. " * 2000, "icon": "QUJD" * 20_000, "version": 3})
    async with connect(upstream, era, limits={"result_tokens": 3000}) as client:
        result = await client.call_tool("get_integration_by_name", {"integrationName": "x"})
    content = read(result)
    assert count_tokens(read_text(result)) <= 3000
    assert (content["name"], content["version"]) == ("x", 3)
    assert content["icon"].endswith("[cut: 79960 more characters; the operator sets limits.result_tokens]")
    assert content["note"].startswith("Cut to fit into 3,000 tokens")


@pytest.mark.slow
@pytest.mark.parametrize(
    "monster",
    [
        {f"key{number}": number for number in range(100_000)},
        {"configuration": {f"key{number}": {"a": ["b"]} for number in range(50_000)}},
        {"list": [["x"] * 50] * 5000},
        {f"key{number}": "y" * 900 for number in range(1000)},
        {"k" * 100_000: "v", "name": "x"},
    ],
    ids=["fields", "nested", "lists", "texts", "a key"],
)
async def test_any_object_fits_after_cutting(monster: dict[str, Any]) -> None:
    upstream = Upstream()
    upstream.answer(monster)
    async with connect(upstream, limits={"result_tokens": 1000}) as client:
        result = await client.call_tool("get_integration_by_name", {"integrationName": "x"})
    assert count_tokens(read_text(result)) <= 1000
    assert read(result)["note"].startswith("Cut to fit")


@pytest.mark.slow
async def test_results_for_a_big_organization_stay_within_the_budget() -> None:
    sandbox = create_grown_sandbox(Size(200, 400, 100, 500))
    spy = GitBookSpy(sandbox)
    async with meet(create_gated_server(spy), None, "2026-07-28") as client:
        for endpoint in LISTS:
            for detail in ("summary", "full"):
                arguments = make_real_arguments(endpoint, spy) | {"detail": detail}
                if endpoint.is_paged:
                    arguments["fetchAll"] = True
                result = await client.call_tool(endpoint.name, arguments)
                assert not result.is_error
                assert count_tokens(read_text(result)) <= 25_000, (endpoint.name, detail)
                if len(read_text(result)) > 2000:
                    estimated = estimate_result(read_text(result).encode())
                    assert 0.95 <= estimated / count_tokens(read_text(result)) <= 1.2, (endpoint.name, detail)


@pytest.mark.parametrize(
    ("most", "names", "cursor"), [(3, ["0", "1", "2"], "2"), (2, ["0", "1"], "2"), (1, ["0"], None)]
)
async def test_max_items_is_exact_where_gitbook_ignores_the_page_size(
    most: int, names: list[str], cursor: str | None
) -> None:
    items = make_items(6)
    pages = {
        start: {"items": items[start : start + 2], "next": {"page": str(start + 2)} if start < 4 else None}
        for start in (0, 2, 4)
    }
    async with connect(ReportCache(items, fault=lambda start: (200, pages[start]))) as client:
        content = read(await client.call_tool("list_integrations", {"fetchAll": True, "maxItems": most}))
        assert [item["name"] for item in content["items"]] == [f"integration-{name}" for name in names]
        assert not content["complete"]
        assert "maxItems" in content["note"]
        assert (content.get("next") or {}).get("page") == cursor
        if cursor is not None:
            rest = read(await client.call_tool("list_integrations", {"fetchAll": True, "page": cursor}))
            shown = {item["name"] for item in [*content["items"], *rest["items"]]}
            assert shown == {item["name"] for item in items}


async def test_an_empty_list_says_what_it_leaves_out() -> None:
    spy = GitBookSpy()
    where = {"integrationName": "harbor-auth", "installationId": "RWo8l7fpElBuY4DAIfn3"}
    async with meet(create_gated_server(spy), None, "2026-07-28") as client:
        for name, arguments, omitted in (
            ("list_site_integrations", {"siteId": "site_qLN1io", "search": "harbor"}, "Pending and paused ones"),
            ("list_integration_installation_sites", where, "site_selection all"),
        ):
            content = read(await client.call_tool(name, arguments))
            assert content["items"] == []
            assert omitted in content["note"]
        assert "note" not in read(await client.call_tool("list_site_integrations", {"siteId": "site_qLN1io"}))


@each_era
async def test_an_empty_list_names_the_filters_that_nothing_matches(era: Era) -> None:
    organization = {"organizationId": ORGANIZATION_ID}
    async with meet(create_gated_server(GitBookSpy()), None, era) as client:
        for arguments, named in (
            ({**organization, "target": "site", "site": "none"}, "site and target"),
            ({**organization, "search": "none", "fetchAll": True}, "search"),
        ):
            result = await client.call_tool("list_organization_integrations_status", arguments)
            assert result.structured_content["items"] == []
            assert result.structured_content["note"].startswith(f"Nothing matches {named}.")
        result = await client.call_tool("list_organization_integrations_status", {**organization, "limit": 1})
        assert "note" not in result.structured_content
    upstream = Upstream()
    upstream.answer({"items": []})
    async with connect(upstream, era) as client:
        result = await client.call_tool("list_organization_integrations_status", {**organization, "limit": 1})
        assert result.structured_content == {"items": []}
        upstream.answer({"items": []})  # a last page without items
        result = await client.call_tool("list_integrations", {"search": "slack", "owner": "x", "page": "p2"})
    assert "note" not in result.structured_content
