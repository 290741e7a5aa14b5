"""Encryption of kept values. Each belongs to one row: moved to another, it cannot be decrypted.

The key is that of the settings; else that in the key file beside a SQLite file; else that in the system's keyring; else
a new one in a new key file. A store in memory has a key of its own, and PostgreSQL only one in the settings.
"""

import hashlib
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from pydantic_core import from_json, to_json

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.config.models import StoreSection
from gitbook_integrations_mcp.errors import ErrorCode, StoreError
from gitbook_integrations_mcp.store.location import Location, make_private

logger = logging.getLogger(__name__)

_FORMAT = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12


class Sealer:
    """Encrypts and decrypts JSON values with AES-256-GCM."""

    def __init__(self, location: Location, settings: StoreSection) -> None:
        self._location = location
        self._settings = settings
        self._keys: dict[bytes, bytes] | None = None
        self._loading = anyio.Lock()

    async def seal(self, value: Any, row: str) -> bytes | None:
        """Return JSON `value` encrypted for the row with that ID, or None if the settings keep no values.

        Raises:
            StoreError: the key cannot be read or written.
        """
        if not self._settings.keep_values or not await self._load_keys():
            return None
        return await self.seal_secret(value, row)

    async def seal_secret(self, value: Any, row: str) -> bytes:
        """Return the same, whatever the settings keep.

        Raises:
            StoreError: there is no key, or it cannot be read or written.
        """
        keys = await self._load_keys()
        if not keys:
            raise StoreError("has no key to encrypt with (store.keys)", ErrorCode.STORE_KEY_UNKNOWN)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        identifier, key = next(iter(keys.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORMAT + identifier + nonce + AESGCM(key).encrypt(nonce, to_json(value), row.encode())

    async def open(self, sealed: bytes, row: str) -> Any:
        """Return the value that was sealed for a row.

        Raises:
            StoreError: it was sealed with another key, for another row, or was changed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        keys = await self._load_keys()
        start = len(_FORMAT) + _ID_BYTES
        key = keys.get(sealed[len(_FORMAT) : start], b"")
        nonce, content = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return from_json(AESGCM(key).decrypt(nonce, content, row.encode()))  # refuses an empty key
        except (InvalidTag, ValueError):
            raise StoreError(
                "keeps a value that the keys of this server cannot decrypt", ErrorCode.STORE_KEY_UNKNOWN
            ) from None

    async def _load_keys(self) -> dict[bytes, bytes]:
        async with self._loading:
            if self._keys is None:
                try:
                    texts = await anyio.to_thread.run_sync(lambda: list(self._find_keys()))
                except OSError as error:
                    raise StoreError(f"has a key file that cannot be used ({error.strerror})") from None
                keys = [hashlib.sha256(text.encode()).digest() for text in texts]
                self._keys = {hashlib.sha256(key).digest()[:_ID_BYTES]: key for key in keys}
            return self._keys

    def _find_keys(self) -> Iterator[str]:
        if self._settings.keys:
            yield from (key.get_secret_value() for key in self._settings.keys)
        elif (path := self._location.key_path) is not None:
            if path.exists():
                with suppress(OSError):  # `doctor` reports the file of another owner
                    make_private(path)
                yield path.read_text(encoding="ascii").strip()
            else:
                yield _use_keyring(str(self._location.path)) or _create_key_file(path)
        elif self._location == Location():
            yield secrets.token_hex()


def _use_keyring(account: str) -> str | None:
    """Return the key in the system's keyring, a new one if there is none, or None without a keyring."""
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, RuntimeError, OSError):
        if (key := keyring.get_password(NAME, account)) is None:
            key = secrets.token_hex()
            keyring.set_password(NAME, account, key)
            key = keyring.get_password(NAME, account)
        return key
    return None


def _create_key_file(path: Path) -> str:
    """Return a new key, or that of another process that was faster."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink()
    return path.read_text(encoding="ascii").strip()
