"""Folders: what is read of them, and every problem with its line."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.config.models import PublishingSection
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.publishing.files import MANIFEST, FolderError, Roots
from gitbook_integrations_mcp.publishing.folder import Folder, Order, read_folder
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.integration_folder import CONTENT, PNG, write_folder
from tests.support.samples import SCRIPT

SECRET = "s3cr3t-value-of-the-folder"


def read(folder: Path, root: Path | None = None, settings: PublishingSection | None = None, **order: Any) -> Folder:
    """Read a folder, by default with itself as the only root."""
    return read_folder(settings or PublishingSection(), Roots([root or folder]), Order(str(folder), **order))


def list_lines(folder: Folder) -> list[tuple[int, str]]:
    return [(problem.line, problem.text) for problem in folder.problems]


def test_a_folder_becomes_the_arguments_that_the_command_line_of_gitbook_sends(tmp_path: Path) -> None:
    folder = read(write_folder(tmp_path))
    assert folder.problems == ()
    sent = {name: value for name, value in CONTENT.items() if name not in {"name", "icon", "script"}}
    assert {name: folder.arguments[name] for name in sent} == sent
    assert (folder.arguments["script"], folder.arguments["runtime"]) == (SCRIPT, "v2")
    assert folder.arguments["previewImages"] == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"title": "\ud800"}, 3),
        ({"title": "\udc00\ud800"}, 3),
        ({"blocks": [{"id": "b", "title": "\ud800"}]}, 10),
        ({"blocks": [{"id": "b", "title": "b", "\ud800": 1}]}, 10),
        ({"envs": {"test": {"organization": "\ud800"}}}, 10),
        ({"envs": {"\ud800": {}}}, 10),
        ({"unknown": "\ud800"}, 10),
        ({"\ud800": "unknown"}, 1),
    ],
)
def test_text_that_is_not_valid_unicode_is_a_problem_with_its_line(
    changed: dict[str, Any], line: int, tmp_path: Path
) -> None:
    folder = read(write_folder(tmp_path, **changed))
    [problem] = folder.problems
    assert (problem.file, problem.line) == (MANIFEST, line)
    assert "Unicode" in problem.text
    assert (folder.arguments, folder.notes) == ({}, ())
    str(problem).encode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has variables of UTF-16")
def test_a_variable_that_is_not_valid_unicode_is_a_problem_of_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_BOT", os.fsdecode(b"\xff-key"))
    folder = write_folder(tmp_path, secrets={"API": "${{ env.KEY_OF_BOT }}"})
    [problem] = read(folder, settings=PublishingSection(secrets=("KEY_OF_BOT",))).problems
    assert (problem.line, problem.text.split()[0]) == (10, "secrets.API")


def test_a_character_that_json_writes_as_two_escapes_is_one(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, title="Bot \U0001f600", secrets={"\U0001f600": "x"})
    assert "\\ud83d\\ude00" in (folder / MANIFEST).read_text()
    found = read(folder)
    assert found.problems == ()
    assert (found.arguments["title"], found.secrets) == ("Bot \U0001f600", ["\U0001f600"])


def test_yaml_is_read_as_version_1_2_and_unknown_keys_are_left_out_with_a_note(tmp_path: Path) -> None:
    text = f"""\
# A comment
name: bot
title: yes
script: dist/script.js   # built
organization: {ORGANIZATION_ID}
scopes: []
visiblity: public
summary: |
  # Überblick
  Text
blocks:
  - id: off
    title: on
    extra: dropped
configurations:
  account:
    properties:
      limit: {{type: number, default: 1, colour: red}}
contentSecurityPolicy:
  script-src: example.com
  x-own: kept
