"""Real manifests pass or fail as with GitBook's command line, and the scopes that GitBook refuses to others fail, too.

The facts are those of `tests/data/real_integrations.json`; texts and files that it does not contain are invented.
"""

import copy
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_api.checks import INTERNAL_SCOPES
from gitbook_integrations_mcp.config.models import PublishingSection
from gitbook_integrations_mcp.publishing.files import Roots
from gitbook_integrations_mcp.publishing.folder import Order, read_folder
from tests.support.integration_folder import write_folder
from tests.support.real_organization import REAL

SECRETS = {
    "discord": ("BOT_TOKEN", "CLIENT_ID", "CLIENT_SECRET"),
    "github": ("APP_ID", "APP_INSTALL_URL", "CLIENT_ID", "CLIENT_SECRET", "PRIVATE_KEY", "WEBHOOK_SECRET"),
    "github-copilot": ("APP_ID", "APP_INSTALL_URL", "CLIENT_ID", "CLIENT_SECRET"),
    "github-files": ("CLIENT_ID", "CLIENT_SECRET"),
    "gitlab-files": ("CLIENT_ID", "CLIENT_SECRET"),
    "jira": ("CLIENT_ID", "CLIENT_SECRET"),
    "linear": ("CLIENT_ID", "CLIENT_SECRET"),
    "lucid": ("CLIENT_ID", "CLIENT_SECRET"),
    "mailchimp": ("CLIENT_ID", "CLIENT_SECRET"),
    "slack": ("CLIENT_ID", "CLIENT_SECRET", "OPENAI_API_KEY", "SIGNING_SECRET"),
}
"""Names of secrets in the real manifests, which refer to variables."""


def write(place: Path, name: str) -> dict[str, Any]:
    """Write the folder of a real integration, and return its manifest."""
    facts = {key: value for key, value in REAL[name].items() if key != "owner"}
    facts["blocks"] = [{"title": "A block", **block} for block in facts.get("blocks", [])]
    facts["configurations"] = copy.deepcopy(facts.get("configurations", {}))
    for level in facts["configurations"].values():
        for setting in level.get("properties", {}).values():
            if setting["type"] == "button":
                setting.update(button_text="Authorize", callback_url="/oauth")
    manifest = {**facts, "organization": "gitbook", "envs": {"test": {"organization": "of-the-tests"}}}
    if name in SECRETS:
        manifest["secrets"] = {secret: f"${{{{ env.{secret} }}}}" for secret in SECRETS[name]}
    write_folder(place, **manifest)
    return manifest


def read(folder: Path) -> Any:
    return read_folder(PublishingSection(), Roots([folder]), Order(str(folder)))


@pytest.mark.parametrize("name", REAL)
def test_a_real_manifest_passes_unless_only_gitbook_may_publish_it(tmp_path: Path, name: str) -> None:
    manifest = write(tmp_path, name)
    if name in SECRETS:
        assert [one.text.split()[2] for one in read(tmp_path).problems if "refers to" in one.text]
        (tmp_path / ".env").write_text("\n".join(f"{secret}=value" for secret in SECRETS[name]))
    folder = read(tmp_path)
    internal = [scope for scope in manifest["scopes"] if scope in INTERNAL_SCOPES]
    assert len(folder.problems) == len(internal)
    assert all(any(scope in one.text for scope in internal) for one in folder.problems)
    if not internal:
        for key in ("title", "target", "scopes", "configurations", "contentSecurityPolicy", "blocks"):
            assert folder.arguments.get(key) == manifest.get(key), key
        assert set(folder.secrets) == set(SECRETS.get(name, ()))


def test_no_real_manifest_has_an_unknown_key(tmp_path: Path) -> None:
    for name in REAL:
        write(tmp_path / name, name)
        assert read(tmp_path / name).notes == ()
