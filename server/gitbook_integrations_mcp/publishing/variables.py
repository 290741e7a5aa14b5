"""Puts the values of variables into the secrets of a manifest.

A manifest is other people's text. It gets only variables that the operator allows and those of the file `.env` beside
it, and never one of this server's own.
"""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from gitbook_integrations_mcp.config.variables import is_own_variable
from gitbook_integrations_mcp.publishing.files import FileError, Roots

DOTENV = ".env"
_MAX_BYTES = 64 * 1024
_SHORTEST = 6
_REFERENCE = re.compile(r"\$\{\{\s*env\.(\S+?)\s*\}\}")
_OTHER = re.compile(r"\$\{\{\s*\"?op://")
_QUOTES = frozenset("\"'`")
_VARIABLE = re.compile(
    r"^[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z_]\w*)[^\S\n]*=[^\S\n]*"
    r"(?:(?P<quote>[\"'`])(?P<quoted>(?:\\(?P=quote)|(?!(?P=quote))[\s\S])*)(?P=quote)[^\S\n]*(?:#.*)?|(?P<plain>.*))$",
    re.ASCII | re.MULTILINE,
)
"""A variable in `.env`. A value in quotes can have several lines, for example a private key."""


class VariableError(Exception):
    """A reference that has no value. The text is a predicate and repeats no value."""


class Variables:
    """The variables that a manifest may use: those of `.env`, and the `allowed` ones of the environment."""

    def __init__(self, dotenv: Mapping[str, str], allowed: Collection[str]) -> None:
        self._values = {**dotenv, **{name: value for name in allowed if (value := os.environ.get(name))}}

    @property
    def secrets(self) -> list[str]:
        """The values, longest first, without short ones: these are parts of other words, and no secrets."""
        lines = {line for value in self._values.values() for line in (value, *value.splitlines())}
        return sorted((line for line in lines if len(line) >= _SHORTEST), key=len, reverse=True)

    def replace(self, text: str) -> str:
        """Return `text` with every `${{ env.NAME }}` replaced by its value.

        Raises:
            VariableError: a variable is missing, empty or not allowed, or the reference is of another kind.
        """
        if _OTHER.search(text):
            raise VariableError(
                "refers to 1Password (op://), which this server does not read. Use ${{ env.NAME }} and the file .env"
            )
        if "${{" in _REFERENCE.sub("", text):
            raise VariableError("has a reference of another form than ${{ env.NAME }}, the only one that is replaced")
        return _REFERENCE.sub(self._find, text)

    def _find(self, match: re.Match[str]) -> str:
        name = match[1]
        if not re.fullmatch(r"[A-Za-z_]\w{0,99}", name, re.ASCII):
            raise VariableError("refers to something that is not the name of a variable")
        if is_own_variable(name):
            raise VariableError(f"refers to {name}, a variable of this server, which is never published")
        if value := self._values.get(name):
            return value
        raise VariableError(
            f"refers to {name}, which has no value that may be used. Set it in {DOTENV} beside the manifest, or ask "
            "the operator to set it and add it to publishing.secrets"
        )


def read_dotenv(roots: Roots, folder: Path) -> dict[str, str]:
    """Return the variables in the file `.env` of a folder; none without the file.

    Through a link to another folder, a manifest would get the secrets of another integration.

    Raises:
        FileError: the file is too long, in another folder, or no text.
    """
    if not (folder / DOTENV).exists():
        return {}
    try:
        text = roots.read(folder, DOTENV, _MAX_BYTES, elsewhere=False).decode("utf-8-sig")
    except ValueError:
        raise FileError("is not valid UTF-8") from None
    found = _VARIABLE.finditer(text.replace("\r\n", "\n"))
    return {match["name"]: value for match in found if (value := _read_value(match)) is not None}


def _read_value(match: re.Match[str]) -> str | None:
    """Return a value without its quotes or the comment after it, or None if its closing quote is missing."""
    quote, text = match["quote"], match["quoted"]
    if quote is None:
        plain: str = match["plain"].strip()
        quote, text = plain[:1], plain[1:-1]
        if quote not in _QUOTES:
            return re.split(r"(?:^|\s)#", plain, maxsplit=1)[0].rstrip()
        if len(plain) < 2 or plain[-1] != quote:  # one quote is no pair
            return None
    return text.replace("\\n", "\n") if quote == '"' else text