envs: {{}}
"""
    folder = read(write_folder(tmp_path, text=text))
    assert folder.problems == ()
    assert folder.arguments["title"] == "yes"
    assert folder.arguments["summary"] == "# Überblick\nText\n"
    assert folder.arguments["blocks"] == [{"id": "off", "title": "on"}]
    assert folder.arguments["configurations"]["account"]["properties"] == {"limit": {"type": "number", "default": 1}}
    assert folder.arguments["contentSecurityPolicy"] == {"script-src": "example.com", "x-own": "kept"}
    assert not {"envs", "visiblity", "name"} & set(folder.arguments)
    assert folder.notes == (
        "Line 7: visiblity is not a manifest key and is ignored. Did you mean visibility?",
        "Line 14: blocks.0.extra is not a manifest key and is ignored.",
        "Line 18: configurations.account.properties.limit.colour is not a manifest key and is ignored.",
    )


def test_an_environment_replaces_owner_visibility_and_secrets(tmp_path: Path) -> None:
    envs = {
        "prod": {"organization": "other", "visibility": "public", "secrets": {"A": "2"}, "title": "No"},
        "empty": {},
    }
    write_folder(tmp_path, secrets={"A": "1", "B": "1"}, envs=envs)
    folder = read(tmp_path, environment="prod")
    title, secret = folder.notes
    assert "envs.prod.title is ignored. An environment can only have organization, visibility, secrets." in title
    assert "envs.prod.secrets.A is plain text in the manifest." in secret
    prod = folder.arguments
    assert [prod[name] for name in ("organization", "visibility", "secrets", "title")] == [
        "other",
        "public",
        {"A": "2"},
        CONTENT["title"],
    ]
    assert read(tmp_path, environment="empty").arguments["secrets"] == {"A": "1", "B": "1"}
    assert read(tmp_path, environment="prod", organization="named").arguments["organization"] == "named"


@pytest.mark.parametrize(
    ("changed", "line", "named"),
    [
        ({"title": None}, 1, "title is required"),
        ({"name": "acme_bot"}, 2, "name must consist"),
        ({"name": "Acme Bot"}, 2, "name must consist"),
        ({"title": "x" * 31}, 3, "title"),
        ({"title": None, "organization": None}, 1, "organization is required"),
        ({"visibility": "hidden"}, 8, "visibility must be"),
        ({"scopes": ["space:views:read"]}, 9, "scopes.0 must be"),
        ({"scopes": ["site:script:inject"]}, 9, "scopes.0 must not be"),
        ({"externalLinks": [{"label": "Docs", "url": "docs/readme.md"}]}, 10, "externalLinks.0.url must be"),
        ({"blocks": [{"id": "a", "title": "x"}]}, 10, "blocks.0.title"),
        ({"configurations": {"site": {"properties": {"a": {"type": "text"}}}}}, 10, "configurations.site"),
        ({"previewImages": ["assets/icon.png"] * 4}, 10, "previewImages"),
        ({"previewImages": ["assets/icon.png", "no.png"]}, 10, "previewImages.1: no.png does not exist"),
        ({"previewImages": "assets/icon.png"}, 10, "previewImages"),
        ({"icon": "dist/script.js"}, 5, "icon: dist/script.js is not a PNG"),
        ({"icon": "assets/text.png"}, 5, "icon is not a PNG"),
        ({"icon": "assets/large.png"}, 5, "icon has 256,001 bytes"),
        ({"icon": "assets"}, 5, "icon"),
        ({"script": "dist/none.js"}, 6, "script: dist/none.js does not exist"),
        ({"script": "src/index.tsx"}, 6, "must be bundled. Name the bundled file (.js) as scriptFile (--script)"),
        ({"script": "src/open.js"}, 6, "script imports"),
        ({"script": "assets/latin.js"}, 6, "not valid UTF-8"),
        ({"script": 5}, 6, "script must be"),
        ({"secrets": {"A": 5}}, 10, "secrets.A must be"),
        ({"secrets": {"A": "${{ env.NOT_THERE }}"}}, 10, "secrets.A refers to NOT_THERE"),
        ({"secrets": {"A": '${{ "op://vault/item" }}'}}, 10, "1Password"),
        ({"secrets": {"A": "${{ secrets.B }}"}}, 10, "secrets.A has a reference of another form than ${{ env.NAME }}"),
        ({"secrets": {"A": "${{ env.B"}}, 10, "secrets.A has a reference of another form"),
        ({"envs": {"default": {"visibility": "hidden"}}}, 10, "envs.default.visibility must be"),
        ({"envs": {"prod": {"secrets": ["a"]}}}, 10, "envs.prod.secrets must be"),
        ({"envs": {"prod": "yes"}}, 10, "envs.prod must be"),
        ({"envs": []}, 10, "envs must be"),
    ],
)
def test_a_problem_is_reported_with_its_line(tmp_path: Path, changed: dict[str, Any], line: int, named: str) -> None:
    files: dict[str, str | bytes] = {
        "assets/text.png": "text",
        "assets/large.png": PNG.ljust(256_001),
        "assets/latin.js": "export default 'é'".encode("latin-1"),
        "src/index.tsx": "export default <a/>",
        "src/open.js": 'import { createIntegration } from "@gitbook/runtime";\nexport default createIntegration({});',
    }
    folder = read(write_folder(tmp_path, files, **changed))
    assert folder.arguments == {}
    assert any(at in {line, 1} and named in text for at, text in list_lines(folder)), list_lines(folder)
    if "title" not in changed:
        assert len(folder.problems) == 1


def test_a_missing_organization_is_one_problem(tmp_path: Path) -> None:
    folder = read(write_folder(tmp_path, organization=None))
    assert [text for _, text in list_lines(folder)] == ["organization is required: the owner's ID or subdomain."]


def test_a_jpeg_that_is_named_like_a_png_is_published_as_gitbook_does(tmp_path: Path) -> None:
    folder = read(write_folder(tmp_path, {"assets/icon.png": b"\xff\xd8\xff\xe0 JFIF"}, icon="assets/icon.png"))
    assert folder.problems == ()
    assert base64.b64decode(folder.arguments["icon"]).startswith(b"\xff\xd8\xff")


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    changed: dict[str, Any] = {"title": "x", "scopes": ["no"], "icon": "none.png"}
    secrets = {"A": "${{ env.A }}", "B": "${{ B }}", "C": 5}
    folder = read(write_folder(tmp_path, **changed, secrets=secrets))
    assert [line for line, _ in list_lines(folder)] == [3, 5, 9, 10, 10, 10]


def test_a_wrong_directive_is_the_only_problem_of_its_policy(tmp_path: Path) -> None:
    policy = {"img-src": "https://a.example", "script-src": ["https://a.example"]}
    [(_, text)] = list_lines(read(write_folder(tmp_path, contentSecurityPolicy=policy)))
    assert text.startswith("contentSecurityPolicy.script-src ")


def test_an_unknown_environment_is_a_problem(tmp_path: Path) -> None:
    folder = read(write_folder(tmp_path, envs={"prod": {}}), environment="production")
    [(line, text)] = list_lines(folder)
    assert line == 10
    assert "default, prod" in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("- a\n", 1),
        ("just text", 1),
        ("name: a\nname: b\n", 2),
        ("name: a\ntitle: 2020-01-01\n", 2),
        ("name: [\n", 2),
        ("name: !!python/object/apply:os.system [id]\n", 1),
        ("name: a\n---\nname: b\n", 2),
        ("%YAML 1.1\n---\nname: yes\n", 1),
        ("name: .inf\n", 1),
        ("name: &a [*a]\n", 1),
        ("? [a]\n: b\n", 1),
        ("[" * 400, 1),
        ("[" * 30_000, 1),
        ("- " * 10_000, 1),
        ("#" * 40_000, 1),
        ("a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)), None),
    ],
)
def test_a_manifest_that_is_no_safe_yaml_is_a_problem(tmp_path: Path, text: str, line: int | None) -> None:
    folder = read(write_folder(tmp_path, {MANIFEST: text}))
    assert [at for at, _ in list_lines(folder)] == [line] if line else folder.problems


@pytest.mark.parametrize("text", ["name:\tbot", "name: bot\t# comment", "\tname: bot"])
def test_a_tab_is_named_as_the_problem(tmp_path: Path, text: str) -> None:
    [problem] = read(write_folder(tmp_path, {MANIFEST: text})).problems
    assert problem.text == "The manifest has a tab. Write spaces instead."


def test_an_alias_repeats_a_value_and_a_merge_adds_keys(tmp_path: Path) -> None:
    text = f"""\
