"""Bundles a script with the esbuild that the developer installed, with the options of GitBook's command line."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gitbook_integrations_mcp.publishing.files import Roots
from gitbook_integrations_mcp.text import strip_unseen

_SECONDS = 40
_MAX_MESSAGE = 2000
_OPTIONS = (
    "--bundle",
    "--minify",
    "--platform=neutral",
    "--format=esm",
    "--target=es2020",
    "--main-fields=worker,browser,module,jsnext,main",
    "--conditions=worker,browser,import,production",
    '--define:process.env.NODE_ENV="production"',
    '--define:MODE="production"',
    "--external:node:*",
    "--external:cloudflare:*",
    "--jsx=automatic",
    "--jsx-import-source=@gitbook/runtime",
    "--global-name=__gitbook_integration",
    "--loader:.raw.js=text",
    "--loader:.raw.css=text",
    "--color=false",
    "--log-level=error",
    "--log-limit=5",
)
_INHERITED = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
"""All that the developer's program gets of the environment, which contains the server's tokens."""


class BuildError(Exception):
    """A script that could not be bundled: why, as a predicate."""


def bundle_script(roots: Roots, folder: Path, script: Path, limit: int, scrub: Callable[[str], str]) -> str:
    """Return the bundle of `script`, at most `limit` bytes. `scrub` replaces secrets in the messages of esbuild.

    Raises:
        BuildError: there is no esbuild, or it failed; the text contains its messages.
    """
    program = roots.find_program(folder, "esbuild", "@gitbook/cli")
    if program is None:
        raise BuildError(
            "cannot be bundled: neither the folder nor an allowed folder above it has an esbuild. Run `npm install` "
            "there; @gitbook/cli depends on esbuild. In a workspace, esbuild is in the workspace's folder: add that to "
            "publishing.roots (--roots)"
        )
    with tempfile.TemporaryDirectory() as place:
        output = Path(place) / "script.js"
        _run([str(program), str(script), f"--outfile={output}", *_OPTIONS], folder, scrub)
        try:
            with output.open("rb") as file:
                content = file.read(limit + 1)
        except OSError:
            raise BuildError("cannot be bundled: esbuild wrote no file") from None
    if len(content) > limit:
        raise BuildError(f"has a bundle of more than {limit:,} bytes")
    try:
        return content.decode()
    except ValueError:
        raise BuildError("cannot be bundled: esbuild did not write valid UTF-8") from None


def _run(command: list[str], folder: Path, scrub: Callable[[str], str]) -> None:
    environment = {name: value for name in _INHERITED if (value := os.environ.get(name))}
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,  # on stdio, the server's own input is the client
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise BuildError(f"cannot be bundled: esbuild does not start ({error.strerror})") from None
    try:
        _, errors = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise BuildError(f"cannot be bundled: esbuild did not finish within {_SECONDS} s") from None
    finally:
        _end(process)
    if process.returncode:
        text = scrub(strip_unseen(errors.decode(errors="replace"))).strip()  # before it is cut
        shown = text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}… (cut)"
        raise BuildError(f"cannot be bundled. esbuild reports:\n{shown}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the program together with what it started, and release its pipe."""
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            with suppress(ProcessLookupError, PermissionError):  # it has just ended
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stderr:
        process.stderr.close()
