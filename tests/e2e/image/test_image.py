"""The container image and the compose file: without a Docker engine, their steps are run by hand, as a stranger."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from compose_spec import PyCompose

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.config.settings import iterate_settings, name_variable
from gitbook_integrations_mcp.config.variables import CLI_VARIABLES
from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION
from tests.support.http_server import CALLERS, bear, connect
from tests.support.postgres_server import NAME, PostgresServer, start_postgres
from tests.support.process import TIMEOUT
from tests.support.repository import DOCS

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE: Any = PyCompose.from_yaml((ROOT / "compose.yaml").read_text(encoding="utf-8")).to_dict()
SERVER, POSTGRES = COMPOSE["services"]["server"], COMPOSE["services"]["postgres"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="an image of Linux")


@dataclass
class Stage:
    """What a stage of the Dockerfile says: what is to be done, and how the command is started in the end."""

    steps: list[tuple[str, str]] = field(default_factory=list)

    def read(self, word: str) -> str:
        """Return what the last instruction of this kind says."""
        return [rest for instruction, rest in self.steps if instruction == word][-1]

    @property
    def command(self) -> list[str]:
        """The command, as the container starts it."""
        return [*json.loads(self.read("ENTRYPOINT")), *json.loads(self.read("CMD"))]

    @property
    def check(self) -> list[str]:
        """The command that tells whether the container is well."""
        check: list[str] = json.loads(self.read("HEALTHCHECK").partition("CMD ")[2])
        return check


def read_dockerfile() -> list[Stage]:
    """Return the stages of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append(Stage())
        elif stages and word:
            stages[-1].steps.append((word, rest))
    return stages


@dataclass(frozen=True)
class Image:
    """The file system that the Dockerfile makes, in a folder, and what runs in it."""

    root: Path
    stage: Stage

    def place(self, text: str) -> str:
        """Return `text` with the image's folders where they are here."""
        return re.sub(r"/(?=opt\b|src\b)", f"{self.root}/", text)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a container that is started with `given`."""
        pairs = re.findall(r"(\w+)=(\S+)", self.place(self.stage.read("ENV")))
        own = {name: value.replace("$PATH", os.environ["PATH"]) for name, value in pairs}
        return {**own, **given}

    @contextlib.contextmanager
    def start(self, given: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
        """Run the container's command meanwhile; stopped, it ends well."""
        with self._run(self.stage.command, self.environment(given)) as process:
            try:
                yield process
            finally:
                process.terminate()
                _, said = process.communicate(timeout=TIMEOUT)
        # Once it has stopped, uvicorn dies of the signal; as a container's first process, it survives that and ends.
        assert process.returncode in {0, -signal.SIGTERM}, said

    def fail(self, given: Mapping[str, str]) -> str:
        """Run the container's command until it fails, and return what it says."""
        with self._run(self.stage.command, self.environment(given)) as process:
            _, said = process.communicate(timeout=TIMEOUT)
        assert process.returncode not in {0, None}
        return said

    def is_healthy(self, given: Mapping[str, str]) -> bool:
        """Run the container's own check of its health, in a container that was started with `given`."""
        with self._run(self.stage.check, self.environment(given)) as process:
            process.communicate(timeout=TIMEOUT)
        return process.returncode == 0

    def _run(self, command: list[str], environment: Mapping[str, str], *, pipes: bool = False) -> subprocess.Popen[str]:
        """Start a command as the container's user, where whoever tests may become that."""
        user, group = map(int, self.stage.read("USER").split(":"))
        assert user > 0 < group
        may = os.getuid() == 0
        found = shutil.which(command[0], path=environment["PATH"])
        assert found is not None
        return subprocess.Popen(
            [found, *command[1:]],
            cwd="/",
            env=environment,
            user=user if may else None,
            group=group if may else None,
            extra_groups=[] if may else None,
            stdin=subprocess.PIPE if pipes else None,
            stdout=subprocess.PIPE if pipes else None,
            stderr=subprocess.PIPE,
            text=True,
        )


