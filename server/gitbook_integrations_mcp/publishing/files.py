"""Reads files below the folders that the operator allows, and no others."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from gitbook_integrations_mcp.errors import ErrorCode, RefusedError
from gitbook_integrations_mcp.spelling import suggest

MANIFEST = "gitbook-manifest.yaml"
_MAX_NAMED = 5
_MAX_COMPARED = 1000
"""Number of files and folders that can be meant by a path with a typing error. A comparison takes time."""


class FolderError(RefusedError):
    """A folder that the server may not read, or cannot publish."""

    code = ErrorCode.FOLDER_NOT_ALLOWED


class FileError(Exception):
    """A file that cannot be used. The text is a predicate."""


class Roots:
    """The folders below which files may be read."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = [*dict.fromkeys(Path(os.path.realpath(path)) for path in paths)]

    def find_manifest(self, text: str) -> Path:
        """Return the manifest that `text` names: the file itself, or its folder; absolute, or relative to a root.

        Raises:
            FolderError: it is not below a root, or there is no manifest.
        """
        try:
            named = Path(text).expanduser()
            places = [named] if named.is_absolute() else [root / named for root in self._paths]
            resolved = [place.resolve() for place in places]
        except (OSError, RuntimeError, ValueError):
            resolved = []
        allowed = [place for place in resolved if self._contain(place)]
        if not allowed:
            raise FolderError(
                f"path is not below one of the folders that the operator allows (publishing.roots): {self._name()}. "
                "Nothing was read and nothing was sent. Name a folder below one of these, or ask the operator to add "
                "it."
            )
        for place in allowed:
            with suppress(OSError, RuntimeError):  # for example, a name that is too long
                manifest = (place / MANIFEST if place.is_dir() else place).resolve()
                if manifest.suffix in {".yaml", ".yml"} and self._contain(manifest) and manifest.is_file():
                    return manifest
        if not any(os.path.exists(place) for place in allowed):  # noqa: PTH110  # of a long name, `Path.exists` raises
            raise FolderError(
                f"path does not exist.{self._suggest(allowed[0])} Nothing was sent.", ErrorCode.INVALID_FOLDER
            )
        raise FolderError(
            f"path has no {MANIFEST}. Name a folder that contains one, or the file itself. Nothing was sent.",
            ErrorCode.INVALID_FOLDER,
        )

    def _suggest(self, place: Path) -> str:
        """Return a sentence with the name beside `place` that is nearest to its own, or "" if there is none."""
        names: list[str] = []
        if self._contain(place.parent):
            with suppress(OSError):
                names = [one.name for one in islice(place.parent.iterdir(), _MAX_COMPARED) if one.name.isprintable()]
        return suggest(place.name, names)

    def _name(self) -> str:
        return ", ".join(str(path) for path in self._paths[:_MAX_NAMED]) or "none"

    def find(self, folder: Path, name: str) -> Path:
        """Return the real path of the file that a manifest in `folder` names.

        Raises:
            FileError: it is outside of the roots.
        """
        try:
            path = (folder / name).resolve()
        except RuntimeError:
            raise FileError("is a link that leads to itself") from None
        except (OSError, ValueError):
            raise FileError("is not a valid path") from None
        if not self._contain(path):
            linked = self._contain(Path(os.path.normpath(folder / name)))
            reason = ", because a link leads there" if linked else ""
            raise FileError(f"is outside of the allowed folders{reason}")
        return path

    def read(self, folder: Path, name: str, limit: int, *, elsewhere: bool = True) -> bytes:
        """Return the content of the file that a manifest in `folder` names. `elsewhere` allows other folders.

        Raises:
            FileError: it is outside of the roots, missing, no regular file, or longer than `limit` bytes.
        """
        path = self.find(folder, name)
        if not elsewhere and path.parent != folder:
            raise FileError("is a symbolic link to another folder")
        try:
            with os.fdopen(self._open(path), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise FileError("is not a file")
                content = file.read(limit + 1)
        except FileNotFoundError:
            raise FileError("does not exist") from None
        except IsADirectoryError:
            raise FileError("is a folder, not a file") from None
        except OSError as error:
            raise FileError(f"cannot be read: {error.strerror}") from None
        if len(content) > limit:
            raise FileError(f"has more than {limit:,} bytes")
        return content

    def _open(self, path: Path) -> int:
        """Open a resolved path below a root. A symbolic link in it is new, so none is followed."""
        # A pipe must not stop the server.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        if os.open not in os.supports_dir_fd:  # Windows, where users need a right to create links
            return os.open(path, flags)
        flags |= os.O_NOFOLLOW
        root = next(root for root in self._paths if path.is_relative_to(root))
        *folders, name = path.relative_to(root).parts or (".",)
        place = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for one in folders:
                below = os.open(one, flags | os.O_DIRECTORY, dir_fd=place)
                os.close(place)
                place = below
            return os.open(name, flags, dir_fd=place)
        finally:
            os.close(place)

    def find_program(self, folder: Path, name: str, package: str) -> Path | None:
        """Return the program of this name in the nearest `node_modules` of `folder` or above it, below a root.

        The program on which `package` depends there comes first: npm can have it in another version, pnpm only there.
        """
        for above in (folder, *folder.parents):
            for place in (above / "node_modules" / package, above):
                with suppress(OSError, RuntimeError):
                    program = (place / "node_modules" / ".bin" / name).resolve()
                    if self._contain(above) and self._contain(program) and program.is_file():
                        return program
        return None

    def _contain(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self._paths)