name: &name bot
title: *name
script: dist/script.js
organization: {ORGANIZATION_ID}
scopes: []
blocks:
  - &block {{id: a, title: First}}
  - <<: *block
    id: b
"""
    blocks = read(write_folder(tmp_path, text=text)).arguments["blocks"]
    assert blocks == [{"id": "a", "title": "First"}, {"id": "b", "title": "First"}]


def test_secrets_come_from_the_file_beside_the_manifest_and_from_allowed_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOWED", "of the environment")
    monkeypatch.setenv("UNLISTED", SECRET)
    lines = "# comment\nexport ONE=1 # one\nTWO = 'two # 2'\nTHREE=\"a\\nb\"\nno line\nEMPTY=\n"
    names = ["ALLOWED", "ONE", "TWO", "THREE"]
    secrets = {name: f"<${{{{env.{name}}}}}>" for name in names} | {"PLAIN": "plain"}
    write_folder(tmp_path, {".env": lines}, secrets=secrets)
    folder = read(tmp_path, settings=PublishingSection(secrets=("ALLOWED",)))
    assert folder.arguments["secrets"] == {
        "ALLOWED": "<of the environment>",
        "ONE": "<1>",
        "TWO": "<two # 2>",
        "THREE": "<a\nb>",
        "PLAIN": "plain",
    }
    for name in ("UNLISTED", "EMPTY"):
        write_folder(tmp_path, secrets={"A": f"${{{{ env.{name} }}}}"})
        [(_, text)] = list_lines(read(tmp_path))
        assert name in text
        assert SECRET not in text


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('A="-----BEGIN KEY-----\nb=1\n-----END KEY-----"', "-----BEGIN KEY-----\nb=1\n-----END KEY-----"),
        ("A='one\r\ntwo'\r\nB=1\r\n", "one\ntwo"),
        ("A=`one`", "one"),
        ('A="one" # comment', "one"),
        ("A='it''s'", "it''s"),
        ('A="a\\"b"', 'a\\"b'),
        ("A=one # comment", "one"),
        ("A=one#two", "one#two"),
        ("A= # comment", None),
        ('A="one', None),
        ('B="\nA=1\n"', None),
    ],
)
def test_a_quoted_value_in_the_file_of_variables_ends_with_its_quote(
    tmp_path: Path, line: str, value: str | None
) -> None:
    folder = read(write_folder(tmp_path, {".env": line.encode()}, secrets={"A": "${{ env.A }}"}))
    assert folder.arguments.get("secrets") == (value and {"A": value})
    assert bool(folder.problems) is (value is None)


@pytest.mark.parametrize(
    "name", ["GITBOOK_TOKEN", "gitbook_token", "GITBOOK_INTEGRATION_TOKEN", "GITBOOK_MCP_STORE__KEYS", "a.b", "A}}"]
)
def test_no_variable_of_the_server_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("GITBOOK_TOKEN", SECRET)
    write_folder(tmp_path, {".env": f"{name}={SECRET}\n"}, secrets={"A": f"${{{{ env.{name} }}}}"})
    folder = read(tmp_path)
    assert folder.problems
    assert SECRET not in repr(folder)


@pytest.mark.parametrize("place", ["script", "secret", "summary"])
def test_a_token_of_the_server_is_never_published(tmp_path: Path, place: str) -> None:
    write_folder(
        tmp_path,
        {"dist/script.js": f'export default "{SECRET}";'} if place == "script" else {".env": f"KEY={SECRET}"},
        secrets={"A": "${{ env.KEY }}"} if place == "secret" else None,
        summary=SECRET if place == "summary" else None,
    )
    order = Order(str(tmp_path))
    folder = read_folder(PublishingSection(), Roots([tmp_path]), order, lambda text: text.replace(SECRET, "[redacted]"))
    [problem] = folder.problems
    assert "token of this server" in problem.text
    assert folder.arguments == {}


@pytest.mark.parametrize(
    "path", ["/etc", "..", "../..", "bot/../../outside", "link", "/nowhere", "\0", "x" * 5000, "~root", ""]
)
def test_a_path_outside_of_the_roots_is_refused_and_nothing_of_it_is_shown(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    write_folder(root / "bot")
    write_folder(tmp_path / "outside")
    (root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(FolderError) as raised:
        read_folder(PublishingSection(), Roots([root]), Order(path))
    assert raised.value.code in {ErrorCode.FOLDER_NOT_ALLOWED, ErrorCode.INVALID_FOLDER}
    assert (raised.value.code is ErrorCode.INVALID_FOLDER) == (path in {"", "x" * 5000})
    assert (str(root) in str(raised.value)) == (raised.value.code is ErrorCode.FOLDER_NOT_ALLOWED)
    assert str(tmp_path / "outside") not in str(raised.value)


def test_below_a_root_that_is_a_link_to_itself_there_is_nothing(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(FolderError):
        read_folder(PublishingSection(), Roots([loop]), Order(str(loop)))


@pytest.mark.parametrize(
    ("path", "suggested"), [("bto", True), ("bto/gitbook-manifest.yaml", False), ("empty", False), ("zzz", False)]
)
def test_a_path_that_does_not_exist_is_told_from_a_folder_without_a_manifest(
    tmp_path: Path, path: str, suggested: bool
) -> None:
    write_folder(tmp_path / "bot")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError) as raised:
        read_folder(PublishingSection(), Roots([tmp_path]), Order(str(tmp_path / path)))
    assert raised.value.code is ErrorCode.INVALID_FOLDER
    assert ("does not exist" in str(raised.value)) == (path != "empty")
    assert ("bot" in str(raised.value)) == suggested


@pytest.mark.parametrize("name", ["bot", "bot/gitbook-manifest.yaml", "bot/", "./bot/../bot"])
def test_a_folder_or_its_manifest_is_named_absolutely_or_below_a_root(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / "bot")
    roots = Roots([tmp_path / "missing", tmp_path])
    for path in (name, str(tmp_path / name)):
        assert read_folder(PublishingSection(), roots, Order(path)).problems == ()


@pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="opens by path")
@pytest.mark.parametrize("name", ["assets/icon.png", "dist/script.js", ".env"])
def test_what_becomes_a_link_out_of_the_roots_while_it_is_read_is_not_followed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {".env": f"KEY={SECRET}\n"}
    root, outside = (
        write_folder(tmp_path / one, files, secrets={"A": "${{ env.KEY }}"}) for one in ("root", "outside")
    )
    find = Roots.find
    swapped = root / (name.partition("/")[0])

    def find_and_swap(roots: Roots, folder: Path, wanted: str) -> Path:
        path = find(roots, folder, wanted)
        if wanted.removeprefix("./") == name and not swapped.is_symlink():
            swapped.rename(root / "before")
            swapped.symlink_to(outside / swapped.name)
        return path

    assert read(root).problems == ()
    monkeypatch.setattr(Roots, "find", find_and_swap)
    [problem] = read(root).problems
    assert "cannot be read" in problem.text


def test_a_manifest_that_is_a_link_out_of_the_roots_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "outside")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / MANIFEST).symlink_to(tmp_path / "outside" / MANIFEST)
    with pytest.raises(FolderError):
        read(tmp_path / "root")


@pytest.mark.parametrize("key", ["script", "icon", "previewImages", "scriptFile", ".env"])
@pytest.mark.parametrize("way", ["link", "folder link", "..", "absolute"])
def test_no_file_outside_of_the_roots_is_read(tmp_path: Path, key: str, way: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    suffix = ".png" if key in {"icon", "previewImages"} else ".js"
    (outside / f"file{suffix}").write_bytes(SECRET.encode())
    root = write_folder(tmp_path / "root", secrets={"A": "${{ env.KEY }}"} if key == ".env" else None)
    (root / "folder").symlink_to(outside)
    (root / f"link{suffix}").symlink_to(outside / f"file{suffix}")
    name = {
        "link": f"link{suffix}",
        "folder link": f"folder/file{suffix}",
        "..": f"../outside/file{suffix}",
        "absolute": str(outside / f"file{suffix}"),
    }[way]
    order: dict[str, Any] = {}
    if key == ".env":
        (outside / "env").write_text(f"KEY={SECRET}")
        (root / ".env").symlink_to(outside / "env")
    elif key == "scriptFile":
        order["script"] = name
    else:
        changed: dict[str, Any] = {key: [name] if key == "previewImages" else name}
        write_folder(root, **changed)
    folder = read(root, **order)
    [problem] = folder.problems
    assert "outside of the allowed folders" in problem.text
    assert ("because a link leads there" in problem.text) is ("link" in way or key == ".env")
    assert SECRET not in repr(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_a_pipe_or_a_huge_file_stops_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path, icon="huge.png", script="pipe.js")
    os.mkfifo(tmp_path / "pipe.js")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(50_000_000_000)
    texts = [text for _, text in list_lines(read(tmp_path))]
    assert ["is not a file" in text or "has more than" in text for text in texts] == [True, True]


def test_another_bundled_file_takes_the_place_of_the_script(tmp_path: Path) -> None:
    write_folder(tmp_path, {"out/bundle.mjs": "export default {other: 1};"}, script="src/index.tsx")
    folder = read(tmp_path, script="out/bundle.mjs")
    assert folder.problems == ()
    assert folder.arguments["script"] == "export default {other: 1};"
    assert [one.path for one in folder.files if one.role == "script"] == ["out/bundle.mjs"]


def test_an_owner_that_replaces_that_of_the_manifest_is_noted_with_its_line(tmp_path: Path) -> None:
    write_folder(tmp_path, organization="theirs")
    folder = read(tmp_path, organization="ours")
    assert folder.arguments["organization"] == "ours"
    [note] = folder.notes
    assert note.endswith("organization is replaced by ours.")
    assert read(tmp_path, organization="theirs").notes == ()
    write_folder(tmp_path, organization=["theirs"])
    assert [text for _, text in list_lines(read(tmp_path, organization="ours"))] == [
        "organization must be a valid string."
    ]


@pytest.mark.parametrize("link", ["file", "folder"])
def test_the_variables_of_another_folder_are_not_read_through_a_link(tmp_path: Path, link: str) -> None:
    write_folder(tmp_path / "shop", {".env": f"KEY={SECRET}\n", "settings/.env": f"KEY={SECRET}\n"})
    folder = write_folder(tmp_path / "theirs", secrets={"A": "${{ env.KEY }}"})
    (folder / "settings").symlink_to(tmp_path / "shop" / "settings")
    (folder / ".env").symlink_to({"file": "../shop/.env", "folder": "settings/.env"}[link])
    found = read_folder(PublishingSection(), Roots([tmp_path]), Order(str(folder)))
    [problem] = found.problems
    assert problem.text == "secrets cannot be read: the file .env is a symbolic link to another folder."
    assert SECRET not in repr(found)


def test_the_variables_can_be_in_a_file_of_another_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {".env.local": f"KEY={SECRET}\n"}, secrets={"A": "${{ env.KEY }}"})
    (folder / ".env").symlink_to(".env.local")
    assert read(folder).arguments["secrets"] == {"A": SECRET}


def test_a_second_document_in_a_manifest_is_named(tmp_path: Path) -> None:
    [problem] = read(write_folder(tmp_path, text="title: First\n---\ntitle: Second\n")).problems
    assert problem.line == 2
    assert "expected a single document in the stream, but found another document" in problem.text