def find_python() -> str:
    """Return a Python that any user may run: that of this environment may be in somebody's home."""
    system = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    check = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    if system and subprocess.run([system, "-c", check], check=False, capture_output=True).returncode == 0:
        return system
    return sys.executable


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, built in a folder of its own by the steps of the Dockerfile."""
    build, final = read_dockerfile()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        image = Image(Path(folder), final)
        tools = Path(folder, "bin")
        tools.mkdir()
        (tools / "python").symlink_to(find_python())
        here = Path(folder)
        for word, rest in build.steps:
            match word:
                case "WORKDIR":
                    here = Path(image.place(rest))
                    here.mkdir(parents=True)
                case "COPY":
                    *sources, target = rest.split()
                    for source in sources:
                        copy(source, here / target)
                case "RUN":
                    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
                    subprocess.run(["/bin/sh", "-c", image.place(rest)], cwd=here, env=environment, check=True)
        shutil.rmtree(here)  # the final stage has only what it copies
        for word, rest in final.steps:
            if word == "RUN":
                environment = image.environment({"HOME": folder})
                subprocess.run(["/bin/sh", "-c", image.place(rest)], cwd="/", env=environment, check=True)
        yield image


def copy(source: str, target: Path) -> None:
    """Copy a file into the folder `target`, or a folder as `target`."""
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / source, target)


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Ask again and again, as an engine does, whether a container is well."""
    deadline = time.monotonic() + TIMEOUT
    while not holds():
        assert process.poll() is None
        assert time.monotonic() < deadline


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_the_dockerfile_has_nothing_to_complain_about() -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    if hadolint is None:
        pytest.skip("hadolint has no wheel for this platform")
    done = subprocess.run([hadolint, "--no-color", DOCKERFILE], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_all_that_the_build_copies_is_let_through() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    build, final = read_dockerfile()
    copied = {source for word, rest in build.steps if word == "COPY" for source in rest.split()[:-1]}
    assert copied == let_through
    assert [rest for word, rest in final.steps if word == "COPY"] == ["--from=build /opt/venv /opt/venv"]


def test_what_it_needs_is_pinned() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    base = re.search(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    assert base is not None
    for name in (base[1], POSTGRES["image"]):
        assert re.search(r":\d+\.\d+(\.\d+)?-", name), name
    assert f'base.name="docker.io/library/{base[1]}"' in text


def test_without_callers_tokens_the_container_does_not_start(image: Image) -> None:
    assert "Set http.tokens" in image.fail({})


def test_the_image_has_the_first_answers_over_stdio(image: Image) -> None:
    (file,) = Path(image.place("/opt/cache/gitbook-integrations-mcp")).iterdir()
    content = json.loads(file.read_bytes())
    file.write_text(json.dumps({**content, "texts": ['{"saved":true}'] * len(content["texts"])}))
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
    command = [*image.stage.command[:1], "--transport", "stdio"]
    with image._run(command, image.environment({"GITBOOK_TOKEN": "t" * 20}), pipes=True) as process:
        output, said = process.communicate(f"{line}\n", timeout=TIMEOUT)
    assert json.loads(output) == {"jsonrpc": "2.0", "id": 1, "result": {"saved": True}}, said


def test_the_container_is_well_and_stops_when_told(image: Image) -> None:
    port = find_port()
    given = {
        "GITBOOK_MCP_SERVER__SANDBOX": "true",
        "GITBOOK_MCP_HTTP__PORT": str(port),
        "GITBOOK_MCP_HTTP__TOKENS": json.dumps(CALLERS),
        "GITBOOK_MCP_HTTP__PUBLIC_URL": "https://mcp.example.com",
    }
    assert not image.is_healthy(given)
    assert image.is_healthy({"GITBOOK_MCP_SERVER__TRANSPORT": "stdio"})
    with image.start(given) as process:
        wait_until(lambda: image.is_healthy(given), process)
        if os.getuid() == 0:
            assert Path(f"/proc/{process.pid}").stat().st_uid == int(image.stage.read("USER").partition(":")[0])


# The compose file

SECRETS = {
    "GITBOOK_TOKEN": "gb_api_test",
    "GITBOOK_MCP_HTTP__PUBLIC_URL": "https://mcp.example.com",
    "GITBOOK_MCP_HTTP__TOKENS": json.dumps(CALLERS),
    "GITBOOK_MCP_CONFIRMATION__KEYS": "a key of the tests that is long enough",
    "GITBOOK_MCP_STORE__KEYS": "another key of the tests that is long enough",
    "POSTGRES_PASSWORD": "postgres-password-0123456789",
}
"""What is in .env."""


def resolve(text: str, secrets: Mapping[str, str]) -> str:
    """Return what compose makes of a value, with these variables in .env."""
    return re.sub(r"\$\{(\w+):\?\}", lambda match: secrets[match[1]], text).replace("$$", "$")


def test_the_compose_file_sets_what_exists_and_takes_every_secret_from_outside() -> None:
    known = {name_variable(section, key) for section, key, _ in iterate_settings()} | set(CLI_VARIABLES)
    assert set(SERVER["environment"]) <= known
    for service in (SERVER, POSTGRES):
        secret = [value for name, value in service["environment"].items() if name != "POSTGRES_USER"]
        assert all("${" in value for value in secret)
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert float(SERVER["stop_grace_period"].removesuffix("s")) > HttpSection().shutdown_seconds
    (ports,) = SERVER["ports"]
    assert ports["host_ip"] == "127.0.0.1"
    assert ports["target"] == HttpSection().port == int(read_dockerfile()[-1].read("EXPOSE"))
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert POSTGRES["networks"] == ["store"]
    assert POSTGRES["volumes"] == ["store:/var/lib/postgresql"]


@pytest.fixture
def composed_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL with the user and the database of the compose file, well by the check that it names."""
    with start_postgres() as server:
        given = {name: resolve(value, SECRETS) for name, value in POSTGRES["environment"].items()}
        server.execute(f"CREATE ROLE {given['POSTGRES_USER']} LOGIN PASSWORD '{given['POSTGRES_PASSWORD']}'")
        server.execute(f"ALTER DATABASE {NAME} OWNER TO {given['POSTGRES_USER']}")
        program, *words = POSTGRES["healthcheck"]["test"].split()
        server.run(program, f"--port={server.port}", *words)
        yield server


def test_the_documentation_names_every_secret_that_compose_wants() -> None:
    page = (DOCS / "operate" / "containers.md").read_text("utf-8")
    told = re.search(r"^cat > \.env <<END\n(.*?)^END$", page, re.MULTILINE | re.DOTALL)
    assert told is not None
    names = set(re.findall(r"^(\w+)=", told[1], re.MULTILINE))
    assert names == set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "compose.yaml").read_text("utf-8"))) == set(SECRETS)


async def test_the_composed_services_work_together(image: Image, composed_postgres: PostgresServer) -> None:
    port = find_port()
    given = {name: resolve(value, SECRETS) for name, value in SERVER["environment"].items()}
    place, here = "@postgres:5432/", f"@127.0.0.1:{composed_postgres.port}/"
    assert place in given["GITBOOK_MCP_STORE__URL"]
    given["GITBOOK_MCP_STORE__URL"] = given["GITBOOK_MCP_STORE__URL"].replace(place, here)
    given |= {"GITBOOK_MCP_HTTP__PORT": str(port), "GITBOOK_MCP_SERVER__SANDBOX": "true"}
    with image.start(given) as process:
        wait_until(lambda: image.is_healthy(given), process)
        address = f"http://127.0.0.1:{port}"
        async with connect(address, "streamable-http", "2026-07-28", headers=bear("ann")) as client:
            result = await client.call_tool("unpublish_integration", {"integrationName": OWN_INTEGRATION})
    assert result.structured_content is not None, result
    assert result.structured_content["url"].startswith("https://mcp.example.com/")
