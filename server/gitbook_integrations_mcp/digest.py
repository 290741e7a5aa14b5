"""Digests: of JSON, whatever the order of its keys, and of the styles and scripts that a page may hold."""

import base64
import hashlib
import json
from typing import Any


def digest_json(value: Any) -> str:
    """Return the digest of JSON `value`, the same for the same value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def csp_hash(text: str) -> str:
    """Return the source by which a content security policy allows this very style or script, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
